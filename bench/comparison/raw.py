"""What a generative reranker wrote about a query, as the score cache in its output folder has it."""

from collections.abc import Sequence
from contextlib import closing

from bench.comparison.stored import StoredResult
from bench.evaluation.cache import CACHE, Log
from bench.run import Run


def raw_answers(kept: StoredResult, run: Run, query: str) -> tuple[str, ...]:
    """One text a window, in the order in which they were asked for: the documents shown, then what was written.

    Empty for a reranker that generates nothing, and where the cache is not there any more.
    """
    path = kept.path.absolute().parents[len(kept.result.folder.parts)] / CACHE
    if kept.result.generation is None or not path.is_file():
        return ()
    documents = set(run.ids(query)) if query in run.rankings else None
    with closing(Log(path)) as log:
        return tuple(
            f"shows {_shown(record['ids'])}: {_written(record['said'])}"
            for record in log.answers()
            if record["reranker"] == kept.result.reranker.fingerprint
            and record["query"] == query
            # Another task of the folder may have a query of that id.
            and (documents is None or documents.issuperset(record["ids"]))
        )


def _shown(ids: Sequence[str]) -> str:
    return " ".join(f"[{number}] {document_id}" for number, document_id in enumerate(ids, start=1))


def _written(said: dict[str, object]) -> str:
    logits = said["logits"]
    if isinstance(logits, list) and logits:
        return f"logits {' '.join(f'{logit:.2f}' for logit in logits)}"
    ends = {"length": " (cut off)", "refused": " (refused)"}
    return f"{said['text']}{ends.get(str(said['finish']), '')}"
