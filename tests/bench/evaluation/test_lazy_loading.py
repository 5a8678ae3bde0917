"""A model is loaded only when a list must be scored."""

import json
from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer
from transformers import AutoModel

from reranker.checkpoint import Checkpoint
from tests.conftest import InProcess


def test_a_rerun_with_nothing_to_score_loads_no_model(
    tmp_path: Path, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
):
    models = ["-r", "embedded", "-r", "fusion:embedded", "-r", "minilm"]

    def measured() -> tuple[dict[str, object], str]:
        status, _, messages = in_process("beir", "--embedded", *models, "--queries", 1, "--output", tmp_path)
        assert status == 0, messages
        found = {str(path): json.loads(path.read_text()) for path in tmp_path.rglob("result.json")}
        figures = {path: (each["reranker"], each["measures"], each["run_sha256"]) for path, each in found.items()}
        return figures, messages

    first, steps = measured()
    assert "loading minilm" in steps
    assert "loading embedded" in steps
    assert "loading fusion:embedded" not in steps

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a model is loaded")

    monkeypatch.setattr(AutoModel, "from_pretrained", refused)
    monkeypatch.setattr(SentenceTransformer, "__init__", refused)
    monkeypatch.setattr(Checkpoint, "model", refused)
    again, steps = measured()
    assert "loading" not in steps
    assert again == first
