"""Reads JSON files through pydantic models: what a file may hold is declared, and anything else is one clear error."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

Model = TypeVar("Model")

MAX_BYTES = 256 * 1024**2
"""A configuration or result file beyond this size is refused unread."""


def read_model(path: Path, kind: type[Model], error: type[Exception]) -> Model:
    """Read a JSON file as `kind`: a pydantic model, a dataclass, or any type that pydantic knows.

    Raises:
        error: The file cannot be read, is not JSON, or does not fit; the message names the file and the key.
    """
    return validate(read_json(path, error), kind, str(path), error)


def read_json(path: Path, error: type[Exception]) -> Any:
    """Read one JSON document in UTF-8: no duplicate keys, no NaN or infinity.

    Raises:
        error: The file cannot be read, is too large, or is not such a document; the message names the file.
    """
    try:
        with path.open("rb") as stream:
            # A device has the size 0 and no end.
            content = stream.read(MAX_BYTES + 1) if path.stat().st_size <= MAX_BYTES else None
    except OSError as reason:
        raise error(f"Cannot read {path}: {reason.strerror or reason}.") from reason
    if content is None or len(content) > MAX_BYTES:
        raise error(f"{path} is larger than {MAX_BYTES:,} bytes: this is not a file of the expected kind.")
    return parse_json(content, str(path), error)


def parse_json(content: bytes | str, where: str, error: type[Exception]) -> Any:
    """Parse one JSON document, with the rules of `read_json`; `where` names it in the message."""
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as reason:
        raise error(f"{where} is not valid JSON: {reason}. Restore it or fetch it again.") from reason


def validate(content: Any, kind: type[Model], where: str, error: type[Exception]) -> Model:
    """Check parsed JSON against `kind`.

    Raises:
        error: It does not fit; the message names the first three keys at fault.
    """
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as reason:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'the whole'}: {fault['msg']}" for fault in reason.errors()]
        more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
        raise error(f"{where} does not fit its format: {'; '.join(faults[:3])}{more}.") from reason


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} occurs twice")
    return content


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")
