"""What there is to choose from: tasks, rerankers, bundled runs."""

from collections.abc import Sequence

from bench.first_stage.runs import Manifest, read_manifests
from bench.render.fitted import Fitted, Head
from bench.rerankers import FAMILIES, ROWS, plug_ins
from bench.task import Task

_HINT = "use a wider terminal, or pipe the output into a file"


def tasks_table(tasks: Sequence[Task]) -> Fitted:
    """Declared tasks with their sizes and whether a BM25 run is bundled; those run by default carry a star."""
    bundled = read_manifests()
    rows = []
    for task in tasks:
        counts = task.counts
        sizes = (counts.documents, counts.queries, counts.judgements) if counts else (0, 0, 0)
        source = "embedded" if task.embedded else task.source_id or f"mteb {task.mteb}"
        star = "*" if task.default and not task.embedded else ""
        figures = (f"{size:,}" for size in sizes)
        bm25 = "yes" if task.id in bundled else ""
        rows.append((task.id + star, task.split, *figures, task.measure, source, bm25))
    return Fitted(
        heads=(
            Head("task", "key"),
            Head("split", "key", drop=2),
            Head("documents"),
            Head("queries"),
            Head("judgements", drop=1),
            Head("measure", "key"),
            Head("source", "key", drop=3),
            Head("bundled\nBM25", "key", drop=1),
        ),
        rows=rows,
        captions=("* run where no task is named; a group's name stands for all its tasks",),
        hint=_HINT,
    )


def rerankers_table() -> Fitted:
    """Known rerankers by family, then the families that take any model."""
    rows: list[tuple[str, ...] | None] = []
    for row in ROWS.values():
        note = f"cannot be run here: {row.refusal}" if row.refusal else row.note
        rows.append((row.name, row.family, row.model, row.licence, note))
    rows += [(name, "own", entry.value, "", "announced by an installed package") for name, entry in plug_ins().items()]
    rows.append(None)
    rows += [(f"{family}:…", family, "", "", about) for family, about in FAMILIES.items()]
    rows.append(("module:Class", "own", "", "", "a class of your own with a method score(lists)"))
    heads = (
        Head("reranker", "key"),
        Head("family", "key", drop=1),
        Head("model", "key", drop=3),
        Head("licence", "key", drop=2),
        Head("note", "prose"),
    )
    return Fitted(heads, rows, hint=_HINT)


def runs_table(manifests: dict[str, Manifest]) -> Fitted:
    """The bundled runs and what they score."""
    rows = []
    for task, row in manifests.items():
        measure = next((name for name in row.figures if name != "R@100"), "R@100")
        figures = (f"{100 * row.figures[name]:.2f}" for name in (measure, "R@100"))
        rows.append((task, measure, *figures, f"{row.queries:,}", f"{row.documents:,}", row.sha256[:12]))
    heads = (
        Head("task", "key"),
        Head("measure", "key"),
        Head("figure"),
        Head("R@100"),
        Head("queries", drop=1),
        Head("documents", drop=2),
        Head("sha256", "key", drop=3),
    )
    return Fitted(heads, rows, captions=("figures x 100",), hint=_HINT)
