"""A task's declaration: one data set, split and language of a suite, and what decides its protocol."""

from dataclasses import dataclass

SPLIT = "@"
"""What parts a task's name from its split where that is not the declared one: ``beir/nfcorpus@dev``."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a collection holds; checked on load, so that a changed or incomplete download is noticed."""

    documents: int
    queries: int
    judgements: int


@dataclass(frozen=True, slots=True)
class Task:
    """One row of a suite's table.

    ``name`` is unique in its suite; ``counts`` is None where the data is the user's own. ``source_id`` is the data
    set's id at its primary source (ir_datasets for BEIR and MIRACL), or what an embedded task was made of if it was not
    written for this project; ``mteb`` is the name of the same task in mteb. ``analysis`` names the analyser of its BM25
    run. ``default`` tasks are run where none is named; those of one ``group`` are reported as their mean as well, and
    the group's name selects all of them. ``extra_measures`` are reported along with ``measure`` and the standard ones.
    With ``source_text`` a document's text is what its source says it is, in place of title and text.
    ``sample_queries`` is how many queries are measured where the user names no number, so that a sample ends soon; None
    for all. ``first_stage`` is the one that candidates come from where the user names none.
    """

    suite: str
    name: str
    split: str = "test"
    source_id: str = ""
    mteb: str = ""
    counts: Counts | None = None
    join_title: bool = True
    drop_identical_ids: bool = False
    measure: str = "nDCG@10"
    extra_measures: tuple[str, ...] = ()
    analysis: str = "english"
    first_stage: str = "bm25"
    group: str = ""
    default: bool = True
    embedded: bool = False
    source_text: bool = False
    sample_queries: int | None = None

    @property
    def id(self) -> str:
        """``suite/name``, as in ``beir/nfcorpus``."""
        return f"{self.suite}/{self.name}"

    @property
    def folder(self) -> str:
        """The name of its folder below ``--data``, where all its splits are."""
        return self.name.partition(SPLIT)[0]

    @property
    def text_rule(self) -> str:
        """How a document's title and text become the one text that is indexed and reranked."""
        if self.source_text:
            return "ir_datasets' default text"
        return "title and text, joined by a space" if self.join_title else "text"

    def document_text(self, title: str, text: str) -> str:
        """Apply the text rule to one document."""
        return f"{title} {text}".strip() if self.join_title and title else text
