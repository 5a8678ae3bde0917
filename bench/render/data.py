"""Plain data for JSON: dataclasses as objects, and a page as its blocks, where nothing better exists."""

import json
import math
from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from bench.render.page import Page, Table


def dumps(value: object) -> str:
    """One JSON document; numbers that JSON lacks (infinite, not a number) are null."""
    return json.dumps(plain(value), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def plain(value: object) -> Any:
    """A value made of dictionaries, lists, texts, numbers, flags and None."""
    if isinstance(value, Page):
        return {"title": value.title, "conclusion": value.conclusion, "blocks": [_block(each) for each in value.blocks]}
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, Set):
        return sorted(map(plain, value))
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def _block(block: object) -> dict[str, Any]:
    """A block by its kind; of a table its titles and the texts of its cells."""
    if not isinstance(block, Table):
        return {"kind": type(block).__name__.lower(), **plain(block)}
    return {
        "kind": "table",
        "caption": block.caption,
        "columns": [column.title.strip() for column in block.columns],
        "groups": [
            {"heading": group.heading, "rows": [[cell.text for cell in row] for row in group.rows]}
            for group in block.groups
        ],
    }
