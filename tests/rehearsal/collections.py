"""Small collections of every task, in the archives and data sets of their real hosts.

They hold a few documents each, so that hashes and counts differ from the declared ones: `told` writes what a process
is told to expect instead. `told/sitecustomize.py` reads it.
"""

import gzip
import hashlib
import io
import json
import pkgutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bench.collections.mkqa import URL as MKQA
from bench.suites import declared
from bench.suites.mkqa import LANGUAGES
from bench.task import Task
from tests.bench.rerankers.conftest import TEXTS
from tests.hub import HUB, Repository

DOCUMENTS, QUERIES = 5, 2
NEWEST = "abcdefabcdefabcdefabcdefabcdefabcdefabcd"
"""The commit of ``main`` in data sets that are asked for without a revision."""

Tables = Mapping[str, Mapping[str, Sequence[Mapping[str, object]]]]
"""Rows by configuration and split."""

_METADATA = {
    **dict.fromkeys(("url", "stance", "pubmed_id", "description", "narrative", "query"), ""),
    "authors": [],
    "cited_by": [],
    "references": [],
    "tags": [],
    "year": 2020,
}
"""What ir_datasets reads of some tasks' documents and queries."""


@dataclass(frozen=True, slots=True)
class World:
    """What the hosts serve, and what a process is told to expect of it."""

    sites: Path
    repositories: dict[str, Repository] = field(default_factory=dict)
    downloads: dict[str, dict[str, str]] = field(default_factory=dict)
    counts: dict[str, tuple[int, int, int]] = field(default_factory=dict)


def collections(root: Path) -> World:
    """Write the collections of all suites below a folder."""
    world = World(root / "sites")
    listed = json.loads(pkgutil.get_data("ir_datasets", "etc/downloads.json") or b"")
    _write_beir(world, listed["beir"])
    for task in _tasks("miracl"):
        _write_miracl(world, root, task, listed["miracl"])
    for task in _tasks("coir"):
        _write_coir(world, root, task)
    questions = gzip.compress("".join(json.dumps(row) + "\n" for row in _questions()).encode(), mtime=0)
    put(world, root, MKQA, questions)
    world.downloads["mkqa"] = {"sha256": hashlib.sha256(questions).hexdigest()}
    world.counts.update({task.id: (DOCUMENTS, QUERIES, 0) for task in _tasks("mkqa")})
    return world


def told(world: World, path: Path) -> None:
    """Write what `told/sitecustomize.py` reads."""
    path.write_text(json.dumps({"downloads": world.downloads, "counts": world.counts}))


def _tasks(suite: str) -> list[Task]:
    return [task for task in declared(suite) if not task.embedded]


def documents(name: str) -> list[dict[str, str]]:
    return [
        {"_id": f"{name}-{number}", "title": f"Part {number}", "text": f"{TEXTS[number]} {name}"}
        for number in range(DOCUMENTS)
    ]


def queries(name: str) -> list[dict[str, str]]:
    """Queries whose ids are documents' ids too, as ArguAna's and Quora's are."""
    asked = ("why do tides rise", "how is bread baked")
    return [{"_id": f"{name}-{number}", "text": f"{text} in {name}"} for number, text in enumerate(asked)]


def judgements(name: str) -> list[tuple[str, str, int]]:
    return [(f"{name}-0", f"{name}-2", 1), (f"{name}-0", f"{name}-3", 0), (f"{name}-1", f"{name}-4", 1)]


def _write_beir(world: World, listed: Mapping[str, Mapping[str, str]]) -> None:
    """The archives of BEIR's host; the forums of CQADupStack share one."""
    archives: dict[str, dict[str, Task]] = {}
    for task in _tasks("beir"):
        parts = task.source_id.split("/")[1:]
        key = next(key for key in ("/".join(parts), parts[0]) if key in listed)
        folder = "/".join(parts) if parts[0] == "cqadupstack" else parts[0]
        archives.setdefault(key, {})[folder] = task
        world.counts[task.id] = (DOCUMENTS, QUERIES, len(judgements(task.name)))
    for key, members in archives.items():
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for folder, task in members.items():
                for name, rows in (("corpus", documents(task.name)), ("queries", queries(task.name))):
                    lines = (json.dumps(row | {"metadata": _METADATA}) + "\n" for row in rows)
                    archive.writestr(f"{folder}/{name}.jsonl", "".join(lines))
                judged = "".join("\t".join(map(str, row)) + "\n" for row in judgements(task.name))
                archive.writestr(f"{folder}/qrels/{task.split}.tsv", f"query-id\tcorpus-id\tscore\n{judged}")
        download(world, "beir", key, listed[key]["url"], packed.getvalue())


def _write_miracl(world: World, root: Path, task: Task, listed: Mapping[str, Mapping[str, str]]) -> None:
    """Passages in as many files as the real ones, the first of which holds them; topics and judgements for dev."""
    corpus = [
        {"docid": row["_id"], "title": row["title"], "text": row["text"]} for row in documents(f"miracl-{task.name}")
    ]
    lines = "".join(json.dumps(row) + "\n" for row in corpus)
    judged = judgements(f"miracl-{task.name}")
    files = {f"v1.0/{task.name}/corpus/0": gzip.compress(lines.encode(), mtime=0)}
    files |= {
        key: gzip.compress(b"", mtime=0)
        for key in listed
        if key.startswith(f"v1.0/{task.name}/corpus/") and key not in files
    }
    topics = "".join(f"{row['_id']}\t{row['text']}\n" for row in queries(f"miracl-{task.name}"))
    files[f"v1.0/{task.name}/dev/topics"] = topics.encode()
    files[f"v1.0/{task.name}/dev/qrels"] = "".join(f"{q}\tQ0\t{d}\t{grade}\n" for q, d, grade in judged).encode()
    for key, content in files.items():
        download(world, "miracl", key, listed[key]["url"], content, root)
    world.counts[task.id] = (DOCUMENTS, QUERIES, len(judged))


def _write_coir(world: World, root: Path, task: Task) -> None:
    """A data set in parquet, at the revision that mteb asks for; the languages of one share it."""
    import mteb

    name, _, language = task.mteb.partition(":")
    place = mteb.get_task(name).metadata.dataset
    prefix = f"{language}-" if language else ""
    judged = [{"query-id": q, "corpus-id": d, "score": grade} for q, d, grade in judgements(task.name) if grade]
    tables = {
        f"{prefix}qrels" if prefix else "default": {"test": judged},
        f"{prefix}corpus": {"corpus": documents(task.name)},
        f"{prefix}queries": {"queries": [row | {"partition": "test"} for row in queries(task.name)]},
    }
    key = f"datasets/{place['path']}"
    repository = world.repositories.setdefault(key, Repository(root / key, str(place["revision"])))
    write_parquet(repository.folder, tables)
    world.counts[task.id] = (DOCUMENTS, QUERIES, len(judged))


def write_parquet(folder: Path, tables: Tables) -> None:
    """Tables by configuration and split, and the card that lists them, with those that are there already."""
    import pyarrow
    from pyarrow import parquet

    card = folder / "README.md"
    lines = card.read_text().splitlines()[:-1] if card.exists() else ["---", "configs:"]
    for name, splits in tables.items():
        lines += [f"- config_name: {name}", "  data_files:"]
        for split, rows in splits.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            parquet.write_table(
                pyarrow.Table.from_pylist(list(rows)), folder / name / f"{split}-00000-of-00001.parquet"
            )
            lines += [f"  - split: {split}", f"    path: {name}/{split}-*"]
    card.write_text("\n".join([*lines, "---", ""]))


def _questions() -> Iterable[dict[str, object]]:
    """MKQA's lines: two questions with an answer in the passages of nq, and two that are left out."""
    kinds = (("short_phrase", "moon"), ("entity", "oven"), ("unanswerable", None), ("long_answer", "the oceans"))
    for number, (kind, text) in enumerate(kinds):
        asked = {language: f"question {number} about tides or bread ({language})" for language in LANGUAGES}
        yield {"example_id": 100 + number, "queries": asked, "answers": {"en": [{"type": kind, "text": text}]}}


def download(world: World, group: str, key: str, url: str, content: bytes, root: Path | None = None) -> None:
    """A file that ir_datasets fetches, and its hash."""
    put(world, root or world.sites.parent, url, content)
    world.downloads.setdefault(group, {})[key] = hashlib.md5(content, usedforsecurity=False).hexdigest()


def put(world: World, root: Path, url: str, content: bytes) -> None:
    """Place a file where its host serves it."""
    parts = urlsplit(url)
    assert parts.hostname
    path = world.sites / parts.hostname / parts.path.lstrip("/")
    if parts.hostname == HUB:
        repository, _, name = parts.path.strip("/").partition("/resolve/main/")
        world.repositories.setdefault(repository, Repository(root / repository, NEWEST))
        path = root / repository / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
