"""A prepared task as a reranking task of mteb."""

from collections.abc import Mapping

from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
from mteb.abstasks.task_metadata import TaskMetadata

from bench.evaluation.prepare import PreparedTask

SPLIT = "test"


class Reranking(AbsTaskRetrieval):
    """The candidates of a first stage; `of` fills it. mteb encodes the whole corpus that it is given."""

    metadata = TaskMetadata(
        name="CompareSpeedReranking",
        description="Candidates of a first stage",
        reference=None,
        dataset={"path": "local", "revision": "1"},
        type="Reranking",
        category="t2t",
        eval_splits=[SPLIT],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
        date=None,
        domains=None,
        task_subtypes=None,
        license=None,
        annotations_creators=None,
        dialect=None,
        sample_creation=None,
        bibtex_citation=None,
    )

    @classmethod
    def of(cls, prepared: PreparedTask, texts: Mapping[str, str]) -> "Reranking":
        """The same queries, candidates and judgements; ``texts`` are the corpus, by id."""
        task = cls()
        queries = prepared.collection.queries
        task.dataset = {
            "default": {
                SPLIT: RetrievalSplitData(
                    corpus=Dataset.from_list([{"id": each, "title": "", "text": text} for each, text in texts.items()]),
                    queries=Dataset.from_list([{"id": each, "text": text} for each, text in queries.items()]),
                    relevant_docs={each: dict(grades) for each, grades in prepared.judgements.items()},
                    top_ranked={each: list(ids) for each, ids in prepared.candidates.orders.items()},
                )
            }
        }
        task.data_loaded = True
        return task
