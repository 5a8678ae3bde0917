"""Run files in other forms than TREC's: JSON, mteb's predictions, rank_llm's JSONL, MS MARCO's three columns.

What is not read is named for what it is, with the command that converts it.
"""

import json
import math
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.files import kind, readable
from reranker.schema import parse_json

Rows = dict[str, dict[str, tuple[float, float]]]
"""``rows[query id][document id]`` is what a ranking is sorted by: the score negated, and the rank."""

ID = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff\ufeff]+")
"""An id that a TREC run file can hold.

Its columns are parted by white space; what else is kept out acts on a terminal, cannot be written as UTF-8, or is taken
for a byte order mark.
"""

_SPACE = re.compile(r"\s+")
_JSON = re.compile(r"\s*(\{\s*([\"}]|$)|\[\s*([{\"\]]|$))")
_META = "mteb_model_meta"


def refuse_binary(path: Path) -> None:
    """Name what a run file is that is no text.

    Raises:
        BenchError: for parquet, zip and pickle files.
    """
    if kind(path) != stat.S_IFREG:  # a pipe gives its bytes once
        return
    with readable(path), open(path, "rb") as stream:
        start = stream.read(4)
    if start.startswith(b"PK\x03\x04"):
        raise BenchError(f"{path} is a zip archive. Unpack it and give the run inside: unzip {path}")
    for magic, what, reader in (
        (b"PAR1", "a parquet file", "read_parquet"),
        (b"\x80", "a Python pickle", "read_pickle"),
    ):
        if start.startswith(magic):
            raise BenchError(f"{path} is {what}, which is not read as a run. {_by_pandas(reader, path)}")


def _by_pandas(reader: str, path: Path) -> str:
    """The command that converts a table with the usual columns."""
    return (
        f'Convert a table with the columns qid, docid, rank and score: python -c "import pandas; f = pandas.{reader}'
        f"('{path}'); f['q0'] = 'Q0'; f['name'] = 'run'; f[['qid', 'q0', 'docid', 'rank', 'score', 'name']]"
        ".to_csv('run.trec', sep=' ', header=False, index=False)\""
    )


def is_json(line: str) -> bool:
    """Whether a file whose first line this is holds JSON; a query's id in TREC's columns may begin like JSON too."""
    return _JSON.match(line) is not None and line.split()[1:2] not in (["Q0"], ["0"])


def json_rows(text: str, path: Path) -> tuple[str, Rows]:
    """A run's name and rows from JSON: ``{query: {document: score}}``, mteb's predictions, or rank_llm's requests.

    Raises:
        BenchError: naming the file and the place, for what is none of these.
    """
    content = _parsed(text, path)
    name = _SPACE.sub("_", path.name.removesuffix(".gz").removesuffix(".json").removesuffix(".jsonl"))
    if isinstance(content, list):
        return name, _requests(content, path)
    if _META in content:
        meta = content[_META]
        model = meta.get("model_name") if isinstance(meta, dict) else None
        return _SPACE.sub("_", str(model or name)), _scored(_predictions(content, path), path)
    return name, _scored(content, path)


def _parsed(text: str, path: Path) -> Any:
    """One JSON document, or a list of those of JSONL."""
    first, _, rest = text.lstrip().partition("\n")
    try:
        single = isinstance(json.loads(first), dict) and not _is_request(json.loads(first))
    except (ValueError, RecursionError):
        single = True  # it goes on in the next line
    if single or first.startswith("["):
        return parse_json(text, str(path), BenchError)
    lines = enumerate([first, *rest.split("\n")], start=1)
    return [parse_json(line, f"{path}, object {number}", BenchError) for number, line in lines if line.strip()]


def _is_request(row: Any) -> bool:
    return isinstance(row, dict) and ("candidates" in row or "hits" in row)


def _predictions(content: Mapping[str, Any], path: Path) -> Any:
    """The one ranking of an mteb prediction file, which has one for each subset and split."""
    found = {
        (subset, split): ranking
        for subset, splits in content.items()
        if subset != _META and isinstance(splits, dict)
        for split, ranking in splits.items()
    }
    if len(found) != 1:
        names = ", ".join("/".join(each) for each in found) or "none"
        subset, split = next(iter(found), ("default", "test"))
        raise BenchError(
            f"{path} holds mteb's predictions for several subsets or splits: {names}. Take one out: "
            f'jq \'.["{subset}"]["{split}"]\' {path} > run.json'
        )
    return next(iter(found.values()))


def _scored(content: Mapping[str, Any], path: Path) -> Rows:
    """Rows of ``{query: {document: score}}``."""
    rows: Rows = {}
    for query_id, scores in content.items():
        if not isinstance(scores, dict):
            raise BenchError(
                f"{path}: query {query_id[:80]!r} has {_kind(scores)}, not {{document: score}}. A run as JSON is "
                "{query: {document: score}}; rank_llm's JSONL and mteb's predictions are read as they are."
            )
        _check_id(query_id, path)
        rows[query_id] = {}
        for rank, (document_id, score) in enumerate(scores.items(), start=1):
            _check_id(document_id, path)
            rows[query_id][document_id] = (-_number(score, query_id, document_id, path), float(rank))
    return rows


def _requests(content: Sequence[Any], path: Path) -> Rows:
    """Rows of rank_llm's requests: ``{query: {qid, text}, candidates: [{docid, score, doc}]}``, in the list's order."""
    rows: Rows = {}
    for number, request in enumerate(content, start=1):
        where = f"{path}, object {number}"
        if not _is_request(request):
            raise BenchError(f"{where}: expected rank_llm's 'query' and 'candidates', found {_kind(request)}.")
        candidates = request.get("candidates", request.get("hits"))
        if not isinstance(candidates, list) or not all(isinstance(each, dict) for each in candidates):
            raise BenchError(f"{where}: 'candidates' must be a list of objects.")
        query = request.get("query")
        query_id = _identifier(
            query.get("qid") if isinstance(query, dict) else _hit(candidates).get("qid"), "qid", where
        )
        if query_id in rows:
            raise BenchError(f"{where}: query {query_id!r} occurs twice. Keep one of the two.")
        rows[query_id] = _candidates(candidates, query_id, where)
    return rows


def _candidates(candidates: Sequence[Mapping[str, Any]], query_id: str, where: str) -> dict[str, tuple[float, float]]:
    ranking: dict[str, tuple[float, float]] = {}
    # A listwise model's answer is an order: without a score for each, the list's order is the ranking.
    scored = all(each.get("score") is not None for each in candidates)
    for rank, candidate in enumerate(candidates, start=1):
        document_id = _identifier(candidate.get("docid"), "docid", where)
        if document_id in ranking:
            raise BenchError(f"{where}: document {document_id!r} occurs twice for query {query_id!r}. Keep one.")
        score = _number(candidate["score"], query_id, document_id, Path(where)) if scored else -float(rank)
        ranking[document_id] = (-score, float(rank))
    return ranking


def _hit(candidates: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return candidates[0] if candidates else {}


def three_columns(lines: Iterable[tuple[int, str]], path: Path) -> tuple[str, Rows]:
    """A run's name and rows from MS MARCO's ``query document rank``, the best document having rank 1.

    Raises:
        BenchError: naming file and line, for other columns, or ranks that are none.
    """
    rows: Rows = {}
    ranks: dict[str, set[int]] = {}
    for number, line in lines:
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 3 or not re.fullmatch("[1-9][0-9]{0,8}", fields[2], re.ASCII):
            raise BenchError(f"{path}, line {number}: {_not_ranks(fields)}")
        query_id, document_id, rank = fields[0], fields[1], int(fields[2])
        if document_id in rows.setdefault(query_id, {}) or rank in ranks.setdefault(query_id, set()):
            what = f"rank {rank}" if rank in ranks[query_id] else f"document {document_id!r}"
            raise BenchError(
                f"{path}, line {number}: {what} occurs twice for query {query_id!r}. Three columns are read as MS "
                f"MARCO's 'query document rank'. {_OTHER_COLUMNS}"
            )
        ranks[query_id].add(rank)
        rows[query_id][document_id] = (float(rank), float(rank))
    return path.name.removesuffix(".gz").removesuffix(".tsv").removesuffix(".txt"), rows


_OTHER_COLUMNS = (
    'If the third column is a score: awk \'{print $1, "Q0", $2, 1, $3, "run"}\' FILE > run.trec. If these are '
    "judgements, they belong into qrels/test.tsv of a folder."
)


def _not_ranks(fields: Sequence[str]) -> str:
    if len(fields) != 3:
        return f"expected the 3 fields 'query document rank' of the lines before, found {len(fields)}."
    return f"the third of three columns is {fields[2][:20]!r}, not a rank from 1. {_OTHER_COLUMNS}"


def not_a_run(line: str) -> str:
    """What a first line is that is no run's, with the conversion; empty where that cannot be told."""
    fields = line.split()
    if len(fields) == 4 and fields[1] in ("0", "Q0") and re.fullmatch(r"-?\d+(\.0+)?", fields[3], re.ASCII):
        return "These are judgements in TREC's form, not a run: they belong into qrels/test.tsv of a folder."
    if len(fields) <= 2 and line.count(",") >= 2:
        return (
            "This looks like comma-separated values. For the columns query, document, score: awk -F, "
            '\'{print $1, "Q0", $2, 1, $3, "run"}\' FILE > run.trec'
        )
    return ""


def _identifier(value: Any, key: str, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not ID.fullmatch(str(value)):
        raise BenchError(f"{where}: '{key}' must be a text without white space or a whole number, found {value!r:.80}.")
    return str(value)


def _check_id(identifier: str, path: Path) -> None:
    if not ID.fullmatch(identifier):
        raise BenchError(
            f"{path}: the id {identifier[:80]!r} contains white space or a control character. Remove it, in the "
            "collection too."
        )


def _number(value: Any, query_id: str, document_id: str, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BenchError(
            f"{path}: the score of document {document_id[:80]!r} for query {query_id[:80]!r} must be a finite number, "
            f"found {value!r:.80}."
        )
    return float(value)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
