"""The report in a real browser: nothing is fetched, nothing hostile runs, sorting and choosing work."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.console import Bar
from bench.report.write import Choices, write_report
from tests.bench.report import made

PAGES = ("index", "task", "queries")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium from the system's packages, driven by playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        pytest.skip("needs Chromium, which is not installed (apt-get install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two tasks, as a folder and as one file; every text from outside is hostile."""
    folder = tmp_path_factory.mktemp("made")
    made.make(folder / "results")
    results = made.stored(folder / "results")
    write_report(results, made.load_collection, Choices(folder / "report"), [], Bar())
    write_report(results, made.load_collection, Choices(folder / "all.html", single=True), [], Bar())
    return folder


class Opened:
    """A page, and what it said and asked for while it was open."""

    def __init__(self, browser: Any, path: Path, width: int = 1000, scheme: str = "light", fragment: str = "") -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.said: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"{path.as_uri()}{fragment}")

    def __enter__(self) -> Any:
        return self.page

    def __exit__(self, *error: object) -> None:
        self.page.close()


def paths(report: Path) -> dict[str, Path]:
    files = sorted((report / "report").glob("beir-toy-*.html"))
    return {
        "index": report / "report" / "index.html",
        "task": next(path for path in files if "queries" not in path.name),
        "queries": next(path for path in files if "queries" in path.name),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_every_page_opens_in_silence_and_asks_for_nothing(browser: Any, report: Path, width: int, scheme: str):
    for path in [*sorted((report / "report").glob("*.html")), report / "all.html"]:
        opened = Opened(browser, path, width, scheme)
        with opened as page:
            page.wait_for_timeout(20)
            assert opened.said == [], path
            assert opened.requests == [path.as_uri()]
            assert page.title() != "struck"
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert page.evaluate("document.images.length") == 0
            # Each picture says in words what it shows, and is drawn once: for wide or for narrow screens.
            shown = [each for each in page.locator("main [role=img]").all() if each.is_visible()]
            assert all(each.get_attribute("aria-label") for each in shown)
            hidden = page.locator(".narrow" if width > 800 else ".wide")
            assert not any(each.is_visible() for each in hidden.all())


def test_no_script_but_the_reports_own_could_run(report: Path):
    for path in (report / "report").glob("*.html"):
        text = path.read_text()
        (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
        assert policy.startswith("default-src &#39;none&#39;; style-src &#39;sha256-")
        assert "unsafe" not in policy and "script-src &#39;sha256-" in policy


def test_colours_follow_the_readers_scheme(browser: Any, report: Path):
    found = []
    for scheme in ("light", "dark"):
        with Opened(browser, paths(report)["index"], scheme=scheme) as page:
            found.append(
                page.evaluate(
                    "[document.body, document.querySelector('.wide svg text')]"
                    ".map((each, place) => getComputedStyle(each)[place ? 'fill' : 'backgroundColor'])"
                )
            )
    assert found[0][0] != found[1][0] and found[0][1] != found[1][1]


def test_a_title_sorts_its_table_up_and_down_by_key(browser: Any, report: Path):
    with Opened(browser, paths(report)["task"]) as page:
        table = page.locator("table", has_text="Scores and differences")
        score = table.locator("thead button", has_text=re.compile("^score$"))

        def column() -> list[float]:
            return [float(text) for text in table.locator("tbody").first.locator("td:nth-child(3)").all_inner_texts()]

        unsorted = column()
        score.focus()
        page.keyboard.press("Enter")
        assert column() == sorted(unsorted, reverse=True) and len(set(unsorted)) > 2
        page.keyboard.press("Enter")
        assert column() == sorted(unsorted)
        assert table.locator("th[aria-sort=ascending]").count() == 1


def test_choosing_two_rerankers_shows_their_differences(browser: Any, report: Path):
    with Opened(browser, paths(report)["task"]) as page:
        names = page.locator("label:has-text('A') select").first.locator("option").all_inner_texts()
        good, bad = (
            next(place for place, name in enumerate(names) if name.startswith(kind)) for kind in ("good", "bad")
        )
        a, b = (page.locator("[data-tool=differences] select").nth(place) for place in (0, 1))
        a.select_option(str(bad))
        b.select_option(str(good))
        told = page.locator(".outcome").inner_text()
        # The bad reranker puts each query's document at the end, where it counts nothing: all nine are won by 100.
        assert told.startswith("B minus A is +100.00 points: B is better on 9 queries, equal on 0, worse on 0.")
        a.select_option(str(good))
        assert (
            "B minus A is +0.00 points: B is better on 0 queries, equal on 9" in page.locator(".outcome").inner_text()
        )


def test_a_query_leads_from_the_task_to_both_orders(browser: Any, report: Path):
    with Opened(browser, paths(report)["task"]) as page:
        link = page.locator("[data-tool=differences] ul a").first
        query = link.inner_text().partition(":")[0]
        link.click()
        page.wait_for_url("**queries.html#q=*")
        assert page.locator("h2").inner_text().startswith(f"Query {query}")


def test_a_querys_documents_have_ranks_grades_and_marked_words(browser: Any, report: Path):
    with Opened(browser, paths(report)["queries"]) as page:
        chosen = [page.locator("[data-tool=queries] select").nth(place) for place in range(3)]
        names = chosen[1].locator("option").all_inner_texts()
        good = next(place for place, name in enumerate(names) if name.startswith("good"))
        bad = next(place for place, name in enumerate(names) if name.startswith("bad"))
        chosen[1].select_option(str(bad))
        chosen[2].select_option(str(good))
        best = page.locator(".order").nth(1).locator("li").first
        text = best.inner_text()
        assert "relevant, grade 1" in text and "▲ rank 12 in A" in text
        assert "unjudged" in page.locator(".order").first.inner_text()
        assert "not relevant" in page.locator(".order").first.inner_text()
        assert re.fullmatch(r"number\d", best.locator("mark").last.inner_text())
        before = page.locator("h2").inner_text()
        page.get_by_role("button", name="Next").click()
        assert page.locator("h2").inner_text() != before
        page.get_by_role("button", name="Previous").click()
        assert page.locator("h2").inner_text() == before
        assert page.get_by_role("button", name="Previous").is_disabled()


def test_one_file_shows_one_page_at_a_time(browser: Any, report: Path):
    with Opened(browser, report / "all.html") as page:
        shown = page.locator("main > section:visible")
        assert shown.count() == 1 and shown.locator("h1").inner_text() == "Reranking report"
        page.locator("ul.links a", has_text="toytwo").first.click()
        assert shown.count() == 1 and shown.locator("h1").inner_text() == "beir/toytwo"
        shown.locator("[data-tool=differences] ul a").first.click()
        assert shown.locator("h1").inner_text() == "beir/toytwo: queries"
        page.go_back()
        assert shown.locator("h1").inner_text() == "beir/toytwo"
