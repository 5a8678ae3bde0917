"""Reads a model's parameter count, precision and window from its files, without loading weights.

Each folder given is one of `bench.rerankers.local.staging.staged`, so its JSON files are validated already.
"""

import math
from pathlib import Path
from typing import Any

from bench.rerankers.local import adapters, staging
from bench.rerankers.local.checkpoint import architecture, config, modules
from bench.rerankers.local.settings import UNLIMITED
from reranker.identity import tensors
from reranker.stored import BUFFERS, LANGUAGE_HEAD, is_language_model

_PRECISIONS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_EXPANSION = 32
"""Tokens to which a ColBERT model extends a query unless its files give another number."""
_LENGTHS = ("query_length", "document_length", "query_expansion")
_PYLATE = (
    *("do_query_expansion", "attend_to_expansion_tokens", "attend_to_mask_tokens"),
    *("query_prefix", "document_prefix", "skiplist_words"),
)
"""Settings from which sentence-transformers tells that PyLate saved a model."""


def parameters(folder: Path, with_head: bool) -> int:
    """How many parameters the model has, shared ones counted once.

    Args:
        folder: The staged checkpoint.
        with_head: Whether a language model's output layer is part of the model.
    """
    rows = staging.modules(folder)
    places = {folder / row["path"] for row in rows} or {folder}
    adapting = [folder / name / adapters.WEIGHTS for name in adapters.found(folder)]
    is_shared = bool(config(folder).get("tie_word_embeddings"))
    drops_head = is_language_model(architecture(folder)) and (is_shared or not with_head)
    return sum(
        math.prod(tensor.shape)
        for path in (*adapting, *(path for place in places for path in staging.weight_files(place)))
        for tensor in tensors(path)
        if not (BUFFERS.search(tensor.name) or (drops_head and LANGUAGE_HEAD.match(tensor.name)))
    )


def precision(folder: Path) -> str:
    """The precision of static embeddings, which run in that of their file; "" for all other models."""
    if modules(folder)[:1] != ["StaticEmbedding"]:
        return ""
    found = [tensor.dtype for path in staging.weight_files(staging.reader(folder)) for tensor in tensors(path)]
    return _PRECISIONS.get(found[0], "") if found else ""


def window(folder: Path) -> int | float:
    """Tokens that a sentence-transformers model reads of a text, special tokens included."""
    if modules(folder)[:1] == ["StaticEmbedding"]:
        return math.inf
    from transformers import AutoConfig

    reader = staging.reader(folder)
    stated = config(reader, "sentence_bert_config.json")
    arguments = stated.get("processor_kwargs") or stated.get("tokenizer_args") or {}
    own = arguments.get("model_max_length") or stated.get("max_seq_length")
    if own:
        return int(own)
    longest = config(reader, "tokenizer_config.json").get("model_max_length") or UNLIMITED
    positions = getattr(AutoConfig.from_pretrained(reader, local_files_only=True), "max_position_embeddings", -1)
    return int(longest if positions == -1 else min(longest, positions))


def windows(folder: Path) -> tuple[int | float, int | float]:
    """Tokens that a ColBERT model reads of a query and of a document, all markers included.

    Settings come in sentence-transformers' own format, in PyLate's and in Stanford's; of two, the first counts.
    """
    reader = config(staging.reader(folder), "sentence_bert_config.json")
    stated: dict[str, Any] = _stanford(folder) if not modules(folder) else {}
    stated |= _pylate(config(folder, "config_sentence_transformers.json"))
    stated |= {name: reader[name] for name in _LENGTHS if name in reader}
    longest = window(folder)
    query, expansion = stated.get("query_length") or longest, stated.get("query_expansion")
    if expansion:
        query = expansion["length"] if expansion["strategy"] == "fixed" else max(query, expansion["length"])
    return query, stated.get("document_length") or longest


def _stanford(folder: Path) -> dict[str, Any]:
    metadata = config(folder, "artifact.metadata")
    expansion = {"strategy": "fixed", "length": metadata.get("query_maxlen") or _EXPANSION}
    return {"document_length": metadata.get("doc_maxlen"), "query_expansion": expansion}


def _pylate(library: dict[str, Any]) -> dict[str, Any]:
    stated = {name: library[name] for name in _LENGTHS if library.get(name) is not None}
    if "query_expansion" in library:
        return stated  # None: no expansion
    if library.get("do_query_expansion") is not False and any(name in library for name in (*_LENGTHS, *_PYLATE)):
        length = stated.pop("query_length", None) or _EXPANSION
        stated["query_expansion"] = {"strategy": "fixed", "length": length}
    return stated
