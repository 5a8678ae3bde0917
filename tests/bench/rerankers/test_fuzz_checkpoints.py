"""Damaged checkpoints of every family end in scores or in one `BenchError`: no traceback, no crash, no hang."""

import json
import math
import os
import random
import shutil
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

FAMILIES = {"cross-encoder": "classifier", "late-interaction": "colbert", "yes-no": "qwen3", "bi-encoder": "modular"}
ROOT = Path(__file__).parents[3]
LONG_TIME = 30  # seconds for one checkpoint, on a machine that does much else

ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 3, 2**31, 2**63, 10**30, 0.5, -1e308, 1e-320),
    *("", "x", "../../etc/passwd", "\ud800", "9" * 5000),
    *([], [1, "a", None], {}, {"a": {"b": []}}, [[[[[[]]]]]]),
)
DAMAGED = (b"", b"{", b"[]", b"null", b"{}", b'"x"', b"\xff\xfe{", b'{"a": NaN}', b"[" * 100_000, b"\0" * 40)


@pytest.fixture(scope="session")
def modular(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Path:
    folder = tmp_path_factory.mktemp("modular")
    torch.manual_seed(7)
    modules = [Transformer(str(encoder)), Pooling(32), Dense(32, 8)]
    SentenceTransformer(modules=modules, prompts={"query": "q: "}, device="cpu").save_pretrained(str(folder))
    return folder


def paths(content: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all values in a JSON document; of a vocabulary's entries, a few."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [here, *(path for key, value in list(inner)[:30] for path in paths(value, (*here, key)))]


def mutate(folder: Path, chance: random.Random) -> str:
    """Damage one file of a checkpoint, and say how."""
    path = chance.choice(sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".metadata")))
    if chance.random() < 0.15:
        content = chance.choice([*DAMAGED, path.read_bytes()[: chance.randrange(path.stat().st_size + 1)]])
        path.write_bytes(content)
        return f"{path.name} = {content[:40]!r}"
    document = json.loads(path.read_bytes())
    place = chance.choice(paths(document))
    if not place:
        document = chance.choice(ODD)
        what = f"{path.name} = {document!r:.60}"
    else:
        *above, key = place
        parent = document
        for step in above:
            parent = parent[step]
        if chance.random() < 0.2:
            del parent[key]
            what = f"{path.name}: without {place}"
        else:
            parent[key] = chance.choice(ODD)
            what = f"{path.name}: {place} = {parent[key]!r:.60}"
    path.write_text(json.dumps(document))
    return what


def attempt(family: str, folder: Path) -> str:
    """Load and score; empty, or what is wrong with how it ended."""
    from bench.errors import BenchError
    from bench.rerankers import load
    from bench.rerankers.base import CandidateList, Options

    lists = [CandidateList("q", "why do tides rise", ("a", "b", "c"), (3.0, 2.0, 1.0), ("the moon", "", "bread " * 90))]
    try:
        for answer in load(f"{family}:{folder}", Options(device="cpu")).score(lists):
            if len(answer.scores) != 3:
                return "not a score for each document"
    except BenchError as error:
        return "" if str(error).strip() else "an empty message"
    except Exception:  # noqa: BLE001
        return traceback.format_exc()
    return ""


def main(family: str, source: str, place: str, seeds: str) -> None:
    """Try some seeds; the last line printed names the checkpoint that is being tried."""
    torch.set_num_threads(1)
    for seed in range(*map(int, seeds.split(","))):
        folder = Path(place) / str(seed)
        shutil.copytree(source, folder)
        what = mutate(folder, random.Random(f"{family} {seed}"))
        print(f"TRY {seed} {what.encode('ascii', 'backslashreplace').decode()}", flush=True)
        wrong = attempt(family, folder)
        if wrong:
            print(f"WRONG {seed}\n{wrong}", flush=True)
        shutil.rmtree(folder)
    print("END", flush=True)


def run(family: str, source: Path, place: Path, seeds: range) -> str:
    """Run `main` as a process of its own, and give what it printed."""
    command = [sys.executable, "-m", "tests.bench.rerankers.test_fuzz_checkpoints", family, str(source), str(place)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    answer = subprocess.run(
        [*command, f"{seeds.start},{seeds.stop}"],
        cwd=place,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=environment,
        timeout=max(120, LONG_TIME * math.sqrt(len(seeds))),
    )
    return answer.stdout + ("" if answer.returncode == 0 else f"STATUS {answer.returncode}\n{answer.stderr[-3000:]}")


def check(family: str, source: Path, place: Path, seeds: range) -> None:
    printed = run(family, source, place, seeds)
    assert "WRONG" not in printed, printed[printed.index("WRONG") - 300 :][:6000]
    assert printed.rstrip().endswith("END"), printed[-4000:]


@pytest.mark.parametrize("family", FAMILIES)
def test_damaged_checkpoints(family: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check(family, request.getfixturevalue(FAMILIES[family]), tmp_path, range(12))


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("family", FAMILIES)
def test_many_damaged_checkpoints(family: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check(family, request.getfixturevalue(FAMILIES[family]), tmp_path, range(12, 1500))


if __name__ == "__main__":
    main(*sys.argv[1:])
