"""The checkpoint format: what each JSON file of a checkpoint may say.

Every file is checked against a model here before a library sees anything of it. A model lists what is allowed: other
keys are dropped, so that none can name code, and values that no checkpoint has are refused, so that none can exhaust
the memory or bring down a library.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reranker.errors import CheckpointError
from reranker.schema import read_json, read_model, validate

_NO_LIMIT = 10**9
"""A `model_max_length` from here on says that there is no limit: transformers writes 10^30 for that."""

Size = Annotated[int, Field(ge=1, le=2**20)]
Heads = Annotated[int, Field(ge=1, le=1024)]
Length = Annotated[int, Field(ge=1, le=2**31 - 1)]
Factor = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Whole = Annotated[float, Field(ge=1, le=1)]
TokenId = Annotated[int, Field(ge=0, le=2**31 - 1)]
Marker = Annotated[str, Field(min_length=1, max_length=200)]
Label = Annotated[str, Field(max_length=100, pattern=r"^[\w.+-]*$")]
Word = Annotated[str, Field(max_length=10_000)]
ShardName = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\.safetensors$")]
RopeType = Literal["default", "linear", "yarn", "llama3"]
"""The kinds whose frequencies do not depend on how long the longest list of a pass is."""


class _Declared(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Rope(BaseModel):
    """Rotary position embedding. An unknown key is refused: to drop it would change scores."""

    model_config = ConfigDict(strict=True, extra="forbid")

    rope_type: RopeType | None = None
    type: RopeType | None = None
    rope_theta: Annotated[float, Field(gt=1, le=1e12)] | None = None
    partial_rotary_factor: Whole | None = None
    factor: Annotated[float, Field(ge=1, le=1e6)] | None = None
    original_max_position_embeddings: Length | None = None
    attention_factor: Factor | None = None
    beta_fast: Factor | None = None
    beta_slow: Factor | None = None
    low_freq_factor: Factor | None = None
    high_freq_factor: Factor | None = None
    mscale: Factor | None = None
    mscale_all_dim: Factor | None = None
    truncate: bool | None = None

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        low, high = self.low_freq_factor, self.high_freq_factor
        if low is not None and high is not None and low >= high:
            raise ValueError(f"low_freq_factor {low} is not below high_freq_factor {high}")
        return self


class _Config(_Declared):
    """`config.json`: the architecture's sizes and numbers, our own keys, and what other tools want to know."""

    model_type: Literal["qwen3", "llama"]
    vocab_size: Annotated[int, Field(ge=1, le=2**22)]
    hidden_size: Annotated[int, Field(ge=1, le=2**16)]
    intermediate_size: Size
    num_hidden_layers: Annotated[int, Field(ge=1, le=512)]
    num_attention_heads: Heads
    num_key_value_heads: Heads | None = None
    head_dim: Annotated[int, Field(ge=2, le=4096, multiple_of=2)] | None = None
    hidden_act: Literal["silu", "swish", "gelu", "gelu_new", "gelu_pytorch_tanh", "relu"] = "silu"
    max_position_embeddings: Length = 2048
    rms_norm_eps: Annotated[float, Field(ge=0, le=1)] = 1e-6
    rope_parameters: _Rope | None = None
    rope_scaling: _Rope | None = None
    rope_theta: Annotated[float, Field(gt=1, le=1e12)] | None = None
    partial_rotary_factor: Whole | None = None
    attention_bias: bool = False
    mlp_bias: bool = False
    use_sliding_window: bool = False
    sliding_window: Length | None = None
    max_window_layers: Annotated[int, Field(ge=0, le=2**20)] = 28
    layer_types: list[Literal["full_attention", "sliding_attention"]] | None = None
    tie_word_embeddings: bool = False
    initializer_range: Annotated[float, Field(ge=0, le=1)] = 0.02
    quantization_config: None = None
    document_marker: Marker | None = None
    query_marker: Marker | None = None
    max_doc_length: Length | None = None
    architectures: list[Label] | None = None
    dtype: Label | None = None
    torch_dtype: Label | None = None
    transformers_version: Label | None = None
    bos_token_id: TokenId | None = None
    eos_token_id: TokenId | list[TokenId] | None = None
    pad_token_id: TokenId | None = None

    @model_validator(mode="after")
    def _fits_itself(self) -> Self:
        heads, groups = self.num_attention_heads, self.num_key_value_heads
        if groups is not None and heads % groups:
            raise ValueError(f"num_key_value_heads {groups} does not divide num_attention_heads {heads}")
        if self.head_dim is None and self.model_type == "llama" and self.hidden_size % (2 * heads):
            raise ValueError(f"hidden_size {self.hidden_size} cannot be cut into {heads} heads: head_dim is missing")
        if self.layer_types is not None and len(self.layer_types) != self.num_hidden_layers:
            raise ValueError(f"layer_types has {len(self.layer_types)} layers, not {self.num_hidden_layers}")
        if self.document_marker is not None and self.document_marker == self.query_marker:
            raise ValueError("document_marker and query_marker are the same")
        return self


_NOT_BUILT_FROM = {
    *("document_marker", "query_marker", "max_doc_length"),
    *("architectures", "dtype", "torch_dtype", "transformers_version", "bos_token_id", "eos_token_id", "pad_token_id"),
}


class _TokenizerConfig(_Declared):
    """`tokenizer_config.json`, of which only the capacity is used."""

    model_max_length: Annotated[float, Field(ge=1, allow_inf_nan=False)]


class _Index(_Declared):
    """`model.safetensors.index.json`: the file of each tensor, in the checkpoint's own folder."""

    weight_map: Annotated[dict[str, ShardName], Field(min_length=1)]


class _Bpe(_Declared):
    """The library dies of a prefix or a suffix in some vocabularies, and no byte-level tokenizer has one."""

    type: Literal["BPE"]
    vocab: dict[Word, TokenId]
    merges: list[Word] | list[list[Word]]
    continuing_subword_prefix: Literal[""] | None = None
    end_of_word_suffix: Literal[""] | None = None
    dropout: Annotated[float, Field(ge=0, le=0)] | None = None


class _WordPiece(_Declared):
    type: Literal["WordPiece"]
    vocab: dict[Word, TokenId]
    unk_token: Marker
    continuing_subword_prefix: Annotated[str, Field(min_length=1, max_length=20)]
    max_input_chars_per_word: Annotated[int, Field(ge=1, le=10_000)]

    @model_validator(mode="after")
    def _knows_the_unknown(self) -> Self:
        if self.unk_token not in self.vocab:
            raise ValueError(f"unk_token {self.unk_token!r} is not in the vocabulary")
        return self


class _AddedToken(_Declared):
    id: TokenId
    content: Marker


class _Tokenizer(_Declared):
    """`tokenizer.json`: its vocabulary; the steps around it are checked by the library itself."""

    model: Annotated[_Bpe | _WordPiece, Field(discriminator="type")]
    added_tokens: list[_AddedToken] = []


def config(path: Path) -> dict[str, Any]:
    """What `config.json` says, of the keys that are declared.

    Raises:
        CheckpointError: it cannot be read, or a value is not allowed.
    """
    return read_model(path, _Config, CheckpointError).model_dump(exclude_unset=True)


def architecture(config: dict[str, Any]) -> dict[str, Any]:
    """The part of such a config that transformers builds a backbone from."""
    return {key: value for key, value in config.items() if key not in _NOT_BUILT_FROM}


def capacity(path: Path, longest: int) -> int:
    """Tokens that a prompt may hold, by `tokenizer_config.json`; `longest` where that gives no limit.

    Raises:
        CheckpointError: it cannot be read, or gives no such number.
    """
    told = read_model(path, _TokenizerConfig, CheckpointError).model_max_length
    return int(told) if told < _NO_LIMIT else longest


def shards(path: Path) -> list[str]:
    """The names of the files of weights, by `model.safetensors.index.json`.

    Raises:
        CheckpointError: it cannot be read, or names a file that is not in its own folder.
    """
    return sorted(set(read_model(path, _Index, CheckpointError).weight_map.values()))


def tokenizer(path: Path) -> tuple[dict[str, Any], int]:
    """What `tokenizer.json` says, and its highest token id.

    Truncation and padding, which prompts never use, are left out.

    Raises:
        CheckpointError: it cannot be read, or has a value that is not allowed.
    """
    content = read_json(path, CheckpointError)
    found = validate(content, _Tokenizer, str(path), CheckpointError)
    ids = [*found.model.vocab.values(), *(token.id for token in found.added_tokens)]
    return {**content, "truncation": None, "padding": None}, max(ids, default=0)
