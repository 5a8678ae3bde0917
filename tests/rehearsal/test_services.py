"""The rerank services of the rows, under their own host names, with a key in the environment."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Call
from tests.hub import Handler, Hub
from tests.rehearsal.test_others import figures

KEYS = {"JINA_API_KEY": "jina_0123456789", "COHERE_API_KEY": "co-0123456789", "VOYAGE_API_KEY": "pa-0123456789"}
ROWS = ("jina-api", "cohere-api", "voyage-api")
COMMAND = ("coir", "embedded-functions", "--embedded", "--queries", "1", "--depth", "10")
JINA, COHERE, VOYAGE = "api.jina.ai", "api.cohere.com", "api.voyageai.com"
FIELDS = {
    JINA: {"model", "query", "documents", "top_n", "return_documents"},
    COHERE: {"model", "query", "documents", "top_n"},
    VOYAGE: {"model", "query", "documents", "top_k"},
}
PATHS = {JINA: "/v1/rerank", COHERE: "/v2/rerank", VOYAGE: "/v1/rerank"}


def scores(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The best first: a document's score is the number of its words that the query has."""
    asked = set(body["query"].lower().split())
    rows = [
        {"index": index, "relevance_score": len(asked & set(text.lower().split())) / 100}
        for index, text in enumerate(body["documents"])
    ]
    return sorted(rows, key=lambda row: -row["relevance_score"])


def answered(host: str, body: dict[str, Any]) -> dict[str, Any]:
    """What each service answers with, as its reference describes it."""
    rows = scores(body)
    if host == VOYAGE:
        return {"object": "list", "data": rows, "model": body["model"], "usage": {"total_tokens": 26}}
    if host == JINA:
        return {"model": body["model"], "object": "list", "usage": {"total_tokens": 26}, "results": rows}
    billed = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    return {"id": "0b47c9c8", "results": rows, "meta": billed}


def services(*failures: tuple[str, int]) -> Callable[[Handler], bool]:
    """The services; each of ``failures``, a host and a status, is one answer of that host before any other."""
    waiting = list(failures)

    def answer(handler: Handler) -> bool:
        host = handler.host
        key = dict(zip((JINA, COHERE, VOYAGE), KEYS.values(), strict=True)).get(host)
        if key is None:
            return False
        body = json.loads(handler.body)
        if handler.headers.get("Authorization") != f"Bearer {key}":
            handler.reply('{"message": "invalid api token"}', status=401)
        elif handler.path != PATHS[host] or set(body) != FIELDS[host]:
            handler.reply(json.dumps({"message": f"unknown fields or path: {sorted(body)}"}), status=400)
        elif failure := next((each for each in waiting if each[0] == host), None):
            waiting.remove(failure)
            handler.reply('{"message": "try again"}', status=failure[1])
        else:
            handler.reply(json.dumps(answered(host, body)))
        return True

    return answer


def options(*names: str) -> list[str]:
    return [part for name in names for part in ("-r", name)]


def test_every_service(bench: Call, hub: Hub, tmp_path: Path):
    """All give the same scores, and so the same figure; two are busy or fail once and are asked again."""
    hub.answer = services((COHERE, 429), (VOYAGE, 500))
    answer = bench(*COMMAND, *options(*ROWS), env=KEYS)
    assert answer.returncode == 0, answer.stderr[-3000:]
    found = figures(tmp_path / "here" / "out")
    assert {name for _, name in found} == set(ROWS)
    assert len(set(found.values())) == 1
    asked = [host for host in (JINA, COHERE, VOYAGE) for each in hub.asked if f"https://{host}/" in each]
    assert asked == [JINA, COHERE, COHERE, VOYAGE, VOYAGE]
    written = "".join(path.read_text() for path in (tmp_path / "here").rglob("result.json"))
    assert not [key for key in KEYS.values() if key in written + answer.stdout + answer.stderr]


@pytest.mark.fuzz
def test_a_wrong_key_is_refused_and_the_right_one_goes_on(bench: Call, refused: Call, hub: Hub, tmp_path: Path):
    hub.answer = services()
    wrong = KEYS | {"COHERE_API_KEY": "co-wrong-0123456789"}
    message = refused(*COMMAND, *options("jina-api", "cohere-api"), env=wrong)
    assert "HTTP status 401" in message
    assert "Check COHERE_API_KEY" in message
    assert "co-wrong" not in message
    assert {name for _, name in figures(tmp_path / "here" / "out")} == {"jina-api"}
    assert bench(*COMMAND, *options("cohere-api"), env=KEYS).returncode == 0
    assert {name for _, name in figures(tmp_path / "here" / "out")} == {"jina-api", "cohere-api"}


@pytest.mark.fuzz
@pytest.mark.timeout(300)
@pytest.mark.parametrize("status", [429, 500])
def test_a_service_that_stays_away_is_asked_six_times(status: int, refused: Call, bench: Call, hub: Hub):
    """Its waits double from one second: 31 seconds in all."""
    hub.answer = services(*[(JINA, status)] * 6)
    message = refused(*COMMAND, *options("jina-api"), env=KEYS)
    assert f"HTTP status {status} (" in message
    assert "6 times" in message
    assert len(hub.asked) == 6
    assert bench(*COMMAND, *options("jina-api"), env=KEYS).returncode == 0


def test_no_key(refused: Call, hub: Hub):
    assert "Set JINA_API_KEY in the environment" in refused(*COMMAND, *options("jina-api"))
    assert hub.asked == []
