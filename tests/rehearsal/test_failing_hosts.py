"""Hosts that answer 500 to everything for the length of a command, and then recover."""

from pathlib import Path

import pytest

from tests.conftest import Call
from tests.hub import HUB, WEIGHTS_HOST, Handler, Hub
from tests.rehearsal.others import RETRIEVAL
from tests.rehearsal.test_models import ALONE

BEIR_HOST = "public.ukp.informatik.tu-darmstadt.de"


def half_written(home: Path) -> list[Path]:
    """What the next command could take for a whole file: results, archives, and files of a model or data set."""
    found = [path for path in home.rglob("*") if path.is_file() and "secrets" not in path.parts]
    kept = (".safetensors", ".zip", ".parquet", ".arrow", "result.json")
    return [path for path in found if path.name.endswith(kept)]


@pytest.mark.fuzz
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("host", "command", "said"),
    [
        (HUB, ALONE, "the hub failed (status 500) 3 times. Wait a few minutes"),
        (WEIGHTS_HOST, ALONE, "the hub failed (status 500) 3 times. Wait a few minutes"),
        (BEIR_HOST, ("beir", "scifact", "-r", "first-stage"), "The host sent something else than the file"),
        (HUB, ("mteb", RETRIEVAL, "-r", "first-stage"), "status 500; "),
        (WEIGHTS_HOST, ("mteb", RETRIEVAL, "-r", "first-stage"), "status 500; "),
    ],
)
def test_a_host_that_fails(
    host: str, command: tuple[str, ...], said: str, bench: Call, refused: Call, hub: Hub, tmp_path: Path
):
    """One clear message, nothing half-written; the next command does all."""

    def answer(handler: Handler) -> bool:
        if handler.host == host:
            handler.refuse(500, "")
        return handler.host == host

    hub.answer = answer
    message = refused(*command, timeout=280)
    assert said in message
    assert half_written(tmp_path) == []
    hub.answer = None
    recovered = bench(*command)
    assert recovered.returncode == 0, recovered.stderr[-3000:]
    assert [path for path in half_written(tmp_path) if path.name == "result.json"]
