"""--overwrite scores again what is cached, and loses nothing before the new scores are complete."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

import bench
from bench.evaluation.cache import CACHE
from bench.evaluation.overwrite import PENDING
from bench.rerankers.base import CandidateList, Scored
from tests.conftest import InProcess

LONG = "word " * 12_000
"""Two such candidates fill a chunk, so that each list is a chunk of its own."""


class Moody:
    """Prefers the first or the last candidate, and may fail at some list; its fingerprint does not tell."""

    fingerprint = "1"

    def __init__(self) -> None:
        self.sign = 1.0
        self.fails_at = 0
        self.asked: list[str] = []

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        for each in lists:
            self.asked.append(each.query_id)
            if len(self.asked) == self.fails_at:
                raise bench.BenchError("The server has gone.")
            yield Scored(each.query_id, tuple(self.sign * place for place in range(len(each.ids))))


Measure = Callable[..., float]


@pytest.fixture
def moody() -> Moody:
    return Moody()


@pytest.fixture
def measure(moody: Moody, beir_folder: Callable[..., Path], tmp_path: Path) -> Measure:
    """Measure the reranker; gives the figure. BM25 ranks d1 first for each query, and d2 is relevant."""
    folder = beir_folder(
        f"d1 | | sea sea sea sea {LONG} \n d2 | | sea {LONG} {LONG}",
        "q1 | sea \n q2 | sea sea \n q3 | sea sea sea",
        "q1 d2 1 \n q2 d2 1 \n q3 d2 1",
    )

    def call(overwrite: bool = False) -> float:
        moody.asked = []
        results = bench.measure(folder, {"moody": moody}, output=tmp_path / "out", overwrite=overwrite, progress=False)
        (result,) = results
        return result.main

    return call


SECOND = 0.6309
"""nDCG@10 with the one relevant document in the second place: 1 / log2(3)."""


def test_new_scores_replace_the_old_ones(measure: Measure, moody: Moody, tmp_path: Path) -> None:
    assert measure() == 1
    moody.sign = -1
    assert (measure(), moody.asked) == (1, [])
    assert measure(overwrite=True) == pytest.approx(SECOND, abs=1e-4)
    assert sorted(moody.asked) == ["q1", "q2", "q3"]
    assert measure() == pytest.approx(SECOND, abs=1e-4)
    assert moody.asked == []
    assert not (tmp_path / "out" / PENDING).exists()


def test_an_interrupted_command_loses_nothing_and_resumes(
    measure: Measure, moody: Moody, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measure() == 1
    moody.sign, moody.fails_at = -1, 3
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    with pytest.raises(bench.BenchError, match="The server has gone"):
        measure(overwrite=True)
    assert len(moody.asked) == 3
    after = {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {name: content for name, content in after.items() if name != PENDING} == before
    assert (measure(), moody.asked) == (1, [])  # without --overwrite, all scores are the old ones
    moody.fails_at = 0
    assert measure(overwrite=True) == pytest.approx(SECOND, abs=1e-4)
    assert len(moody.asked) == 1
    assert f"{PENDING} has scores of an interrupted --overwrite" in capsys.readouterr().err


def test_scores_of_other_rerankers_and_damage_stay_apart(measure: Measure, moody: Moody, tmp_path: Path) -> None:
    measure()
    moody.fingerprint = "2"
    measure()
    moody.sign = -1
    measure(overwrite=True)
    lines = [line for line in (tmp_path / "out" / CACHE).read_bytes().splitlines() if line]
    assert len(lines) == 6
    moody.fingerprint = "1"
    assert (measure(), moody.asked) == (1, [])


def test_shards_are_refused(in_process: InProcess) -> None:
    status, _, said = in_process("beir", "claims", "--embedded", "-r", "oracle", "--overwrite", "--shard", "1/2")
    assert status == 2
    assert "--overwrite does not fit --shard" in said
