"""What several test files share: the real collections, small collections from inline text, and the command line."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

# On a machine that does other things meanwhile, no example has a time that it always keeps.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

if "PYTEST_XDIST_WORKER" in os.environ:
    # There is a test process for each core: torch's threads in each would spend their time waiting for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]

NOWHERE = "http://127.0.0.1:9"
"""A proxy that refuses every connection: port 9 is for discarding, and nothing listens there."""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real collections that lie beside a developer's checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real collections in ../shared/data, which is not there")
    return folder


BeirFolder = Callable[..., Path]


@pytest.fixture
def beir_folder(tmp_path: Path) -> BeirFolder:
    """Write a BEIR-format folder from inline text; gives its path.

    ``corpus`` has a line ``id | title | text`` a document (an empty title is left out), ``queries`` a line
    ``id | text`` a query, ``qrels`` a line ``query document grade`` a judgement.
    """

    def write(
        corpus: str, queries: str, qrels: str, *, name: str = "small", split: str = "test", packed: bool = False
    ) -> Path:
        folder = tmp_path / name
        (folder / "qrels").mkdir(parents=True, exist_ok=True)
        documents = []
        for line in _lines(corpus):
            document_id, title, text = (part.strip() for part in line.split("|"))
            documents.append({"_id": document_id, "title": title, "text": text} if title else _row(document_id, text))
        rows = [_row(*(part.strip() for part in line.split("|"))) for line in _lines(queries)]
        for file, content in (("corpus.jsonl", documents), ("queries.jsonl", rows)):
            data = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in content).encode()
            path = folder / (f"{file}.gz" if packed else file)
            path.write_bytes(gzip.compress(data) if packed else data)
        judged = "".join("\t".join(line.split()) + "\n" for line in _lines(qrels))
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}", encoding="utf-8")
        return folder

    return write


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment for processes, in which nothing of the user's is read or written, and no host answers."""
    home = tmp_path / "home"
    home.mkdir()
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("IR_DATASETS_", "HF_", "RERANK_BENCH_", "MTEB_", "TORCHINDUCTOR_"))
        and name.lower() not in ("no_proxy", "columns", "force_color", "pytest_current_test")
    }
    return inherited | {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "RERANK_BENCH_CACHE": str(home / "rerank-bench"),
        "IR_DATASETS_HOME": str(home / "ir_datasets"),
        "HF_HOME": str(home / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TERM": "dumb",
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"), NOWHERE),
    }


Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def bench(environment: dict[str, str], tmp_path: Path) -> Call:
    """Run ``python -m bench ARGUMENTS`` as a process in an empty folder and the isolated environment."""
    folder = tmp_path / "here"
    folder.mkdir()

    def call(
        *arguments: object, env: Mapping[str, str] = {}, prefix: list[str] | None = None, timeout: float = 120
    ) -> "subprocess.CompletedProcess[str]":
        command = [*(prefix or []), sys.executable, "-m", "bench", *map(str, arguments)]
        return subprocess.run(
            command, cwd=folder, env=environment | env, capture_output=True, encoding="utf-8", timeout=timeout
        )

    return call


InProcess = Callable[..., tuple[int, str, str]]


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    """Run ``python -m bench ARGUMENTS`` in this process, which has its libraries loaded.

    Gives the exit status, standard output and standard error.
    """
    from bench.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return call


@pytest.fixture
def refused(bench: Call) -> Callable[..., str]:
    """Run a command that must be refused: exit status 2, one message, no traceback; gives the message."""

    def call(*arguments: object, **options: object) -> str:
        answer = bench(*arguments, **options)
        assert answer.returncode == 2, answer.stdout + answer.stderr
        assert "Traceback" not in answer.stderr
        messages = [line for line in answer.stderr.splitlines() if line.startswith("Error: ")]
        assert len(messages) == 1, answer.stderr
        assert answer.stdout == ""
        return messages[0]

    return call


@pytest.fixture(scope="session")
def without_override() -> list[str]:
    """The start of a command line that takes from root what lets it write to read-only folders; nothing for others."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root writes to read-only folders, and there is no setpriv to take that away")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _row(identifier: str, text: str) -> dict[str, str]:
    return {"_id": identifier, "text": text}
