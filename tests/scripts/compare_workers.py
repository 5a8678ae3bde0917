"""`python -m tests.scripts.compare_workers ARGUMENT ...`: whether one command finds the same by four kinds of workers.

The arguments are bench's, such as ``beir scifact --reranker minilm``. The command runs in one process, in two, by two
Ray actors on this machine, and on a Ray cluster of two nodes, each with a score cache of its own. Printed are hashes of
the run files and of the measures that each finds; the exit status is 1 unless they are equal.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.evaluation.two_nodes import ENVIRONMENT, TwoNodes


def found(output: Path) -> tuple[str, str]:
    """The hashes of a command's run files and of its measures, each with its place."""
    runs, measures = hashlib.sha256(), hashlib.sha256()
    for path in sorted(output.rglob("run.trec.gz")):
        runs.update(f"{path.relative_to(output)} {hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
        result = json.loads(path.with_name("result.json").read_text())
        measures.update(json.dumps([result["measures"], result["per_query"]]).encode())
    return runs.hexdigest()[:12], measures.hexdigest()[:12]


def main(arguments: list[str]) -> int:
    """Print a line for each kind of workers; gives the exit status."""
    os.environ.update(ENVIRONMENT)
    nodes = TwoNodes().complete()
    kinds = {
        "one process": [],
        "two processes": ["--workers", "2"],
        "two Ray actors": ["--ray", "local", "--workers", "2"],
        "a Ray cluster of two nodes": ["--ray", nodes.address, "--workers", "2"],
    }
    hashes = set()
    for kind, options in kinds.items():
        with tempfile.TemporaryDirectory() as output:
            started = time.perf_counter()
            command = [sys.executable, "-m", "bench", *arguments, *options, "--quiet", "--output", output]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds, files = time.perf_counter() - started, len(list(Path(output).rglob("run.trec.gz")))
            runs, measures = found(Path(output))
        hashes.add((runs, measures))
        print(f"{kind}: {files} run files {runs}, their measures {measures}, {seconds:.0f} s", flush=True)
    nodes.end()
    return int(len(hashes) > 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
