"""Files are read whatever they were packed with, and written whole or not at all."""

import gzip
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.files import kind, text_lines, write_together, write_whole

LEFTOVER = re.compile(r"\..+\.[0-9]+")
"""What a killed process may leave behind: ``.NAME.PID``."""

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


KILLED = """
import os, signal, sys
from pathlib import Path
import bench.files

folder, fatal = Path(sys.argv[1]), int(sys.argv[2])
steps = 0

def deadly(call):
    def called(*arguments, **keywords):
        step()
        answer = call(*arguments, **keywords)
        step()
        return answer
    return called

def step():
    global steps
    steps += 1
    if steps == fatal:
        os.kill(os.getpid(), signal.SIGKILL)

os.fsync = deadly(os.fsync)
for name in ("replace", "unlink", "mkdir", "open"):
    setattr(Path, name, deadly(getattr(Path, name)))
bench.files.write_together({folder / "run": b"new run", folder / "voucher": b"new voucher"})
"""


@pytest.mark.parametrize("old", [{}, {"run": b"old run", "voucher": b"old voucher"}], ids=["first", "again"])
def test_a_process_killed_at_any_step_leaves_files_that_belong_together(
    tmp_path: Path, environment: dict[str, str], old: dict[str, bytes]
):
    outcomes = []
    for fatal in count(1):
        folder = tmp_path / str(fatal)
        if old:
            write_together({folder / name: content for name, content in old.items()})
        command = [sys.executable, "-c", KILLED, str(folder), str(fatal)]
        status = subprocess.run(command, env=environment, capture_output=True, timeout=60).returncode
        left = {path.name: path.read_bytes() for path in folder.glob("*") if not LEFTOVER.fullmatch(path.name)}
        outcomes.append({name: content.split()[0] for name, content in left.items()})
        if status == 0:
            break
        assert status == -signal.SIGKILL
    whole = [outcome for outcome in outcomes if "voucher" in outcome]
    assert all(outcome["run"] == outcome["voucher"] for outcome in whole)
    assert outcomes[-1] == {"run": b"new", "voucher": b"new"}
    # Before the first rename everything is as it was.
    assert outcomes[: len(outcomes) // 3] == [dict.fromkeys(old, b"old")] * (len(outcomes) // 3)
    assert len(outcomes) > 16


def test_files_that_stay_the_same_keep_their_voucher_until_its_new_version_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run, voucher = tmp_path / "run", tmp_path / "voucher"
    write_together({run: b"run", voucher: b"old"})
    monkeypatch.setattr(Path, "replace", lambda self, target: self.unlink() or target.stat())
    write_together({run: b"run", voucher: b"new"})
    assert voucher.read_bytes() == b"old"


@pytest.mark.parametrize("letters", [200, 255])
def test_a_name_as_long_as_the_file_system_takes_is_written(tmp_path: Path, letters: int):
    write_whole(tmp_path / ("x" * letters), b"content")
    assert [len(path.name) for path in tmp_path.iterdir()] == [letters]


def test_the_remedy_fits_the_fault(tmp_path: Path):
    with pytest.raises(BenchError, match=r"File name too long\. Choose a shorter name\."):
        write_whole(tmp_path / ("x" * 300), b"content")
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match=r"Choose another folder\."):
        write_whole(tmp_path / "file" / "deeper", b"content")
