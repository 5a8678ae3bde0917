"""Sensitivity: what is varied, and how the differences are counted."""

import dataclasses
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from bench.collections.collection import Collection, Documents
from bench.comparison.agreement import Disagreement
from bench.errors import BenchError
from bench.evaluation.hiring import Wanted
from bench.evaluation.plan import Plan
from bench.evaluation.prepare import PreparedTask, prepare
from bench.evaluation.sensitivity import Sensitivity, Variant, measure, page, study
from bench.evaluation.variations import distractors_for
from bench.measures import Judgements
from bench.render.text import show
from bench.rerankers.base import CandidateList, Card, Options, Reranker, Scored
from bench.rerankers.order_only import build
from bench.rerankers.rows import ROWS
from bench.run import Run
from bench.suites.folder import folder_task
from bench.task import Task

DEPTH = 12


class Quiet:
    """Progress that nobody sees."""

    @contextmanager
    def step(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        yield lambda units, *, restored=False, workers=0: None


class Texts:
    """A corpus in memory."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._texts.items())

    def texts(self, ids: Sequence[str]) -> dict[str, str]:
        return {each: self._texts[each] for each in ids if each in self._texts}

    def close(self) -> None:
        pass


class Own:
    """Scores a document by its text alone, or also by its place in the list."""

    def __init__(self, by_place: float = 0.0, fingerprint: str = "own") -> None:
        self.card = Card("own", fingerprint, "own", listwise=by_place > 0)
        self.by_place = by_place

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        for each in lists:
            yield Scored(
                each.query_id, tuple(float(text) - self.by_place * place for place, text in enumerate(each.texts))
            )


class InBlocks(Own):
    """The last document of each block is overrated."""

    def __init__(self, size: int = 1000) -> None:
        super().__init__(0.0, f"blocks of {size}")
        self.size = size

    def with_block_size(self, documents: int) -> Reranker:
        return InBlocks(documents)

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        for each in super().score(lists):
            yield dataclasses.replace(
                each, scores=tuple(score + 100 * ((i + 1) % self.size == 0) for i, score in enumerate(each.scores))
            )


def settled(depth: int = DEPTH, judge: Callable[[Run, Documents], Judgements] | None = None) -> PreparedTask:
    """Three queries with documents of their own, d<query>-<place>; the text says how good a document is."""
    names = {str(query): [f"d{query}-{place}" for place in range(depth)] for query in range(3)}
    texts = {name: str(float((7 * place) % depth)) for ids in names.values() for place, name in enumerate(ids)}
    run = Run(
        "made", {query: [(name, float(-place)) for place, name in enumerate(ids)] for query, ids in names.items()}
    )
    judgements = {query: {ids[1]: 1} for query, ids in names.items()}
    collection = Collection(
        Task("folder", "made"), {query: f"query {query}" for query in names}, judgements, Texts(texts), "made", judge
    )
    return prepare(collection, run, depth, Options())


def found_by(reranker: Reranker, of: PreparedTask | None = None, orders: int = 4) -> Sensitivity:
    return study(of or settled(), reranker, orders, 0, lambda *_: None, Quiet())[1]


def groups(found: Sensitivity) -> dict[str, list[Variant]]:
    return {
        group: [variant for variant in found.variants if variant.group == group]
        for group in dict.fromkeys(variant.group for variant in found.variants)
    }


def test_a_pointwise_reranker_is_moved_by_nothing_but_the_depth() -> None:
    found = found_by(Own())
    by_group = groups(found)
    assert list(by_group) == ["random order", "reverse order", "depth", "distractor"]
    still = [*by_group["random order"], *by_group["reverse order"], *by_group["distractor"]]
    assert {variant.figure for variant in still if variant.group != "distractor"} == {found.base}
    assert all(variant.disagreement == Disagreement(0, 0, 0) for variant in still)
    orders = next(spread for spread in found.spreads if spread.group == "random order")
    assert (orders.variants, orders.std, orders.query_std, orders.min) == (4, 0.0, 0.0, found.base)
    assert "not listwise" in found.notes[0]
    assert "Block size: not applicable" in found.notes[1]


def test_the_first_stage_follows_every_order() -> None:
    found = found_by(build(ROWS["first-stage"], Options()))
    by_group = groups(found)
    # The relevant document is second: 1 / log2(3). Turned round it is eleventh of twelve.
    assert found.base == pytest.approx(0.63093, abs=1e-5)
    (turned,) = by_group["reverse order"]
    assert turned.figure == 0
    assert [turned.disagreement.replaced, turned.disagreement.reversed, turned.disagreement.first] == pytest.approx(
        [0.2, 1, 1]
    )
    assert [variant.name for variant in by_group["depth"]] == ["depth 10"]
    assert by_group["depth"][0].figure == found.base
    last, anywhere = by_group["distractor"]
    assert (last.figure, last.distractor) == (found.base, 0)
    assert anywhere.disagreement == Disagreement(0, 0, 0)
    figures = [variant.figure for variant in by_group["random order"]]
    spread = found.spreads[0]
    assert spread.mean == pytest.approx(sum(figures) / 4)
    assert (spread.min, spread.max) == (min(figures), max(figures))
    assert spread.std == pytest.approx((sum((each - spread.mean) ** 2 for each in figures) / 3) ** 0.5)
    assert spread.query_std > 0


def test_a_listwise_reranker_that_looks_at_places_is_found_out() -> None:
    found = found_by(Own(by_place=100.0))
    orders = next(spread for spread in found.spreads if spread.group == "random order")
    assert orders.disagreement.reversed > 0.2
    assert not any("not listwise" in note for note in found.notes)


def test_random_orders_depend_on_the_seed_alone() -> None:
    first, again = (found_by(build(ROWS["first-stage"], Options())) for _ in range(2))
    assert first == again
    names = [variant.name for variant in groups(first)["random order"]]
    assert names == [f"random order {number}" for number in range(4)]


def test_block_sizes_are_varied_where_the_reranker_lets_them() -> None:
    found = found_by(InBlocks(), settled(depth=60))
    blocks = groups(found)["block size"]
    assert [variant.name for variant in blocks] == ["blocks of 10", "blocks of 25", "blocks of 50"]
    assert [round(10 * variant.disagreement.replaced) for variant in blocks] == [5, 2, 1]
    assert not any("Block size" in note for note in found.notes)
    assert any("reads so few" in note for note in found_by(InBlocks(), settled(depth=5)).notes)


def distractors(of: PreparedTask) -> dict[str, str]:
    return distractors_for(of, 0)


def test_a_distractor_is_another_querys_and_never_judged() -> None:
    of = settled()
    found = distractors(of)
    assert list(found) == ["0", "1", "2"]
    for query_id, document_id in found.items():
        assert not document_id.startswith(f"d{query_id}-")
    judged: dict[str, dict[str, int]] = {
        query: {name: 0 for other in of.candidates.rankings.values() for name, _ in other[:-1]}
        for query in of.candidates.rankings
    }
    rest = distractors(dataclasses.replace(of, judgements=judged))
    assert all(document_id.endswith("-11") for document_id in rest.values())
    everything = {query: {name: 0 for name, _ in of.collection.documents} for query in of.candidates.rankings}
    none = dataclasses.replace(of, judgements=everything)
    assert distractors(none) == {}
    assert any(note.startswith("Distractor: not applicable") for note in found_by(Own(), none).notes)


def test_a_distractor_that_its_text_makes_relevant_is_passed_over() -> None:
    def judge(run: Run, documents: Documents) -> Judgements:
        return {
            query: {name: int(not name.endswith("-3")) for name, _ in ranking}
            for query, ranking in run.rankings.items()
        }

    for seed in range(20):
        found = distractors_for(settled(judge=judge), seed)
        assert all(document_id.endswith("-3") for document_id in found.values())


def test_a_query_without_candidates_gets_no_distractor_and_breaks_nothing() -> None:
    of = settled()
    candidates = Run("made", {**of.candidates.rankings, "2": []})
    found = found_by(Own(by_place=1.0), dataclasses.replace(of, candidates=candidates))
    assert all(variant.per_query["2"] == 0 for variant in found.variants)
    assert "2" not in distractors(dataclasses.replace(of, candidates=candidates))


def test_an_added_document_keeps_the_first_stages_scores_in_order() -> None:
    of = settled()
    seen: list[CandidateList] = []

    class Sees(Own):
        def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
            seen.extend(lists)
            return super().score(lists)

    found_by(Sees(), of)
    assert {len(each.ids) for each in seen} == {10, DEPTH, DEPTH + 1}
    for each in seen:
        assert len(each.first_stage_scores) == len(each.ids)
        assert list(each.first_stage_scores) == sorted(each.first_stage_scores, reverse=True)


def folder_plan(folder: Path, reranker: str = "sensitivity_own:Own") -> Plan:
    data = folder / "made"
    (data / "qrels").mkdir(parents=True)
    rows = [json.dumps({"_id": f"d{number}", "text": f"text {number}"}) for number in range(30)]
    (data / "corpus.jsonl").write_text("\n".join(rows))
    (data / "queries.jsonl").write_text("\n".join(json.dumps({"_id": f"q{each}", "text": "x"}) for each in range(2)))
    (data / "qrels" / "test.tsv").write_text("q0\td1\t1\nq1\td16\t1\n")
    lines = [f"q{query} Q0 d{15 * query + place} {place} {-place} made" for query in range(2) for place in range(15)]
    (folder / "run.trec").write_text("\n".join(lines))
    return Plan(
        tasks=[folder_task(data, "test")],
        rerankers=[reranker],
        output=folder / "out",
        first_stage=str(folder / "run.trec"),
        data=folder,
        depth=15,
    )


def test_measuring_writes_its_file_and_recomputes_nothing_that_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sensitivity_own.py").write_text(
        "from bench.rerankers.base import Scored\n"
        "from pathlib import Path\n"
        "class Own:\n"
        "    fingerprint = '1'\n"
        "    def score(self, lists):\n"
        "        with Path('asked').open('a') as log:\n"
        "            for each in lists:\n"
        "                log.write('list\\n')\n"
        "                yield Scored(each.query_id, tuple(hash(each.texts[0][-1] + t) % 97 for t in each.texts))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    plan = folder_plan(tmp_path)
    found, path = measure(plan, 3, Quiet())
    asked = len((tmp_path / "asked").read_text().splitlines())
    assert asked == 2 * (1 + 3 + 1 + 1 + 2)
    capsys.readouterr()
    again, _ = measure(plan, 3, Quiet())
    said = capsys.readouterr().err
    assert f"sensitivity_own:Own: {asked} lists from the score cache in {plan.output}/scores.cache" in said
    assert len((tmp_path / "asked").read_text().splitlines()) == asked
    assert again == found
    content = json.loads(path.read_text())
    assert path.name == "sensitivity-3-0.json"
    options = dataclasses.replace(plan.options, seed=-1)
    others = {measure(plan, 2, Quiet())[1], measure(dataclasses.replace(plan, options=options), 3, Quiet())[1]}
    assert len(others | {path}) == 3
    assert json.loads(path.read_text()) == content
    assert content["base"] == found.base
    assert content["protocol"]["id"] == found.protocol.id
    assert [each["name"] for each in content["variants"]] == [each.name for each in found.variants]


IN_BLOCKS = """
import hashlib, os, pathlib
from bench.rerankers.base import Scored
HERE = pathlib.Path(__file__).parent
class InBlocks:
    fingerprint = "1"
    size = 1000
    def with_block_size(self, documents):
        made = InBlocks()
        made.size = documents
        return made
    def score(self, lists):
        with open(HERE / "asked", "a") as log:
            log.write(f"{os.getpid()} {self.size}" + chr(10))
        company = ",".join(each.query_id for each in lists)
        for each in lists:
            starts = (place // self.size * self.size for place in range(len(each.texts)))
            blocks = (",".join(each.texts[start : start + self.size]) for start in starts)
            keys = (f"{company} {block} {text}" for block, text in zip(blocks, each.texts))
            yield Scored(each.query_id, tuple(hashlib.sha256(key.encode()).digest()[0] / 3 for key in keys))
"""


def test_workers_give_the_same_bytes_in_every_variation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in_blocks.py").write_text(IN_BLOCKS)
    monkeypatch.chdir(tmp_path)
    plan = folder_plan(tmp_path, "in_blocks:InBlocks")
    alone, path = measure(plan, 2, Quiet())
    expected = path.read_bytes()
    asked = sorted(line.split()[1] for line in (tmp_path / "asked").read_text().splitlines())
    assert asked.count("10") == 1
    (tmp_path / "asked").unlink()
    found, path = measure(dataclasses.replace(plan, output=tmp_path / "other", workers=Wanted(2)), 2, Quiet())
    assert path.read_bytes() == expected
    assert found == alone
    lines = [line.split() for line in (tmp_path / "asked").read_text().splitlines()]
    assert sorted(size for _, size in lines) == asked
    processes = {process for process, _ in lines}
    assert str(os.getpid()) not in processes
    assert len(processes) <= 2  # the same workers in every variation


def test_more_than_one_task_is_refused(tmp_path: Path) -> None:
    plan = folder_plan(tmp_path)
    with pytest.raises(BenchError, match="Give one task, not 2"):
        measure(dataclasses.replace(plan, tasks=[*plan.tasks, *plan.tasks]), 3, Quiet())


def shown(found: Sensitivity) -> str:
    console = Console(file=io.StringIO(), width=160)
    show(page(found), console)
    stream = console.file
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def test_the_table_shows_each_variant_and_each_group() -> None:
    text = shown(found_by(build(ROWS["first-stage"], Options())))
    for piece in (
        "first-stage order",
        "63.09",
        "4 random orders, mean",
        "reverse order",
        "depth 10",
        "distractor last",
    ):
        assert piece in text
    assert "random order 0" not in text
    assert "+0.00" in text


@pytest.mark.parametrize(("width", "count"), [(50, 0), (80, 4), (160, 7)])
def test_only_the_columns_that_are_shown_are_explained(width: int, count: int) -> None:
    file = io.StringIO()
    show(page(found_by(Own())), Console(file=file, width=width))
    lines = file.getvalue().splitlines()
    titles = next(line for line in lines if line.startswith("varied"))
    about = ("standard deviation of", "lowest", "highest", "share")
    explained = [line.split(":")[0] for line in lines if line.partition(": ")[2].startswith(about)]
    assert len(explained) == count
    assert all(name in titles for name in explained)


def test_a_single_random_order_is_shown_by_itself() -> None:
    assert "random order 0" in shown(found_by(Own(), orders=1))


def test_hostile_names_do_nothing_to_the_terminal() -> None:
    found = found_by(Own())
    hostile = dataclasses.replace(found, reranker=dataclasses.replace(found.reranker, name="[red]\x1b[2J"))
    assert "[red]\\x1b[2J" in shown(hostile)


def test_what_is_varied_is_whole_in_a_narrow_terminal() -> None:
    file = io.StringIO()
    show(page(found_by(build(ROWS["first-stage"], Options()))), Console(file=file, width=80))
    for name in ("4 random orders, mean", "distractor at a random place"):
        assert f"\n{name} " in file.getvalue()
