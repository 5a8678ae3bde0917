"""A model is loaded only when a list must be scored."""

import json
from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer
from transformers import AutoModel

from bench.cli import main
from reranker.checkpoint import Checkpoint


def test_a_rerun_with_nothing_to_score_loads_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    command = ["beir", "--embedded", "-r", "embedded", "-r", "fusion:embedded", "-r", "minilm", "--queries", "1"]

    def measured() -> tuple[dict[str, object], str]:
        assert main([*command, "--output", str(tmp_path)]) in (None, 0)
        found = {path: json.loads(path.read_text()) for path in tmp_path.rglob("result.json")}
        return {
            str(path): (each["reranker"], each["measures"]) for path, each in found.items()
        }, capsys.readouterr().err

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
