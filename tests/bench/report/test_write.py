"""The report as files: what there is with and without the packages that draw, and what the commands refuse."""

import json
import re
from pathlib import Path

import pytest

from bench.console import Bar
from bench.errors import BenchError
from bench.report import stills
from bench.report.varied import read_varied
from bench.report.write import Choices, write_report
from tests.bench.report import made
from tests.conftest import Call


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    made.make(folder, tasks=["toy"])
    return folder


def written(output: Path, choices: Choices) -> list[Path]:
    return write_report(made.stored(output), made.load_collection, choices, [], Bar())


def test_without_the_packages_that_draw_there_are_tables(output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stills, "find_spec", lambda name: None)
    overview, *_ = written(output, Choices(tmp_path))
    text = overview.read_text()
    assert "pip install &#39;rerank-bench[report]&#39;" in text
    assert "<table" in text and "<figure" not in text
    with pytest.raises(BenchError, match=r"Install them: pip install 'rerank-bench\[report\]'"):
        stills.require()


def test_charts_are_files_too(output: Path, tmp_path: Path):
    written(output, Choices(tmp_path, queries=0, figures="svg"))
    files = {file.name: file.read_bytes() for file in (tmp_path / "figures").iterdir()}
    assert {name.rpartition("-")[2] for name in files} == {"cost.svg", "scores.svg", "differences.svg", "depth.svg"}
    assert all(content.startswith(b"<svg") for content in files.values())


@pytest.mark.parametrize(("form", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_a_chart_is_a_file_of_its_form(form: stills.Form, start: bytes):
    from bench.report.charts import lines

    chart = lines([("a", 10.0, 50.0), ("a", 100.0, 60.0)], "depth", "score", 300)
    assert stills.as_file(chart, form).startswith(start)


def test_pictures_have_the_pages_colours_and_ids_of_their_own(output: Path, tmp_path: Path):
    (page,) = written(output, Choices(tmp_path / "all.html", single=True))
    text = page.read_text()
    charts = re.findall(r"<svg xmlns.*?</svg>", text, re.DOTALL)
    assert charts and all("var(--" in chart for chart in charts)
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    left = {colour for chart in charts for colour in re.findall(r'(?:fill|stroke)="(#[0-9a-f]{3,6})"', chart)}
    assert not left, "a colour that does not follow the page's scheme"


def test_sensitivity_files_are_read_and_damaged_ones_refused(tmp_path: Path):
    content = {"reranker": {"name": "m"}, "base": 0.5, "variants": [{"group": "depth", "name": "10", "figure": 0.25}]}
    path = tmp_path / "sensitivity-10-0.json"
    path.write_text(json.dumps(content))
    (varied,) = read_varied([tmp_path])
    assert (varied.reranker, varied.base, varied.variants) == ("m", 0.5, (("depth", "10", 0.25),))
    path.write_text(json.dumps(content | {"variants": [{}]}))
    with pytest.raises(BenchError, match=r"sensitivity-10-0\.json is no sensitivity file of this version"):
        read_varied([tmp_path])


def test_the_command_writes_a_report_and_downloads_nothing(bench: Call, output: Path, tmp_path: Path):
    answer = bench("report", output, "--output", tmp_path / "report")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == f"{tmp_path / 'report' / 'index.html'}\n"
    assert len(list((tmp_path / "report").iterdir())) == 3  # overview, task, queries
    # beir/toy is not embedded, so its collection is not looked for.
    assert (
        "No judgements were loaded"
        in (tmp_path / "report")
        .joinpath(next(path.name for path in (tmp_path / "report").iterdir() if "queries" in path.name))
        .read_text()
    )


def test_mistakes_are_refused(refused: Call, tmp_path: Path):
    assert "does not exist" in refused("report", tmp_path / "nothing")
    (tmp_path / "a").mkdir()
    assert "--history follows one folder, and 2 are given" in refused("report", "--history", "a", "b")
