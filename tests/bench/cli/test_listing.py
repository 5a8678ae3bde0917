"""The lists of what there is to choose from are complete."""

from bench.cli.overview import rerankers_page, runs_page, tasks_page
from bench.first_stage.manifest import read_manifests
from bench.render import render
from bench.render.page import Page
from bench.rerankers import FAMILIES, ROWS
from bench.suites import declared


def printed(page: Page) -> list[str]:
    return [f"{line} " for line in render(page, "text").splitlines()]


def row(lines: list[str], name: str) -> str:
    (found,) = [line for line in lines if line.startswith(f"{name} ")]
    return found


def test_every_task_is_listed_with_its_size():
    lines = printed(tasks_page(declared()))
    for task in declared():
        star = "*" if task.default and not task.embedded else ""
        text = row(lines, task.id + star)
        if task.counts:
            assert f"{task.counts.documents:,}" in text
            assert f"{task.counts.judgements:,}" in text
        assert f" {task.split} " in text
        assert f" {task.measure} " in text


def test_the_tasks_of_a_bundled_run_say_so():
    lines = printed(tasks_page(declared()))
    bundled = {line.split()[0].strip("*") for line in lines if line.rstrip().endswith(" yes")}
    assert bundled == set(read_manifests())


def test_every_reranker_and_family_is_listed():
    lines = printed(rerankers_page())
    for name, entry in ROWS.items():
        assert f" {entry.family} " in row(lines, name)
        assert ("cannot be run here" in row(lines, name)) == bool(entry.refusal)
    for family in FAMILIES:
        assert row(lines, f"{family}:…")
    assert row(lines, "module:Class")


def test_bundled_runs_are_listed_with_what_they_score():
    lines = printed(runs_page(read_manifests()))
    for task, manifest in read_manifests().items():
        text = row(lines, task)
        assert f"{100 * manifest.figures['R@100']:.2f}" in text
        assert manifest.sha256[:12] in text
        main = next(name for name in manifest.figures if name != "R@100")
        assert text.split()[1:3] == [main, f"{100 * manifest.figures[main]:.2f}"]
    assert len(printed(runs_page({}))) < len(lines)
