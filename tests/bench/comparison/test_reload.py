"""A result's data is loaded again as it was measured, whatever else has its task's name."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from bench.comparison.stored import Reload, data_places
from bench.comparison.verify import Verification, verify
from bench.errors import BenchError
from bench.evaluation.plan import Plan, run
from bench.results import Result
from bench.suites import choose
from bench.suites.folder import folder_tasks
from tests.bench.evaluation.test_plan import Steps

BeirFolder = Callable[..., Path]


def measured(output: Path, folder: Path, split: str = "test", analysis: str = "english") -> Result:
    (result,) = run(Plan(folder_tasks([folder], split, analysis), ["first-stage"], output), Steps())
    return result


def differences(output: Path) -> list[str]:
    with closing(Reload()) as reload:
        found = verify([output], reload.collection, reload.first_stage)
    assert found.unchecked == []
    return [str(each) for each in found.differences]


def test_two_splits_of_a_folder_are_two_collections(beir_folder: BeirFolder, tmp_path: Path):
    for split, judged in (("test", "q1 d1 1"), ("dev", "q2 d2 1")):
        folder = beir_folder("d1 | | sea\n d2 | | land", "q1 | sea\n q2 | land", judged, split=split)
    for split in ("test", "dev"):
        measured(tmp_path / "out", folder, split)
    assert differences(tmp_path / "out") == []


def test_two_folders_of_one_name_are_two_collections(beir_folder: BeirFolder, tmp_path: Path):
    for place, text in (("a", "sea"), ("b", "land")):
        measured(tmp_path / "out", beir_folder(f"d1 | | {text}", f"q1 | {text}", "q1 d1 1", name=f"{place}/mine"))
    assert differences(tmp_path / "out") == []


def test_bm25_is_built_again_with_the_analysis_it_was_built_with(beir_folder: BeirFolder, tmp_path: Path):
    folder = beir_folder("d1 | | running\n d2 | | runs", "q1 | runs", "q1 d1 1")
    measured(tmp_path / "out", folder, analysis="whitespace")
    assert differences(tmp_path / "out") == []


def verified(output: Path, data: Mapping[str, Path] = {}, runs: Sequence[Path] = ()) -> Verification:
    with closing(Reload(data, "", runs)) as reload:
        return verify([output], reload.collection, reload.first_stage)


def test_first_stage_files_are_for_the_results_over_them(beir_folder: BeirFolder, tmp_path: Path) -> None:
    folder = beir_folder("d1 | | sea\n d2 | | land", "q1 | sea", "q1 d2 1")
    stages = {}
    for tag, text in (("t", "q1 Q0 d2 1 2 t\nq1 Q0 d1 2 1 t\n"), ("u", "q1 Q0 d1 1 2 u\n")):
        stages[tag] = tmp_path / f"{tag}.trec"
        stages[tag].write_text(text)
    out = tmp_path / "out"
    for stage in ("bm25", *map(str, stages.values())):
        run(Plan(folder_tasks([folder], "test"), ["first-stage"], out, first_stage=stage), Steps())
    found = verified(out)
    assert (found.exit_status, len(found.verified), len(found.unchecked)) == (2, 1, 2)
    found = verified(out, runs=(stages["t"],))
    assert (found.exit_status, len(found.verified), len(found.unchecked)) == (2, 2, 1)
    assert verified(out, runs=(stages["t"], stages["u"])).exit_status == 0
    stages["u"].write_text("q1 Q0 d2 1 2 u\n")
    found = verified(out, runs=tuple(stages.values()))
    assert "protocol.first_stage_sha256" in {each.key for each in found.differences}


def test_a_choice_of_mkqas_queries_is_right(tmp_path: Path) -> None:
    tasks = choose("mkqa", [], embedded=True)[:1]
    run(Plan(tasks, ["first-stage", "random"], tmp_path, queries=5), Steps())
    found = verified(tmp_path)
    assert (found.exit_status, found.differences) == (0, [])


def test_data_by_suite_and_task(beir_folder: BeirFolder, tmp_path: Path) -> None:
    folders = [beir_folder(f"d1 | | {name}", f"q1 | {name}", "q1 d1 1", name=name) for name in ("one", "two")]
    out = tmp_path / "out"
    run(Plan(folder_tasks(folders, "test"), ["first-stage"], out), Steps())
    for folder in folders:
        folder.rename(tmp_path / f"moved-{folder.name}")
    assert verified(out).exit_status == 2
    own = {f"folder/{folder.name}": tmp_path / f"moved-{folder.name}" for folder in folders}
    assert verified(out, data=own).exit_status == 0
    (tmp_path / "parent").mkdir()
    for folder in folders:
        (tmp_path / f"moved-{folder.name}").rename(tmp_path / "parent" / folder.name)
    for data in ({"folder": tmp_path / "parent"}, {"": tmp_path / "parent", "beir": tmp_path}):
        assert verified(out, data=data).exit_status == 0
    assert dict(data_places(["a=b", "beir=x", "folder/one=y"])) == {
        "": Path("a=b"), "beir": Path("x"), "folder/one": Path("y"),
    }  # fmt: skip


def test_data_is_given_once_for_each(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="--data is given twice for beir: a and b"):
        data_places(["beir=a", "beir=b"])
