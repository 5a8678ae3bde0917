"""Against a real server on loopback, which answers each call with the next of the answers that a test laid ready."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.errors import BenchError
from bench.evaluation.cache import chunk_key
from bench.rerankers import http, load
from bench.rerankers.base import CandidateList, Options
from bench.rerankers.http_options import read_options

KEY = "sk-very-secret-0123456789"
THREE = CandidateList("q7", "why do tides rise", ("a", "b", "c"), (3.0, 2.0, 1.0), ("moon", "bread", "tea"))


class Server:
    """``answers`` are (status, headers, body), or functions of the request's JSON; the last is given ever after."""

    def __init__(self):
        self.answers = []
        self.requests = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append((body, dict(self.headers), time.monotonic()))
                answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                status, headers, content = answer(body) if callable(answer) else answer
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())
                except OSError:
                    pass  # the client has given up, as it should

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/rerank"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "RERANK_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(http, "PATIENCE", http.Patience(timeout=0.5, attempts=3, first_wait=0.01, longest_wait=5))
    server = Server()
    yield server
    server.stop()


def results(*pairs):
    return 200, {}, {"results": [{"index": index, "relevance_score": score} for index, score in pairs]}


RIGHT = results((1, 0.9), (0, 0.5), (2, -0.1))


def scored(server, *answers, lists=(THREE,), model=""):
    server.answers[:] = answers
    return list(load(f"http:{server.url}{model}", Options()).score(lists))


def refused(server, *answers):
    with pytest.raises(BenchError) as caught:
        scored(server, *answers)
    message = str(caught.value)
    assert "query 'q7' ('why do tides rise')" in message
    assert KEY not in message
    return message


def test_scores_come_back_in_the_documents_order(server):
    (answer,) = scored(server, RIGHT, model="#some/model")
    assert (answer.query_id, answer.scores) == ("q7", (0.5, 0.9, -0.1))
    body, headers, _ = server.requests[0]
    assert body == {"model": "some/model", "query": THREE.query, "documents": ["moon", "bread", "tea"], "top_n": 3}
    assert "Authorization" not in headers


def test_without_a_model_none_is_asked_for(server):
    scored(server, RIGHT)
    assert "model" not in server.requests[0][0]


def test_the_other_dialects_answers(server):
    rows = [{"index": index, "relevance_score": index / 4} for index in (2, 0, 1)]
    (answer,) = scored(server, (200, {}, {"data": rows, "usage": {"total_tokens": 12}}))
    assert (answer.scores, answer.tokens) == ((0.0, 0.25, 0.5), 12)


def test_text_embeddings_inference(server):
    """It refuses the common call, takes ``texts``, at most 32 at once, and gives a bare list."""

    def answer(body):
        if "texts" not in body:
            return 422, {}, b"Failed to deserialize the JSON body: missing field `texts` at line 1 column 9"
        rows = [{"index": index, "score": float(text)} for index, text in enumerate(body["texts"])]
        return (200, {}, rows[::-1]) if len(rows) <= 32 else (413, {}, {"error": "batch size > maximum"})

    texts = tuple(map(str, range(70)))
    many = CandidateList("q", "query", texts, (0.0,) * 70, texts)
    answers = scored(server, answer, lists=[many, many])
    assert [each.scores for each in answers] == [tuple(map(float, range(70)))] * 2
    assert len(server.requests) == 1 + 3 + 3


def limited(most, status, message):
    """A server that takes at most some documents a call, each scored by its number."""

    def answer(body):
        texts = body.get("documents") or body["texts"]
        if len(texts) > most:
            return status, {}, {"error": message}
        rows = [{"index": index, "relevance_score": float(text)} for index, text in enumerate(texts)]
        return 200, {}, {"results": rows, "usage": {"total_tokens": len(texts)}}

    return answer


def numbered(count):
    texts = tuple(map(str, range(count)))
    return CandidateList(f"q{count}", "query", texts, (0.0,) * count, texts)


def sizes(server):
    return [len(body.get("documents") or body.get("texts") or ()) for body, _, _ in server.requests]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (413, "batch size 64 > maximum allowed batch size 20"),
        (422, "inputs exceed max_client_batch_size"),
        (400, "too many documents: at most 20"),
    ],
)
def test_a_servers_batch_limit_is_found_and_obeyed(server, capsys, status, message):
    lists = [numbered(100), numbered(100), numbered(20), numbered(17)]
    answers = scored(server, limited(20, status, message), lists=lists)
    assert [each.scores for each in answers] == [tuple(map(float, range(len(each.ids)))) for each in lists]
    assert [each.tokens for each in answers] == [100, 100, 20, 17]
    # 100, 64 and 32 are refused; the next list is sent in sixteens at once, and small lists stay whole.
    assert sizes(server) == [100, 64, 32, *[16] * 6, 4, *[16] * 6, 4, 20, 17]
    (said,) = capsys.readouterr().err.splitlines()
    assert f"refuses 100 documents in one call ({json.dumps({'error': message})})" in said
    assert "changes the scores of a listwise model" in said


def test_how_a_list_is_divided_does_not_depend_on_those_before_it(server):
    parts = {100: [32, 32, 32, 4], 40: [32, 8], 33: [33]}
    for order in ([100, 40, 33], [33, 40, 100], [40, 100, 33]):
        server.requests.clear()
        scored(server, limited(35, 413, "batch size"), lists=list(map(numbered, order)))
        assert [size for size in sizes(server) if size <= 35] == [size for count in order for size in parts[count]]


def test_text_embeddings_inference_with_a_small_batch(server, capsys):
    def answer(body):
        if "texts" not in body:
            return 422, {}, b"missing field `texts` at line 1 column 9"
        return limited(5, 413, "batch size 32 > maximum allowed batch size 5")(body)

    answers = scored(server, answer, lists=[numbered(10), numbered(10)])
    assert [each.scores for each in answers] == [tuple(map(float, range(10)))] * 2
    assert sizes(server) == [10, 10, 8, 4, 4, 2, 4, 4, 2]
    assert capsys.readouterr().err == "", "each text is scored by itself, so no score changes"


def test_a_refusal_of_one_document_is_an_error(server):
    message = refused(server, limited(0, 413, "batch size"))
    assert "HTTP status 413" in message
    assert sizes(server) == [3, 2, 1]


def test_options_reach_the_request_the_card_and_the_fingerprint(server):
    given = read_options(["truncate_prompt_tokens=512", 'extra={"b": 1, "a": [true]}', "user=ann", "empty=null"])
    server.answers[:] = [RIGHT]
    reranker = load(f"http:{server.url}", Options(http_options=given))
    list(reranker.score([THREE]))
    sent = server.requests[0][0]
    assert (sent["truncate_prompt_tokens"], sent["extra"], sent["user"]) == (512, {"a": [True], "b": 1}, "ann")
    assert sent["empty"] is None
    assert reranker.card.settings["option truncate_prompt_tokens"] == "512"
    plain, other = (load(f"http:{server.url}", Options(http_options=each)) for each in ((), given[:1]))
    assert len({each.card.fingerprint for each in (reranker, plain, other)}) == 3
    assert chunk_key(plain.card, Options(), [THREE]) != chunk_key(plain.card, Options(http_options=given), [THREE])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["truncate"], "is not an option. Write it as key=value"),
        (["=1"], "is not an option"),
        (["a=1", "a=2"], "a is given twice"),
        (["documents=[]"], "documents cannot be set"),
        (["top_n=3"], "top_n cannot be set"),
        (["a=\udcff"], "is not an option"),
        (["api_key=sk-1"], "api_key is for a key"),
        (["Access-Token=t"], "Access-Token is for a key"),
    ],
)
def test_an_option_that_will_not_do(given, message):
    with pytest.raises(BenchError, match=message) as caught:
        read_options(given)
    assert "sk-1" not in str(caught.value)


def test_what_a_server_holds_is_unknown_so_nothing_is_kept_across_commands(server):
    assert load(f"http:{server.url}", Options()).cacheable is False


def test_an_empty_list_is_not_sent(server):
    (answer,) = scored(server, RIGHT, lists=[CandidateList("q", "query", (), ())])
    assert (answer.scores, server.requests) == ((), [])


def test_lone_surrogates_are_sent_as_what_utf8_can_hold(server):
    scored(server, results((0, 1.0)), lists=[CandidateList("q", "\ud800", ("a",), (1.0,), ("b\udfff",))])
    assert (server.requests[0][0]["query"], server.requests[0][0]["documents"]) == ("\ufffd", ["b\ufffd"])


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_passing_failure_is_tried_again(server, status):
    (answer,) = scored(server, (status, {}, b"later"), (status, {}, b"later"), RIGHT)
    assert answer.scores == (0.5, 0.9, -0.1)
    assert len(server.requests) == 3


def test_a_server_that_stays_broken(server):
    message = refused(server, (500, {}, b"out of order"))
    assert "HTTP status 500 (out of order)" in message
    assert "3 times" in message
    assert len(server.requests) == 3


def test_waits_grow(server):
    refused(server, (503, {}, b""))
    first, second, third = (moment for _, _, moment in server.requests)
    assert second - first >= 0.01
    assert third - second >= 0.02


def test_retry_after_in_seconds_is_honoured(server):
    scored(server, (429, {"Retry-After": "1"}, b"slow down"), RIGHT)
    assert server.requests[1][2] - server.requests[0][2] >= 1


def test_retry_after_as_a_date_is_honoured(server):
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)
    scored(server, (429, {"Retry-After": later}, b""), RIGHT)
    assert server.requests[1][2] - server.requests[0][2] >= 1


def test_a_senseless_retry_after_is_no_reason_to_fail(server):
    assert scored(server, (429, {"Retry-After": "soon"}, b""), RIGHT)


def test_a_wait_too_long_is_said_and_not_waited(server):
    message = refused(server, (429, {"Retry-After": "3600"}, b"quota"))
    assert "asks to wait 3600 s" in message
    assert len(server.requests) == 1


def test_a_slow_answer_is_given_up_after_the_stated_time(server):
    def slow(body):
        time.sleep(1)
        return RIGHT

    message = refused(server, slow)
    assert "No whole answer in time" in message
    assert "0.5 s for each answer" in message
    assert len(server.requests) == 3


def test_slow_once_then_right(server):
    def slow(body):
        time.sleep(1)
        return RIGHT

    assert scored(server, slow, RIGHT)[0].scores == (0.5, 0.9, -0.1)


def test_nobody_listens(server):
    server.stop()
    assert "ConnectError" in refused(server, RIGHT)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, {}, b"<html>"), "is not valid JSON"),
        ((200, {}, b"\xff\xfe"), "is not valid JSON"),
        ((200, {}, {"answer": 1}), "has no list of results"),
        ((200, {}, 3), "has no list of results"),
        (results((0, 1.0), (1, 1.0)), "2 scores for 3 documents"),
        (results((0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)), "4 scores for 3 documents"),
        (results((0, 1.0), (1, 1.0), (1, 1.0)), "document 1 twice"),
        (results((0, 1.0), (1, 1.0), (3, 1.0)), "document 3 where there are 3"),
        (results((0, 1.0), (1, 1.0), (-1, 1.0)), "2.index: Input should be greater than or equal to 0"),
        (results((0, 1.0), (1, 1.0), (2, float("nan"))), "NaN is not a JSON number"),
        (results((0, 1.0), (1, 1.0), (2, float("inf"))), "Infinity is not a JSON number"),
        (results((0, 1.0), (1, 1.0), (2, None)), "2.relevance_score: Input should be a valid number"),
        (results((0, 1.0), (1, 1.0), (2, "high")), "2.relevance_score: Input should be a valid number"),
        (results((0, 1.0), (1, 1.0), ("2", 1.0)), "2.index: Input should be a valid integer"),
        (results((0, 1.0), (1, 1.0), (True, 1.0)), "2.index: Input should be a valid integer"),
        ((200, {}, {"results": [1, 2, 3]}), "0: Input should be a valid dictionary"),
        ((400, {}, b"no such model"), "HTTP status 400 (no such model)"),
        ((401, {}, b"who are you"), "Check RERANK_API_KEY"),
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), "the server redirects to http://127.0.0.1:9/"),
        ((422, {}, b"query too long"), "HTTP status 422 (query too long)"),
    ],
)
def test_a_malformed_answer_is_an_error_at_once(server, answer, message):
    assert message in refused(server, answer)
    assert len(server.requests) == 1


def test_the_lists_before_a_failure_are_whole_and_the_one_that_failed_is_not_answered(server):
    server.answers[:] = [RIGHT, (400, {}, b"no")]
    answers = load(f"http:{server.url}", Options()).score([THREE, THREE])
    assert next(answers).scores == (0.5, 0.9, -0.1)
    with pytest.raises(BenchError):
        next(answers)


def test_the_key_is_sent_and_shown_nowhere(server, monkeypatch):
    monkeypatch.setenv("RERANK_API_KEY", KEY)
    reranker = load(f"http:{server.url}#m", Options())
    server.answers[:] = [RIGHT]
    list(reranker.score([THREE]))
    assert server.requests[0][1]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(reranker.card)
    assert KEY not in repr(reranker)
    for status in (401, 500):
        assert "***" in refused(server, (status, {}, f"bad key {KEY}".encode()))
    assert "***" in refused(server, (200, {}, f"not json {KEY}".encode()))


@pytest.mark.parametrize(
    ("name", "keys"),
    [("jina-api", "JINA_API_KEY"), ("cohere-api", "COHERE_API_KEY or CO_API_KEY"), ("voyage-api", "VOYAGE_API_KEY")],
)
def test_a_hosted_service_wants_its_key(name, keys, monkeypatch):
    for variable in ("JINA_API_KEY", "COHERE_API_KEY", "CO_API_KEY", "VOYAGE_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(BenchError, match=f"needs an API key: no key is set. Set {keys}"):
        load(name, Options())


def test_hosted_services_are_asked_in_their_own_words(monkeypatch):
    monkeypatch.setenv("CO_API_KEY", KEY)
    monkeypatch.setenv("VOYAGE_API_KEY", KEY)
    monkeypatch.setenv("JINA_API_KEY", KEY)
    bodies = {name: load(name, Options())._body("q", ["a", "b"]) for name in ("jina-api", "cohere-api", "voyage-api")}
    common = {"query": "q", "documents": ["a", "b"]}
    assert bodies == {
        "jina-api": common | {"model": "jina-reranker-v3", "top_n": 2, "return_documents": False},
        "cohere-api": common | {"model": "rerank-v3.5", "top_n": 2},
        "voyage-api": common | {"model": "rerank-2.5", "top_k": 2},
    }


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"https://user:{KEY}@host/rerank", "neither a password nor a query string"),
        (f"https://host/rerank?api_key={KEY}", "neither a password nor a query string"),
        ("ftp://host/rerank", "not an http\\(s\\) URL"),
        ("host/rerank", "not an http\\(s\\) URL"),
        ("http://", "not an http\\(s\\) URL"),
        ("http://host:port/rerank", "cannot be read"),
        ("http://api.jina.ai/v1/rerank", "needs https"),
    ],
)
def test_a_url_that_will_not_do(url, message, monkeypatch):
    monkeypatch.setenv("JINA_API_KEY", KEY)
    with pytest.raises(BenchError, match=message) as caught:
        load(f"http:{url}", Options())
    assert KEY not in str(caught.value)


def test_a_bare_url_is_a_server():
    card = load("http://127.0.0.1:8000/rerank#m", Options()).card
    assert (card.family, card.model, card.device) == ("http", "m", "remote")
    assert card.settings["url"] == "http://127.0.0.1:8000/rerank"
