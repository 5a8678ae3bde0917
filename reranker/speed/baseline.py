"""The baseline of `reranker.speed`: the model run in the way that was published.

One list a forward pass; every document is tokenised by itself for its length, and again within the prompt; the backbone
is called as a library model, and keeps the hidden states of all its layers; nothing runs concurrently. The scores are
those of the `Reranker`.
"""

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from reranker.blocks import block_sizes, merge
from reranker.model import ListModel
from reranker.prompt import Markers, render, without_markers


class Baseline:
    """Scores one list at a time with the weights of a `ListModel`."""

    def __init__(self, model: ListModel, tokenizer: Tokenizer, markers: Markers, capacity: int) -> None:
        """Take the same parts as a `Reranker`; the tokenizer is copied, since truncation changes its state."""
        self._model = model
        self._device = next(model.parameters()).device
        self._markers = markers
        self._capacity = capacity
        copy = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer = PreTrainedTokenizerFast(tokenizer_object=copy)  # type: ignore[no-untyped-call]
        self._document_id = tokenizer.token_to_id(markers.document)
        self._query_id = tokenizer.token_to_id(markers.query)

    @torch.inference_mode()
    def score(
        self, query: str, documents: Sequence[str], max_query_length: int = 512, max_doc_length: int = 2048
    ) -> list[float]:
        """The score of each document, in order; there must be at least one."""
        query, query_length = self._cut(query, max_query_length)
        texts, lengths = zip(*(self._cut(document, max_doc_length) for document in documents), strict=True)
        queries, embeddings, start = [], [], 0
        for size in block_sizes(lengths, query_length, max_doc_length, self._capacity):
            found = self._embeddings(query, texts[start : start + size])
            queries.append(found[-1])
            embeddings.append(found[:-1])
            start += size
        scores: list[float] = merge(torch.stack(queries), embeddings)[1].tolist()
        return scores

    def _cut(self, text: str, cap: int) -> tuple[str, int]:
        ids = self._tokenizer(text, truncation=True, max_length=cap)["input_ids"]
        return (str(self._tokenizer.decode(ids)) if len(ids) >= cap else text), len(ids)

    def _embeddings(self, query: str, documents: Sequence[str]) -> Tensor:
        """Embeddings of a block's documents and then its query, float32 on the CPU [N + 1, width]."""
        clean = [without_markers(document, self._markers) for document in documents]
        prompt = render(without_markers(query, self._markers), clean, None, self._markers)
        batch = self._tokenizer([prompt], return_tensors="pt").to(self._device)
        states = self._model.backbone(**batch, output_hidden_states=True, use_cache=False).hidden_states[-1][0]
        ids = batch["input_ids"][0]
        read = torch.cat((states[ids == self._document_id], states[ids == self._query_id]))
        embeddings: Tensor = self._model.projector(read.float()).cpu()
        return embeddings
