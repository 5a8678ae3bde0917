"""`python -m tests.scripts.speed_int8 FOLDER QUERIES`: int8 weights on a CPU, in documents/s and nDCG@10.

FOLDER is a collection in BEIR format with a test split. The embedded checkpoint reranks BM25's top 100 for that many
queries, in float32 and with its linear layers quantised dynamically by torch (int8 weights and activations), each list
by both in turn.
"""

import copy
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn

from bench.collections.beir_folder import load_folder
from bench.first_stage.runs import build
from bench.measures import Measure, mean, per_query
from bench.task import Task
from reranker import Reranker, checkpoint
from reranker.tokens import PromptTokens

DEPTH = 100


def main(folder: Path, queries: int) -> None:
    """Print a row for each precision, and the ratio of their times list by list."""
    collection = load_folder(Task("folder", folder.name, split="test", analysis="english"), folder)
    rankings = build(collection, DEPTH).rankings
    chosen = sorted(collection.judgements.keys() & rankings.keys())[:queries]
    ways, orders, seconds = _ways(), {}, {}
    for query in chosen:
        ids = [document for document, _ in rankings[query]]
        texts = collection.documents.texts(ids)
        for name, way in ways.items():
            start = time.perf_counter()
            ranked = way.rerank(collection.queries[query], [texts[document] for document in ids])
            seconds.setdefault(name, []).append(time.perf_counter() - start)
            orders.setdefault(name, {})[query] = [ids[each.index] for each in ranked]
    judgements = {query: collection.judgements[query] for query in chosen}
    for name, order in orders.items():
        [figures] = per_query(judgements, order, [Measure.parse("nDCG@10")]).values()
        speed = sum(map(len, order.values())) / sum(seconds[name])
        print(f"{name:8} {speed:6.1f} documents/s, nDCG@10 {100 * mean(figures):.2f}")
    ratios = [plain / small for plain, small in zip(*seconds.values(), strict=True)]
    print(f"ratio of times, median of {len(ratios)} lists: {statistics.median(ratios):.2f}")


def _ways() -> dict[str, Reranker]:
    files = checkpoint.find("embedded")
    model = files.model(torch.device("cpu"), torch.float32)
    small = copy.deepcopy(model)
    small.backbone = torch.ao.quantization.quantize_dynamic(small.backbone, {nn.Linear}, torch.qint8)
    # Each has a tokenizer of its own, since one remembers documents: the second way would find them made.
    return {
        name: Reranker(
            each, PromptTokens(files.tokenizer(), files.markers), files.capacity, lambda: "", files.longest_document
        )
        for name, each in (("float32", model), ("int8", small))
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
