"""JSON files read through models."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from reranker.errors import CheckpointError
from reranker.schema import parse_json, read_json, read_model, validate


@dataclass
class Point:
    x: int
    name: str


def test_a_file_that_fits_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"x": 3, "name": "é"}', encoding="utf-8")
    assert read_model(tmp_path / "a.json", Point, CheckpointError) == Point(3, "é")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"x": "many", "name": "a"}', "x: "),
        (b'{"x": 3}', "name: "),
        (b'{"x": 3, "x": 4, "name": "a"}', "'x' occurs twice"),
        (b'{"x": NaN, "name": "a"}', "NaN"),
        (b'{"x": ' + b"1" * 5000 + b', "name": "a"}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"3", "does not fit"),
    ],
)
def test_anything_else_is_one_error_that_names_the_file(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=told) as caught:
        read_model(path, Point, CheckpointError)
    assert str(path) in str(caught.value)


def test_a_missing_file_or_a_folder_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(CheckpointError, match="Cannot read"):
            read_model(path, Point, CheckpointError)


def test_text_is_parsed_and_checked_apart() -> None:
    assert validate(parse_json("[1, 2]", "it", CheckpointError), list[int], "it", CheckpointError) == [1, 2]


def test_a_device_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reranker.schema.MAX_BYTES", 1_000)
    (tmp_path / "config.json").symlink_to("/dev/zero")
    with pytest.raises(CheckpointError, match="larger than 1,000 bytes"):
        read_json(tmp_path / "config.json", CheckpointError)
