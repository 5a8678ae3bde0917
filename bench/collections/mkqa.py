"""MKQA's questions over English passages, which are judged by the answers they hold.

The questions: https://github.com/apple/ml-mkqa, one file for all languages, pinned by its hash. Which are measured and
how passages are matched follows BGE-M3, https://arxiv.org/abs/2402.03216, whose matching is DPR's (Karpukhin et al.
2020, https://arxiv.org/abs/2004.04906): texts are decomposed (NFD), cut into runs of letters, digits and marks or
single other visible characters, and lower-cased; a text contains an answer where it has the answer's tokens
in a row.
"""

import hashlib
import stat
import unicodedata
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import regex
from pydantic import BaseModel, StrictInt, StrictStr

from bench.collections.beir_folder import read_documents
from bench.collections.collection import Collection, Documents, Judge, check_counts
from bench.errors import BenchError
from bench.files import kind, text_lines, write_whole
from bench.measures import Judgements
from bench.run import Run
from bench.run_formats import ID
from bench.task import Counts, Task
from reranker.schema import parse_json, validate

URL = "https://github.com/apple/ml-mkqa/raw/main/dataset/mkqa.jsonl.gz"
# Of the 11,903,948 bytes of the only release, as the `mkqa` script of Hugging Face's datasets library recorded it.
SHA256 = "f77ac6bf6306e98816c5c047880db71a3c67d2f1491b169896d63e9bb14ef3d3"
RULE = "answer-matched in the candidates (DPR)"
LEFT_OUT = frozenset({"unanswerable", "binary", "long_answer"})

_BATCH = 1_000
_BORDER = "\x1f"  # a control character, and so never part of a token
_TOKEN = regex.compile(r"[\p{L}\p{N}\p{M}]+|[^\p{Z}\p{C}]")


def load_mkqa(task: Task, data: Path | None) -> Collection:
    """Load one language's questions and the passages.

    Args:
        task: ``mkqa/<language>``, or the embedded sample of it.
        data: The folder that holds ``mkqa.jsonl.gz`` (or ``mkqa.jsonl``) and, if the passages are not to come from
            ir_datasets, ``nq/corpus.jsonl.gz`` in BEIR's format; an embedded task's own folder. None fetches the
            release, once.

    Raises:
        BenchError: for a file that is missing, another one than the release, or damaged; passages that cannot be had;
            counts that differ.
    """
    path = _found(data) if data else _fetched()
    if not task.embedded and path.suffix == ".gz":
        _check_release(_bytes(path), str(path))
    queries, answers = read_questions(path, task.name.removeprefix("embedded-"))
    if task.counts:  # before millions of passages are fetched for the wrong file
        check_counts(task, Counts(task.counts.documents, len(queries), 0), str(path))
    english, _ = read_questions(path, "en")
    documents, where = _documents(task, data)
    source = f"{path.name}; {where}"
    check_counts(task, Counts(len(documents), len(queries), 0), source)
    return Collection(task, queries, {}, documents, source, answer_judge(answers), RULE, answers, english=english)


def read_questions(path: Path, language: str) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """The measured questions in one language and their English answers, both by example id.

    A question is left out when its last English answer is none, yes or no, or a long one. Most have a single answer;
    where types are mixed the last one decides, as in mContriever's published preparation, on which BGE-M3's evaluation
    builds (https://github.com/facebookresearch/contriever), and the short ones among the answers are kept.

    Raises:
        BenchError: naming file and line, for a malformed line, a language that is not there, or a repeated id.
    """
    queries: dict[str, str] = {}
    answers: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(text_lines(path), start=1):
        where = f"{path}, line {number}"
        row = _row(line, where)
        if language not in row.queries:
            raise BenchError(f"{where}: no question in {language!r}. There: {', '.join(sorted(row.queries))}.")
        english = row.answers.en
        if not english or english[-1].type in LEFT_OUT:
            continue
        query_id = str(row.example_id)
        if query_id in queries:
            raise BenchError(f"{where}: question {query_id!r} occurs twice. Keep one of the two.")
        queries[query_id] = row.queries[language]
        short = (answer for answer in english if answer.type not in LEFT_OUT)
        answers[query_id] = tuple(text for answer in short for text in answer.texts())
    if not queries:
        raise BenchError(f"{path} has no question with a short English answer. Get MKQA's release from {URL}.")
    return queries, answers


def answer_judge(answers: Mapping[str, Sequence[str]]) -> Judge:
    """Judge candidates by their texts: 1 for one that has an answer to its question, 0 for another.

    Every question with answers is judged: one without candidates has no relevant ones, and counts as 0. Each passage
    is read and cut into tokens once, however many questions it is a candidate of.
    """
    # An answer without a token would be in every passage.
    wanted = {
        query_id: [tokens for tokens in map(_tokens, texts) if tokens != _BORDER] for query_id, texts in answers.items()
    }

    def judge(candidates: Run, documents: Documents) -> Judgements:
        grades: dict[str, dict[str, int]] = {query_id: {} for query_id in wanted}
        asking: dict[str, list[str]] = {}
        for query_id in grades:
            for document_id in candidates.ids(query_id):
                asking.setdefault(document_id, []).append(query_id)
        for document_id, text in _read(list(asking), documents):
            passage = _tokens(clean(text))
            for query_id in asking[document_id]:
                grades[query_id][document_id] = int(any(answer in passage for answer in wanted[query_id]))
        return grades

    return judge


def clean(passage: str) -> str:
    """Level out what typography varies: hyphens, quotes, primes, ellipses, slashes, control characters.

    Passages only, as in BGE-M3's evaluation: an answer with an en dash or a curly quote keeps it, and is never found.
    """
    return passage.translate(_CLEANED)


def _cleaned() -> dict[int, str | None]:
    table: dict[str, str | None] = {}
    table |= dict.fromkeys(map(chr, (*range(0x01, 0x09), *range(0x0E, 0x1C))), None)
    table |= dict.fromkeys("\u00ad", None)  # soft hyphen
    table |= dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u207b\u2212\uff0d", "-")
    table |= dict.fromkeys("\u201c\u201d\u201e\u201f", '"')
    table |= dict.fromkeys("\u2018\u2019\u201a\u201b\u055a\ua78b\ua78c\uff07\u0060\u00b4", "'")
    table |= {"\u2032": "'", "\u2033": "''", "\u2034": "'''", "\u2057": "''''"}  # primes
    table |= {"\u2035": "'", "\u2036": "''", "\u2037": "'''"}  # reversed primes
    table |= {"\u2026": "..."}
    table |= dict.fromkeys("\u2044\u2215", "/")
    return {ord(character): plain for character, plain in table.items()}


_CLEANED = _cleaned()


def _tokens(text: str) -> str:
    """The text's tokens, each between borders: a token sequence contains another where its string does."""
    decomposed = text if text.isascii() else unicodedata.normalize("NFD", text)
    return _BORDER + "".join(f"{token}{_BORDER}" for token in _TOKEN.findall(decomposed)).lower()


def _read(ids: Sequence[str], documents: Documents) -> Iterator[tuple[str, str]]:
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        texts = documents.texts(batch)
        missing = [document_id for document_id in batch if document_id not in texts]
        if missing:
            raise BenchError(
                f"The run names {len(missing)} documents that the passages lack, the first being {missing[0]!r}; they "
                "cannot be judged. Is it another corpus' run?"
            )
        yield from texts.items()


class _Answer(BaseModel):
    """One answer of a question: its kind, its text if it is a short one, and other ways to write it."""

    type: StrictStr
    text: StrictStr | None = None
    aliases: list[StrictStr] | None = None

    def texts(self) -> list[str]:
        """Every way to write it."""
        return [text for text in (self.text, *(self.aliases or ())) if text]


class _Answers(BaseModel):
    """A question's answers in English; those in other languages are not read."""

    en: list[_Answer]


class _Question(BaseModel):
    """A line of MKQA's release."""

    example_id: StrictInt | StrictStr
    queries: dict[str, StrictStr]
    answers: _Answers


def _row(line: str, where: str) -> _Question:
    """One question: an object with an id, questions by language, and English answers."""
    name = f"{where}: not a line of MKQA's release; it"
    row = validate(parse_json(line, name, BenchError), _Question, name, BenchError)
    if not ID.fullmatch(str(row.example_id)):
        raise BenchError(f"{where}: the id {str(row.example_id)[:80]!r} contains white space. Get the release again.")
    return row


def _found(folder: Path) -> Path:
    """The question file in the user's folder."""
    for path in (folder / "mkqa.jsonl.gz", folder / "mkqa.jsonl"):
        if kind(path) == stat.S_IFREG:
            return path
        if kind(path):
            # A pipe would serve the first language alone.
            raise BenchError(f"{path} is not a regular file, and every language reads it. Put the file itself there.")
    raise BenchError(f"{folder / 'mkqa.jsonl.gz'} does not exist. Get MKQA's release from {URL} and put it there.")


def _fetched() -> Path:
    """The question file in ir_datasets' folder, next to the passages; fetched if it is not there yet."""
    import ir_datasets

    path: Path = ir_datasets.util.home_path() / "mkqa" / "mkqa.jsonl.gz"
    if path.is_file():
        return path
    try:
        with urllib.request.urlopen(URL, timeout=60) as answer:
            content: bytes = answer.read()
    except OSError as error:
        raise BenchError(
            f"MKQA's questions could not be fetched from {URL} ({error}). What to do: check the network; or get the "
            "file elsewhere and give its folder with --data DIR; or measure the built-in sample with --embedded."
        ) from error
    _check_release(content, URL)
    write_whole(path, content)
    return path


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BenchError(f"Cannot read {path}: {error.strerror or error}.") from error


def _check_release(content: bytes, where: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise BenchError(
            f"{where} is not MKQA's release: its sha256 is {found[:12]}…, the release's {SHA256[:12]}…. It is "
            f"damaged or a different version: download it again from {URL}."
        )


def _documents(task: Task, data: Path | None) -> tuple[Documents, str]:
    """The passages, and where they came from."""
    if task.embedded and data:
        return read_documents(data, task), str(data)
    if data and kind(data / "nq") == stat.S_IFDIR:
        return read_documents(data / "nq", task), str(data / "nq")
    import ir_datasets

    from bench.collections.irds import IrdsDocuments

    documents = IrdsDocuments(task, ir_datasets.load(task.source_id), folder="nq")
    return documents, f"ir_datasets {task.source_id}"
