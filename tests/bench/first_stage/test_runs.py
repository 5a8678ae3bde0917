"""Where candidates come from: a file, a run built and kept, or a bundled one that fits its manifest."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.collections.beir_folder import load_folder
from bench.collections.collection import Collection
from bench.errors import BenchError
from bench.first_stage.manifest import (
    BUNDLED,
    Manifest,
    Origin,
    bundled_path,
    describe,
    read_manifests,
    recomputed,
    relevant_hash,
    write_bundled,
)
from bench.first_stage.runs import first_stage
from bench.run import Run, read_run
from bench.suites import find
from bench.task import Task

BeirFolder = Callable[..., Path]

CORPUS = """
    d1 | Tides  | The moon pulls the sea.
    d2 | Onions | Cutting an onion makes eyes water.
    d3 |        | The sea is salt, and so are tears.
    d4 |        | Nothing of that kind.
"""
QUERIES = """
    d3 | sea salt
    q2 | onion
    q3 | zebra
"""
QRELS = """
    d3 d1 1
    q2 d2 1
    q3 d4 1
"""


@pytest.fixture
def folder(beir_folder: BeirFolder) -> Path:
    return beir_folder(CORPUS, QUERIES, QRELS)


@pytest.fixture
def collection(folder: Path):
    made = load_folder(Task("folder", "small"), folder)
    yield made
    made.documents.close()


def orders(run: Run) -> dict[str, list[str]]:
    return {query_id: [document_id for document_id, _ in ranking] for query_id, ranking in run.rankings.items()}


def run_file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "first.trec"
    path.write_text(text)
    return str(path)


def test_a_run_file_is_taken_as_it_is(collection: Collection, tmp_path: Path):
    run = first_stage(collection, run_file(tmp_path, "q2 Q0 d4 1 2 mine\nq2 Q0 d1 2 1 mine\nq99 Q0 d1 1 1 mine\n"), 1)
    assert run.name == "mine"
    assert orders(run) == {"q2": ["d4", "d1"], "q99": ["d1"]}


def test_what_a_run_says_about_other_queries_does_not_matter(collection: Collection, tmp_path: Path):
    text = "q2 Q0 d1 1 3 mine\nq99 Q0 of-another-split 1 1 mine\n"
    assert "q2" in first_stage(collection, run_file(tmp_path, text), 100).rankings


@pytest.mark.parametrize("choice", ["nowhere.trec", "bm52", "."])
def test_a_file_that_cannot_be_read_is_named(collection: Collection, choice: str):
    with pytest.raises(BenchError, match=f"Cannot read {choice}"):
        first_stage(collection, choice, 100)


def test_bm25_is_built_for_a_folder(collection: Collection):
    read: list[int] = []
    run = first_stage(collection, "bm25", 100, read.append)
    assert run.name == "bm25"
    # "sea salt": d3 holds both words, d1 one of them; nothing holds a zebra.
    assert orders(run) == {"d3": ["d3", "d1"], "q2": ["d2"], "q3": []}
    assert sum(read) == 4


def test_a_querys_own_document_takes_no_place(collection: Collection):
    collection.task = replace(collection.task, drop_identical_ids=True)
    assert orders(first_stage(collection, "bm25", 1))["d3"] == ["d1"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RERANK_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def declared(folder: Path, **changes: object) -> Collection:
    """The folder as a task of a suite whose run is not bundled."""
    return load_folder(replace(Task("beir", "small"), **changes), folder)


def test_a_built_run_is_kept_and_found_again(folder: Path, cache: Path):
    one = declared(folder)
    read: list[int] = []
    built = first_stage(one, "bm25", 2, read.append)
    (kept,) = cache.rglob("*.trec.gz")
    assert read_run(kept).rankings == {query: ranking for query, ranking in built.rankings.items() if ranking}
    read.clear()
    again = first_stage(one, "bm25", 2, read.append)
    assert read == []
    assert orders(again) == {query: order for query, order in orders(built).items() if order}


def test_the_first_and_the_second_use_of_a_built_run_are_one_protocol(folder: Path, cache: Path):
    # A query that nothing answers has no line in the file: it must not make another run of the one that was kept.
    one = declared(folder)
    assert first_stage(one, "bm25", 2).sha256 == first_stage(one, "bm25", 2).sha256


def test_whatever_decides_a_run_makes_it_another(folder: Path, cache: Path, beir_folder: BeirFolder):
    first_stage(declared(folder), "bm25", 2)
    others = [
        (declared(folder), 101),
        (declared(folder, analysis="german"), 2),
        (declared(folder, join_title=False), 2),
        (declared(folder, drop_identical_ids=True), 2),
        (declared(beir_folder(CORPUS, QUERIES.replace("zebra", "kind"), QRELS, name="other")), 2),
        (declared(beir_folder(CORPUS + " d5 | | sea sea", QUERIES, QRELS, name="another")), 2),
        (declared(beir_folder(CORPUS.replace("sea is salt", "sea is Salt"), QUERIES, QRELS, name="edited")), 2),
    ]
    for number, (one, depth) in enumerate(others, start=2):
        run = first_stage(one, "bm25", depth)
        assert len(list(cache.rglob("*.trec.gz"))) == number
        assert orders(first_stage(one, "bm25", depth)) == {
            query: order for query, order in orders(run).items() if order
        }


def test_candidates_from_the_cache_are_told(folder: Path, cache: Path, capsys: pytest.CaptureFixture[str]):
    first_stage(declared(folder), "bm25", 2)
    assert capsys.readouterr().err == ""
    first_stage(declared(folder), "bm25", 2)
    (kept,) = cache.rglob("*.trec.gz")
    assert capsys.readouterr().err == f"beir/small: candidates from the cache: {kept}\n"


def swapped(path: Path) -> None:
    """Two documents of a kept run change places, and their scores with them."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)
    first, second = lines[0].split(), lines[1].split()
    first[2], second[2] = second[2], first[2]
    path.write_bytes(gzip.compress("".join([" ".join(first) + "\n", " ".join(second) + "\n", *lines[2:]]).encode()))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-10]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).splitlines(True)[0])),
        swapped,
        lambda path: path.with_name(path.name.replace(".trec.gz", ".sha256")).unlink(),
        lambda path: path.with_name(path.name.replace(".trec.gz", ".sha256")).write_bytes(b"\xff"),
    ],
    ids=["cut", "empty", "a line left", "edited", "no checksum", "damaged checksum"],
)
def test_a_damaged_run_of_the_cache_is_built_again(
    folder: Path, cache: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], object]
):
    expected = first_stage(declared(folder), "bm25", 2)
    (kept,) = cache.rglob("*.trec.gz")
    damage(kept)
    assert first_stage(declared(folder), "bm25", 2) == expected
    told = capsys.readouterr().err
    assert "the run in the cache cannot be used, and is built again" in told
    assert str(kept.parent) in told
    # It was repaired, not only gone round.
    first_stage(declared(folder), "bm25", 2)
    assert "candidates from the cache" in capsys.readouterr().err


def replaced(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


@pytest.mark.parametrize("suffix", [".trec.gz", ".sha256"])
@pytest.mark.parametrize(
    "make",
    [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to(path.name)],
    ids=["pipe", "device", "loop"],
)
def test_what_is_no_file_in_the_cache_is_replaced(
    folder: Path, cache: Path, capsys: pytest.CaptureFixture[str], suffix: str, make: Callable[[Path], object]
):
    expected = first_stage(declared(folder), "bm25", 2)
    (kept,) = cache.rglob(f"*{suffix}")
    replaced(kept, make)
    assert first_stage(declared(folder), "bm25", 2) == expected
    assert "cannot be used, and is built again" in capsys.readouterr().err
    first_stage(declared(folder), "bm25", 2)
    assert "candidates from the cache" in capsys.readouterr().err


def test_a_kept_run_that_was_renamed_is_built_again(folder: Path, cache: Path, beir_folder: BeirFolder):
    edited = declared(beir_folder(CORPUS.replace("d1", "d9"), QUERIES, QRELS, name="edited"))
    expected = first_stage(edited, "bm25", 2)
    names = {path.suffix: path for path in cache.rglob("small-*")}
    first_stage(declared(folder), "bm25", 2)
    for path in set(cache.rglob("small-*")) - set(names.values()):
        path.replace(names[path.suffix])
    assert orders(first_stage(edited, "bm25", 2)) == orders(expected)


def test_a_cache_that_cannot_be_written_stops_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RERANK_BENCH_CACHE", str(tmp_path / "file"))
    assert orders(first_stage(declared(folder), "bm25", 2))["q2"] == ["d2"]
    assert "beir/small: the run could not be cached for the next command" in capsys.readouterr().err


def test_an_edited_corpus_has_candidates_of_its_own(folder: Path, cache: Path):
    # The words of d1 and d2 change places: the same ids, counts, queries and judgements as before.
    assert orders(first_stage(declared(folder), "bm25", 2))["q2"] == ["d2"]
    path = folder / "corpus.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["_id"], rows[1]["_id"] = rows[1]["_id"], rows[0]["_id"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert orders(first_stage(declared(folder), "bm25", 2))["q2"] == ["d1"]


def bundle(collection: Collection, folder: Path, **changes: object) -> Run:
    """Bundle a run that BM25 does not give: d4 for every query."""
    run = Run("bm25", {query_id: [("d4", 1.0)] for query_id in collection.queries})
    write_bundled(collection.task, run, replace(describe(collection, run, 100), **changes), folder)
    return run


@pytest.fixture
def bundled_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the package's bundled runs."""
    place = tmp_path / "bundled"
    monkeypatch.setattr("bench.first_stage.manifest.BUNDLED", place)
    for function in (read_manifests, bundled_path, write_bundled):
        monkeypatch.setattr(function, "__defaults__", (place,))
    return place


def test_a_bundled_run_is_used_for_the_texts_it_was_made_from(
    folder: Path, cache: Path, bundled_here: Path, capsys: pytest.CaptureFixture[str]
):
    bundled = bundle(declared(folder), bundled_here)
    assert first_stage(declared(folder), "bm25", 2) == bundled
    assert capsys.readouterr().err == ""
    path = folder / "corpus.jsonl"
    path.write_text(path.read_text().replace("onion", "ONION"))
    built = first_stage(declared(folder), "bm25", 2)
    assert orders(built) == {"d3": ["d3", "d1"], "q2": ["d2"], "q3": []}
    assert f"the bundled run was made from other texts than {folder} has; BM25 is built" in capsys.readouterr().err


def test_a_bundled_run_of_unknown_texts_is_used_and_said_to_be_unchecked(
    folder: Path, cache: Path, bundled_here: Path, capsys: pytest.CaptureFixture[str]
):
    bundled = bundle(declared(folder), bundled_here, texts=None)
    assert first_stage(declared(folder), "bm25", 2) == bundled
    assert "bundled run; the corpus' texts could not be checked" in capsys.readouterr().err


def bundle_of_others(folder: Path, place: Path) -> Run:
    """Bundle another maker's run: d1 for every query."""
    one = declared(folder)
    row = describe(one, Run("bm25", {query_id: [("d1", 1.0)] for query_id in one.queries}), 100)
    origin = Origin("Anserini", "https://example.org/run", "MIT", relevant_hash(one.queries, one.judgements))
    run = Run("bm25", {query_id: [("d1", 1.0)] for query_id in one.queries})
    write_bundled(one.task, run, replace(row, data=None, texts=None, origin=origin), place)
    return run


def test_a_bundled_run_of_others_names_its_maker(
    folder: Path, cache: Path, bundled_here: Path, capsys: pytest.CaptureFixture[str]
):
    bundled = bundle_of_others(folder, bundled_here)
    with open(folder / "qrels" / "test.tsv", "a") as stream:
        stream.write("q2\td1\t0\n")  # a judgement of 0, which changes no figure of theirs
    assert first_stage(declared(folder), "bm25", 2) == bundled
    said = capsys.readouterr().err
    assert "candidates from the bundled run by Anserini (https://example.org/run)" in said
    assert "the texts could not be checked" in said


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        ("corpus.jsonl", '"d1"', '"d9"', "ranks document 'd1', which the corpus lacks"),
        ("qrels/test.tsv", "q2\td2\t1", "q2\td2\t2", "is of other judgements"),
        ("queries.jsonl", "onion", "onions", "is of other judgements"),
    ],
)
def test_a_bundled_run_of_others_goes_with_its_own_collection_only(
    folder: Path, cache: Path, bundled_here: Path, capsys: pytest.CaptureFixture[str],
    file: str, old: str, new: str, reason: str,
):  # fmt: skip
    bundle_of_others(folder, bundled_here)
    path = folder / file
    path.write_text(path.read_text().replace(old, new))
    assert orders(first_stage(declared(folder), "bm25", 2))["q2"] == ["d2"]
    assert f"the bundled run by Anserini {reason}; BM25 is built from {folder}" in capsys.readouterr().err


def test_a_row_of_others_is_recomputed_from_run_and_collection(folder: Path, cache: Path, bundled_here: Path):
    run = bundle_of_others(folder, bundled_here)
    (stored,) = read_manifests(bundled_here).values()
    one = declared(folder)
    assert recomputed(one, run, stored) == stored
    one.judgements = {query_id: {"d1": 1} for query_id in one.judgements}
    today = recomputed(one, run, stored)
    assert today.figures == {"nDCG@10": 1.0, "R@100": 1.0} != stored.figures
    assert today.origin != stored.origin


ADD_ROWS = """
import sys
from dataclasses import replace
from pathlib import Path
from bench.first_stage.manifest import read_manifests, write_bundled
from bench.run import Run
from bench.task import Task

(row,) = read_manifests(Path(sys.argv[1])).values()
for number in range(10):
    write_bundled(Task("beir", f"{sys.argv[3]}-{number}"), Run("bm25", {"q": [("d", 1.0)]}), row, Path(sys.argv[2]))
"""


def test_commands_that_bundle_at_once_lose_no_row(collection: Collection, environment: dict[str, str], tmp_path: Path):
    one = tmp_path / "one"
    write_bundled(Task("beir", "small"), Run("bm25", {}), describe(collection, Run("bm25", {}), 100), one)
    command = [sys.executable, "-c", ADD_ROWS, str(one), str(tmp_path / "into")]
    running = [subprocess.Popen([*command, name], env=environment) for name in "abcd"]
    assert [each.wait(timeout=60) for each in running] == [0, 0, 0, 0]
    assert read_manifests(tmp_path / "into").keys() == {
        f"beir/{name}-{number}" for name in "abcd" for number in range(10)
    }


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"RERANK_BENCH_CACHE": "{}/a"}, "a/runs/beir"),
        ({"XDG_CACHE_HOME": "{}/b"}, "b/rerank-bench/runs/beir"),
        ({"RERANK_BENCH_CACHE": "~/a", "HOME": "{}/d"}, "d/a/runs/beir"),
        ({"XDG_CACHE_HOME": "", "HOME": "{}/c"}, "c/.cache/rerank-bench/runs/beir"),
    ],
)
def test_the_users_cache_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
):
    monkeypatch.delenv("RERANK_BENCH_CACHE", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    first_stage(declared(folder), "bm25", 2)
    assert len(list((tmp_path / expected).glob("*.trec.gz"))) == 1


def test_a_manifest_is_read_as_it_was_written(collection: Collection, tmp_path: Path):
    run = first_stage(collection, "bm25", 100)
    row = describe(collection, run, 100)
    task = Task("beir", "small")
    path = write_bundled(task, run, row, tmp_path / "bundled")
    write_bundled(Task("beir", "other"), run, row, tmp_path / "bundled")
    assert read_manifests(tmp_path / "bundled") == {"beir/small": row, "beir/other": row}
    assert path == bundled_path(task, tmp_path / "bundled")
    assert read_run(path).sha256 == row.sha256
    assert (row.documents, row.queries, row.depth, row.k1, row.b) == (4, 3, 100, 0.9, 0.4)
    assert row.data == collection.version
    # q2 has its document first, d3's own stands before the relevant one (1/log2(3) = .63093), q3 finds nothing.
    assert row.figures == {"nDCG@10": round((0.6309297536 + 1 + 0) / 3, 6), "R@100": round(2 / 3, 6)}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"beir/x": {}}', '{"beir/x": null}', "null", "\udcff"])
def test_a_damaged_manifest_is_named(tmp_path: Path, content: str):
    path = tmp_path / "manifest.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(BenchError, match=r"is not valid JSON|does not fit its format") as caught:
        read_manifests(tmp_path)
    assert str(path) in str(caught.value)


def test_no_manifest_is_no_bundled_run(tmp_path: Path):
    assert read_manifests(tmp_path) == {}


BUNDLED_ROWS = read_manifests()


def test_five_runs_of_beir_are_bundled():
    ours = {"beir/nfcorpus", "beir/scifact", "beir/arguana"}
    others = {"beir/trec-covid", "beir/webis-touche2020"}
    assert ours | others <= set(BUNDLED_ROWS)
    assert {name for name, row in BUNDLED_ROWS.items() if row.origin} == others


def test_every_bundled_file_has_a_row():
    there = {path.relative_to(BUNDLED).as_posix().removesuffix(".trec.gz") for path in BUNDLED.rglob("*.gz")}
    assert there == set(BUNDLED_ROWS)


@pytest.mark.parametrize(("name", "row"), BUNDLED_ROWS.items(), ids=BUNDLED_ROWS)
def test_a_bundled_run_fits_its_row(name: str, row: Manifest):
    task = find(name)
    run = read_run(bundled_path(task))
    assert run.sha256 == row.sha256
    assert run.name == "bm25"
    assert (row.k1, row.b, row.depth) == (0.9, 0.4, 100)
    assert (row.documents, row.queries) == (task.counts.documents, task.counts.queries)
    assert (row.text_rule, row.identical_ids) == (task.text_rule, "dropped" if task.drop_identical_ids else "kept")
    assert max(map(len, run.rankings.values())) <= row.depth
    assert len(run.rankings) <= row.queries
    if task.drop_identical_ids:
        assert all(query != document for query, ranking in run.rankings.items() for document, _ in ranking)


@pytest.mark.parametrize(("name", "published"), [("nfcorpus", 0.318), ("scifact", 0.676), ("arguana", 0.408)])
def test_bundled_runs_score_what_bm25_is_known_to_score(name: str, published: float):
    assert BUNDLED_ROWS[f"beir/{name}"].figures["nDCG@10"] == pytest.approx(published, abs=0.003)


@pytest.fixture
def copy(tmp_path: Path, environment: dict[str, str]) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """The command line of a copy of the package, whose bundled runs a test may change."""
    package = Path(BUNDLED).parents[1]
    kept_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(package, tmp_path / "copy" / "bench", ignore=kept_out)
    shutil.copytree(package.parent / "reranker", tmp_path / "copy" / "reranker", ignore=kept_out)

    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "bench", *arguments]
        changed = environment | {"PYTHONPATH": str(tmp_path / "copy")}
        return subprocess.run(command, cwd=tmp_path, env=changed, capture_output=True, encoding="utf-8", timeout=60)

    return call


def test_a_run_is_bundled_used_checked_and_its_damage_found(copy, tmp_path: Path):
    bundled = tmp_path / "copy" / "bench" / "first_stage" / "bundled"
    shutil.rmtree(bundled)
    measure = ("beir", "claims", "--embedded", "-r", "first-stage")
    before = copy(*measure, "--output", "before")
    assert before.returncode == 0, before.stderr
    built = copy("runs", "build", "beir/embedded-claims")
    assert built.returncode == 0, built.stderr
    path = bundled / "beir" / "embedded-claims.trec.gz"
    assert str(path) in built.stdout
    content, manifest = path.read_bytes(), (bundled / "manifest.json").read_bytes()

    # The run that is bundled is the one that was built on the spot: the same figures under the same protocol.
    after = copy(*measure, "--output", "after")
    assert after.returncode == 0, after.stderr
    assert {p.parent.parent.name for p in (tmp_path / "before").rglob("result.json")} == {
        p.parent.parent.name for p in (tmp_path / "after").rglob("result.json")
    }
    assert "beir/embedded-claims" in copy("runs", "list").stdout
    checked = copy("runs", "check", "beir/embedded-claims")
    assert (checked.returncode, checked.stdout) == (0, "1 bundled runs fit their manifest rows.\n"), checked.stderr

    # Built again it is the same, byte for byte.
    assert copy("runs", "build", "beir/embedded-claims").returncode == 0
    assert (path.read_bytes(), (bundled / "manifest.json").read_bytes()) == (content, manifest)

    # One score changed by hand.
    lines = gzip.decompress(content).decode().splitlines(keepends=True)
    fields = lines[0].split()
    fields[4] = "99.5"
    path.write_bytes(gzip.compress("".join([" ".join(fields) + "\n", *lines[1:]]).encode()))
    used = copy(*measure, "--output", "damaged")
    assert used.returncode == 2
    assert f"{path} is damaged" in used.stderr
    assert "runs build beir/embedded-claims" in used.stderr
    assert not list((tmp_path / "damaged").rglob("result.json"))
    checked = copy("runs", "check", "beir/embedded-claims")
    assert checked.returncode == 1
    assert "beir/embedded-claims: sha256 is" in checked.stdout

    # A figure in the manifest changed by hand.
    path.write_bytes(content)
    rows = json.loads(manifest)
    rows["beir/embedded-claims"]["figures"]["nDCG@10"] = 0.99
    (bundled / "manifest.json").write_text(json.dumps(rows))
    checked = copy("runs", "check", "beir/embedded-claims")
    assert checked.returncode == 1
    assert "beir/embedded-claims: figures is" in checked.stdout

    # No row at all.
    checked = copy("runs", "check", "mkqa/embedded-ja")
    assert (checked.returncode, checked.stdout) == (1, "mkqa/embedded-ja: no run is bundled.\n")


def test_a_user_without_a_home_is_told_what_to_set(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RERANK_BENCH_CACHE", "~nobody-has-this-name/cache")
    with pytest.raises(BenchError, match="Set RERANK_BENCH_CACHE to a folder for caches"):
        first_stage(declared(folder), "bm25", 2)
