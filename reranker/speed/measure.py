"""`python -m reranker.speed`: how fast the reranker is, against a baseline with the same weights.

Both score the same lists in turn, in one process, a group of lists at a time, so that other load on the machine slows
both. The ratio is taken group by group. The baseline is in `reranker.speed.baseline`.
"""

import argparse
import ctypes
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reranker import checkpoint, command
from reranker.device import choose_device, choose_dtype
from reranker.model import ListModel
from reranker.prompt import Markers
from reranker.rerank import Reranker
from reranker.speed import synthetic
from reranker.speed.baseline import Baseline
from reranker.tokens import PromptTokens

GROUPS = 5
# Dense arithmetic at 16-bit precision, in operations a second, from the makers' data sheets.
_PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}

QueryAndTexts = tuple[str, Sequence[str]]
Way = Callable[[Sequence[QueryAndTexts]], list[list[float]]]


@dataclass(frozen=True, slots=True)
class Setup:
    """What is measured: a model, and both ways of running it."""

    model: ListModel
    ways: dict[str, Way]
    tokens_of: Callable[[Sequence[QueryAndTexts]], list[int]]
    device: torch.device
    dtype: torch.dtype
    name: str


@dataclass(frozen=True, slots=True)
class WayFigures:
    """One way's figures; times in seconds, memory in MiB beyond what the weights take (None: not measurable here)."""

    documents_per_second: float
    tokens_per_second: float
    seconds_per_query_p50: float
    seconds_per_query_p95: float
    share_outside_forward: float
    peak_memory_mib: float | None
    share_of_peak_arithmetic: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of one measurement; ratios are the baseline's time over ours, one per group of lists."""

    model: str
    device: str
    dtype: str
    threads: int
    lists: int
    documents: int
    tokens_per_list: float
    ways: dict[str, WayFigures]
    ratios: list[float]
    ratio: float
    largest_score_difference: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m reranker.speed", description=__doc__.split("\n")[0])
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument("--checkpoint", help="a folder or a hub repository")
    weights.add_argument("--size", choices=synthetic.SIZES, default="small", help="random weights of this size")
    parser.add_argument("--lists", type=_positive, default=10)
    parser.add_argument("--documents", type=_positive, default=100, help="documents in a list")
    parser.add_argument("--tokens", type=_lengths, default=range(145, 146), help="tokens in a document: 145, or 90-200")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)

    def work() -> int:
        report = measure(*_set_up(options))
        sys.stdout.write((json.dumps(asdict(report), indent=2) if options.json else _text(report)) + "\n")
        return 0

    return command.run(work)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _lengths(text: str) -> range:
    low, dash, high = text.partition("-")
    lengths = range(_positive(low), _positive(high if dash else low) + 1)
    if not lengths:
        raise argparse.ArgumentTypeError(f"{low} is more than {high}")
    return lengths


def _set_up(options: argparse.Namespace) -> tuple[Setup, list[QueryAndTexts]]:
    device = choose_device(options.device)
    dtype = choose_dtype(options.dtype, device)
    if options.checkpoint:
        files = checkpoint.find(options.checkpoint)
        model, tokenizer = files.model(device, dtype), files.tokenizer()
        markers, capacity = files.markers, files.capacity
    else:
        model, tokenizer = synthetic.model(options.size, device, dtype), synthetic.tokenizer()
        markers, capacity = Markers(), synthetic.CAPACITY
    reranker = Reranker(model, PromptTokens(tokenizer, markers), capacity, lambda: "")
    baseline = Baseline(model, tokenizer, markers, capacity)
    lists = synthetic.lists(tokenizer, options.lists, options.documents, options.tokens)
    setup = Setup(
        model,
        {"baseline": lambda some: [baseline.score(*one) for one in some], "ours": reranker.score},
        lambda some: [done.tokens for done in sorted(reranker.score_iter(some), key=lambda done: done.index)],
        device,
        dtype,
        str(options.checkpoint or options.size),
    )
    return setup, list(lists)


def measure(setup: Setup, lists: Sequence[QueryAndTexts]) -> Report:
    """Run both ways over all lists, group by group, and gather the figures.

    The first group is run by both ways once before the clock starts. Memory is measured on that run.
    """
    groups = _groups(lists)
    memory = {name: _peak_memory(setup.device, partial(way, groups[0])) for name, way in setup.ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in setup.ways}
    forward: dict[str, float] = dict.fromkeys(setup.ways, 0.0)
    difference = 0.0
    for number, group in enumerate(groups):
        scores = {}
        for name in sorted(setup.ways, reverse=number % 2 == 0):  # each way goes first as often as the other
            with _forward_seconds(setup) as spent:
                start = time.perf_counter()
                scores[name] = setup.ways[name](group)
                seconds[name].append(time.perf_counter() - start)
            forward[name] += sum(spent)
        difference = max(difference, _difference(*scores.values()))
    tokens = setup.tokens_of(lists)
    documents = sum(len(texts) for _, texts in lists)
    ratios = [baseline / ours for baseline, ours in zip(seconds["baseline"], seconds["ours"], strict=True)]
    return Report(
        model=setup.name,
        device=str(setup.device),
        dtype=str(setup.dtype).removeprefix("torch."),
        threads=torch.get_num_threads(),
        lists=len(lists),
        documents=documents,
        tokens_per_list=sum(tokens) / len(lists),
        ways={
            name: WayFigures(
                documents_per_second=documents / sum(spent),
                tokens_per_second=sum(tokens) / sum(spent),
                seconds_per_query_p50=_quantile(spent, groups, 0.5),
                seconds_per_query_p95=_quantile(spent, groups, 0.95),
                share_outside_forward=1 - forward[name] / sum(spent),
                peak_memory_mib=memory[name],
                share_of_peak_arithmetic=_share_of_peak(setup, tokens, sum(spent)),
            )
            for name, spent in seconds.items()
        },
        ratios=ratios,
        ratio=statistics.median(ratios),
        largest_score_difference=difference,
    )


def _groups(lists: Sequence[QueryAndTexts]) -> list[Sequence[QueryAndTexts]]:
    count = min(GROUPS, len(lists))
    return [lists[number * len(lists) // count : (number + 1) * len(lists) // count] for number in range(count)]


def _quantile(seconds: Sequence[float], groups: Sequence[Sequence[Any]], share: float) -> float:
    """Seconds a query, each group's lists counting alike: the smallest value that `share` of them do not exceed."""
    each = sorted(spent / len(group) for spent, group in zip(seconds, groups, strict=True) for _ in group)
    return each[min(int(share * len(each)), len(each) - 1)]


def _difference(one: list[list[float]], other: list[list[float]]) -> float:
    return max(abs(a - b) for left, right in zip(one, other, strict=True) for a, b in zip(left, right, strict=True))


@contextmanager
def _forward_seconds(setup: Setup) -> Iterator[list[float]]:
    """Gathers the seconds of each forward pass: of the whole model (ours), or of its backbone (the baseline)."""
    starts: list[float] = []
    spent: list[float] = []

    def begin(_: nn.Module, __: Any) -> None:
        _wait(setup.device)
        starts.append(time.perf_counter())

    def end(_: nn.Module, __: Any, ___: Any) -> None:
        _wait(setup.device)
        spent.append(time.perf_counter() - starts.pop())

    handles = [
        handle
        for module in (setup.model, setup.model.backbone)
        for handle in (module.register_forward_pre_hook(begin), module.register_forward_hook(end))
    ]
    try:
        yield spent
    finally:
        for handle in handles:
            handle.remove()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_memory(device: torch.device, run: Callable[[], object]) -> float | None:
    """MiB in use at the highest moment of `run`, beyond what was in use before it; None where nothing tells."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    if device.type != "cpu" or not sys.platform.startswith("linux"):
        run()
        return None
    ctypes.CDLL(None).malloc_trim(0)  # else memory freed by an earlier run would hide what this one takes
    Path("/proc/self/clear_refs").write_text("5")  # the kernel's peak starts again from here
    before = _status_kib("VmRSS")
    run()
    return (_status_kib("VmHWM") - before) / 1024


def _status_kib(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _share_of_peak(setup: Setup, tokens: Sequence[int], seconds: float) -> float | None:
    """The arithmetic that one full forward pass a list needs, per second, over the GPU's peak."""
    if setup.device.type != "cuda" or setup.dtype == torch.float32:
        return None
    name = torch.cuda.get_device_name(setup.device)
    peak = next((value for known, value in _PEAKS.items() if known in name), None)
    return None if peak is None else sum(_operations(setup.model, length) for length in tokens) / seconds / peak


def _operations(model: ListModel, tokens: int) -> float:
    """Multiplications and additions of all layers over one list; attention counts the half that is seen."""
    weights = sum(weight.numel() for weight in model.backbone.layers.parameters() if weight.ndim == 2)
    width: int = model.backbone.layers[0].self_attn.q_proj.out_features
    seen = [tokens**2 / 2 if window is None else tokens * min(window, tokens) for window in model.windows]
    return float(2 * weights * tokens + 4 * width * sum(seen))


def _text(report: Report) -> str:
    head = (
        f"{report.model}, {report.device}, {report.dtype}, {report.threads} threads; {report.lists} lists of "
        f"{report.documents // report.lists} documents, {report.tokens_per_list:.0f} tokens a list"
    )
    rows = [["", *report.ways], *([label, *cells] for label, cells in _rows(list(report.ways.values())))]
    lines = [f"{row[0]:32}" + "".join(f"{cell:>12}" for cell in row[1:]) for row in rows]
    pairs = " ".join(f"{ratio:.2f}" for ratio in report.ratios)
    return "\n".join(
        [
            head,
            *lines,
            f"ratio baseline / ours: {report.ratio:.2f} (pair by pair: {pairs})",
            f"largest score difference: {report.largest_score_difference:.1e}",
        ]
    )


def _rows(ways: Sequence[WayFigures]) -> Iterator[tuple[str, list[str]]]:
    yield "documents/s", [f"{way.documents_per_second:.1f}" for way in ways]
    yield "tokens/s", [f"{way.tokens_per_second:.0f}" for way in ways]
    yield "seconds a query, p50", [f"{way.seconds_per_query_p50:.3f}" for way in ways]
    yield "seconds a query, p95", [f"{way.seconds_per_query_p95:.3f}" for way in ways]
    yield "share outside the forward pass", [f"{way.share_outside_forward:.1%}" for way in ways]
    yield "peak memory, MiB", [_or_dash(way.peak_memory_mib, ".0f") for way in ways]
    yield "share of peak arithmetic", [_or_dash(way.share_of_peak_arithmetic, ".1%") for way in ways]


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
