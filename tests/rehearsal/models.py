"""Tiny random checkpoints of every model that the rows name, in the layout of its repository on the hub.

Sources of the layouts: the models' cards and, for ettin-reranker, its printed architecture
(https://huggingface.co/cross-encoder/ettin-reranker-68m-v1). Weights of several files are cut as small as those.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BertConfig,
    BertModel,
    GteConfig,
    GteForSequenceClassification,
    JinaEmbeddingsV3Config,
    JinaEmbeddingsV3Model,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from bench.rerankers import ROWS
from tests.bench.rerankers.conftest import QUERIES, TEXTS
from tests.bench.rerankers.multilingual import (
    JINA_COLBERT,
    JINA_RERANKER,
    MARKERS,
    THETA,
    TINY,
    jina_names,
    write_adapters,
)
from tests.bench.tiny_generators import write_model
from tests.hub import Repository
from tests.tiny_tokenizers import byte_level_tokenizer, wordpiece_tokenizer, xlm_roberta_tokenizer

UNSTATED = "fedcba9876543210fedcba9876543210fedcba98"
"""The newest commit of a repository whose row pins none."""
NOT_NEEDED = ("README.md", "modeling.py", "onnx/model.onnx", "openvino/openvino_model.xml", "pytorch_model.bin")
"""Files that these repositories have as well, and that nobody may fetch."""

_CHECKPOINT = Path(__file__).parents[1] / "reranker" / "data" / "tiny-checkpoint"
_SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
_DECODER = _SMALL | {"num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512}

Write = Callable[[Path], None]


def repositories(root: Path) -> dict[str, Repository]:
    """Write every repository that a row names; by ``models/OWNER/NAME``."""
    found: dict[str, Repository] = {}
    for row in ROWS.values():
        if row.name in _WRITERS:
            model = row.model.partition("#")[0]
            found[f"models/{model}"] = Repository(root / model, row.revision or UNSTATED)
            _write(root / model, _WRITERS[row.name])
    return found


def _write(folder: Path, write: Write) -> None:
    folder.mkdir(parents=True)
    torch.manual_seed(sum(folder.name.encode()))
    write(folder)
    for name in NOT_NEEDED:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"{name} of another library\n" * 50)


def _listwise(**changes: Any) -> Write:
    """The released model's format; the tokenizer of the checkpoint that was made for parity."""

    def write(folder: Path) -> None:
        shutil.copytree(_CHECKPOINT, folder, dirs_exist_ok=True)
        code = {"auto_map": {"AutoModel": "modeling.JinaForRanking"}}
        _change(folder, code | changes)

    return write


def _bert_classifier(folder: Path) -> None:
    _save(_model(AutoModelForSequenceClassification, "bert", _words(), num_labels=1), _words(), folder)


def _xlm_classifier(folder: Path) -> None:
    tokenizer = _pieces()
    config = XLMRobertaConfig(vocab_size=len(tokenizer), num_labels=1, **TINY)
    _save(XLMRobertaForSequenceClassification(config), tokenizer, folder)


def _jina_classifier(folder: Path) -> None:
    tokenizer = _pieces()
    sizes = {"vocab_size": len(tokenizer), **TINY}
    model = XLMRobertaForSequenceClassification(XLMRobertaConfig(**sizes, num_labels=1, layer_norm_eps=1e-5))
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(JINA_RERANKER | sizes))
    save_file(jina_names(model.state_dict()), folder / "model.safetensors", {"format": "pt"})


def _gte_classifier(folder: Path) -> None:
    tokenizer = _pieces()
    config = GteConfig(vocab_size=len(tokenizer), num_labels=1, rope_parameters=None, **TINY)
    _save(GteForSequenceClassification(config), tokenizer, folder)
    saved = load_file(folder / "model.safetensors")
    original = {f"new.{name.removeprefix('gte.')}" if name.startswith("gte.") else name: saved[name] for name in saved}
    save_file(original, folder / "model.safetensors", {"format": "pt"})


def _ettin(folder: Path) -> None:
    """A ModernBERT, its first state, and a head of three modules."""
    from sentence_transformers import CrossEncoder
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling

    _save(_model(AutoModel, "modernbert", _words(), global_rope_theta=1000.0), _words(), folder / "backbone")
    head = [
        Dense(32, 32, bias=False, activation_function=torch.nn.GELU()),
        LayerNorm(32),
        Dense(32, 1, activation_function=torch.nn.Identity(), module_output_name="scores"),
    ]
    modules = [Transformer(str(folder / "backbone")), Pooling(32, pooling_mode="cls"), *head]
    CrossEncoder(modules=modules, device="cpu").save_pretrained(str(folder))
    shutil.rmtree(folder / "backbone")


def _generator(kind: str, shards: int = 1) -> Write:
    def write(folder: Path) -> None:
        model = _model(AutoModelForCausalLM, kind, _bytes(), tie_word_embeddings=True, **_DECODER)
        size = sum(each.numel() * each.element_size() for each in model.parameters())
        _save(model, _bytes(), folder, max_shard_size=size if shards == 1 else f"{size // shards // 1000}KB")
        assert (shards == 1) == (folder / "model.safetensors").exists()

    return write


def _instruct(kind: str) -> Write:
    """A listwise generator; its answers are noise, and end where its context does."""

    def write(folder: Path) -> None:
        write_model(folder, kind, positions=8192)

    return write


def _decoder_embeddings(kind: str) -> Write:
    """Embeddings from a decoder's last state, as sentence-transformers saves them."""

    def write(folder: Path) -> None:
        _save(_model(AutoModel, kind, _bytes(), **_DECODER), _bytes(), folder)
        _modules(folder, ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
        pooling = {"word_embedding_dimension": 32, "pooling_mode_lasttoken": True}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
        prompts = {"query": "Query: ", "document": "Document: "}
        (folder / "config_sentence_transformers.json").write_text(
            json.dumps({"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"})
        )

    return write


def _adapters(folder: Path) -> None:
    tokenizer = _pieces()
    config = JinaEmbeddingsV3Config(vocab_size=len(tokenizer), rope_parameters=None, **TINY)
    _save(JinaEmbeddingsV3Model(config), tokenizer, folder)
    write_adapters(folder)


def _stanford(folder: Path) -> None:
    """A BERT and a projection, and ColBERT's own metadata."""
    tokenizer = _words()
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **_SMALL)
    weights = {f"bert.{name}": tensor.contiguous() for name, tensor in BertModel(config).state_dict().items()}
    save_file(weights | {"linear.weight": torch.randn(8, 32)}, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config.to_dict() | {"architectures": ["HF_ColBERT"]}))
    _metadata(folder, ("[unused0]", "[unused1]"))
    tokenizer.save_pretrained(folder)


def _jina_colbert(folder: Path) -> None:
    tokenizer = xlm_roberta_tokenizer(TEXTS + QUERIES, window=64, more=MARKERS)
    sizes = {"vocab_size": len(tokenizer), **TINY}
    rope = {"rope_type": "default", "rope_theta": THETA}
    config = JinaEmbeddingsV3Config(**sizes, layer_norm_eps=1e-5, rope_parameters=rope)
    _save(JinaEmbeddingsV3Model(config, add_pooling_layer=False), tokenizer, folder)
    weights = {f"roberta.{name}": each for name, each in load_file(folder / "model.safetensors").items()}
    save_file(weights | {"linear.weight": torch.randn(8, 32)}, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(JINA_COLBERT | sizes))
    _metadata(folder, MARKERS)


def _pylate(folder: Path) -> None:
    _save(_model(AutoModel, "modernbert", _words(), global_rope_theta=1000.0), _words(), folder)
    _modules(folder, ("1_Dense", "Dense"))
    rows = json.loads((folder / "modules.json").read_text())
    rows[1]["type"] = "pylate.models.Dense.Dense"
    (folder / "modules.json").write_text(json.dumps(rows))
    save_file({"linear.weight": torch.randn(8, 32)}, folder / "1_Dense" / "model.safetensors")
    shape = {"in_features": 32, "out_features": 8, "bias": False}
    (folder / "1_Dense" / "config.json").write_text(
        json.dumps(shape | {"activation_function": "torch.nn.modules.linear.Identity"})
    )
    settings = {"query_prefix": "[unused0]", "document_prefix": "[unused1]", "do_query_expansion": False}
    lengths = {"query_length": 32, "document_length": 60, "skiplist_words": []}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings | lengths))


def _metadata(folder: Path, markers: tuple[str, ...]) -> None:
    lengths = {"query_maxlen": 16, "doc_maxlen": 40, "mask_punctuation": True, "attend_to_mask_tokens": False}
    names = {"query_token_id": markers[0], "doc_token_id": markers[1], "root": "/experiments"}
    (folder / "artifact.metadata").write_text(json.dumps(names | lengths))


def _modules(folder: Path, *modules: tuple[str, str]) -> None:
    kinds = [("", "Transformer"), *modules]
    rows = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (path, kind) in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(rows))
    for path, _ in modules:
        (folder / path).mkdir()


def _model(of: Any, kind: str, tokenizer: PreTrainedTokenizerFast, **more: Any) -> Any:
    sizes = {"vocab_size": len(tokenizer), "initializer_range": 0.3, "pad_token_id": 0, **_SMALL, **more}
    return of.from_config(AutoConfig.for_model(kind, **sizes))


def _save(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path, **more: Any) -> None:
    model.eval().save_pretrained(folder, **more)
    tokenizer.save_pretrained(folder)


def _change(folder: Path, changes: Mapping[str, Any]) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@cache
def _words() -> PreTrainedTokenizerFast:
    return wordpiece_tokenizer(TEXTS + QUERIES)


@cache
def _bytes() -> PreTrainedTokenizerFast:
    return byte_level_tokenizer(TEXTS + QUERIES)


@cache
def _pieces() -> PreTrainedTokenizerFast:
    return xlm_roberta_tokenizer(TEXTS + QUERIES, window=64)


_SLIDING = ["sliding_attention"] * 3 + ["full_attention"]

_WRITERS: Mapping[str, Write] = {
    "jina-reranker-v3": _listwise(),
    "jina-reranker-v3.5": _listwise(layer_types=_SLIDING, sliding_window=16, use_sliding_window=True),
    "jina-embeddings-v3": _adapters,
    "jina-embeddings-v5-text-small": _decoder_embeddings("qwen3"),
    "ms-marco-MiniLM-L6-v2": _bert_classifier,
    "bge-reranker-v2-m3": _xlm_classifier,
    "jina-reranker-v2-base-multilingual": _jina_classifier,
    "gte-multilingual-reranker-base": _gte_classifier,
    **dict.fromkeys((f"ettin-reranker-{size}-v1" for size in ("17m", "32m", "68m", "150m", "400m", "1b")), _ettin),
    "mxbai-rerank-base-v2": _generator("qwen2"),
    "mxbai-rerank-large-v2": _generator("qwen2"),
    "Qwen3-Reranker-0.6B": _generator("qwen3"),
    "Qwen3-Reranker-4B": _generator("qwen3", shards=2),
    "Qwen3-Reranker-8B": _generator("qwen3", shards=5),
    "colbertv2": _stanford,
    "answerai-colbert-small": _stanford,
    "jina-colbert-v2": _jina_colbert,
    "GTE-ModernColBERT-v1": _pylate,
    "RankZephyr": _instruct("mistral"),
    "RankVicuna": _instruct("llama"),
    "FirstMistral": _instruct("mistral"),
    "ReasonRank-7B": _instruct("qwen2"),
    "ReasonRank-32B": _instruct("qwen2"),
    "Rank-K-32B": _instruct("qwen2"),
    "Qwen3-8B-listwise": _instruct("qwen3"),
}
