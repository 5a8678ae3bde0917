"""Against a real server on loopback that speaks the chat protocol."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from bench.errors import BenchError
from bench.rerankers import check, load
from bench.rerankers.base import CandidateList, Options
from bench.rerankers.generative import chat
from bench.rerankers.http_options import read_options
from tests.bench.chat_server import ChatServer, passages, reversing, said, sorting

STATED = {"prompt_tokens": 7, "completion_tokens": 5}
KEY = "sk-very-secret-0123456789"


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "CHAT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    quick = chat.Patience(timeout=0.5, attempts=3, first_wait=0.01, longest_wait=5, busy=chat.PATIENCE.busy)
    monkeypatch.setattr(chat, "PATIENCE", quick)
    with ChatServer(reversing).running() as running:
        yield running


def listed(depth, query_id="q7", text="passage {}"):
    ids = tuple(f"d{number}" for number in range(depth))
    return CandidateList(
        query_id, "why do tides rise", ids, (0.0,) * depth, tuple(text.format(number) for number in range(depth))
    )


THREE = listed(3)


def ranked(server, *answers, lists=(THREE,), spec="", options=None):
    if answers:
        server.answers[:] = answers
    return list(load(f"chat:{server.url}#some/model{spec}", options or Options()).score(lists))


def order_of(scored):
    return sorted(range(len(scored.scores)), key=lambda place: -scored.scores[place])


def refused(server, *answers, **more):
    with pytest.raises(BenchError) as caught:
        ranked(server, *answers, **more)
    assert KEY not in str(caught.value)
    return str(caught.value)


def test_an_order_becomes_scores(server, monkeypatch):
    monkeypatch.setenv("CHAT_API_KEY", KEY)
    (scored,) = ranked(server, said("[2] > [3] > [1]"))
    assert scored.scores == (1.0, 3.0, 2.0)
    body, headers, _ = server.requests[0]
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("some/model", 0, 6 * 3 + 16)
    assert passages(body) == ["passage 0", "passage 1", "passage 2"]
    counts = dict(scored.counts)
    assert counts.pop("milliseconds", 0) >= 0
    assert counts == {"calls": 1, "tokens in": 100, "tokens out": 10, "whole": 1}
    assert scored.tokens == 100


@pytest.mark.parametrize("depth", [3, 19, 20, 21, 95, 100])
def test_a_right_and_a_reversing_answerer_over_the_wire(server, depth):
    """The orders themselves are worked out in test_strategies."""
    best = list(range(depth - 1, depth - 1 - min(10, depth), -1))
    (scored,) = ranked(server, sorting(lambda text: -int(text.split()[1])), lists=(listed(depth),))
    assert order_of(scored)[:10] == best
    assert scored.scores[best[0]] == depth
    (turned,) = ranked(server, reversing, lists=(listed(depth),))
    first = best if depth != 21 else list(range(11, 21))
    assert order_of(turned)[:10] == first
    assert turned.counts["calls"] == turned.counts["whole"] == {3: 1, 19: 1, 20: 1, 21: 2, 95: 9, 100: 9}[depth]


@pytest.mark.parametrize(
    ("reply", "kind", "order"),
    [
        (said("[3] > [3] > [1] > [2]"), "repeated", [2, 0, 1]),
        (said("[3]"), "missing", [2, 0, 1]),
        (said("[3] > [7] > [1] > [2]"), "out of range", [2, 0, 1]),
        (said("They are all alike."), "no list", [0, 1, 2]),
        (said(""), "no list", [0, 1, 2]),
        (said(None), "no list", [0, 1, 2]),
        (said("[3] > [", "length"), "cut off", [2, 0, 1]),
        (said(None, "length", reasoning_content="let me see"), "cut off", [0, 1, 2]),
        (said("I'm sorry, but I can't help with that."), "refused", [0, 1, 2]),
        (said(None, "content_filter"), "refused", [0, 1, 2]),
        (said(None, refusal="No."), "refused", [0, 1, 2]),
        (said([{"type": "text", "text": "[3] > [1]"}, {"type": "text", "text": " > [2]"}]), "whole", [2, 0, 1]),
    ],
)
def test_every_answer_falls_in_one_class(server, reply, kind, order):
    (scored,) = ranked(server, reply)
    assert order_of(scored) == order
    assert scored.counts[kind] == 1
    assert scored.counts["calls"] == 1


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (STATED | {"completion_tokens_details": {"reasoning_tokens": 3}}, (7, 5, 3, 0)),
        (STATED | {"completion_tokens_details": None}, (7, 5, 0, 0)),
        ({"prompt_tokens": "7", "completion_tokens": 5}, (0, 5, 0, 1)),
        ({"prompt_tokens": -7, "completion_tokens": 5}, (0, 5, 0, 1)),
        ({"prompt_tokens": True, "completion_tokens": 1e300}, (0, 0, 0, 1)),
        ({}, (0, 0, 0, 1)),
        ([], (0, 0, 0, 1)),
        ("much", (0, 0, 0, 1)),
    ],
)
def test_usage_that_makes_no_sense_loses_no_answer(server, usage, counted):
    (scored,) = ranked(server, said("[3] > [1] > [2]", usage=usage))
    names = ("tokens in", "tokens out", "tokens thinking", "unmetered")
    assert tuple(scored.counts.get(name, 0) for name in names) == counted
    assert order_of(scored) == [2, 0, 1]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503, 529])
def test_a_busy_server_is_asked_again(server, status):
    (scored,) = ranked(server, (status, {}, b"later"), (status, {}, b"later"), said("[3] > [1] > [2]"))
    assert order_of(scored) == [2, 0, 1]
    assert len(server.requests) == 3
    assert scored.counts["calls"] == 1


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_retry_after_is_waited_for(server, kind):
    when = "1" if kind == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    ranked(server, (429, {"Retry-After": when}, b"slow down"), said("[1] > [2] > [3]"))
    (_, _, first), (_, _, second) = server.requests
    assert second - first >= 0.9


@pytest.mark.parametrize(
    "reply",
    [
        (429, {"Retry-After": "3600"}, b"tomorrow"),
        (503, {}, b"down"),
        (400, {}, {"error": {"message": "no such thing"}}),
        (200, {}, b"<html>"),
        (200, {}, {"choices": []}),
        (200, {}, {"choices": [{"message": {"content": 5}}]}),
        (200, {}, [1, 2]),
        (200, {"Content-Length": "1000"}, b'{"choices": ['),
        lambda body: (time.sleep(1), said("late"))[1],
    ],
    ids=["wait", "down", "bad", "html", "empty", "number", "list", "cut", "slow"],
)
def test_a_call_that_fails_for_good_is_no_order(server, reply):
    message = refused(server, reply)
    assert "query 'q7' ('why do tides rise')" in message
    assert "--allow-failures" in message


def test_a_failed_query_may_be_left_out(server, capsys):
    def answer(body):
        return (503, {}, b"down") if "passage 40" in str(body) else reversing(body)

    server.answers[:] = [answer]
    reranker = load(f"chat:{server.url}#m", Options())
    reranker.answers.allow_failures = True
    lists = [listed(3, "q1"), listed(3, "q2", "passage 4{}"), listed(3, "q3")]
    one, two, three = reranker.score(lists)
    assert order_of(one) == order_of(three) == [2, 1, 0]
    assert (two.query_id, two.scores) == ("q2", ())
    assert "503" in two.failure
    assert "query 'q2'" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_every_call_would_meet_stops_the_command(server, status):
    server.answers[:] = [(status, {}, b"who are you")]
    reranker = load(f"chat:{server.url}#m", Options())
    reranker.answers.allow_failures = True
    with pytest.raises(BenchError, match="Check the URL, the model's name, and the key"):
        list(reranker.score([THREE]))


def test_the_key_is_nowhere(server, monkeypatch):
    monkeypatch.setenv("CHAT_API_KEY", KEY)
    assert KEY not in refused(server, (401, {}, f"Bearer {KEY} is wrong".encode()))
    reranker = load(f"chat:{server.url}#m", Options())
    kept = {}

    class Log:
        def answer(self, key):
            return kept.get(key)

        def keep(self, key, record):
            kept[key] = record

    reranker.answers.log = Log()
    server.answers[:] = [said(f"[1] {KEY} > [2] > [3]")]
    list(reranker.score([THREE]))
    assert KEY not in repr(kept) + repr(reranker.card)
    with pytest.raises(BenchError, match="The key in the environment is also on the command line"):
        load(f"chat:{server.url}#{KEY}", Options())


def test_a_reasoning_models_fields_are_learnt(server):
    def answer(body):
        if "max_tokens" in body:
            return 400, {}, {"error": {"message": "Unsupported parameter: use 'max_completion_tokens' instead."}}
        if "temperature" in body:
            return 400, {}, {"error": {"message": "'temperature' does not support 0 with this model."}}
        return said("[2] > [1] > [3]", usage={"prompt_tokens": 9, "completion_tokens": 900})

    (scored, _) = ranked(server, answer, lists=(THREE, listed(3, "q8")), spec="#sliding,thinking=4096")
    assert order_of(scored) == [1, 0, 2]
    body = server.requests[-1][0]
    assert body["max_completion_tokens"] == 6 * 3 + 16 + 4096
    assert not {"temperature", "max_tokens"} & body.keys()


def test_options_are_sent_and_null_leaves_a_field_out(server):
    options = Options(http_options=read_options(["reasoning_effort=low", "temperature=null", "max_tokens=900"]))
    ranked(server, options=options)
    body = server.requests[0][0]
    assert (body["reasoning_effort"], body["max_tokens"]) == ("low", 900)
    assert "temperature" not in body
    card = load(f"chat:{server.url}#m", options).card
    assert card.settings["option reasoning_effort"] == '"low"'
    assert card.fingerprint != load(f"chat:{server.url}#m", Options()).card.fingerprint


def test_a_prompt_that_is_too_long_is_cut_alike(server):
    def answer(body):
        if max(len(text.split()) for text in passages(body)) > 50:
            return 400, {}, {"error": {"message": "This model's maximum context length is 4096 tokens."}}
        return reversing(body)

    long = CandidateList("q", "query", ("a", "b"), (2.0, 1.0), ("one " * 100, "two " * 20))
    (scored,) = ranked(server, answer, lists=(long,))
    shown = [len(text.split()) for text in passages(server.requests[-1][0])]
    assert shown == [39, 20]  # 300, 225, 168, 126, 94, 70, 52, 39
    assert (scored.documents_cut, scored.tokens_lost) == (1, 61)
    assert scored.counts["calls"] == 1


def test_queries_are_asked_about_side_by_side_and_windows_one_after_the_other(server):
    waiting, most = [], [0]

    def answer(body):
        waiting.append(1)
        most[0] = max(most[0], len(waiting))
        time.sleep(0.05)
        waiting.pop()
        return reversing(body)

    ranked(server, answer, lists=[listed(30, f"q{number}") for number in range(4)])
    assert 2 <= most[0] <= 4
    assert len(server.requests) == 8


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("chat:{url}", "needs the name of a model"),
        ("chat:{url}#m#first", "logits"),
        ("chat:{url}#m#slide", "no strategy 'slide'"),
        ("chat:ftp://host#m", "chat:http://host:port/v1#MODEL"),
        ("chat:http://me:secret@host/v1#m", "neither a password"),
        ("chat:https://api.openai.com/v1#gpt", "OPENAI_API_KEY"),
        ("chat:http://api.openai.com/v1#gpt", "needs https"),
    ],
)
def test_names_are_checked_before_anything_is_sent(server, monkeypatch, name, says):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(BenchError) as caught:
        check(name.format(url=server.url), Options())
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
    assert not server.requests
