"""Any data set of ir_datasets that has queries, documents and judgements: `python -m bench irds ID...`.

TREC Deep Learning 2019 and 2020 (Craswell et al., https://arxiv.org/abs/2003.07820 and
https://arxiv.org/abs/2102.07662) are declared, since rerankers are published on them. Counts are those of ir_datasets
0.6.3's metadata. Their main measure is nDCG@10; the others take grades of 2 and above as relevant.
"""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from bench.console import note
from bench.errors import BenchError
from bench.measures import Measure
from bench.suites.languages import analysis_of
from bench.task import Counts, Task

SUITE = "irds"


def _task(name: str, source_id: str, **more: Any) -> Task:
    return Task(SUITE, name, source_id=source_id, source_text=True, default=False, **more)


def _deep_learning(year: int, queries: int, judgements: int) -> Task:
    return _task(
        f"trec-dl-{year}",
        f"msmarco-passage/trec-dl-{year}/judged",
        counts=Counts(8_841_823, queries, judgements),
        extra_measures=("MRR(rel=2)", "MAP(rel=2)"),
    )


TASKS = (_deep_learning(2019, 43, 9_260), _deep_learning(2020, 54, 11_386))


def irds_tasks(ids: Sequence[str], analysis: str = "") -> list[Task]:
    """Declare data sets by their ir_datasets ids, or by the names of `TASKS`; a leading ``irds/`` is left out.

    The measure is the first of the data set's official ones that is known here, nDCG@10 where there is none.

    Raises:
        BenchError: for an id that ir_datasets does not have, or a data set that lacks queries, documents or judgements.
    """
    declared = {task.name: task for task in TASKS}
    return [declared.get(name) or undeclared(name, analysis) for name in (each.removeprefix("irds/") for each in ids)]


def undeclared(name: str, analysis: str = "") -> Task:
    """Declare one data set by its ir_datasets id; raises as `irds_tasks`."""
    import ir_datasets

    try:
        dataset = ir_datasets.load(name)
    except KeyError as error:
        near = get_close_matches(name, list(ir_datasets.registry), n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else "See https://ir-datasets.com for its ids."
        raise BenchError(f"ir_datasets has no {name!r}. {hint}") from error
    _check(name, dataset)
    main, *more = _official(name, dataset)
    language = str(dataset.docs_lang() or "")
    return _task(
        name, name, measure=main, extra_measures=tuple(more), analysis=analysis_of(f"irds/{name}", language, analysis)
    )


def _check(name: str, dataset: Any) -> None:
    parts = {
        "documents": dataset.has_docs(),
        "queries": dataset.has_queries(),
        "judgements": dataset.has_qrels() and "relevance" in dataset.qrels_cls()._fields,
    }
    lacking = [part for part, there in parts.items() if not there]
    if lacking:
        raise BenchError(
            f"ir_datasets' {name} has no {' and no '.join(lacking)}. Give a data set with all three, often a subset "
            f"such as {name}/test: https://ir-datasets.com lists them."
        )
    for part, record in (("documents", dataset.docs_cls()), ("queries", dataset.queries_cls())):
        if not hasattr(record, "default_text"):
            raise BenchError(f"ir_datasets' {name} does not say what the text of its {part} is. It cannot be measured.")


def _official(name: str, dataset: Any) -> list[str]:
    """The official measures that are known here, nDCG@10 if there is none; the others are named."""
    official = [str(each) for each in (dataset.documentation() or {}).get("official_measures", ())]
    known = list(_known(official))
    if left := [each for each in official if not _is_known(each)]:
        note(f"Note: irds/{name}: not measured here: {', '.join(left)}, which ir_datasets states too.")
    if not known:
        note(f"Note: irds/{name}: ir_datasets states no measure that is known here; it is nDCG@10.")
    return known or ["nDCG@10"]


def _known(names: Sequence[str]) -> Iterator[str]:
    yield from dict.fromkeys(str(Measure.parse(each)) for each in names if _is_known(each))


def _is_known(name: str) -> bool:
    try:
        Measure.parse(name)
    except BenchError:
        return False
    return True
