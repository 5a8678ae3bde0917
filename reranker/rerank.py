"""The `Reranker` that users hold."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch

from reranker import checkpoint
from reranker.blocks import MAX_DOCUMENTS
from reranker.device import choose_device, choose_dtype
from reranker.engine import Engine, ListScores, Output, QueryAndDocuments, ScoringOptions, checked_documents
from reranker.model import ListModel
from reranker.ranked import Ranked, RankedList
from reranker.tokens import PromptTokens

MAX_QUERY_LENGTH = 512
MAX_DOC_LENGTH = 2048


class Reranker:
    """A listwise reranker: all documents of a list are read together, in the order given, and each gets a score.

    A score depends on the whole list, its order and its size: compare scores within one list only.
    """

    def __init__(
        self,
        model: ListModel,
        tokens: PromptTokens,
        capacity: int,
        fingerprint: Callable[[], str],
        longest_document: int | None = None,
        name: str = "",
    ) -> None:
        """Put a reranker together from its parts; `from_pretrained` is the usual way.

        Args:
            model: the model, on the device and in the precision it is to run in.
            tokens: its tokenizer.
            capacity: tokens that one prompt may hold; a longer list is read in blocks.
            fingerprint: returns the identity of all that scores depend on; called when it is first needed.
            longest_document: an upper bound on `max_doc_length`, for a model trained on documents of at most so many
                tokens.
            name: what the checkpoint was loaded as.
        """
        weight = next(model.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        self.name = name
        self._fingerprint = fingerprint
        self._longest_document = longest_document
        self._engine = Engine(model, tokens, capacity, weight.device)

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        revision: str | None = None,
    ) -> "Reranker":
        """Load a checkpoint in the file format of jina-reranker-v3.

        Args:
            name_or_folder: a folder, a repository of the Hugging Face hub such as `jinaai/jina-reranker-v3`, or
                `embedded`, the small checkpoint that comes with this package.
            device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", or a `torch.device`.
            dtype: "auto" (float32 on a CPU, bfloat16 on a GPU), "float32", "bfloat16", "float16", or a `torch.dtype`.
            revision: the hub repository's branch, tag or commit.

        Raises:
            CheckpointError: there is no such checkpoint, or it is damaged or of another kind.
            RerankerError: no such device or precision here.
        """
        target = choose_device(str(device))
        precision = choose_dtype(str(dtype).removeprefix("torch."), target)
        files = checkpoint.find(name_or_folder, revision)
        tokens = PromptTokens(files.tokenizer(), files.markers)
        model = files.model(target, precision)
        return cls(
            model,
            tokens,
            files.capacity,
            lambda: files.fingerprint(precision),
            files.longest_document,
            str(name_or_folder),
        )

    @cached_property
    def fingerprint(self) -> str:
        """A sha256 in hex over config, weights, tokenizer, precision and prompt: equal fingerprints, equal scores."""
        return self._fingerprint()

    def __repr__(self) -> str:
        """What is loaded, and where."""
        name = f"{self.name}, " if self.name else ""
        precision = str(self.dtype).removeprefix("torch.")
        return f"Reranker({name}{self.parameters:,} parameters, {self.device}, {precision})"

    @overload
    def rerank(
        self,
        query: str,
        documents: Iterable[str],
        *,
        top_n: int | None = None,
        instruction: str | None = None,
        max_query_length: int = MAX_QUERY_LENGTH,
        max_doc_length: int = MAX_DOC_LENGTH,
        return_embeddings: bool = False,
    ) -> RankedList: ...
    @overload
    def rerank(
        self,
        query: list[str] | tuple[str, ...],
        documents: Iterable[str] | Iterable[Iterable[str]],
        *,
        top_n: int | None = None,
        instruction: str | None = None,
        max_query_length: int = MAX_QUERY_LENGTH,
        max_doc_length: int = MAX_DOC_LENGTH,
        return_embeddings: bool = False,
    ) -> list[RankedList]: ...
    def rerank(
        self,
        query: str | list[str] | tuple[str, ...],
        documents: Iterable[str] | Iterable[Iterable[str]],
        *,
        top_n: int | None = None,
        instruction: str | None = None,
        max_query_length: int = MAX_QUERY_LENGTH,
        max_doc_length: int = MAX_DOC_LENGTH,
        return_embeddings: bool = False,
    ) -> RankedList | list[RankedList]:
        """The documents from best to worst; of equal scores, the document given earlier comes first.

        Args:
            query: any text, also an empty one; or a list of queries, each of which gets a result of its own.
            documents: any texts: a list, a generator, a pandas Series; none at all give an empty result. For several
                queries: the texts that all of them share, or a list of texts for each.
            top_n: how many to return; all by default.
            instruction: how to judge relevance, as a sentence for the prompt.
            max_query_length: tokens after which the query is cut.
            max_doc_length: tokens after which each document is cut.
            return_embeddings: whether each result carries its document's embedding, and the list the query's.

        Raises:
            TypeError: a text is not a string; a document is named by its index.
            ValueError: `top_n` or a cap is less than 1; there are not as many lists of texts as queries.
            NonFiniteScoreError: the model gave a score that is not a finite number.
            ListTooLongError: the list does not fit in the device's memory.
        """
        if top_n is not None and top_n < 1:
            raise ValueError(f"top_n must be at least 1, not {top_n}")
        options = self._options(instruction, max_query_length, max_doc_length)
        if isinstance(query, list | tuple):
            lists = _paired(query, documents)
        else:
            lists = [(query, checked_documents(query, documents))]
        outputs = sorted(self._engine.run(lists, options), key=lambda output: output.scores.index)
        ranked = [
            _ranked(texts, output, top_n, return_embeddings) for (_, texts), output in zip(lists, outputs, strict=True)
        ]
        return ranked if isinstance(query, list | tuple) else ranked[0]

    def rank(
        self,
        query: str,
        documents: Iterable[str],
        top_k: int | None = None,
        return_documents: bool = False,
        **options: Any,
    ) -> list[dict[str, Any]]:
        """`rerank` with the results of sentence-transformers' `CrossEncoder.rank`.

        Args:
            query: any text.
            documents: any texts.
            top_k: how many to return; all by default.
            return_documents: whether each result carries its document, as `text`.
            options: `instruction`, `max_query_length` and `max_doc_length`, as for `rerank`.

        Returns:
            From best to worst, dictionaries with `corpus_id` (the position in `documents`), `score`, and `text`.

        Raises:
            TypeError: `query` is not one string. `rerank` takes several queries. Other errors are those of `rerank`.
        """
        if not isinstance(query, str):
            raise TypeError(f"query is a {type(query).__name__}, not one string: use rerank for several queries")
        return [
            {"corpus_id": each.index, "score": each.score, **({"text": each.document} if return_documents else {})}
            for each in self.rerank(query, documents, top_n=top_k, **options)
        ]

    @overload
    def predict(self, pairs: tuple[str, str], **options: Any) -> np.float32: ...
    @overload
    def predict(self, pairs: Iterable[Sequence[str]], **options: Any) -> npt.NDArray[np.float32]: ...
    def predict(
        self, pairs: Iterable[Sequence[str]] | tuple[str, str], **options: Any
    ) -> npt.NDArray[np.float32] | np.float32:
        """Scores of (query, document) pairs, as sentence-transformers' `CrossEncoder.predict` returns them.

        The model is listwise, so the documents of all pairs with the same query are read as one list, in the order of
        the pairs: a pair's score depends on the other pairs of its query.

        Args:
            pairs: the pairs, in any order; or one pair.
            options: `instruction`, `max_query_length` and `max_doc_length`, as for `rerank`.

        Returns:
            float32 [pairs]; a single number for one pair.

        Raises:
            TypeError: a pair is not two strings.
        """
        given: list[Any] = list(pairs)
        single = bool(given) and isinstance(given[0], str)
        given = [given] if single else given
        places: dict[str, list[int]] = {}
        for place, pair in enumerate(given):
            if isinstance(pair, str) or len(pair) != 2:
                raise TypeError(f"pair {place} is a {type(pair).__name__} of {len(pair)}, not (query, document)")
            places.setdefault(pair[0], []).append(place)
        lists = [(query, [given[place][1] for place in of_query]) for query, of_query in places.items()]
        scores = np.empty(len(given), dtype=np.float32)
        for of_query, found in zip(places.values(), self.score(lists, **options), strict=True):
            scores[of_query] = found
        return scores[0] if single else scores

    def score(
        self,
        lists: Iterable[QueryAndDocuments],
        *,
        instruction: str | None = None,
        max_query_length: int = MAX_QUERY_LENGTH,
        max_doc_length: int = MAX_DOC_LENGTH,
    ) -> list[list[float]]:
        """The scores of many (query, documents) lists, in the order of the lists and of each list's documents.

        Errors are those of `score_iter`.
        """
        scored = self.score_iter(
            lists, instruction=instruction, max_query_length=max_query_length, max_doc_length=max_doc_length
        )
        return [one.scores for one in sorted(scored, key=lambda one: one.index)]

    def score_iter(
        self,
        lists: Iterable[QueryAndDocuments],
        *,
        instruction: str | None = None,
        max_query_length: int = MAX_QUERY_LENGTH,
        max_doc_length: int = MAX_DOC_LENGTH,
        max_block: int = MAX_DOCUMENTS,
    ) -> Iterator[ListScores]:
        """The scores of many (query, documents) lists, each as soon as it is finished, so not in the lists' order.

        The lists are taken from the iterable a few at a time. `max_block` is how many documents one prompt may hold;
        scores of another number than the published 125 are other scores.

        Raises:
            TypeError: a text is not a string; a document is named by its index.
            ValueError: a cap is less than 1.
            NonFiniteScoreError: the model gave a score that is not a finite number.
            ListTooLongError: a list does not fit in the device's memory.
        """
        options = self._options(instruction, max_query_length, max_doc_length, max_block)
        return (output.scores for output in self._engine.run(lists, options))

    def forget(self) -> None:
        """Drop the token ids of documents read before, which are kept for later lists; no score changes."""
        self._engine.forget()

    def _options(
        self, instruction: str | None, max_query_length: int, max_doc_length: int, max_block: int = MAX_DOCUMENTS
    ) -> ScoringOptions:
        caps = {"max_query_length": max_query_length, "max_doc_length": max_doc_length, "max_block": max_block}
        for name, cap in caps.items():
            if cap < 1:
                raise ValueError(f"{name} must be at least 1, not {cap}")
        return ScoringOptions(
            max_query_length, min(max_doc_length, self._longest_document or max_doc_length), instruction, max_block
        )


def _paired(queries: Sequence[str], documents: Iterable[Any]) -> list[tuple[str, list[str]]]:
    """Each query with its texts: those that all share, or its own list."""
    given = [each if isinstance(each, str) else list(each) for each in documents]
    if all(isinstance(each, str) for each in given):
        return [(query, checked_documents(query, given)) for query in queries]
    if len(given) != len(queries):
        raise ValueError(
            f"there are {len(queries)} queries and {len(given)} lists of documents: give one list for each"
        )
    return [(query, checked_documents(query, texts)) for query, texts in zip(queries, given, strict=True)]


def _ranked(texts: Sequence[str], output: Output, top_n: int | None, with_embeddings: bool) -> RankedList:
    scores = output.scores.scores
    order = sorted(range(len(scores)), key=lambda index: -scores[index])[:top_n]
    query = output.query.numpy() if with_embeddings and scores else None
    return RankedList(
        (Ranked(i, scores[i], texts[i], output.embeddings[i].numpy() if with_embeddings else None) for i in order),
        query,
    )
