"""Locates a model's files (folder, installed package or hub) and refuses unsafe ones.

Files come as safetensors and JSON only. A repository that defines its model in Python code of its own is refused, and
so are weights that exist as pickles alone.
"""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.console import note
from bench.errors import BenchError
from bench.paths import as_text
from bench.rerankers.local import adapters, staging, translation
from bench.rerankers.local.identity import UNWANTED, WANTED, content_hash
from bench.rerankers.rows import Row
from reranker.errors import CheckpointError
from reranker.packages import PACKAGE, named_folder
from reranker.schema import read_model

_PICKLE = "pytorch_model*.bin"
"""The one pickle that the libraries would read where there is no safetensors file."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a model's files were found.

    ``revision`` is the hub's commit or a package's version, and empty for a plain folder.
    """

    model: str
    folder: Path
    revision: str

    @property
    def identity(self) -> str:
        """A hash that changes with any byte that can change a score."""
        return content_hash(self.folder)


def find(row: Row) -> Checkpoint:
    """The files of a row's model, checked and safe to load.

    Raises:
        BenchError: where they are not found (saying what was tried), or must not be used.
    """
    found = locate(row)
    _check(found.folder, row.model)
    return found


def locate(row: Row) -> Checkpoint:
    """The files of a row's model, unchecked.

    Raises:
        BenchError: where they are not found.
    """
    if row.model.startswith(PACKAGE):
        return _in_package(row.model)
    place = folder(row.model)
    return Checkpoint(row.model, place, "") if place else _on_hub(row)


def check(row: Row) -> None:
    """Refuse a row whose model is not available, without fetching or reading weights.

    Raises:
        BenchError: for a folder or package without a usable checkpoint, a name that is no hub id, or a model that is
            neither in the hub's local cache nor on the hub.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    if constants.HF_HUB_OFFLINE or row.model.startswith(PACKAGE) or folder(row.model):
        # The core model checks its own files as it reads them.
        (locate if row.family == "core" else find)(row)
        return
    try:
        validate_repo_id(row.model)
    except HFValidationError as error:
        raise BenchError(_no_name(row.model)) from error
    from reranker import hub

    try:
        hub.check(row.model, row.revision, WANTED, _left_out(row.model))
    except CheckpointError as error:
        raise _not_found(row, error) from error


def _no_name(model: str) -> str:
    return f"{model!r} is neither a folder nor a hub id such as 'owner/model'."


def shown(model: str) -> str:
    """A model's name in tables and results: of a folder its last part, since the path means nothing elsewhere."""
    place = folder(model)
    if place is None:
        return model
    return as_text(place.name if place.name not in ("", "..") else place.resolve().name)


def folder(model: str) -> Path | None:
    """The folder that a model's name leads to, or None where it is no folder."""
    try:
        place = Path(model).expanduser()
        return place if place.is_dir() else None
    except (OSError, RuntimeError):
        # A name too long for a file, or a home folder of nobody.
        return None


def config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """The settings of a model, from a JSON file in its folder; empty where there is no such file.

    Raises:
        BenchError: where the file is not a JSON object.
    """
    path = folder / name
    content: dict[str, Any] = read_model(path, dict[str, Any], BenchError) if path.is_file() else {}
    return content


def library_kind(folder: Path) -> str:
    """Which class of sentence-transformers (or PyLate) saved the checkpoint, or ""."""
    return str(config(folder, "config_sentence_transformers.json").get("model_type") or "")


def modules(folder: Path) -> list[str]:
    """The names of a sentence-transformers checkpoint's modules, in order; empty for other checkpoints.

    Raises:
        BenchError: where modules.json is damaged, or names a class that is not the library's own.
    """
    return [row["type"].rpartition(".")[2] for row in staging.modules(folder)]


def architecture(folder: Path) -> str:
    """The first architecture that the checkpoint's config names, or ""."""
    names = config(staging.reader(folder)).get("architectures")
    return str(names[0]) if isinstance(names, list) and names else ""


def model_type(folder: Path) -> str:
    """What transformers calls the kind of model, such as ``bert``, or ""."""
    return str(translation.translated(config(staging.reader(folder))).get("model_type") or "")


def _in_package(model: str) -> Checkpoint:
    distribution = model.removeprefix(PACKAGE).partition("/")[0]
    try:
        folder = named_folder(model)
    except CheckpointError as error:
        raise BenchError(f"{model}: {error}") from error
    try:
        installed = version(distribution)
    except PackageNotFoundError:
        installed = ""
    return Checkpoint(model, folder, installed)


def _on_hub(row: Row) -> Checkpoint:
    """The hub's files, from its local cache where possible."""
    # The hub's library is slow to import, and local models do not need it.
    from reranker.hub import fetch

    try:
        fetched = fetch(row.model, row.revision, WANTED, _left_out(row.model))
    except CheckpointError as error:
        raise _not_found(row, error) from error
    if fetched.doubt:
        note(f"{row.model}: commit {fetched.commit} of the hub's local cache is used, since {fetched.doubt}.")
    return Checkpoint(row.model, fetched.folder, fetched.commit)


def _left_out(model: str) -> list[str]:
    """Patterns of the files of a hub's model that are not needed."""
    return [f"{name}/*" for name in (*UNWANTED, *adapters.not_fetched(model))]


def _not_found(row: Row, error: CheckpointError) -> BenchError:
    return BenchError(
        f"Model {row.model!r} not found locally, and {error}. Download it once, or pass a local folder: "
        f"'{row.family}:FOLDER'."
    )


def _check(folder: Path, model: str) -> None:
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        raise BenchError(f"{folder} is no checkpoint: it has neither config.json nor modules.json.")
    adapters.rule(folder)
    if _own_code(folder):
        raise BenchError(
            f"{model} defines its model in Python code of its own, and code from a model's repository is never run "
            "here. Use a conversion that a library knows by itself, or serve the model and rerank over http."
        )
    for weights in folder.rglob(_PICKLE):
        if not any(weights.parent.glob("*.safetensors")):
            raise BenchError(
                f"{weights} is a pickle, which can run code when read, and its folder has no safetensors file. "
                "Convert it to safetensors."
            )


def _own_code(folder: Path) -> bool:
    stated = config(staging.reader(folder))
    names = stated.get("auto_map")
    if translation.is_known(stated):
        return False
    return isinstance(names, dict) and any(name.startswith("AutoModel") for name in names)
