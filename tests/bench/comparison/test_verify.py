import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from bench.collections.collection import Collection
from bench.comparison.verify import Difference, Verification, page, verify
from bench.errors import BenchError
from bench.files import text_lines
from bench.render.text import show
from bench.results import Result
from bench.run import Run, read_run, text_sha256, write_run
from tests.bench.factories import measure, toy_collection, toy_first_stage


def collection_of(result: Result) -> Collection:
    return toy_collection()


def first_stage_of(result: Result) -> Run:
    return toy_first_stage()


def verified(*places: Path) -> Verification:
    return verify(places, collection_of, first_stage_of)


def keys(verification: Verification) -> list[str]:
    return [difference.key for difference in verification.differences]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A result as the pipeline writes it."""
    return measure(tmp_path, {"q1": ["d11", "d3", "d1"], "q2": ["d2"]})


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def rewrite(path: Path, change: Callable[[dict[str, list[tuple[str, float]]]], object], honest_hash: bool) -> None:
    """Change the run beside a result; with ``honest_hash`` the result's hash follows, as a forger's would."""
    run = read_run(path.with_name("run.trec.gz"))
    rankings = {query_id: list(ranking) for query_id, ranking in run.rankings.items()}
    change(rankings)
    changed = Run(run.name, rankings)
    write_run(changed, path.with_name("run.trec.gz"))
    if honest_hash:
        edit(path, lambda content: content.update(run_sha256=changed.sha256))


def test_what_the_pipeline_wrote_is_what_it_gives(path: Path) -> None:
    found = verified(path.parents[3])
    assert (found.exit_status, found.verified) == (0, [path])


def test_ties_in_the_first_stages_order_are_right(tmp_path: Path) -> None:
    assert verified(measure(tmp_path, {})).exit_status == 0


def test_a_run_without_any_candidate_is_verified(tmp_path: Path) -> None:
    nothing = Run("bm25", {"q1": [], "q2": []})
    path = measure(tmp_path, {}, first_stage=nothing)
    found = verify([path], collection_of, lambda result: nothing)
    assert (found.exit_status, found.verified) == (0, [path])
    edit(path, lambda content: content["measures"].update({"nDCG@10": 0.5}))
    assert verify([path], collection_of, lambda result: nothing).exit_status == 1


def test_a_choice_of_queries_is_verified_from_the_whole_collection(tmp_path: Path) -> None:
    path = measure(tmp_path, {"q1": ["d3"]}, queries=1)
    collection = toy_collection()
    assert verify([path], lambda result: collection, first_stage_of).exit_status == 0
    assert len(collection.queries) == 2  # the caller's collection is as it was


def test_computed_judgements_are_computed_again(tmp_path: Path) -> None:
    def collection() -> Collection:
        made = toy_collection()
        made.judge = lambda run, documents: {
            key: {each: int(text.endswith("3")) for each, text in documents.texts([d for d, _ in ranking]).items()}
            for key, ranking in run.rankings.items()
        }
        return made

    path = measure(tmp_path, {"q1": ["d3"]}, collection=collection())
    assert verify([path], lambda result: collection(), first_stage_of).exit_status == 0
    edit(path, lambda content: content["per_query"].update(q1=0.9))
    assert verify([path], lambda result: collection(), first_stage_of).exit_status == 1


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda content: content["per_query"].update(q1=0.62), "per_query.q1"),
        (lambda content: content["per_query"].pop("q2"), "per_query.q2"),
        (lambda content: content["per_query"].update(q3=1.0), "per_query.q3"),
        (lambda content: content["measures"].update({"nDCG@10": 0.9}), "measures.nDCG@10"),
        (lambda content: content["measures"].update({"MRR@10": 0.9}), "measures.MRR@10"),
        (lambda content: content["measures"].pop("R@10"), "measures.R@10"),
        (lambda content: content["candidates"].update(first_stage=0.9), "candidates.first_stage"),
        (lambda content: content["candidates"].update(ceiling=0.9), "candidates.ceiling"),
        (lambda content: content["candidates"].update(recall=0.9), "candidates.recall"),
        (lambda content: content["cost"].update(documents=21), "cost.documents"),
        (lambda content: content.update(run_sha256="0" * 64), "run_sha256"),
    ],
)
def test_a_changed_figure_is_found(path: Path, change: Callable[[dict[str, Any]], object], key: str) -> None:
    edit(path, change)
    found = verified(path)
    assert (found.exit_status, keys(found)) == (1, [key])


def test_another_task_is_found(path: Path) -> None:
    edit(path, lambda content: content.update(task="beir/other"))
    assert keys(verified(path)) == ["path", "task"]


def test_a_difference_says_file_key_and_both_values(path: Path) -> None:
    edit(path, lambda content: content["per_query"].update(q2=0.75))
    assert [str(difference) for difference in verified(path).differences] == [
        f"{path}: per_query.q2: stored 0.75, recomputed 1.0"
    ]


def test_rounding_of_another_machine_is_no_difference(path: Path) -> None:
    edit(path, lambda content: content["per_query"].update(q2=1.0 - 1e-12))
    assert verified(path).exit_status == 0


def test_a_swapped_run_is_found_by_its_hash_and_its_figures(path: Path) -> None:
    rewrite(path, lambda rankings: rankings.update(q2=[("d1", 1.0), *rankings["q2"][:1], *rankings["q2"][2:]]), False)
    found = keys(verified(path))
    assert found[0] == "run_sha256"
    assert "per_query.q2" in found


@pytest.mark.parametrize(
    ("change", "stored", "recomputed"),
    [
        (lambda rankings: rankings["q1"].__setitem__(10, ("d12", -9.0)), "also 'd12'", "also 'd10'"),
        (lambda rankings: rankings["q1"].append(("d12", -9.0)), "also 'd12'", "no others"),
        (lambda rankings: rankings["q1"].pop(), "no others", "also 'd10'"),
        (lambda rankings: rankings.pop("q1"), "no others", "also 'd1', 'd10', 'd11' and 8 more"),
    ],
)
def test_candidates_must_be_the_first_stages_top(
    path: Path, change: Callable[[dict[str, list[tuple[str, float]]]], object], stored: str, recomputed: str
) -> None:
    rewrite(path, change, honest_hash=True)
    found = verified(path)
    assert found.exit_status == 1
    assert Difference(path, "candidates of query 'q1'", stored, recomputed) in found.differences


def test_a_query_of_nobodys_is_found(path: Path) -> None:
    rewrite(path, lambda rankings: rankings.update(q9=[("d1", 1.0)]), honest_hash=True)
    assert "candidates of query 'q9'" in keys(verified(path))


def test_ties_in_another_order_than_the_first_stages_are_found(tmp_path: Path) -> None:
    path = measure(tmp_path, {})  # every score the same

    def tie(rankings: dict[str, list[tuple[str, float]]]) -> None:
        rankings["q2"] = [(document_id, 0.0) for document_id, _ in reversed(rankings["q2"])]

    rewrite(path, tie, honest_hash=True)
    found = verified(path)
    assert found.differences == [Difference(path, "rank 1 of query 'q2'", "'d11'", "'d1'")]


def test_another_spelling_of_the_same_run_is_found(path: Path) -> None:
    run = path.with_name("run.trec.gz")
    text = gzip.decompress(run.read_bytes())
    run.write_bytes(gzip.compress(text.replace(b" 1 ", b" 01 ")))
    assert keys(verified(path)) == ["run_sha256"]
    edit(path, lambda content: content.update(run_sha256=text_sha256(text_lines(run))))
    assert keys(verified(path)) == ["run.trec.gz"]


def test_another_first_stage_is_found_by_its_hash(path: Path) -> None:
    def other(result: Result) -> Run:
        stage = toy_first_stage()
        return replace(stage, rankings={key: [*ranking[:11], ("d12", 1.5)] for key, ranking in stage.rankings.items()})

    assert keys(verify([path], collection_of, other)) == ["protocol.first_stage_sha256"]


def test_other_data_is_found_by_its_hash(path: Path) -> None:
    changed = toy_collection()
    changed.judgements = {**changed.judgements, "q2": {"d2": 1, "d4": 0, "d12": 0}}
    assert keys(verify([path], lambda result: changed, first_stage_of)) == ["protocol.data"]


def test_without_the_first_stage_the_rest_is_checked(path: Path) -> None:
    for load in (None, lambda result: None):
        found = verify([path], collection_of, load)
        assert (found.exit_status, found.verified) == (2, [])
        assert [str(each) for each in found.unchecked] == [
            f"{path}: its candidates: the first stage 'bm25' is not available. Give its run with --first-stage FILE."
        ]
    edit(path, lambda content: content["candidates"].update(ceiling=0.9, first_stage=0.9))
    assert keys(verify([path], collection_of)) == ["candidates.ceiling"]
    rewrite(path, lambda rankings: rankings["q1"].append(("d12", -9.0)), honest_hash=True)
    assert "candidates of query 'q1'" in keys(verify([path], collection_of))  # more than depth


def test_what_cannot_be_checked_is_exit_status_2(path: Path) -> None:
    found = verify([path], lambda result: None, first_stage_of)
    assert (found.exit_status, found.verified) == (2, [])
    assert str(found.unchecked[0]).startswith(f"{path}: the collection of beir/toy is not available")


def test_a_failing_source_is_named(path: Path) -> None:
    def fail(result: Result) -> Collection:
        raise BenchError("No network.")

    assert [str(each) for each in verify([path], fail).unchecked] == [f"{path}: No network."]


def test_another_library_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.evaluation.prepare.library", lambda: "pytrec_eval-terrier 9.9")
    found = verified(path)
    assert (found.exit_status, found.differences) == (2, [])
    assert "here is pytrec_eval-terrier 9.9" in str(found.unchecked[0])


def test_a_difference_weighs_more_than_what_is_unchecked(path: Path, tmp_path: Path) -> None:
    damaged = measure(tmp_path / "damaged", {})
    damaged.write_bytes(damaged.read_bytes()[:200])
    missing = measure(tmp_path / "missing", {})
    missing.with_name("run.trec.gz").unlink()
    found = verified(damaged, missing)
    assert (found.exit_status, len(found.unchecked)) == (2, 2)
    edit(path, lambda content: content["per_query"].update(q1=0.62))
    assert verified(damaged, path).exit_status == 1
    with pytest.raises(BenchError, match="does not exist"):
        verified(tmp_path / "nowhere")


def test_render(path: Path, tmp_path: Path) -> None:
    def printed(verification: Verification) -> str:
        console = Console(width=60, file=StringIO())
        show(page(verification), console)
        assert isinstance(console.file, StringIO)
        return console.file.getvalue()

    assert printed(verified(path)) == "1 of 1 results verified.\n"
    edit(path, lambda content: content["per_query"].update(q1=0.62, **{"\x1b[1m[red]": 0.5}))
    damaged = measure(tmp_path / "damaged", {})
    damaged.write_bytes(b"{")
    assert printed(verified(path, damaged)).splitlines() == [
        f"{path}: per_query.q1: stored 0.62, recomputed 0.6199062332840657",
        f"{path}: per_query.\\x1b[1m[red]: stored 0.5, recomputed nothing",
        f"Could not check: {verified(damaged).unchecked[0]}",
        "0 of 2 results verified. Different: 1. Checks that could not be made: 1.",
    ]
    many = Verification(differences=[Difference(path, str(number), "1", "2") for number in range(33)])
    assert f"{path}: and 13 more differences" in printed(many)


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, bytes]:
    """A result's path, and the bytes of its two files."""
    path = measure(tmp_path_factory.mktemp("verify"), {"q1": ["d11", "d3", "d1"], "q2": ["d2"]})
    return path, path.read_bytes(), path.with_name("run.trec.gz").read_bytes()


DECIDED = ("task", "protocol", "measures", "per_query", "candidates", "run_sha256")


@settings(max_examples=300)
@given(position=st.integers(0, 10_000), flip=st.integers(1, 255), cut=st.booleans(), of_run=st.booleans())
def test_damage_is_found_and_never_a_traceback(
    intact: tuple[Path, bytes, bytes], position: int, flip: int, cut: bool, of_run: bool
) -> None:
    path, result, run = intact
    path.write_bytes(result)
    path.with_name("run.trec.gz").write_bytes(run)
    damaged = path.with_name("run.trec.gz") if of_run else path
    content = bytearray(damaged.read_bytes())
    position %= len(content) - 2  # what follows a result's closing brace is a line end
    content[position] ^= flip
    damaged.write_bytes(content[:position] if cut else content)
    found = verified(path)
    if cut:
        assert found.exit_status != 0
    elif found.exit_status == 0 and of_run:
        assert gzip.decompress(content) == gzip.decompress(run)  # only the packing's own header has changed
    elif found.exit_status == 0:
        before, after = json.loads(result), json.loads(content)
        assert all(_close(before[key], after[key]) for key in DECIDED)


def _close(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-9
    return one == other
