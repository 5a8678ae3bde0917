import subprocess
import sys

import pytest

from bench.errors import BenchError
from bench.rerankers import FAMILIES, ROWS, load
from bench.rerankers.base import Options
from bench.rerankers.rows import Row


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("frist-stage", "first-stage"),
        ("minlm", "minilm"),
        ("JINA-RERANKER-V3", "jina-reranker-v3"),
        ("qwen3-reranker-0.6b", "Qwen3-Reranker-0.6B"),
        ("cross-encode:some/model", "cross-encoder:some/model"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(name, nearest):
    with pytest.raises(BenchError) as caught:
        load(name, Options())
    assert f"Did you mean {nearest!r}?" in str(caught.value)
    assert "python -m bench rerankers" in str(caught.value)


@pytest.mark.parametrize("name", ["", "zzzzzzzz", ":", "core:", "fusion:", ":Class", "a/b"])
def test_a_name_near_to_nothing_gets_no_suggestion(name):
    with pytest.raises(BenchError) as caught:
        load(name, Options())
    assert "There is no reranker" in str(caught.value)


def test_rows_are_whole():
    for name, row in ROWS.items():
        assert row.name == name
        assert row.family in {*FAMILIES, "order-only"}
        assert len(row.revision) in (0, 40), name
        assert ":" not in name
        assert "/" not in name


def test_a_row_that_cannot_be_run_is_refused_with_its_reason(monkeypatch):
    monkeypatch.setitem(ROWS, "closed", Row("closed", "cross-encoder", refusal="Its weights are not published."))
    with pytest.raises(BenchError, match=r"^closed cannot be run here: Its weights are not published\.$"):
        load("closed", Options())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("RankQwen3-8B", "weights are not published"),
        ("LiT5-Distill-large", "no class of transformers"),
        ("ListT5-3B", "no class of transformers"),
    ],
)
def test_generative_rows_that_cannot_be_run(name, reason):
    with pytest.raises(BenchError, match=rf"^{name} cannot be run here: .*{reason}"):
        load(name, Options())


def test_every_generative_row_has_a_strategy_and_a_prompt():
    from bench.rerankers.generative import spec

    for row in ROWS.values():
        if row.family == "generative" and not row.refusal:
            assert spec.read(row.model.partition("#")[2]).prompt.licence


def test_importing_the_table_loads_no_model_library():
    heavy = ("torch", "transformers", "sentence_transformers", "httpx", "numpy", "huggingface_hub")
    code = f"import bench.rerankers, sys; print([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == "[]"


def test_a_folder_is_named_without_its_place(encoder, minilm_folder, tmp_path, monkeypatch):
    """Folders of one name are told apart by their fingerprints."""
    for place, target in (("a", encoder), ("b", minilm_folder)):
        (tmp_path / place).mkdir()
        (tmp_path / place / "mine").symlink_to(target)
    options = Options(device="cpu")
    monkeypatch.chdir(tmp_path / "a")
    names = ("mine", "./mine/", f"{tmp_path}/a/mine", f"{tmp_path}/b/mine")
    cards = [load(f"bi-encoder:{name}", options).card for name in names]
    assert {card.name for card in cards} == {"bi-encoder:mine"}
    assert {card.model for card in cards} == {"mine"}
    assert len({card.fingerprint for card in cards[:3]}) == 1
    assert cards[3].fingerprint != cards[0].fingerprint
    fused = load(f"fusion:bi-encoder:{tmp_path}/a/mine", options).card
    assert (fused.name, fused.model, fused.settings["fused"]) == ("fusion:bi-encoder:mine", "mine", "bi-encoder:mine")


def test_the_current_folder_has_a_name(encoder, tmp_path, monkeypatch):
    for path in encoder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "inner").mkdir()
    for place, name in ((tmp_path, "."), (tmp_path / "inner", "..")):
        monkeypatch.chdir(place)
        card = load(f"bi-encoder:{name}", Options(device="cpu")).card
        assert (card.name, card.model) == (f"bi-encoder:{tmp_path.name}", tmp_path.name)


@pytest.mark.parametrize("family", ["core", "cross-encoder", "yes-no", "late-interaction", "bi-encoder"])
def test_messages_show_the_whole_path(family, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BenchError, match=str(tmp_path)):
        load(f"{family}:{tmp_path}", Options(device="cpu"))


@pytest.mark.parametrize("model", ["~nobody-of-this-name/model", "x" * 5000])
def test_a_name_that_cannot_be_a_folder(model):
    with pytest.raises(BenchError, match="neither a folder nor a hub id"):
        load(f"bi-encoder:{model}", Options())
