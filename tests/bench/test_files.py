"""Files are read whatever they were packed with, and written whole or not at all."""

import gzip
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.files import kind, text_lines, write_whole

WRITE = """
import resource, sys
from pathlib import Path
from bench.errors import BenchError
from bench.files import write_whole
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    write_whole(Path(sys.argv[1]), b"x" * 100_000)
except BenchError as error:
    sys.exit(f"BenchError: {error}")
"""


def write_elsewhere(path: Path, environment: dict[str, str], *arguments: str, prefix: list[str]) -> str:
    """Write a file in a process of its own that must refuse with a `BenchError`; gives its message."""
    command = [*prefix, sys.executable, "-c", WRITE, str(path), *arguments]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 1
    assert answer.stderr.startswith("BenchError: "), answer.stderr
    return answer.stderr


def lines(path: Path, content: bytes) -> list[str]:
    path.write_bytes(content)
    return list(text_lines(path))


def test_gzip_is_told_by_the_content_and_not_by_the_name(tmp_path: Path):
    text = "één\ntwo\n"
    assert lines(tmp_path / "plain.gz", text.encode()) == ["één\n", "two\n"]
    assert lines(tmp_path / "packed.txt", gzip.compress(text.encode())) == ["één\n", "two\n"]
    assert lines(tmp_path / "empty", b"") == []


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path, pack):
    assert lines(tmp_path / "file", pack("\ufeffone\r\ntwo".encode())) == ["one\n", "two"]


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"x" * 10_000)[:-12], gzip.compress(b"x" * 10_000)[:14], b"\x1f\x8b and nothing else",
     b"\x1f", gzip.compress(os.urandom(5_000).hex().encode())[:3000]],
    ids=["no end", "cut early", "no gzip", "one byte", "cut in its middle"],
)  # fmt: skip
def test_a_damaged_gzip_file_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "file"
    with pytest.raises(BenchError, match=r"is a damaged gzip file .* pack it again") as caught:
        lines(path, content)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_what_is_not_utf8_is_named(tmp_path: Path, pack):
    path = tmp_path / "file.gz"
    with pytest.raises(BenchError, match=r"is not UTF-8 text .* Convert it") as caught:
        lines(path, pack(b"caf\xe9\n"))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("step", [1, 1000])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_pipe_is_read_from_its_first_byte_to_its_last(tmp_path: Path, pack, step: int):
    # Longer than the 4,096 bytes that a reader's buffer takes at once, and given in pieces of any size.
    expected = [f"line {number}\n" for number in range(1_000)]
    content = pack("".join(expected).encode())
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb", buffering=0) as stream:
            for start in range(0, len(content), step):
                stream.write(content[start : start + step])

    writer = threading.Thread(target=write)
    writer.start()
    found = list(text_lines(path))
    writer.join(timeout=10)
    assert found == expected


def test_what_a_path_leads_to_is_told_or_refused(tmp_path: Path):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    kinds = {name: kind(tmp_path / name) for name in ("file", "pipe", "nothing", "file/below")}
    assert kinds == {"file": stat.S_IFREG, "pipe": stat.S_IFIFO, "nothing": 0, "file/below": 0}
    for name in ("x" * 300, "a\0b"):
        with pytest.raises(BenchError, match="Cannot read"):
            kind(tmp_path / name)


def test_what_cannot_be_opened_is_named(tmp_path: Path):
    for path, reason in ((tmp_path / "missing", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(BenchError, match=reason) as caught:
            list(text_lines(path))
        assert str(path) in str(caught.value)


def test_a_file_is_written_into_folders_that_are_made(tmp_path: Path):
    path = tmp_path / "a" / "b" / "file"
    write_whole(path, b"first")
    write_whole(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, environment: dict[str, str]):
    path = tmp_path / "out" / "file"
    write_whole(path, b"old")
    message = write_elsewhere(path, environment, "50000", prefix=[])
    assert str(path) in message
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_read_only_folder_is_named(tmp_path: Path, environment: dict[str, str], without_override: list[str]):
    folder = tmp_path / "out"
    folder.mkdir(mode=0o500)
    for path in (folder / "file", folder / "deeper" / "file"):
        message = write_elsewhere(path, environment, prefix=without_override)
        assert f"{path}: Permission denied" in message
    assert not list(folder.iterdir())


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(BenchError, match="Cannot write"):
        write_whole(tmp_path / "out" / "file", b"content")
    assert (tmp_path / "out").read_text() == "a file"


def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "file"
    write_whole(path, b"old")

    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
