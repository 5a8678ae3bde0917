"""Charts of a report's rows, as Altair specifications: the same for a page, a notebook and a file.

Each function takes rows of `bench.report.rows` (or of the module that its docstring names) and a width in pixels.
Colours are those of `COLOURS`, which a page replaces by its own light and dark ones.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt

from bench.escape import terminal
from bench.report.rows import DifferenceRow, GainCell, ScoreRow, drawn, shades

COLOURS = {
    "ink": "#1f2328", "quiet": "#57606a", "line": "#d9dee4", "page": "#fdfdfc", "best": "#0b5d4e",
    "n4": "#e38d3f", "n3": "#ecab71", "n2": "#f3c79f", "n1": "#f9e3cf", "zero": "#f0f1f2",
    "p1": "#d5e7f3", "p2": "#abcfe6", "p3": "#7db4d8", "p4": "#4a97c9",
    "s1": "#0072b2", "s2": "#c2570c", "s3": "#00775a", "s4": "#a8558a", "s5": "#8a6d00", "s6": "#5b6b7b",
}  # fmt: skip
"""The light colours of ``style.css``; blue and orange, and the six series, hold apart for the colour-blind."""
SERIES = tuple(COLOURS[f"s{number}"] for number in range(1, 7))

NAMED = 15
"""Of more rerankers only those on the Pareto edge are named in a picture, where there is room."""

Chart = alt.TopLevelMixin


def quality_and_cost(rows: Sequence[ScoreRow], measure: str, width: int) -> Chart:
    """Score against documents a second, with the scores' intervals and the Pareto edge of each device."""
    timed = sorted((row for row in drawn(rows) if row.speed is not None), key=lambda row: row.speed or 0)
    speeds = [row.speed for row in timed if row.speed is not None]
    height = min(340, width * 0.7)
    labels = _labels(timed, height)
    data = _data(
        {"name": row.reranker, "speed": row.speed, "score": row.score, "low": row.low, "high": row.high,
         "device": row.device, "edge": row.is_edge, "side": labels[row.reranker][0], "label": labels[row.reranker][1]}
        for row in timed
    )  # fmt: skip
    x = alt.X(
        "speed:Q",
        scale=alt.Scale(type="log", domain=[min(speeds) / 2.2, max(speeds) * 2.2], nice=False),
        axis=alt.Axis(title="documents a second, log scale", tickCount=4, format="~s", grid=False),
    )
    base = alt.Chart(data).encode(x=x)
    y = alt.Y("score:Q", scale=alt.Scale(zero=False), axis=alt.Axis(title=f"{measure} × 100", tickCount=6))
    edge = (
        base.transform_filter("datum.edge")
        .mark_line(interpolate="step-before", color=COLOURS["s1"], opacity=0.45, strokeWidth=1.5)
        .encode(y=y, detail="device:N")
    )
    whiskers = base.mark_rule(color=COLOURS["quiet"]).encode(y=alt.Y("low:Q"), y2="high:Q")
    points = base.mark_point(filled=True, size=75, opacity=1).encode(
        y=y,
        color=alt.condition("datum.edge", alt.value(COLOURS["s1"]), alt.value(COLOURS["quiet"])),
        **(
            {"shape": alt.Shape("device:N", legend=_legend("device"))} if len({row.device for row in timed}) > 1 else {}
        ),
    )
    layers: list[Any] = [edge, whiskers, points]
    names = base.encode(y="label:Q", text="name:N")
    right, left = (names.transform_filter(f"datum.side == '{side}'") for side in ("right", "left"))
    layers += [
        right.mark_text(align="left", dx=8, color=COLOURS["ink"], limit=width // 3),
        left.mark_text(align="right", dx=-8, color=COLOURS["ink"], limit=width // 3),
    ]
    return alt.layer(*_with_first_stage(layers, rows)).properties(width=width, height=height)


def scores(rows: Sequence[ScoreRow], measure: str, width: int) -> Chart:
    """Each reranker's score and interval, best first, with the first stage as a line."""
    chosen = sorted(drawn(rows), key=lambda row: -row.score)
    data = _data({"name": row.reranker, "score": row.score, "low": row.low, "high": row.high} for row in chosen)
    y = alt.Y("name:N", sort=None, axis=_names(width))
    base = alt.Chart(data).encode(y=y)
    axis = alt.Axis(title=f"{measure} × 100", tickCount=6 if width > 250 else 3)
    x = alt.X("score:Q", scale=alt.Scale(zero=False), axis=axis)
    whiskers = base.mark_rule(color=COLOURS["quiet"], strokeWidth=1.5).encode(x=alt.X("low:Q"), x2="high:Q")
    points = base.mark_point(filled=True, size=70, opacity=1, color=COLOURS["s1"]).encode(x=x)
    layers: list[Any] = [whiskers, points]
    for row in _first_stage(rows):
        line = alt.Chart(_data([{"score": row.score}]))
        layers.insert(0, line.mark_rule(color=COLOURS["ink"], strokeDash=[4, 3]).encode(x="score:Q"))
    return alt.layer(*layers).properties(width=width, height=alt.Step(24))


def gains(cells: Sequence[GainCell], width: int) -> Chart:
    """Heat map of differences to the first stage: rerankers by tasks, blue above and orange below.

    Where there is no room for the tasks side by side they are below each other.
    """
    columns = [terminal(name) for name in dict.fromkeys(cell.column for cell in cells)]
    names = [terminal(name) for name in dict.fromkeys(cell.reranker for cell in cells)]
    across, down = (
        ("name", "task") if len(columns) * 42 > width - 130 and len(columns) > len(names) else ("task", "name")
    )
    count = len(columns) if across == "task" else len(names)
    room = min(110.0, max(13.0, (width - 130) / count))
    labels = shades(cells)
    data = _data(
        {"name": cell.reranker, "task": cell.column, "shade": cell.shade,
         "text": f"{cell.gain:+.1f}{'' if cell.is_clear else '°'}".replace("-", "−")}
        for cell in cells
    )  # fmt: skip
    keys = {0: "zero"} | {n: f"p{n}" for n in range(1, 5)} | {-n: f"n{n}" for n in range(1, 5)}
    flat = max(map(len, columns if across == "task" else names)) * 6.4 < room
    top = alt.Axis(
        title=None, orient="top", domain=False, ticks=False, labelAngle=0 if flat else -90 if room < 20 else -60,
        labelLimit=150, labelPadding=6, labelColor=COLOURS["ink"],
    )  # fmt: skip
    order = {"task": columns, "name": names}
    base = alt.Chart(data).encode(
        x=alt.X(f"{across}:N", sort=order[across], axis=top),
        y=alt.Y(f"{down}:N", sort=order[down], axis=_names(width)),
    )
    tiles = base.mark_rect(stroke=COLOURS["page"], strokeWidth=1.5).encode(
        color=alt.Color(
            "shade:N",
            scale=alt.Scale(domain=list(labels.values()), range=[COLOURS[keys[step]] for step in labels]),
            legend=alt.Legend(
                title="difference, points", orient="bottom", columns=_legend_columns(room * count), symbolType="square",
                symbolSize=160, symbolStrokeWidth=0, columnPadding=26,
            ),
        )
    )  # fmt: skip
    layers: list[Any] = [tiles]
    if room >= 42:
        layers.append(base.mark_text(color=COLOURS["ink"], fontSize=11).encode(text="text:N"))
    return alt.layer(*layers).properties(width=alt.Step(room), height=alt.Step(26 if room >= 42 else 18))


def differences(rows: Sequence[DifferenceRow], width: int) -> Chart:
    """Sorted per-query differences to the first stage, one panel a reranker."""
    data = _data(
        {"name": row.reranker, "share": 100 * place / max(1, len(row.values) - 1), "difference": value,
         "wins": max(value, 0.0), "losses": min(value, 0.0)}
        for row in rows
        for place, value in _thinned(row.values)
    )  # fmt: skip
    columns = max(1, min(len(rows), 4 if width > 500 else 2))
    base = alt.Chart(data).encode(
        x=alt.X("share:Q", axis=alt.Axis(title="queries, %", values=[0, 50, 100], grid=False)),
    )
    up = base.mark_area(color=COLOURS["s1"], opacity=0.85).encode(y=alt.Y("wins:Q", axis=alt.Axis(title="points")))
    down = base.mark_area(color=COLOURS["s2"], opacity=0.85).encode(y=alt.Y("losses:Q", axis=alt.Axis(title="points")))
    panel = alt.layer(up, down).properties(width=width / columns - 62, height=110)
    header = alt.Header(title=None, labelColor=COLOURS["ink"], labelLimit=int(width / columns), labelFontSize=12)
    return panel.facet(
        facet=alt.Facet("name:N", sort=[terminal(row.reranker) for row in rows], header=header), columns=columns
    )


def lines(points: Sequence[tuple[str, float, float]], x_title: str, y_title: str, width: int) -> Chart:
    """Lines of (name, x, y) by name, in points; names are in a legend."""
    data = _data({"name": name, "x": x, "y": y} for name, x, y in points)
    base = alt.Chart(data).encode(
        x=alt.X("x:Q", scale=alt.Scale(type="log", nice=False), axis=alt.Axis(
            title=x_title, values=sorted({x for _, x, _ in points}), format="d", grid=False)),
        y=alt.Y("y:Q", scale=alt.Scale(zero=False), axis=alt.Axis(title=y_title, tickCount=6)),
        color=_series([name for name, _, _ in points], width),
    )  # fmt: skip
    return alt.layer(base.mark_line(strokeWidth=2), base.mark_point(filled=True, size=45, opacity=1)).properties(
        width=width, height=min(300, width * 0.65)
    )


def boxes(points: Sequence[tuple[str, float]], base_figure: float, title: str, width: int) -> Chart:
    """Figures of (group, figure) as a box a group with its points; a line is the figure with nothing varied."""
    data = _data({"group": group, "figure": figure} for group, figure in points)
    base = alt.Chart(data).encode(
        y=alt.Y("group:N", sort=None, axis=_names(width)),
        x=alt.X("figure:Q", scale=alt.Scale(zero=False), axis=alt.Axis(title=title, tickCount=6)),
    )
    box = base.mark_boxplot(
        extent="min-max", size=16, color=COLOURS["p3"], median={"color": COLOURS["ink"]},
        rule={"color": COLOURS["quiet"]},
    )  # fmt: skip
    dots = base.mark_point(filled=True, size=28, color=COLOURS["ink"], opacity=0.55)
    line = alt.Chart(_data([{"figure": base_figure}])).mark_rule(color=COLOURS["ink"], strokeDash=[4, 3])
    return alt.layer(box, dots, line.encode(x="figure:Q")).properties(width=width, height=alt.Step(34))


def timeline(points: Sequence[dict[str, Any]], title: str, width: int) -> Chart:
    """Figures over time (`bench.report.history.Point` as ``name when score low high verdict``), bad verdicts marked."""
    data = _data(points)
    base = alt.Chart(data).encode(
        x=alt.X("when:T", axis=alt.Axis(title=None, tickCount=max(3, width // 130), grid=False)),
        y=alt.Y("score:Q", scale=alt.Scale(zero=False), axis=alt.Axis(title=title, tickCount=5)),
        color=_series([point["name"] for point in points], width),
    )
    changed = base.transform_filter("datum.verdict != 'same'")
    whiskers = changed.mark_rule(opacity=0.55).encode(y=alt.Y("low:Q"), y2="high:Q")
    line = base.mark_line(interpolate="step-after", strokeWidth=2)
    dots = changed.mark_point(filled=True, size=40, opacity=1)
    shapes = alt.Scale(
        domain=["regressed", "inconclusive", "improved"], range=["triangle-down", "diamond", "triangle-up"]
    )
    marks = (
        base.transform_filter("indexof(['regressed', 'inconclusive', 'improved'], datum.verdict) >= 0")
        .mark_point(filled=True, size=150, opacity=1, stroke=COLOURS["ink"], strokeWidth=1)
        .encode(shape=alt.Shape("verdict:N", scale=shapes, legend=None))
    )
    return alt.layer(line, whiskers, dots, marks).properties(width=width, height=190)


def specification(chart: Chart, background: str = "transparent") -> dict[str, Any]:
    """A chart as a Vega-Lite specification with our type, axes and colours."""
    axis = {
        "domainColor": COLOURS["quiet"], "tickColor": COLOURS["quiet"], "gridColor": COLOURS["line"],
        "labelColor": COLOURS["quiet"], "titleColor": COLOURS["quiet"], "titleFontWeight": "normal",
        "labelFontSize": 11.5, "titleFontSize": 12, "titlePadding": 8, "gridOpacity": 0.7,
    }  # fmt: skip
    key = {"labelColor": COLOURS["ink"], "titleColor": COLOURS["quiet"], "titleFontWeight": "normal"}
    config = {
        "font": "system-ui, sans-serif",
        "background": background,
        "padding": {
            "left": 14,
            "top": 6,
            "right": 14,
            "bottom": 6,
        },  # a reader's font may be wider than the one measured
        "view": {"stroke": None},
        "axis": axis,
        "axisY": {"domain": False, "ticks": False},
        "legend": {**key, "labelFontSize": 12, "titleFontSize": 12, "labelLimit": 260},
        "text": {"fontSize": 12},
        "facet": {"spacing": 18},
    }
    return {**chart.to_dict(), "config": config}


def _with_first_stage(layers: list[Any], rows: Sequence[ScoreRow]) -> list[Any]:
    """The same with a dashed line at the first stage's score, named at its left."""
    for row in _first_stage(rows):
        line = alt.Chart(_data([{"score": row.score, "name": "first stage"}]))
        name = line.mark_text(align="left", dx=3, dy=-7, color=COLOURS["quiet"])
        layers = [
            line.mark_rule(color=COLOURS["ink"], strokeDash=[4, 3]).encode(y="score:Q"),
            *layers,
            name.encode(x=alt.value(0), y="score:Q", text="name:N"),
        ]
    return layers


def _first_stage(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    return [row for row in rows if row.role == "first stage"]


def _labels(rows: Sequence[ScoreRow], height: float) -> dict[str, tuple[str, float]]:
    """Where each row's name goes: left of the faster half's points, and so far up that it covers no other name.

    ``rows`` are sorted by speed. Of more than `NAMED` rows the edge has names, where they cover no other.
    """
    gap = 15 / height * (max(row.high for row in rows) - min(row.low for row in rows))
    found: dict[str, tuple[str, float]] = {}
    taken: list[tuple[str, float]] = []
    middle = ((rows[0].speed or 1) * (rows[-1].speed or 1)) ** 0.5
    crowded = len(rows) > NAMED
    for row in sorted(rows, key=lambda row: row.score, reverse=crowded):
        # In a crowd there is more room to the right of the edge.
        side = "left" if not crowded and len(rows) > 1 and (row.speed or 0) > middle else "right"
        place = row.score + gap / 2
        if crowded and (not row.is_edge or _covers(side, place, taken, gap)):
            found[row.reranker] = "none", row.score
            continue
        while _covers(side, place, taken, gap):
            place += gap / 4
        taken.append((side, place))
        found[row.reranker] = side, place
    return found


def _covers(side: str, place: float, taken: Sequence[tuple[str, float]], gap: float) -> bool:
    return any(side == other and abs(place - at) < gap for other, at in taken)


def _thinned(values: Sequence[float], most: int = 200) -> list[tuple[int, float]]:
    """At most so many of the sorted values, with their places; ends and shape remain."""
    step = max(1, len(values) // most)
    places = sorted({*range(0, len(values), step), len(values) - 1})
    return [(place, values[place]) for place in places]


def _series(names: Sequence[str], width: int) -> alt.Color:
    domain = [terminal(name) for name in dict.fromkeys(names)]
    colours = [SERIES[place % len(SERIES)] for place in range(len(domain))]
    legend = _legend(None, columns=max(1, width // 200))
    return alt.Color("name:N", scale=alt.Scale(domain=domain, range=colours), legend=legend)


def _legend_columns(width: float) -> int:
    """All shades of a heat map in one line where there is room."""
    return 9 if width >= 850 else 5 if width >= 400 else 2


def _legend(title: str | None, **more: Any) -> alt.Legend:
    return alt.Legend(title=title, orient="top", columnPadding=24, **more)


def _names(width: int) -> alt.Axis:
    return alt.Axis(title=None, domain=False, ticks=False, labelLimit=180 if width > 500 else 110, labelPadding=8,
                    labelColor=COLOURS["ink"], labelFontSize=12)  # fmt: skip


def _data(rows: Any) -> alt.Data:
    """Rows as data; names without what acts unseen."""
    plain = [{key: terminal(value) if isinstance(value, str) else value for key, value in row.items()} for row in rows]
    return alt.Data(values=plain)  # type: ignore[no-untyped-call]
