"""Every row's model from the hub, and what can go wrong on the way there."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.rerankers import ROWS
from tests.conftest import Call
from tests.hub import HUB, WEIGHTS_HOST, Handler, Hub
from tests.rehearsal.models import NOT_NEEDED

FROM_HUB = [row.name for row in ROWS.values() if "/" in row.model and ":" not in row.model and not row.refusal]
MODEL = "ms-marco-MiniLM-L6-v2"
ALONE = ("coir", "embedded-functions", "--embedded", "--queries", "1", "-r", MODEL)


def options(names: list[str]) -> list[str]:
    return [part for name in names for part in ("-r", name)]


def fetched(hub: Hub) -> list[str]:
    """The files that were fetched, not only asked about."""
    return [each for each in hub.asked if each.startswith("GET ") and ("/resolve/" in each or "https://" in each)]


COMMAND = ("beir", "embedded-claims", "--embedded", "--queries", "1", "--depth", "5", *options(FROM_HUB))


def figures(folder: Path) -> dict[str, float]:
    """Every reranker's figure."""
    found = [json.loads(path.read_text()) for path in folder.rglob("result.json")]
    return {each["reranker"]["name"]: each["measures"]["nDCG@10"] for each in found}


def stumbling(broken: list[str]) -> Callable[[Handler], bool]:
    """A hub that fails once, and a host of weights whose connection breaks once in the middle of a file."""

    def answer(handler: Handler) -> bool:
        wanted = f"/{hashlib.sha256(weights(handler)).hexdigest()}" if broken else "/api/models/"
        if handler.command != "GET" or len(broken) == 2 or not handler.path.startswith(wanted):
            return False
        broken.append(handler.path)
        if handler.host == HUB:
            handler.refuse(500, "")
            return True
        sent = weights(handler)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(sent)))
        handler.send_header("Accept-Ranges", "bytes")
        handler.end_headers()
        handler.wfile.write(sent[: len(sent) // 3])
        handler.close_connection = True
        return True

    return answer


def weights(handler: Handler) -> bytes:
    return handler.server.repositories[f"models/{ROWS[MODEL].model}"].files()["model.safetensors"].read_bytes()


def test_every_row(bench: Call, hub: Hub, tmp_path: Path):
    """One query by each; only files that a model needs are fetched, each once, though hub and connection fail once."""
    broken: list[str] = []
    hub.answer = stumbling(broken)
    answer = bench(*COMMAND, timeout=280)
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert set(figures(tmp_path / "here" / "out")) == set(FROM_HUB)
    files = [each for each in fetched(hub) if "/resolve/" in each]
    assert len(set(files)) == len(files) > len(FROM_HUB)
    assert not [each for each in files for name in NOT_NEEDED if each.endswith(f"/{name}")]
    assert not [each for each in files for name in ("classification", "separation") if f"/{name}/" in each]
    # The hub is asked again, and the host of weights for the rest of the file.
    failed, cut = broken
    other = ROWS["jina-reranker-v3.5"]
    assert (
        hub.asked.count(f"GET {failed}")
        == hub.asked.count(f"GET /api/models/{other.model}/revision/{other.revision}") + 1
    )
    assert hub.asked.count(f"GET https://{WEIGHTS_HOST}{cut.partition('?')[0]}") == 2


@pytest.mark.fuzz
def test_every_row_offline(bench: Call, hub: Hub, tmp_path: Path):
    """The hub's cache alone gives the same figures."""
    assert bench(*COMMAND, timeout=280).returncode == 0
    hub.asked.clear()
    answer = bench(*COMMAND, "--output", "again", timeout=280, env={"HF_HUB_OFFLINE": "1"})
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert hub.asked == []
    assert figures(tmp_path / "here" / "again") == figures(tmp_path / "here" / "out")
    assert len(figures(tmp_path / "here" / "again")) == len(FROM_HUB)


def refusing(status: int, code: str) -> Callable[[Handler], bool]:
    def answer(handler: Handler) -> bool:
        handler.refuse(status, code)
        return True

    return answer


@pytest.mark.parametrize(("status", "code"), [(401, "GatedRepo"), (404, "RepoNotFound")])
def test_a_model_that_may_not_be_read(status: int, code: str, refused: Call, hub: Hub):
    hub.answer = refusing(status, code)
    message = refused(*ALONE)
    assert f"(status {status})" in message
    assert "accept its terms and set HF_TOKEN" in message


def test_a_damaged_file_is_not_used(refused: Call, hub: Hub):
    """The host of weights sends as many bytes as it should, but others."""

    def answer(handler: Handler) -> bool:
        if handler.command != "GET" or handler.host == HUB:
            return False
        handler.reply(b"\x00" * len(weights(handler)))
        return True

    hub.answer = answer
    assert "model.safetensors" in refused(*ALONE)


@pytest.mark.fuzz
def test_a_disk_that_is_full(bench: Call, hub: Hub):
    """No file may be larger than the weights' half: nothing of it is taken for whole, and room helps."""
    full = bench(*ALONE, prefix=["prlimit", "--fsize=80000"])
    assert full.returncode == 2
    assert "Traceback" not in full.stderr
    answer = bench(*ALONE)
    assert answer.returncode == 0, answer.stderr[-3000:]
