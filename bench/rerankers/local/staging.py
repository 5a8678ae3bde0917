"""Makes a safe copy of a checkpoint's folder for a library: settings rewritten, weights linked, nothing else.

No Python file, template, pickle, adapter or unknown setting of a checkpoint is in the folder that a library reads, so
whatever the library would do with one cannot happen.
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from bench.errors import BenchError
from bench.rerankers.local import adapters, settings
from bench.rerankers.local.settings import MODULES, Clean, Json, only
from bench.rerankers.local.translation import renamed, renames
from reranker.schema import read_json, read_model
from reranker.stored import check_stored

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
_VOCABULARIES = ("vocab.txt", "merges.txt", "*.model")
_TOKENIZER: dict[str, Clean] = {
    "tokenizer_config.json": settings.tokenizer_config,
    "special_tokens_map.json": only(settings.SpecialTokens),
    "added_tokens.json": only(dict[str, settings.Count]),
    "vocab.json": only(dict[str, settings.Count]),
}
_OWN_TRANSFORMER = "custom_st.Transformer"
"""The repository's own class by which a list of modules chooses an adapter, which a rule does here."""
_PYLATE_DENSE = "pylate.models.Dense.Dense"
"""sentence-transformers reads this name itself, without that package."""


class Module(TypedDict):
    """An entry of modules.json. The path is a folder of the checkpoint, or empty for the checkpoint's own."""

    __pydantic_config__ = ConfigDict(extra="ignore")  # type: ignore[misc]

    name: str
    path: Annotated[str, Field(pattern=r"^[\w-]{0,100}$")]
    type: str


class _Index(TypedDict):
    __pydantic_config__ = ConfigDict(extra="ignore")  # type: ignore[misc]

    weight_map: Annotated[
        dict[str, Annotated[str, Field(pattern=r"^\w[\w.-]{0,200}\.safetensors$")]], Field(min_length=1)
    ]


@contextmanager
def staged(folder: Path, to_load: bool = False) -> Iterator[Path]:
    """A temporary folder with the safe part of the checkpoint; it is deleted when the context ends.

    Weights that transformers does not read under their names are written under others only if they are ``to_load``.

    Raises:
        BenchError: where a file is missing, damaged, or has a setting that is not allowed.
    """
    with TemporaryDirectory(prefix="rerank-bench-") as place:
        target = Path(place)
        try:
            _stage(folder, target)
            if to_load:
                _rename_weights(reader(folder), reader(target))
        except OSError as error:
            raise BenchError(f"Cannot prepare {folder} for loading: {error.strerror or error}.") from error
        yield target


def modules(folder: Path) -> list[Module]:
    """The modules of a sentence-transformers checkpoint; empty for other checkpoints.

    Raises:
        BenchError: where modules.json is damaged or names a class that is not sentence-transformers' own.
    """
    path = folder / "modules.json"
    if not path.is_file():
        return []
    rows = read_model(path, list[Module], BenchError)
    if not rows:
        raise BenchError(f"{path} names no module: the checkpoint is damaged. Fetch it again.")
    for row in rows:
        if row["type"] == _OWN_TRANSFORMER and adapters.rule(folder):
            row["type"] = "sentence_transformers.models.Transformer"
        kind = row["type"].rpartition(".")[2]
        own = row["type"].startswith("sentence_transformers.") and kind in MODULES
        if not own and row["type"] != _PYLATE_DENSE:
            raise BenchError(
                f"{path} names {row['type']!r}: Python code of its own, or a module that is not known here. "
                f"Known are sentence-transformers' {', '.join(MODULES)}."
            )
    return rows


def reader(folder: Path) -> Path:
    """The folder of the model that reads the text: older checkpoints have it in one of its own."""
    rows = modules(folder)
    return folder / rows[0]["path"] if rows else folder


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that a model's tensors are in, whole or in shards; empty where there are none.

    Raises:
        BenchError: where the index is damaged, or names a file that is not there.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        return []
    names = sorted(set(read_model(folder / INDEX, _Index, BenchError)["weight_map"].values()))
    for name in names:
        if not (folder / name).is_file():
            raise BenchError(f"{folder} has no {name}, which {INDEX} names: the checkpoint is not whole.")
    return [folder / name for name in names]


def _stage(folder: Path, target: Path) -> None:
    rows = modules(folder)
    _check_nothing_is_left_out(folder, rows)
    _rewrite(folder, target, "config_sentence_transformers.json", only(settings.LibraryConfig))
    _rewrite(folder, target, "artifact.metadata", only(settings.Stanford))
    _stage_adapters(folder, target)
    if not rows:
        _stage_transformer(folder, target)
        return
    for row in rows:
        kind = row["type"].rpartition(".")[2]
        source, place = folder / row["path"], target / row["path"]
        place.mkdir(exist_ok=True)
        if kind == "Transformer":
            _stage_transformer(source, place)
        else:
            _stage_module(source, place, kind, is_root=not row["path"])
        if row["type"] != _PYLATE_DENSE:
            row["type"] = MODULES[kind][0]
    (target / "modules.json").write_text(json.dumps([{"idx": at, **row} for at, row in enumerate(rows)]))


def _stage_transformer(folder: Path, target: Path) -> None:
    if not (folder / "config.json").is_file():
        raise BenchError(f"{folder} has no config.json: it is no checkpoint of a model.")
    if (folder / adapters.WEIGHTS).is_file():
        raise BenchError(
            f"{folder} has an {adapters.WEIGHTS}: its weights are to be read with an adapter (PEFT), which is not done "
            "here. Merge the adapter into the weights and use that checkpoint."
        )
    _rewrite(folder, target, "config.json", settings.model_config)
    _rewrite(folder, target, "sentence_bert_config.json", only(settings.ReaderConfig))
    for name, clean in _TOKENIZER.items():
        _rewrite(folder, target, name, clean)
    _stage_tokenizer(folder, target)
    for pattern in _VOCABULARIES:
        for path in sorted(folder.glob(pattern)):
            _link(path, target / path.name)
    _stage_weights(folder, target)
    if not weight_files(folder):
        raise BenchError(f"{folder} has no {WEIGHTS}: weights are read from safetensors only.")


def _stage_adapters(folder: Path, target: Path) -> None:
    rule = adapters.rule(folder)
    for name in rule.adapters if rule else ():
        (target / name).mkdir()
        _rewrite(folder / name, target / name, adapters.CONFIG, adapters.settings)
        check_stored([folder / name / adapters.WEIGHTS], BenchError)
        _link(folder / name / adapters.WEIGHTS, target / name / adapters.WEIGHTS)


def _stage_module(folder: Path, target: Path, kind: str, is_root: bool) -> None:
    if not is_root:
        _rewrite(folder, target, "config.json", MODULES[kind][1])
    if kind == "StaticEmbedding":
        _stage_tokenizer(folder, target)
    if not is_root or kind == "StaticEmbedding":
        _stage_weights(folder, target)


def _stage_tokenizer(folder: Path, target: Path) -> None:
    """Link tokenizer.json, unless it would crash the tokenizers library."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return
    content = read_json(path, BenchError)
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict):
        raise BenchError(f"{path} holds no tokenizer: the checkpoint is damaged. Fetch it again.")
    longest_word = model.get("max_input_chars_per_word", 1)
    if model.get("type") == "WordPiece" and (not isinstance(longest_word, int) or not 0 < longest_word < 10**6):
        raise BenchError(f"{path}: max_input_chars_per_word is {longest_word!r}, which is no number of characters.")
    _link(path, target / path.name)


def _stage_weights(folder: Path, target: Path) -> None:
    files = weight_files(folder)
    check_stored(files, BenchError)
    for path in files:
        _link(path, target / path.name)
    if files and files[0].name != WEIGHTS:
        _rewrite(folder, target, INDEX, only(_Index), metadata={})


def _rename_weights(folder: Path, target: Path) -> None:
    """Write weights under the names that transformers reads, in place of links to them."""
    if not (folder / "config.json").is_file() or not renames(read_model(folder / "config.json", Json, BenchError)):
        return
    from safetensors.torch import save_file

    for path in (*weight_files(target), target / INDEX):
        path.unlink(missing_ok=True)
    save_file(renamed(weight_files(folder)), target / WEIGHTS, {"format": "pt"})


def _rewrite(folder: Path, target: Path, name: str, clean: Clean, **more: Any) -> None:
    path = folder / name
    if path.is_file():
        content = clean(read_json(path, BenchError), path)
        (target / name).write_text(json.dumps(content | more))


def _link(path: Path, target: Path) -> None:
    try:
        target.symlink_to(path.resolve())
    except OSError:
        # A file system without links.
        shutil.copyfile(path, target)


def _check_nothing_is_left_out(folder: Path, rows: list[Module]) -> None:
    """Refuse a folder whose list of modules is gone or shortened: the rest alone would give other scores."""
    named = {row["path"] for row in rows}
    for path in sorted(folder.glob("*/*")):
        inside = path.parent.name
        is_module = re.fullmatch(r"\d+_\w+", inside) and path.name in (WEIGHTS, "config.json")
        if is_module and inside not in named:
            raise BenchError(f"{folder} has the module {inside}, which modules.json does not name: it is not whole.")
    if not rows and (folder / "config_sentence_transformers.json").is_file():
        kind = read_model(folder / "config_sentence_transformers.json", settings.LibraryConfig, BenchError)
        if kind.get("model_type") != "CrossEncoder":
            raise BenchError(f"{folder} has no modules.json, though sentence-transformers saved it: it is not whole.")
