"""What a checkpoint's JSON files may say to the libraries that load it: a list of what is allowed, for every file.

Settings can name code: a class to import, an attention kernel to fetch, a template to run, another repository to load.
So each file is read as one of the models below, and nothing else of it reaches a library. Unknown keys are dropped;
what would change scores if it were dropped, or cannot be right, is an error.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from bench.errors import BenchError
from bench.rerankers.local.translation import translated
from reranker.packages import FETCHING
from reranker.schema import validate

Json = dict[str, Any]
Clean = Callable[[Any, Path], Any]
"""Takes a file's content and its path, and gives what a library may see of it."""

_LARGEST = 10_000_000
_MOST_LAYERS = 1000
_SHORTEST, _LONGEST = 8, 10**9  # tokens; a shorter window holds little but the special tokens
UNLIMITED = 10**30
"""How transformers writes that a tokenizer has no limit."""

_DTYPES = ("float32", "float16", "bfloat16", "float64")
_ACTIVATIONS = (
    *("gelu", "gelu_10", "gelu_accurate", "gelu_fast", "gelu_new", "gelu_python", "gelu_pytorch_tanh", "quick_gelu"),
    *("laplace", "leaky_relu", "linear", "mish", "relu", "relu2", "relu6", "sigmoid", "silu", "swish", "tanh"),
)
_TORCH_ACTIVATIONS = (
    *("CELU", "ELU", "GELU", "Hardswish", "Hardtanh", "Identity", "LeakyReLU", "Mish", "ReLU", "ReLU6", "SELU"),
    *("SiLU", "Sigmoid", "Softplus", "Softsign", "Tanh"),
)
_OLD_NAMES: Mapping[str, type] = {
    "rope_scaling": dict,
    "position_embedding_type": str,
    "attn_type": str,
}
"""Settings other than numbers that transformers converts or reads, though its classes no longer declare them."""

Count = Annotated[int, Field(ge=0, le=_LARGEST)]
Length = Annotated[int, Field(ge=1, le=_LONGEST)]
Window = Annotated[int, Field(ge=_SHORTEST, le=_LONGEST)]
Text = Annotated[str, Field(max_length=20_000)]
Word = Annotated[str, Field(max_length=1000)]
_KNOWN_KEYS_ALONE = ConfigDict(extra="ignore")


class SpecialToken(TypedDict, total=False):
    """A token that tokenizer.json adds to its vocabulary."""

    __pydantic_config__ = _KNOWN_KEYS_ALONE  # type: ignore[misc]

    content: Word
    single_word: bool
    lstrip: bool
    rstrip: bool
    normalized: bool
    special: bool


class SpecialTokens(TypedDict, total=False):
    """special_tokens_map.json, and the same keys of tokenizer_config.json."""

    __pydantic_config__ = _KNOWN_KEYS_ALONE  # type: ignore[misc]

    bos_token: Word | SpecialToken | None
    eos_token: Word | SpecialToken | None
    unk_token: Word | SpecialToken | None
    sep_token: Word | SpecialToken | None
    pad_token: Word | SpecialToken | None
    cls_token: Word | SpecialToken | None
    mask_token: Word | SpecialToken | None
    additional_special_tokens: list[Word | SpecialToken] | None
    extra_special_tokens: list[Word | SpecialToken] | dict[Word, Word | SpecialToken] | None


class TokenizerConfig(SpecialTokens, total=False):
    """tokenizer_config.json."""

    __pydantic_config__ = _KNOWN_KEYS_ALONE  # type: ignore[misc]

    tokenizer_class: Word | None
    model_max_length: Annotated[float, Field(ge=_SHORTEST)] | None
    added_tokens_decoder: dict[Annotated[str, Field(pattern=r"^\d{1,7}$")], SpecialToken]
    model_input_names: list[Literal["input_ids", "token_type_ids", "attention_mask"]]
    padding_side: Literal["left", "right"]
    truncation_side: Literal["left", "right"]
    errors: Literal["replace", "strict", "ignore"]
    vocab_type: Word | None
    never_split: list[Word] | None
    sp_model_kwargs: dict[Word, bool | int | float] | None
    do_lower_case: bool | None
    do_basic_tokenize: bool | None
    tokenize_chinese_chars: bool | None
    strip_accents: bool | None
    add_prefix_space: bool | None
    add_dummy_prefix_space: bool | None
    add_bos_token: bool | None
    add_eos_token: bool | None
    clean_up_tokenization_spaces: bool | None
    spaces_between_special_tokens: bool | None
    split_special_tokens: bool | None
    split_by_punct: bool | None
    trim_offsets: bool | None
    remove_space: bool | None
    keep_accents: bool | None
    legacy: bool | None
    pad_token_type_id: Count | None
    pad_to_multiple_of: Count | None


class ReaderArguments(TypedDict, total=False):
    """The arguments for a tokenizer in sentence_bert_config.json."""

    __pydantic_config__ = _KNOWN_KEYS_ALONE  # type: ignore[misc]

    model_max_length: Window
    padding_side: Literal["left", "right"]
    truncation_side: Literal["left", "right"]
    do_lower_case: bool


class Expansion(TypedDict, total=False):
    """How a ColBERT model fills up a query."""

    __pydantic_config__ = _KNOWN_KEYS_ALONE  # type: ignore[misc]

    strategy: Literal["fixed", "min"]
    attend: bool
    token: Word | None
    length: Window


class Output(TypedDict):
    """How a model is called for a text; the only method of a model that is called is ``forward``."""

    __pydantic_config__ = _KNOWN_KEYS_ALONE  # type: ignore[misc]

    method: Literal["forward"]
    method_output_name: Literal["last_hidden_state", "logits"]


class Outputs(TypedDict):
    """The kinds of input that a model reads; only text is used."""

    __pydantic_config__ = _KNOWN_KEYS_ALONE  # type: ignore[misc]

    text: Output


class ReaderConfig(TypedDict, total=False):
    """sentence_bert_config.json."""

    __pydantic_config__ = _KNOWN_KEYS_ALONE  # type: ignore[misc]

    max_seq_length: Window | None
    do_lower_case: bool
    transformer_task: Literal["feature-extraction", "sequence-classification"]
    modality_config: Outputs
    module_output_name: Literal["token_embeddings", "scores"] | None
    query_length: Window | None
    document_length: Window | None
    query_expansion: Expansion | None
    tokenizer_args: ReaderArguments
    processor_kwargs: ReaderArguments


class LibraryConfig(TypedDict, total=False):
    """config_sentence_transformers.json, of sentence-transformers and of PyLate."""

    __pydantic_config__ = _KNOWN_KEYS_ALONE  # type: ignore[misc]

    model_type: Word | None
    prompts: dict[Word, Text | None]
    default_prompt_name: Word | None
    similarity_fn_name: Literal["cosine", "dot", "euclidean", "manhattan", "maxsim"] | None
    truncate_dim: Length | None
    keep_in_fp32_modules: list[Word] | None
    query_prefix: Word | None
    document_prefix: Word | None
    query_length: Window | None
    document_length: Window | None
    query_expansion: Expansion | None
    do_query_expansion: bool | None
    attend_to_expansion_tokens: bool | None
    attend_to_mask_tokens: bool | None
    skiplist_words: list[Word] | None


class Stanford(TypedDict, total=False):
    """artifact.metadata of a ColBERT in Stanford's format."""

    __pydantic_config__ = _KNOWN_KEYS_ALONE  # type: ignore[misc]

    query_token_id: Word | None
    doc_token_id: Word | None
    query_maxlen: Window | None
    doc_maxlen: Window | None
    attend_to_mask_tokens: bool | None
    mask_punctuation: bool | None


class DenseConfig(TypedDict, total=False):
    """config.json of a Dense module."""

    __pydantic_config__ = _KNOWN_KEYS_ALONE  # type: ignore[misc]

    in_features: Count
    out_features: Count
    bias: bool
    activation_function: Word
    module_input_name: Word
    module_output_name: Word | None
    use_residual: bool


class PoolingConfig(TypedDict, total=False):
    """config.json of a Pooling module, in its old and new form."""

    __pydantic_config__ = _KNOWN_KEYS_ALONE  # type: ignore[misc]

    embedding_dimension: Count
    word_embedding_dimension: Count
    pooling_mode: Word | list[Word]
    include_prompt: bool
    pooling_mode_cls_token: bool
    pooling_mode_max_tokens: bool
    pooling_mode_mean_tokens: bool
    pooling_mode_mean_sqrt_len_tokens: bool
    pooling_mode_weightedmean_tokens: bool
    pooling_mode_lasttoken: bool


class OtherConfig(TypedDict, total=False):
    """The settings of the modules that have one or two."""

    __pydantic_config__ = _KNOWN_KEYS_ALONE  # type: ignore[misc]

    module_input_name: Word
    module_output_name: Word | None
    dimension: Count
    dropout: Annotated[float, Field(ge=0, le=1)]
    skiplist_words: list[Word] | None
    skiplist_tasks: Word | list[Word] | None
    keep_only_token_ids: list[Count] | None


def model_config(content: Any, path: Path) -> Json:
    """config.json: what the architecture's own class declares, and plain numbers, which can name nothing.

    Raises:
        BenchError: for a model that transformers has no text model of, quantised weights, or impossible values.
    """
    settings = translated(validate(content, Json, str(path), BenchError))
    declared = _declared(settings.get("model_type"), path)
    if settings.get("quantization_config"):
        raise BenchError(
            f"{path} describes quantised weights, which need code that is not part of transformers. "
            "Use the checkpoint that is not quantised."
        )
    allowed = {name: value for name, value in settings.items() if _may_stay(name, value, declared)}
    _check_names(allowed, path)
    _check_sizes(allowed, path)
    return allowed


def tokenizer_config(content: Any, path: Path) -> Any:
    """tokenizer_config.json: no templates, and no class but a tokenizer of transformers."""
    settings: Json = dict(validate(content, TokenizerConfig, str(path), BenchError))
    longest = settings.get("model_max_length")
    if longest is not None:
        settings["model_max_length"] = UNLIMITED if longest > _LONGEST else int(longest)
    name = settings.get("tokenizer_class")
    if name is not None and not _is_tokenizer(name):
        # The plain class takes tokenizer.json as it is, which is all that is used of a tokenizer here.
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    return settings


def dense(content: Any, path: Path) -> Any:
    """A Dense module's config.json; its activation is one of torch's own.

    Raises:
        BenchError: for any other activation: the library would silently take the hyperbolic tangent.
    """
    settings = validate(content, DenseConfig, str(path), BenchError)
    activation = settings.get("activation_function")
    if activation is not None:
        module, _, name = activation.rpartition(".")
        if name not in _TORCH_ACTIVATIONS or module.split(".")[:2] != ["torch", "nn"]:
            raise BenchError(f"{path} names the activation {activation!r}, which is none of torch's own.")
        home = "linear" if name == "Identity" else "activation"
        settings["activation_function"] = f"torch.nn.modules.{home}.{name}"
    return settings


def only(kind: Any) -> Clean:
    """Keep what ``kind`` declares."""
    return lambda content, path: validate(content, kind, str(path), BenchError)


def _declared(model_type: Any, path: Path) -> frozenset[str]:
    """The settings that transformers' class for a kind of model declares, those inherited included."""
    from transformers.models.auto import modeling_auto as known
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        raise BenchError(
            f"{path} has the model_type {model_type!r}, which transformers does not know. "
            "Use a conversion that it knows, or serve the model and rerank over http."
        )
    if model_type in FETCHING:
        raise BenchError(
            f"{path} is of a {model_type} model, for which transformers fetches code from the hub: it cannot be used "
            "here. Serve the model and rerank over http."
        )
    kind = CONFIG_MAPPING[model_type]
    reads_text = (
        TOKENIZER_MAPPING_NAMES.keys()
        | known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.keys()
        | known.MODEL_FOR_MASKED_LM_MAPPING_NAMES.keys()
        | known.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.keys()
    )
    if model_type not in reads_text or getattr(kind, "sub_configs", None):
        raise BenchError(
            f"{path} is of a {model_type} model, which is no model for text alone: it cannot be used here."
        )
    names = set(inspect.signature(kind.__init__).parameters) | {field.name for field in dataclasses.fields(kind)}
    return frozenset(names | set(kind.attribute_map) | {"model_type", "torch_dtype"}) - {"self", "args", "kwargs"}


def _may_stay(name: str, value: Any, declared: frozenset[str]) -> bool:
    if name.startswith("_") or name == "transformers_version":
        return False
    if name in declared:
        return True
    # Undeclared numbers can matter (`is_causal`, `rope_theta`), and a number can name no code.
    return value is None or isinstance(value, bool | int | float | _OLD_NAMES.get(name, bool))


def _check_names(settings: Json, path: Path) -> None:
    for name, value in settings.items():
        if name in ("dtype", "torch_dtype") and value not in (None, *_DTYPES):
            raise BenchError(f"{path}: {name} is {value!r}; known are {', '.join(_DTYPES)}.")
        is_activation = name.endswith(("_act", "_activation", "_act_fn", "activation_function", "activation"))
        if is_activation and isinstance(value, str) and value not in _ACTIVATIONS:
            raise BenchError(f"{path}: {name} is {value!r}; known are {', '.join(sorted(_ACTIVATIONS))}.")


def _check_sizes(settings: Json, path: Path) -> None:
    """Refuse numbers that no model has, before a library sets memory aside for them."""
    for name, value in settings.items():
        limit = _MOST_LAYERS if "layers" in name else _LARGEST
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole and not -limit <= value <= limit:
            raise BenchError(f"{path}: {name} is {value}; no model is that large.")
        if isinstance(value, str | list | dict) and len(value) > _LARGEST // 10:
            raise BenchError(f"{path}: {name} is too long.")


def _is_tokenizer(name: str) -> bool:
    """Whether a name is that of one of transformers' own tokenizers that is backed by the library tokenizers."""
    from transformers import PreTrainedTokenizerFast
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES, tokenizer_class_from_name

    plain = name.removesuffix("Fast")
    if plain not in {"PreTrainedTokenizer", "TokenizersBackend", *TOKENIZER_MAPPING_NAMES.values()}:
        return False
    found = tokenizer_class_from_name(name)
    return isinstance(found, type) and issubclass(found, PreTrainedTokenizerFast)


_BASE, _SENTENCE = "sentence_transformers.base.modules", "sentence_transformers.sentence_transformer.modules"
_TOKENS = "sentence_transformers.multi_vector_encoder.modules"
MODULES: Mapping[str, tuple[str, Clean]] = {
    "Transformer": (f"{_BASE}.Transformer", only(ReaderConfig)),
    "Pooling": (f"{_SENTENCE}.Pooling", only(PoolingConfig)),
    "Dense": (f"{_BASE}.Dense", dense),
    "Normalize": (f"{_BASE}.Normalize", only(OtherConfig)),
    "LayerNorm": (f"{_SENTENCE}.LayerNorm", only(OtherConfig)),
    "Dropout": (f"{_SENTENCE}.Dropout", only(OtherConfig)),
    "StaticEmbedding": (f"{_SENTENCE}.StaticEmbedding", only(OtherConfig)),
    "MultiVectorMask": (f"{_TOKENS}.MultiVectorMask", only(OtherConfig)),
}
"""The modules of a sentence-transformers checkpoint that are known here: where the class is, and its settings."""
