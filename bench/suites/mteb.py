"""Any retrieval or reranking task of mteb: `python -m bench mteb TASK...`, by mteb's measure and rules.

A reranking task comes with the candidates of each query. A retrieval task's are found by a first stage.
"""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib.metadata import version
from typing import Any

from bench.errors import BenchError
from bench.suites.languages import analysis_of
from bench.task import SPLIT, Task

SUITE = "mteb"
_MEASURES = {"ndcg": "nDCG", "map": "MAP", "mrr": "MRR", "recall": "R", "precision": "P", "hit_rate": "Success"}
_RETRIEVAL, _RERANKING = ("Retrieval", "InstructionRetrieval"), ("Reranking", "InstructionReranking")


def mteb_tasks(names: Sequence[str], split: str = "", analysis: str = "") -> tuple[list[Task], list[Task]]:
    """Declare mteb's tasks, ``Name`` or ``Name:subset``; a leading ``mteb/`` is left out.

    Without a subset a task of several languages is one task for each; without a split it is measured in all that mteb
    evaluates.

    Returns:
        The retrieval tasks and the reranking tasks.

    Raises:
        BenchError: for a task, subset or split that mteb does not have, another kind of task, one of other things than
            texts, or one whose measure or rule is not known here.
    """
    found: tuple[list[Task], list[Task]] = ([], [])
    for name in names:
        for loaded in _loaded(name.removeprefix("mteb/")):
            _check(loaded)
            found[loaded.metadata.type in _RERANKING].extend(_tasks(loaded, split, analysis))
    return found


def _loaded(name: str) -> list[Any]:
    """mteb's own task object, or those of a task that is made of several."""
    import mteb

    task, _, subset = name.partition(":")
    try:
        loaded: Any = mteb.get_task(task, hf_subsets=[subset] if subset else None)
    except (KeyError, ValueError) as error:
        kinds: Any = [*_RETRIEVAL, *_RERANKING]
        known = sorted({each.metadata.name for each in mteb.get_tasks(task_types=kinds)})
        near = get_close_matches(task, known, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else "See 'mteb available-tasks'."
        what = f"{task!r} with a subset {subset!r}" if subset and task in known else f"task {task!r}"
        raise BenchError(f"mteb {version('mteb')} has no {what}. {hint}") from error
    return list(getattr(loaded, "tasks", [loaded]))


def _check(loaded: Any) -> None:
    name, kind, modalities = loaded.metadata.name, str(loaded.metadata.type), list(loaded.metadata.modalities)
    if kind not in (*_RETRIEVAL, *_RERANKING) or modalities != ["text"]:
        of = " and ".join(modalities)
        raise BenchError(f"mteb's {name} is a {kind} task of {of}. Give a retrieval or reranking task of texts.")
    if loaded.skip_first_result:
        raise BenchError(f"mteb's {name} leaves out each query's first result, a rule that is not known here.")


def _tasks(loaded: Any, split: str, analysis: str) -> Iterator[Task]:
    name, splits = loaded.metadata.name, list(loaded.metadata.eval_splits)
    if split and split not in splits:
        raise BenchError(f"mteb's {name} has no split {split!r} to evaluate. It has: {', '.join(splits)}.")
    measure = _measure(name, str(loaded.metadata.main_score))
    for subset in loaded.hf_subsets:
        full = name if subset == "default" else f"{name}:{subset}"
        language = _language(loaded, subset)
        chosen = analysis_of(f"mteb/{full}", language, analysis)
        for each in [split] if split else splits:
            yield Task(
                SUITE,
                full if [each] == splits else f"{full}{SPLIT}{each}",
                split=each,
                mteb=full,
                measure=measure,
                drop_identical_ids=bool(loaded.ignore_identical_ids),
                analysis=chosen,
                default=False,
            )


def _language(loaded: Any, subset: str) -> str:
    """The language of a subset's texts; of two languages, the one that is not English, where one is."""
    codes = [str(each).partition("-")[0] for each in loaded.metadata.hf_subsets_to_langscripts.get(subset, ())]
    return next((code for code in codes if code != "eng"), "eng" if codes else "")


def _measure(name: str, text: str) -> str:
    """mteb's main score in our words."""
    match = re.fullmatch(r"([a-z_]+)_at_([1-9][0-9]*)", text)
    if not match or match[1] not in _MEASURES:
        raise BenchError(f"mteb's {name} is measured by {text}, which is not known here.")
    return f"{_MEASURES[match[1]]}@{match[2]}"
