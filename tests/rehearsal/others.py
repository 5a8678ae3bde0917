"""Small collections that no suite declares, in the archives and data sets of their real hosts."""

import io
import json
import pkgutil
import tarfile
from collections.abc import Mapping

from tests.hub import Repository
from tests.rehearsal.collections import Tables, World, documents, download, judgements, queries, write_parquet

RETRIEVAL, INSTRUCTED, RERANKING = "NanoSciFactRetrieval", "IFIRScifact", "AskUbuntuDupQuestions"
"""Tasks of mteb that no suite has; the second one's queries come with an instruction."""
BEIR = "SciFact"
"""A task of mteb that BEIR's archive has as well."""

_TOLD = ("the natural satellite of the earth", "le pain est cuit au four")
"""Instructions: words of the texts that are judged relevant, and share none with the queries."""


def add_others(world: World) -> None:
    """Add them to what the hosts serve."""
    listed = json.loads(pkgutil.get_data("ir_datasets", "etc/downloads.json") or b"")
    for name, members in (("vaswani", _vaswani()), ("cranfield", _cranfield())):
        download(world, name, "main", listed[name]["main"]["url"], _archive(members))
    _add_dataset(world, BEIR, "scifact", "test")
    _add_dataset(world, RETRIEVAL, "nano", "train")
    told = [{"query-id": row["_id"], "instruction": text} for row, text in zip(queries("ifir"), _TOLD, strict=True)]
    _add_dataset(world, INSTRUCTED, "ifir", "test", {"instruction": {"test": told}})
    # All documents but the first.
    ids = [row["_id"] for row in documents("ubuntu")[1:]]
    given = [{"query-id": row["_id"], "corpus-ids": ids} for row in queries("ubuntu")]
    _add_dataset(world, RERANKING, "ubuntu", "test", {"top_ranked": {"test": given}})


def _vaswani() -> Mapping[str, str]:
    """Texts by their numbers; of each query the numbers of the relevant ones."""
    texts = [row["text"].lower() for row in documents("vaswani")]
    asked = [row["text"] for row in queries("vaswani")]
    return {
        "doc-text": "".join(f"{number}\n{text}\n   /\n" for number, text in enumerate(texts, 1)),
        "query-text": "".join(f"{number}\n{text}\n/\n" for number, text in enumerate(asked, 1)),
        "rlv-ass": "1\n 1 2\n   /\n2\n 4\n   /\n",
    }


def _cranfield() -> Mapping[str, str]:
    """Records of marked fields; queries are numbered anew by ir_datasets."""
    records = [
        f".I {number}\n.T\n{row['title']}\n.A\nauthor\n.B\nbib\n.W\n{row['text']}\n"
        for number, row in enumerate(documents("cranfield"), 1)
    ]
    asked = [f".I {number:03}\n.W\n{row['text']}\n" for number, row in enumerate(queries("cranfield"), 1)]
    return {"cran.all.1400": "".join(records), "cran.qry": "".join(asked), "cranqrel": "1 1 3\n1 5 -1\n2 4 2\n"}


def _archive(members: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def _add_dataset(world: World, task: str, name: str, split: str, more: Tables | None = None) -> None:
    """A data set at the revision that mteb asks for, with ``more`` tables than each has."""
    import mteb

    place = mteb.get_task(task).metadata.dataset
    key = f"datasets/{place['path']}"
    repository = world.repositories[key] = Repository(world.sites.parent / key, str(place["revision"]))
    judged = [{"query-id": query, "corpus-id": document, "score": grade} for query, document, grade in judgements(name)]
    tables: Tables = {
        "default": {split: judged},
        "corpus": {"corpus": documents(name)},
        "queries": {"queries": queries(name)},
    }
    write_parquet(repository.folder, {**tables, **(more or {})})
