"""Models that are a base model and adapters (LoRA) in subfolders: which adapter and prompt a text gets.

The base model alone gives other embeddings, so such a folder is never loaded without its adapters. Which of them
belongs to a text is a rule of the model, which its files do not state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Required

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from bench.errors import BenchError
from reranker.schema import read_model, validate

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

_IGNORED = ("onnx", "openvino")
_NO_EFFECT = {
    *("auto_mapping", "base_model_name_or_path", "inference_mode", "init_lora_weights", "lora_dropout"),
    *("megatron_core", "peft_version", "qalora_group_size", "revision", "runtime_config", "task_type"),
}
"""Settings of adapter_config.json for training, or for finding the base model."""


@dataclass(frozen=True, slots=True)
class Side:
    """The adapter that embeds a query or a document, and the prompt before its text."""

    adapter: str
    prompt: str = ""


Sides = tuple[Side, Side]
"""For queries, for documents."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``matching`` is for the tasks whose queries and documents are texts of one kind, ``retrieval`` for all others."""

    retrieval: Sides
    matching: Sides
    matching_tasks: tuple[str, ...]

    def sides(self, task: str) -> Sides:
        """The adapters and prompts of a task, given by its id."""
        return self.matching if task in self.matching_tasks else self.retrieval

    @property
    def adapters(self) -> tuple[str, ...]:
        """The names of all adapters that the rule uses, each once."""
        return tuple(dict.fromkeys(side.adapter for side in (*self.retrieval, *self.matching)))

    def __str__(self) -> str:
        """For a result's settings."""
        usual, matching = (
            "/".join(dict.fromkeys(side.adapter for side in of)) for of in (self.retrieval, self.matching)
        )
        return f"{usual}; {matching} for {', '.join(self.matching_tasks)}"


_RULES: Mapping[str, Rule] = {
    # Prompts: the model's card and config, CC-BY-NC-4.0. The paper's first-stage figures of ArguAna and Quora need the
    # adapter for text matching: 54.31 for ArguAna, where mteb's run with the adapters for retrieval has 43.29.
    "jina_embeddings_v3": Rule(
        retrieval=(
            Side("retrieval_query", "Represent the query for retrieving evidence documents: "),
            Side("retrieval_passage", "Represent the document for retrieval: "),
        ),
        matching=(Side("text_matching"), Side("text_matching")),
        matching_tasks=("beir/arguana", "beir/quora"),
    ),
}

_UNUSED: Mapping[str, tuple[str, ...]] = {"jinaai/jina-embeddings-v3-hf": ("classification", "separation")}
"""By repository, the folders of adapters that no rule uses."""

Rank = Annotated[int, Field(ge=1, le=10_000)]
Word = Annotated[str, Field(max_length=10_000)]


class _Lora(TypedDict, total=False):
    """adapter_config.json: what decides where a LoRA adapter is, and how much it counts."""

    __pydantic_config__ = ConfigDict(extra="ignore")  # type: ignore[misc]

    peft_type: Required[Literal["LORA"]]
    r: Required[Rank]
    target_modules: Required[list[Word] | Word]
    lora_alpha: float
    use_rslora: bool
    rank_pattern: dict[Word, Rank] | None
    alpha_pattern: dict[Word, float] | None
    exclude_modules: list[Word] | Word | None
    layers_to_transform: list[int] | int | None
    layers_pattern: list[Word] | Word | None
    fan_in_fan_out: bool
    bias: Literal["none"]


def found(folder: Path) -> list[str]:
    """The subfolders of a checkpoint that hold an adapter, by their paths in it."""
    paths = {
        path.parent.relative_to(folder)
        for name in (CONFIG, WEIGHTS)
        for path in (*folder.glob(f"*/{name}"), *folder.rglob(name))
        if path.parent != folder
    }
    return sorted(
        path.as_posix()
        for path in paths
        if path.parts[0] not in _IGNORED and not any(part[0] == "." for part in path.parts)
    )


def rule(folder: Path) -> Rule | None:
    """How a checkpoint's adapters are used; None where it has none.

    Raises:
        BenchError: no rule is known for such a model, or an adapter of the rule is missing.
    """
    names = found(folder)
    if not names:
        return None
    known = _known(folder)
    if known is None:
        raise BenchError(
            f"{folder} has adapters as well as a base model ({', '.join(names[:5])}), and which of them embeds which "
            "text is not known here: without them, scores would be another model's. Merge one into the weights "
            "(merge_and_unload in peft), and use that checkpoint."
        )
    for name in known.adapters:
        for file in (CONFIG, WEIGHTS):
            if not (folder / name / file).is_file():
                raise BenchError(f"{folder} has no {name}/{file}: the checkpoint is incomplete. Fetch it again.")
    return known


def not_fetched(model: str) -> tuple[str, ...]:
    """Folders of a hub's model with adapters that its rule does not use."""
    return _UNUSED.get(model, ())


def without_effect(folder: Path) -> set[str]:
    """The subfolders whose adapters the checkpoint's rule does not use, and which therefore change no score."""
    names = found(folder)
    known = _known(folder) if names else None
    return set(names).difference(known.adapters) if known else set()


def _known(folder: Path) -> Rule | None:
    path = folder / "config.json"
    content: dict[str, Any] = read_model(path, dict[str, Any], BenchError) if path.is_file() else {}
    return _RULES.get(str(content.get("model_type")))


def settings(content: Any, path: Path) -> dict[str, Any]:
    """An adapter_config.json without anything that could name code.

    Raises:
        BenchError: for any kind of adapter but LoRA, or a setting whose effect is not known here.
    """
    kept: dict[str, Any] = dict(validate(content, _Lora, str(path), BenchError))
    unknown = sorted(name for name in content if content[name] and name not in kept and name not in _NO_EFFECT)
    if unknown:
        raise BenchError(
            f"{path} sets {', '.join(unknown)}, which is not supported. Merge the adapter into the weights."
        )
    return kept
