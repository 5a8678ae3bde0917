"""The core model for `mteb.evaluate`, with each query's candidates read as one list.

mteb's own cross-encoder wrapper hands over pairs, which hides where a list ends. This adapter takes the candidates by
query, in the order in which mteb has them.

    import mteb
    from bench.adapters.mteb import MtebReranker
    from reranker import Reranker

    model = MtebReranker(Reranker.from_pretrained("jinaai/jina-reranker-v3"), "jinaai/jina-reranker-v3")
    mteb.evaluate(model, mteb.get_tasks(["AskUbuntuDupQuestions"]))
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mteb.models import ModelMeta

from bench.collections.mteb import query_texts
from bench.errors import BenchError
from reranker import Reranker


class MtebReranker:
    """A model of mteb's `SearchProtocol` that reranks the candidates of a reranking task, and searches nothing."""

    def __init__(self, model: Reranker, name: str, revision: str | None = None, **options: Any) -> None:
        """Wrap a model.

        Args:
            model: The model.
            name: ``owner/model``, under which mteb files its results.
            revision: The model's revision.
            options: Of `Reranker.score`: instruction and length caps.
        """
        self.mteb_model_meta = ModelMeta.create_empty(
            {"name": name, "revision": revision or model.fingerprint[:12], "n_parameters": model.parameters}
        )
        self._model = model
        self._options = options
        self._texts: dict[str, str] = {}

    def index(self, corpus: Any, **_: Any) -> None:
        """Take a task's corpus; a title and its text are joined by a space."""
        titles = corpus["title"] if "title" in corpus.column_names else [""] * len(corpus)
        self._texts = {
            document_id: f"{title or ''} {text}".strip()
            for document_id, title, text in zip(corpus["id"], titles, corpus["text"], strict=True)
        }

    def search(
        self, queries: Any, *, top_k: int, top_ranked: Mapping[str, Sequence[str]] | None = None, **_: Any
    ) -> dict[str, dict[str, float]]:
        """The scores of each query's candidates, by query and document; a query without candidates has none.

        A query's instruction, where the task has them, follows its text, as in mteb's own wrappers.

        Raises:
            BenchError: where the task comes without candidates.
        """
        if top_ranked is None:
            raise BenchError("The task has no candidates to rerank. Choose a reranking task, or give a first stage.")
        texts = query_texts(queries)
        asked = [key for key in texts if top_ranked.get(key)]
        lists = [(texts[key], [self._texts[each] for each in top_ranked[key]]) for key in asked]
        found: dict[str, dict[str, float]] = {key: {} for key in texts}
        for key, scores in zip(asked, self._model.score(lists, **self._options), strict=True):
            best = sorted(zip(top_ranked[key], scores, strict=True), key=lambda pair: -pair[1])
            found[key] = dict(best[:top_k])
        return found
