"""`python -m tests.scripts.seen_documents FOLDER RESULT...`: a reranker's gain on documents judged in training.

FOLDER is a collection in BEIR format with a train split, each RESULT a `result.json` of a reranker on its test split. A
test query counts as seen where one of its relevant documents is relevant to a training query too.
"""

import argparse
import json
from pathlib import Path

import pandas as pd


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.scripts.seen_documents")
    parser.add_argument("folder", type=Path)
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULT")
    given = parser.parse_args()
    folder, results = given.folder, given.results
    missing = [str(path) for path in (folder / "qrels", *results) if not path.exists()]
    if missing:
        parser.error(f"not there: {', '.join(missing)}")
    train, test = (pd.read_csv(folder / "qrels" / f"{split}.tsv", sep="\t", dtype=str) for split in ("train", "test"))
    known = set(train.loc[train["score"].astype(int) > 0, "corpus-id"])
    relevant = test[test["score"].astype(int) > 0]
    seen = set(relevant.loc[relevant["corpus-id"].isin(known), "query-id"])
    print("reranker      seen (queries)  others (queries)")
    for path in results:
        result = json.loads(path.read_text())
        figures = pd.Series(result["per_query"]).astype(float)
        parts = [100 * figures[figures.index.isin(seen) == wanted] for wanted in (True, False)]
        shown = "  ".join(f"{part.mean():6.2f} ({len(part)})" for part in parts)
        print(f"{result['reranker']['name']:12}  {shown}")


if __name__ == "__main__":
    main()
