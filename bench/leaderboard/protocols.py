"""What the protocols of a section's columns share, and where they differ."""

from collections.abc import Sequence

from bench.leaderboard.board import Section
from bench.leaderboard.columns import Column
from bench.leaderboard.titles import label, section_title
from bench.protocol import Protocol
from bench.render.numbers import count, percent
from bench.render.page import Table, columns, rows

PROTOCOL_FIELDS = {
    "split": "split",
    "query_subset": "queries chosen",
    "first_stage": "first stage",
    "depth": "depth",
    "candidate_order": "candidates in the order of",
    "text_rule": "document text",
    "identical_ids": "documents with the query's id",
    "judgements": "judgements",
    "max_query_length": "query cap in tokens",
    "max_doc_length": "document cap in tokens",
    "measure": "measure",
    "measure_library": "measured by",
}
"""The protocol's fields that are told once where all columns share them, and their names for readers."""


def protocols_table(section: Section) -> Table:
    """The fields in which the columns' protocols differ, and the hashes of their data."""
    tasks = [(column, column.protocol) for column in section.columns if column.protocol]
    varying = [name for name in PROTOCOL_FIELDS if len({getattr(protocol, name) for _, protocol in tasks}) > 1]
    titles = (
        "task", *(PROTOCOL_FIELDS[name] for name in varying), "queries", "documents", "candidates' recall", "data",
        "candidates' texts", "first stage's sha256", "protocol",
    )  # fmt: skip
    figures = range(len(varying) + 1, len(varying) + 4)
    return Table(
        columns=columns(titles, left=[place for place in range(len(titles)) if place not in figures]),
        groups=(rows(_protocol(column, protocol, varying) for column, protocol in tasks),),
        caption=f"{section_title(section)}: protocol of each column",
        split=True,
        label=label(section, "protocols"),
    )


def _protocol(column: Column, protocol: Protocol, varying: Sequence[str]) -> tuple[str, ...]:
    return (
        column.title,
        *(str(getattr(protocol, name)) for name in varying),
        count(protocol.queries),
        count(protocol.documents),
        percent(column.candidates.recall),
        protocol.data[:12],
        protocol.texts[:12],
        protocol.first_stage_sha256[:12],
        protocol.id,
    )


def shared(section: Section) -> str:
    """The fields in which all columns agree."""
    protocols = [column.protocol for column in section.columns if column.protocol]
    values = {name: {str(getattr(protocol, name)) for protocol in protocols} for name in PROTOCOL_FIELDS}
    return "; ".join(
        f"{PROTOCOL_FIELDS[name]}: {next(iter(found))}" for name, found in values.items() if len(found) == 1
    )
