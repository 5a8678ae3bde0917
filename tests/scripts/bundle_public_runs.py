"""Bundle the public BM25 runs of ``../shared/data/bm25-runs``: ``python -m tests.scripts.bundle_public_runs [FOLDER]``.

The runs are others' work; their corpora are not here. Queries and judgements of ``../shared/data/beir-queries-only``
give the figures and the hash that ties each run to its collection.
"""

import sys
from pathlib import Path

from bench.collections.beir_folder import read_queries
from bench.collections.judgements import read_judgements
from bench.first_stage.manifest import (
    BUNDLED,
    BUNDLED_DEPTH,
    Manifest,
    Origin,
    figures,
    identical_ids,
    relevant_hash,
    write_bundled,
)
from bench.run import Run, read_run
from bench.suites import find

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

ORIGINS = {
    "beir/trec-covid": (
        "Pyserini",
        "https://github.com/castorini/rank_llm retrieve_results/BM25/trec_results_covid.txt @b88c821d5c",
        "Apache-2.0",
    ),
    "beir/webis-touche2020": (
        "Anserini",
        "https://github.com/jerecoder/IReranker data/external/beir/bm25-runs @ee2c7c88dc",
        "MIT",
    ),
}
"""Maker, source and licence of each run."""


def bundle(task_id: str, folder: Path = BUNDLED, shared: Path = SHARED) -> Manifest:
    """Write one run and its row; gives the row."""
    task = find(task_id)
    assert task is not None and task.counts is not None
    questions = shared / "beir-queries-only" / task.name
    judgements = read_judgements(questions / "qrels" / f"{task.split}.tsv")
    queries = read_queries(questions / "queries.jsonl.gz")
    public = read_run(shared / "bm25-runs" / "beir" / f"{task.name}.trec.gz")
    run = Run("bm25", public.rankings).top(BUNDLED_DEPTH)
    by, source, licence = ORIGINS[task_id]
    row = Manifest(
        sha256=run.sha256,
        data=None,
        documents=task.counts.documents,
        queries=len(judgements),
        depth=BUNDLED_DEPTH,
        analysis="Lucene's EnglishAnalyzer in Anserini's setting: 33 stop words; Porter stemmer",
        k1=0.9,
        b=0.4,
        text_rule=task.text_rule,
        identical_ids=identical_ids(task),
        libraries=f"{by}, BM25 flat, version not stated",
        figures=figures(task, judgements, run),
        origin=Origin(by, source, licence, relevant_hash(queries, judgements)),
    )
    write_bundled(task, run, row, folder)
    return row


if __name__ == "__main__":
    for each in ORIGINS:
        print(each, bundle(each, *map(Path, sys.argv[1:])).figures)
