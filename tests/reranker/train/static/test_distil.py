"""Static token embeddings fitted to a small teacher, a table of random vectors, and to a made-up collection."""

import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer

from reranker import Reranker
from reranker.prompt import Markers
from reranker.train.collection import Collection
from reranker.train.finetune import main
from reranker.train.static.wordpiece import NUMBERS, uncased

Write = Callable[..., Path]


def static(folder: Path, tokenizer: Tokenizer) -> str:
    """A teacher with random vectors for a tokenizer's tokens."""
    torch.manual_seed(0)
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=24)], device="cpu").save(str(folder))
    return str(folder)


@pytest.fixture
def write(tmp_path: Path, training_folder: Path) -> Write:
    """Writes a recipe that fits static embeddings on the made-up collection; keywords change it."""
    pieces = [*NUMBERS, *string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase), *'"<>']
    pieces += [*(f"word{topic}" for topic in range(16)), "query", "about", "tide"]
    teacher = static(tmp_path / "teacher", uncased(pieces, Markers()))

    def made(**changes: Any) -> Path:
        words = {
            "width": 12,
            "random_texts": 20,
            "text_steps": 60,
            "texts_per_step": 32,
            "list_steps": 60,
            "lists_per_step": 10,
            "documents": 8,
            "prior": 0.1,
            "imitate": 2.0,
        }
        content = {
            "words": words | changes.pop("words", {}),
            "teacher": teacher,
            "collections": {training_folder.name: 1.0},
            "max_doc_length": 40,
            "dev_queries": 6,
            "dev_documents": 8,
            "dev_every": 60,
            **changes,
        }
        path = tmp_path / "recipe.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return made


def train(recipe: Path, output: Path, data: Path) -> int:
    return main([str(recipe), "--data", str(data), "--output", str(output)])


def test_static_embeddings_learn_from_texts_and_lists_and_become_a_checkpoint(write: Write, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert train(write(), output, tmp_path) == 0
    assert {path.name for path in output.iterdir()} == {
        "card.json", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    card = json.loads((output / "card.json").read_text())
    assert (card["steps"], card["lists"]) == (120, 600)
    assert [row["step"] for row in card["dev"]] == [60, 120]
    assert card["losses"][5]["imitate"] < 0.8 * card["losses"][0]["imitate"]
    assert card["losses"][-1]["rank"] < card["losses"][6]["rank"]
    best = max(card["dev"], key=lambda row: row["first stage"])
    assert best["step"] == card["best_step"]
    reranker = Reranker.from_pretrained(output, device="cpu")
    [done] = reranker.score_iter([("word3", ["about word3 tide", " tide" * 100])])
    assert (done.documents_cut, done.tokens_lost) == (1, 60)


def test_a_fit_is_deterministic_and_its_checkpoint_can_be_trained_further(write: Write, tmp_path: Path) -> None:
    recipe = write(words={"text_steps": 5, "list_steps": 5})
    for name in ("one", "other"):
        assert train(recipe, tmp_path / name, tmp_path) == 0
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "other"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    stage = {"lists": 4, "lists_per_step": 4, "mix": {"documents": 4}, "learning_rate": 1e-5}
    content = {
        "base": str(tmp_path / "one"), "rank": 0, "collections": {"collection": 1.0}, "dev_queries": 2,
        "dev_documents": 4, "stages": [stage],
    }  # fmt: skip
    (tmp_path / "on.json").write_text(json.dumps(content))
    assert train(tmp_path / "on.json", tmp_path / "on", tmp_path) == 0
    assert Reranker.from_pretrained(tmp_path / "on", device="cpu").score([("word3", ["about word3", "tide"])])


def test_texts_without_any_token_are_passed_over(write: Write, training_folder: Path, tmp_path: Path) -> None:
    with (training_folder / "corpus.jsonl").open("a") as corpus:
        for number, text in enumerate(("", " ", "\u200b")):
            corpus.write(json.dumps({"_id": f"e{number}", "title": "", "text": text}) + "\n")
    assert train(write(words={"text_steps": 5, "list_steps": 5}, dev_every=5), tmp_path / "out", tmp_path) == 0
    card = json.loads((tmp_path / "out/card.json").read_text())
    assert all(value < 10 for row in card["losses"] for value in (row["rank"], row["imitate"]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher": ""}, "words need a teacher and a max_doc_length"),
        ({"max_doc_length": 0}, "words need a teacher and a max_doc_length"),
        ({"stages": [{"lists": 4}]}, "it needs either stages or words"),
        ({"words": {"depth": 3}}, "depth"),
        ({"words": {"width": 200}}, "words.width=200 is too large: at most min(192, teacher width 24)"),
        ({"collections": {"nowhere": 1.0}}, "has no qrels/train.tsv"),
        ({"dev_queries": 99}, "dev_queries=99 leaves no training query"),
    ],
)
def test_what_cannot_be_fitted_is_said_before_anything_is_written(
    changes: dict[str, Any], message: str, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(write(**changes), tmp_path / "out", tmp_path) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_teacher_with_another_kind_of_tokenizer_is_refused(
    write: Write, tmp_path: Path, tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(write(teacher=static(tmp_path / "other", tokenizer)), tmp_path / "out", tmp_path) == 2
    assert "uncased WordPiece tokenizer: the teacher's lacks '10'" in capsys.readouterr().err


def test_passages_are_training_queries_documents_and_stretches_of_them(training_folder: Path) -> None:
    collection = Collection(training_folder, dev_queries=3)
    passages = list(collection.passages())
    queries = {collection.queries[query] for query in collection.train_queries}
    assert set(passages) == queries | set(collection.documents.values()) | {
        " ".join(text.split()[32:]) for text in collection.documents.values()
    }
