"""Whatever is changed in an honest folder of results, `verify` never calls it right, nor ends in a traceback."""

import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from bench.comparison.stored import Reload
from bench.comparison.verify import Verification, verify
from bench.errors import BenchError
from bench.evaluation.evaluate import evaluate
from bench.evaluation.plan import Plan, settled
from bench.protocol import Protocol
from bench.rerankers import load
from bench.rerankers.base import Options
from bench.results import read_result, result_paths, write_result
from bench.run import Run, read_run, write_run
from bench.suites import choose
from tests.bench.evaluation.test_plan import Steps
from tests.conftest import Call

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "results" / "embedded" / "beir" / "embedded-claims"

Content = dict[str, Any]
Edit = Callable[[Content], object]


def verified(*places: Path) -> Verification:
    with closing(Reload()) as reload:
        return verify(places, reload.collection, reload.first_stage)


def told(found: Verification) -> list[str]:
    return [each.key for each in found.differences]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rerankers' stored results on one task: a known model's, a seeded order's, and the judgements' own."""
    place = tmp_path_factory.mktemp("honest") / "out"
    for path in result_paths([STORED]):
        result = read_result(path)
        if result.reranker.name in ("embedded", "random", "oracle"):
            write_result(result, read_run(path.with_name("run.trec.gz")), place)
    assert verified(place).exit_status == 0
    return place


@pytest.fixture
def place(honest: Path, tmp_path: Path) -> Path:
    """A copy of them to tamper with."""
    return Path(shutil.copytree(honest, tmp_path / "out"))


def result_of(place: Path, reranker: str = "embedded") -> Path:
    return next(path for path in result_paths([place]) if read_result(path).reranker.name == reranker)


def edit(path: Path, change: Edit) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def forge(path: Path, change: Edit) -> None:
    """Change a result as a careful forger does: the protocol's id fits again, and the folder is the one it names."""

    def fitted(content: Content) -> None:
        change(content)
        content["protocol"].pop("id", None)
        content["protocol"] = Protocol(**content["protocol"]).as_dict()

    edit(path, fitted)
    output = path.parents[3]
    target = output / read_result(path).folder
    if target != path.parent:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.parent.rename(target)


def put(*keys: str, value: object) -> Edit:
    def change(content: Content) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


def leaves(content: Content, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def all_leaves() -> list[tuple[str, ...]]:
    path = next(path for path in result_paths([STORED]) if read_result(path).reranker.name == "embedded")
    return [keys for keys, _ in leaves(json.loads(path.read_text(encoding="utf-8")))]


NOT_COVERED = {"cut", "cost", "provenance", "reranker"}
COVERED = {
    ("cost", "lists"), ("cost", "documents"), ("provenance", "analysis"), ("reranker", "name"),
    ("reranker", "family"), ("reranker", "needs"), ("reranker", "model"),
}  # fmt: skip


def is_covered(keys: tuple[str, ...]) -> bool:
    return keys[0] not in NOT_COVERED or keys in COVERED


def other_value(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 + 0.01
    if isinstance(value, str):
        return value + "x"
    return ["grades"] if isinstance(value, list) else {"key": 1}


def at(content: Content, keys: tuple[str, ...]) -> tuple[Content, str]:
    for key in keys[:-1]:
        content = content[key]
    return content, keys[-1]


def changed(keys: tuple[str, ...]) -> Edit:
    def change(content: Content) -> None:
        parent, key = at(content, keys)
        parent[key] = other_value(parent[key])

    return change


def of_another_type(keys: tuple[str, ...]) -> Edit:
    def change(content: Content) -> None:
        parent, key = at(content, keys)
        parent[key] = {"was": parent[key]}

    return change


def removed(keys: tuple[str, ...]) -> Edit:
    def change(content: Content) -> None:
        parent, key = at(content, keys)
        del parent[key]

    return change


def renamed(keys: tuple[str, ...]) -> Edit:
    def change(content: Content) -> None:
        parent, key = at(content, keys)
        parent[f"{key}2"] = parent.pop(key)

    return change


WAYS = (changed, of_another_type, removed, renamed)
LEAVES = all_leaves()


def check_leaf(place: Path, keys: tuple[str, ...], way: Callable[[tuple[str, ...]], Edit]) -> None:
    path = result_of(place)
    before = path.read_bytes()
    edit(path, way(keys))
    status = verified(place).exit_status
    path.write_bytes(before)
    assert status != 0 or not is_covered(keys), (keys, way.__name__)


def test_every_value_that_verify_covers(place: Path) -> None:
    for keys in LEAVES:
        check_leaf(place, keys, changed)


@pytest.mark.fuzz
@pytest.mark.parametrize("way", WAYS[1:])
def test_every_key_in_every_other_way(place: Path, way: Callable[[tuple[str, ...]], Edit]) -> None:
    for keys in LEAVES:
        if keys != ("provenance", "analysis"):  # results of earlier versions lack it
            check_leaf(place, keys, way)


PROTOCOL = [each.name for each in fields(Protocol)]


@pytest.mark.parametrize("key", PROTOCOL)
def test_a_protocol_made_to_fit(place: Path, key: str) -> None:
    path = result_of(place)

    def change(content: Content) -> None:
        content["protocol"][key] = other_value(content["protocol"][key])
        if key == "task":
            content["task"] = content["protocol"]["task"]

    if key in ("measure",):
        edit(path, change)
    else:
        forge(path, change)
    assert verified(place).exit_status != 0


@pytest.mark.parametrize("stage", ["dense:evil", "dense:minilm", "../../../x", "..", "n" * 300, "first-stage"])
@pytest.mark.parametrize("reranker", ["embedded", "random"])
def test_a_renamed_first_stage(place: Path, stage: str, reranker: str) -> None:
    path = result_of(place, reranker)
    if len(stage) > 255:
        edit(path, put("protocol", "first_stage", value=stage))
    else:
        forge(path, put("protocol", "first_stage", value=stage))
    assert verified(place).exit_status != 0


def test_judged_documents_over_a_renamed_first_stage(tmp_path: Path) -> None:
    # Everything fits: the pipeline itself wrote it, over a first stage that found what is judged and nothing else.
    (task,) = choose("beir", ["embedded-claims"], embedded=True)
    plan = Plan([task], ["embedded"], tmp_path)
    with settled(plan, task, Steps()) as honest:
        judged = {key: list(grades) for key, grades in honest.judgements.items()}
        best = {key: [(each, float(-rank)) for rank, each in enumerate(ids)] for key, ids in judged.items()}
        forged = replace(
            honest,
            candidates=Run("dense:evil", best),
            protocol=replace(
                honest.protocol, first_stage="dense:evil", first_stage_sha256=Run("dense:evil", best).sha256
            ),
        )
        result, ranked = evaluate(forged, load("oracle", Options()))
        write_result(replace(result, reranker=read_result(kept_embedded()).reranker), ranked, tmp_path)
    found = verified(tmp_path)
    assert found.exit_status != 0 and found.verified == []
    assert any("'dense:evil' is not computed again" in str(each) for each in found.unchecked)


def kept_embedded() -> Path:
    return next(path for path in result_paths([STORED]) if read_result(path).reranker.name == "embedded")


CARDS: dict[str, tuple[str, Edit]] = {
    "needs of the oracle": ("oracle", put("reranker", "needs", value=[])),
    "needs of a model": ("embedded", put("reranker", "needs", value=["grades", "texts"])),
    "a need that nothing has": ("embedded", put("reranker", "needs", value=["texts", "luck"])),
    "family": ("embedded", put("reranker", "family", value="bi-encoder")),
    "model": ("embedded", put("reranker", "model", value="other/model")),
    "seed": ("random", put("reranker", "settings", value={"seed": 1})),
    "a setting more": ("random", put("reranker", "settings", value={"seed": 0, "more": 1})),
    "fingerprint of an order": ("random", put("reranker", "fingerprint", value="0" * 64)),
    "device of an order": ("oracle", put("reranker", "device", value="cuda")),
    "parameters of an order": ("oracle", put("reranker", "parameters", value=7)),
    "name of a row": ("embedded", put("reranker", "name", value="minilm")),
    "name of an order": ("oracle", put("reranker", "name", value="first-stage")),
    "name of a service": ("embedded", put("reranker", "name", value="jina-api")),
    "name of 300 letters": ("embedded", put("reranker", "name", value="n" * 300)),
    "no name": ("embedded", put("reranker", "name", value="")),
}


@pytest.mark.parametrize("case", CARDS)
def test_a_changed_card(place: Path, case: str) -> None:
    reranker, change = CARDS[case]
    path = result_of(place, reranker)
    edit(path, change)
    assert verified(place).exit_status != 0


@pytest.mark.parametrize("card", ["a known row's revision", "a fusion's family", "a named family's model"])
def test_a_card_against_its_name(place: Path, card: str) -> None:
    path = result_of(place)
    original = read_result(path)
    forged = {
        "a known row's revision": replace(
            original.reranker,
            name="bge-reranker-v2-m3",
            family="cross-encoder",
            model="BAAI/bge-reranker-v2-m3",
            revision="1",
        ),
        "a fusion's family": replace(
            original.reranker, name="fusion:oracle", family="core", needs=frozenset({"grades"})
        ),
        "a named family's model": replace(original.reranker, name="core:mine", model="yours"),
    }[card]
    stored = read_run(path.with_name("run.trec.gz"))
    write_result(replace(original, reranker=forged), Run(forged.name, stored.rankings), place)
    assert any(key.startswith("reranker.") for key in told(verified(place)))


COMMANDS: dict[str, Edit] = {
    "depth": put("protocol", "depth", value=101),
    "query cap": put("protocol", "max_query_length", value=64),
    "document cap": put("protocol", "max_doc_length", value=1 << 40),
    "no depth": put("protocol", "depth", value=0),
    "no queries": put("protocol", "queries", value=0),
    "no caps": put("protocol", "max_doc_length", value=0),
    "huge depth": put("protocol", "depth", value=2**63 - 1),
    "no documents": put("protocol", "documents", value=0),
    "analysis": put("provenance", "analysis", value="german"),
    "all queries": put("protocol", "query_subset", value="all"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_settings_that_were_not_asked_for(place: Path, case: str) -> None:
    forge(result_of(place), COMMANDS[case])
    found = verified(place)
    assert found.exit_status == 1, (found.differences, found.unchecked)


def rankings_of(path: Path) -> dict[str, list[tuple[str, float]]]:
    return {key: list(each) for key, each in read_run(path.with_name("run.trec.gz")).rankings.items()}


def rewrite(path: Path, rankings: dict[str, list[tuple[str, float]]], name: str = "embedded") -> None:
    """Another run in a result's folder, with the result's hash made to fit."""
    changed_run = Run(name, rankings)
    write_run(changed_run, path.with_name("run.trec.gz"))
    edit(path, put("run_sha256", value=changed_run.sha256))


def test_the_run_of_an_order_is_the_order(place: Path) -> None:
    # All figures follow from the run; only running `random` again shows that it never gave these scores.
    path = result_of(place, "random")
    original = read_result(path)
    rankings = {key: [(each, score / 2) for each, score in ranking] for key, ranking in rankings_of(path).items()}
    rewrite(path, rankings, "random")
    assert original.per_query == read_result(path).per_query
    assert told(verified(place)) == ["scores of random"]


RUNS: dict[str, Callable[[dict[str, list[tuple[str, float]]]], object]] = {
    "two documents swapped": lambda runs: runs["q05"].__setitem__(
        slice(0, 2), [(runs["q05"][1][0], runs["q05"][0][1]), (runs["q05"][0][0], runs["q05"][1][1])]
    ),
    "a document lost": lambda runs: runs["q05"].pop(),
    "a document of no corpus": lambda runs: runs["q05"].append(("nobody", -99.0)),
    "a query lost": lambda runs: runs.pop("q05"),
    "a query of nobody's": lambda runs: runs.update(nobody=runs["q05"]),
    "a query's list given to another": lambda runs: runs.update(q05=runs["q06"]),
    "nothing": lambda runs: runs.clear(),
}


@pytest.mark.parametrize("case", RUNS)
@pytest.mark.parametrize("fitted", [True, False])
def test_a_changed_run(place: Path, case: str, fitted: bool) -> None:
    path = result_of(place)
    rankings = rankings_of(path)
    RUNS[case](rankings)
    if fitted:
        rewrite(path, rankings)
    else:
        write_run(Run("embedded", rankings), path.with_name("run.trec.gz"))
    assert verified(place).exit_status != 0


LINES: dict[str, Callable[[bytes], bytes]] = {
    "a line twice": lambda text: text + text.splitlines(keepends=True)[0],
    "another tag": lambda text: text.replace(b" embedded\n", b" other\n"),
    "a rank written otherwise": lambda text: text.replace(b" 1 ", b" 01 ", 1),
    "a score that is none": lambda text: text.replace(b"\n", b"\nq05 Q0 d 999 nan embedded\n", 1),
    "a line too short": lambda text: text + b"q05 Q0 d\n",
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "half of it": lambda text: text[: len(text) // 2],
}


@pytest.mark.parametrize("case", LINES)
def test_changed_lines(place: Path, case: str) -> None:
    path = result_of(place)
    packed = path.with_name("run.trec.gz")
    text = LINES[case](gzip.decompress(packed.read_bytes()))
    packed.write_bytes(gzip.compress(text))
    edit(path, put("run_sha256", value=sha256(text).hexdigest()))
    assert verified(place).exit_status != 0


FILES: dict[str, Callable[[bytes], bytes]] = {
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "UTF-32": lambda text: text.decode().encode("utf-32"),
    "Latin-1": lambda text: text.replace(b"embedded-claims", "embedded-cläims".encode("latin-1")),
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "a key twice": lambda text: text.replace(b'"schema": 1', b'"schema": 1, "schema": 1'),
    "a figure twice": lambda text: text.replace(b'"q05": ', b'"q05": 0.9, "q05": '),
    "an unknown key": lambda text: text.replace(b'"schema": 1', b'"schema": 1, "note": "best"'),
    "an unknown key within": lambda text: text.replace(b'"depth": 100', b'"depth": 100, "note": "best"'),
    "not a number": lambda text: text.replace(b'"ceiling": 1.0', b'"ceiling": NaN'),
    "infinity": lambda text: text.replace(b'"ceiling": 1.0', b'"ceiling": 1e999'),
    "a number of 400 digits": lambda text: text.replace(b'"ceiling": 1.0', b'"ceiling": ' + b"9" * 400),
    "a number of 5,000 digits": lambda text: text.replace(b'"documents": 466', b'"documents": ' + b"9" * 5000),
    "deep nesting": lambda text: b"[" * 100_000 + text + b"]" * 100_000,
    "half a pair": lambda text: text.replace(b'"embedded-claims', b'"\\ud800embedded-claims'),
    "words after the end": lambda text: text + b"{}",
    "half of it": lambda text: text[: len(text) // 2],
    "nothing": lambda text: b"",
    "another schema": lambda text: text.replace(b'"schema": 1', b'"schema": 2'),
    "a list": lambda text: b"[" + text + b"]",
}


@pytest.mark.parametrize("case", FILES)
def test_a_changed_file(place: Path, case: str) -> None:
    path = result_of(place)
    text = FILES[case](path.read_bytes())
    if case != "half a pair":
        assert text != path.read_bytes()
    path.write_bytes(text)
    if text != b"":
        assert verified(place).exit_status != 0 or case == "half a pair"
    else:
        assert verified(place).exit_status == 2


def copy_to(place: Path, *parts: str) -> Path:
    target = place.joinpath(*parts)
    shutil.copytree(result_of(place).parent, target)
    return target


def other_task(place: Path) -> None:
    folder = result_of(place).parent
    target = place / "beir" / "embedded-arguments" / folder.parent.name / folder.name
    target.parent.mkdir(parents=True)
    shutil.copytree(folder, target)


def moved(place: Path) -> None:
    folder = result_of(place).parent
    folder.rename(folder.with_name("minilm"))


FOLDERS: dict[str, Callable[[Path], object]] = {
    "a copy in another task's folder": other_task,
    "a copy in the same suite": lambda place: copy_to(place, "beir", "embedded-claims", "bm25", "copy"),
    "a copy below": lambda place: shutil.copytree(place / "beir", place / "backup" / "beir"),
    "moved": moved,
    "no run": lambda place: result_of(place).with_name("run.trec.gz").unlink(),
    "no result": lambda place: result_of(place).unlink(),
    "the run is a folder": lambda place: [
        result_of(place).with_name("run.trec.gz").unlink(),
        result_of(place).with_name("run.trec.gz").mkdir(),
    ],
    "the result is a folder": lambda place: [path := result_of(place), path.unlink(), path.mkdir()],
    "the result leads nowhere": lambda place: [path := result_of(place), path.unlink(), path.symlink_to("nowhere")],
    "the result leads to itself": lambda place: [path := result_of(place), path.unlink(), path.symlink_to(path.name)],
    "another's run": lambda place: shutil.copy(
        result_of(place, "oracle").with_name("run.trec.gz"), result_of(place).with_name("run.trec.gz")
    ),
    "a linked folder under another task's name": lambda place: [
        folder := result_of(place).parents[2],
        folder.rename(place / "elsewhere"),
        folder.with_name("embedded-arguments").symlink_to(place / "elsewhere"),
    ],
    "a pipe for a run": lambda place: [
        run := result_of(place).with_name("run.trec.gz"), run.unlink(), run.symlink_to("/dev/null"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", FOLDERS)
def test_a_changed_folder(place: Path, case: str) -> None:
    FOLDERS[case](place)
    try:
        status = verified(place).exit_status
    except BenchError:
        return  # the command ends with 2
    assert status != 0


def test_links_that_lead_to_where_results_are_change_nothing(place: Path, tmp_path: Path) -> None:
    task = place / "beir" / "embedded-claims"
    task.rename(tmp_path / "store")
    task.symlink_to(tmp_path / "store")
    (tmp_path / "link").symlink_to(place)
    for way in (place, tmp_path / "link", task, result_of(place)):
        found = verified(way)
        assert (found.exit_status, told(found)) == (0, []), way
    assert len(verified(place).verified) == 3


def test_places_may_be_named_from_within(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(result_of(place).parent)
    for way in (Path(), Path("result.json"), Path(".."), Path("..", "..")):
        assert verified(way).exit_status == 0, way


def test_unreadable_folders(place: Path, bench: Call, without_override: list[str]) -> None:
    locked = result_of(place).parent
    locked.chmod(0)
    answer = bench("verify", place, prefix=without_override)
    locked.chmod(0o700)
    assert (answer.returncode, answer.stdout) == (2, ""), answer.stdout
    assert f"Error: Cannot read {locked}: Permission denied." in answer.stderr.replace("\n", " ")


def test_a_folders_name_is_one_name(place: Path) -> None:
    for name in ("folder/../x", "folder/", "folder/.", "folder/a/b", "folder/" + "n" * 300, "other/x"):
        path = result_of(place)
        before = path.read_bytes()

        def change(content: Content, name: str = name) -> None:
            content["task"] = content["protocol"]["task"] = name
            content["protocol"].pop("id")
            content["protocol"] = Protocol(**content["protocol"]).as_dict()

        edit(path, change)
        assert verified(place).exit_status != 0
        path.write_bytes(before)
