"""Fetching from a hub: a real server that speaks its protocol, and everything that can go wrong on the way."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from reranker import hub as ours
from reranker.errors import CheckpointError
from reranker.hub import fetch
from tests.hub import COMMIT, NAME, Handler, Hub, cutting, failing, serving, sleeping

WANTED = ("*.json", "*.safetensors")
TINY = Path(__file__).parent / "data" / "tiny-checkpoint"
PORTAL = "<html><body>Please log in to the network.</body></html>"

Offline = Callable[[], None]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    return tmp_path / "cache"


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving(TINY) as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(ours, "_PATIENCE", 0.5)
        monkeypatch.setattr(ours, "_WAITS", (0.0, 0.0))
        yield server


BROKEN = {
    "busy": failing(429),
    "unauthorised": failing(401),
    "forbidden": failing(403),
    "not found": failing(404),
    "down": failing(503),
    "captive portal": failing(200, {"Content-Type": "text/html"}, PORTAL),
    "slow": sleeping(1.5),
}


@pytest.mark.parametrize("revision", ["", COMMIT])
def test_files_are_fetched_and_found_again_without_a_network(
    revision: str, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = fetch(NAME, revision, WANTED)
    assert (fetched.commit, fetched.doubt) == (COMMIT, "")
    assert (fetched.folder / "model.safetensors").read_bytes() == (TINY / "model.safetensors").read_bytes()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.asked.clear()
    assert fetch(NAME, revision, WANTED) == fetched
    assert hub.asked == []


@pytest.mark.parametrize("trouble", BROKEN)
def test_a_pinned_commit_that_is_whole_is_used_whatever_the_hub_says(trouble: str, hub: Hub) -> None:
    fetched = fetch(NAME, COMMIT, WANTED)
    hub.answer = BROKEN[trouble]
    assert fetch(NAME, COMMIT, WANTED) == fetched


@pytest.mark.parametrize("trouble", BROKEN)
def test_the_newest_commit_known_is_used_with_a_word_of_doubt(trouble: str, hub: Hub) -> None:
    fetch(NAME, "", WANTED)
    hub.answer = BROKEN[trouble]
    again = fetch(NAME, "", WANTED)
    assert again.commit == COMMIT
    assert "hub" in again.doubt


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ("busy", r"the hub is busy \(status 429\)\. Wait"),
        ("unauthorised", r"no model 'maker/model' at revision \w+ that may be read \(status 401\)"),
        ("forbidden", r"status 403"),
        ("not found", r"no model 'maker/model' at revision \w+ that may be read \(status 404\)"),
        ("down", r"the hub failed \(status 503\) 3 times\. Wait"),
        ("captive portal", r"login page"),
        ("slow", r"could not be reached"),
    ],
)
def test_nothing_in_the_cache(trouble: str, message: str, hub: Hub) -> None:
    hub.answer = BROKEN[trouble]
    with pytest.raises(CheckpointError, match=message):
        fetch(NAME, COMMIT, WANTED)


@pytest.mark.parametrize("part", ["/api/models/", "/resolve/"])
def test_a_hub_that_fails_for_a_moment_is_asked_again(part: str, hub: Hub) -> None:
    failures = 2

    def answer(handler: Handler) -> bool:
        nonlocal failures
        if part not in handler.path or handler.command != "GET" or not failures:
            return False
        failures -= 1
        handler.reply("", status=500)
        return True

    hub.answer = answer
    assert fetch(NAME, COMMIT, WANTED).doubt == ""
    assert failures == 0


def test_a_download_cut_in_the_middle_is_no_model(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # the hub's library waits between its tries
    hub.answer = cutting(".safetensors")
    with pytest.raises(CheckpointError, match="could not be reached, or the files not fetched"):
        fetch(NAME, COMMIT, WANTED)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError):
        fetch(NAME, COMMIT, WANTED)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.answer = None
    assert fetch(NAME, COMMIT, WANTED).doubt == ""


def test_a_commit_of_which_a_file_is_gone_is_not_whole(hub: Hub) -> None:
    fetched = fetch(NAME, COMMIT, WANTED)
    (fetched.folder / "tokenizer.json").unlink()
    hub.answer = BROKEN["down"]
    with pytest.raises(CheckpointError, match="status 503"):
        fetch(NAME, COMMIT, WANTED)
    hub.answer = None
    assert (fetch(NAME, COMMIT, WANTED).folder / "tokenizer.json").is_file()


def test_a_cache_that_another_tool_filled_is_used_with_doubt(cache: Path, hub: Hub) -> None:
    folder = cache / "models--maker--model" / "snapshots" / COMMIT
    shutil.copytree(TINY, folder)
    hub.answer = BROKEN["down"]
    fetched = fetch(NAME, COMMIT, WANTED)
    assert (fetched.folder, "status 503" in fetched.doubt) == (folder, True)


def test_a_full_disk(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(ours, "snapshot_download", full)
    with pytest.raises(CheckpointError, match="the disk is full"):
        fetch(NAME, COMMIT, WANTED)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "gopher://127.0.0.1:9", "http://127.0.0.1:9", "::"])
def test_a_proxy_that_does_not_work(proxy: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.utils import close_session

    monkeypatch.setenv("HTTPS_PROXY", proxy)
    close_session()
    try:
        with pytest.raises(CheckpointError, match="could not be reached"):
            fetch(NAME, COMMIT, WANTED)
    finally:
        close_session()


def test_certificates_that_are_not_there(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.utils import close_session

    monkeypatch.setenv("SSL_CERT_FILE", "/absent/certificates.pem")
    close_session()
    try:
        with pytest.raises(CheckpointError, match="could not be reached"):
            fetch(NAME, COMMIT, WANTED)
    finally:
        close_session()


@pytest.mark.parametrize(
    "name", ["", "model", "a/b/c", "../a", "a/..", "./a", "a b/c", "é/x", "x" * 500 + "/y", "a/\n"]
)
def test_what_is_no_id_is_not_asked_for(name: str, hub: Hub) -> None:
    with pytest.raises(CheckpointError, match="neither a folder nor a hub id"):
        fetch(name, "", WANTED)
    assert hub.asked == []
