"""The `Reranker` that users hold."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reranker import checkpoint
from reranker.blocks import MAX_DOCUMENTS
from reranker.device import choose_device, choose_dtype
from reranker.engine import Engine, ListScores, QueryAndDocuments, ScoringOptions, checked_documents
from reranker.model import ListModel
from reranker.tokens import PromptTokens

MAX_QUERY_LENGTH = 512
MAX_DOC_LENGTH = 2048


@dataclass(frozen=True, slots=True)
class Ranked:
    """One document of a ranked list.

    `index` is its position in the list as given, `score` the cosine of its embedding with the query's, in [-1, 1].
    `embedding` is the raw (not normalised) output of the projector, float32 [width], or None if it was not asked for.
    """

    index: int
    score: float
    document: str
    embedding: npt.NDArray[np.float32] | None = field(default=None, repr=False, compare=False)


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
        cls, name_or_folder: str | Path, device: str = "auto", dtype: str = "auto", revision: str | None = None
    ) -> "Reranker":
        """Load a checkpoint in the file format of jina-reranker-v3.

        Args:
            name_or_folder: a folder, a repository of the Hugging Face hub such as `jinaai/jina-reranker-v3`, or
                `embedded`, the small checkpoint that comes with this package.
            device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1".
            dtype: "auto" (float32 on a CPU, bfloat16 on a GPU), "float32", "bfloat16", "float16".
            revision: the hub repository's branch, tag or commit.

        Raises:
            CheckpointError: there is no such checkpoint, or it is damaged or of another kind.
            RerankerError: no such device or precision here.
        """
        target = choose_device(device)
        precision = choose_dtype(dtype, target)
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
    ) -> list[Ranked]:
        """The documents from best to worst; of equal scores, the document given earlier comes first.

        Args:
            query: any text, also an empty one.
            documents: any texts: a list, a generator, a pandas Series; none at all give an empty result.
            top_n: how many to return; all by default.
            instruction: how to judge relevance, as a sentence for the prompt.
            max_query_length: tokens after which the query is cut.
            max_doc_length: tokens after which each document is cut.
            return_embeddings: whether each result carries its document's embedding.

        Raises:
            TypeError: a text is not a string; a document is named by its index.
            ValueError: `top_n` or a cap is less than 1.
            NonFiniteScoreError: the model gave a score that is not a finite number.
            ListTooLongError: the list does not fit in the device's memory.
        """
        if top_n is not None and top_n < 1:
            raise ValueError(f"top_n must be at least 1, not {top_n}")
        options = self._options(instruction, max_query_length, max_doc_length)
        texts = checked_documents(query, documents)
        output = next(self._engine.run([(query, texts)], options))
        scores = output.scores.scores
        order = sorted(range(len(scores)), key=lambda index: -scores[index])[:top_n]
        return [
            Ranked(i, scores[i], texts[i], output.embeddings[i].numpy() if return_embeddings else None) for i in order
        ]

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
