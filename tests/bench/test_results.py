"""result.json: written whole, read back as it was, and refused by file and key where it is damaged."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.paths import LENGTH, component
from bench.protocol import Protocol
from bench.rerankers.base import Card
from bench.results import (
    SCHEMA,
    Candidates,
    Cost,
    Cut,
    Latency,
    Parallel,
    Result,
    read_result,
    result_paths,
    write_result,
)
from bench.run import Run, read_run

RUN = Run("mine", {"q1": [("d1", 1.0), ("d2", 0.5)]})


def make_result(name: str = "mine", task: str = "folder/small", first_stage: str = "bm25") -> Result:
    protocol = Protocol(
        task=task, split="test", data="0123456789abcdef", texts="fedcba9876543210", documents=3, queries=2,
        query_subset="all",
        first_stage=first_stage, first_stage_sha256="f" * 64, depth=100, candidate_order="first stage",
        text_rule="text", identical_ids="kept", judgements="given", max_query_length=512, max_doc_length=2048,
        measure="nDCG@10", measure_library="pytrec_eval-terrier 0",
    )  # fmt: skip
    return Result(
        task=task,
        reranker=Card(name=name, fingerprint="abc", family="own", needs=frozenset({"texts", "grades"}),
                      settings={"seed": 1, "scale": 0.5, "deep": True, "prompt": "für …"}),
        protocol=protocol,
        measures={"nDCG@10": 0.1 + 0.2, "MAP": 0.0},
        per_query={"q1": 0.6, "ключ": 0.0},
        candidates=Candidates(first_stage=0.25, ceiling=1.0, recall=0.5),
        cut=Cut(documents=1, queries=2, tokens=3),
        cost=Cost(0.5, harness_seconds=0.25, lists=2, documents=4, tokens=40, peak_memory_bytes=5, device="cpu"),
        run_sha256=RUN.sha256,
        provenance={"source": "here", "packages": {"numpy": "2"}, "kept_lists": 0},
    )  # fmt: skip


def keys(content: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all keys of the schema: a mapping with names of the data's own is one key."""
    for name, value in content.items():
        yield (*above, name)
        if isinstance(value, dict) and name not in ("measures", "per_query", "provenance", "settings"):
            yield from keys(value, (*above, name))


def change(path: Path, key: tuple[str, ...], *value: object) -> None:
    """Set a key of a JSON file, or take it away where no value is given."""
    content = json.loads(path.read_text(encoding="utf-8"))
    place = content
    for name in key[:-1]:
        place = place[name]
    if value:
        place[key[-1]] = value[0]
    else:
        del place[key[-1]]
    path.write_text(json.dumps(content), encoding="utf-8")


def test_a_result_is_read_as_it_was_written(tmp_path: Path):
    result = make_result()
    path = write_result(result, RUN, tmp_path)
    folder = tmp_path / "folder" / "small" / f"bm25-100-{result.protocol.id}" / f"mine-{result.reranker_id}"
    assert path == folder / "result.json"
    assert read_result(path) == result
    assert read_run(path.with_name("run.trec.gz")) == RUN
    assert sorted(file.name for file in path.parent.iterdir()) == ["result.json", "run.trec.gz"]


def test_a_cost_has_what_was_measured_and_no_other_key(tmp_path: Path):
    plain = make_result()
    assert not {"parallel", "latency"} & json.loads(write_result(plain, RUN, tmp_path).read_text())["cost"].keys()
    cost = replace(plain.cost, parallel=Parallel(2, 9.0, 17.5), latency=Latency(50, 0.125, 0.5))
    path = write_result(replace(plain, cost=cost), RUN, tmp_path)
    assert json.loads(path.read_text())["cost"]["latency"] == {"lists": 50, "p50": 0.125, "p95": 0.5}
    assert read_result(path).cost == cost
    change(path, ("cost", "latency"), None)
    with pytest.raises(BenchError, match=r"cost\.latency: Input should be"):
        read_result(path)


def test_writing_again_gives_the_same_bytes(tmp_path: Path):
    first = write_result(make_result(), RUN, tmp_path / "a").read_bytes()
    assert write_result(make_result(), RUN, tmp_path / "b").read_bytes() == first


def test_the_main_figure_is_the_protocols_measure():
    assert make_result().main == 0.1 + 0.2


SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?<![.])")
DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
NAMES = [
    "core:../../../elsewhere", "..", ".", "", "a/b", "a_b", "a-b", "a\\b", "core:my-checkpoint", "con", "CON.txt", "a.",
    "a ", "-r", "x" * 300, "x" * 301, "caf\udce9", "模型", "modèle", "Mine", "mine", "result.json", "a\n", "a\0b", "~",
    "*", "http://127.0.0.1:8000/rerank#m", "mine-01234567", "01234567",
]  # fmt: skip


def test_paths_are_safe_everywhere_whatever_the_names(tmp_path: Path):
    folders = [make_result(name, f"folder/{task}", stage).folder for name in NAMES for task in NAMES for stage in NAMES]
    for folder in folders:
        assert len(folder.parts) == 4
        for part in folder.parts:
            assert SAFE.fullmatch(part), part
            assert len(part) <= LENGTH, part
            assert not DEVICES.fullmatch(part), part
    assert len({str(folder).lower() for folder in folders}) == len(NAMES) ** 3


@given(st.text(max_size=80), st.text(max_size=80))
def test_two_texts_never_share_a_component(one: str, other: str):
    # What was made of a text is itself a text that somebody may choose.
    texts = {one, other, component(one), component(component(one))}
    assert len({component(text).lower() for text in texts}) == len(texts)


@pytest.mark.parametrize(
    "other",
    [{"fingerprint": "abd"}, {"device": "cuda"}, {"dtype": "bfloat16"}, {"settings": {"seed": 2}}, {"name": "mine."},
     {"settings": {"seed": 1, "scale": 0.5, "deep": 1, "prompt": "für …"}}],
    ids=str,
)  # fmt: skip
def test_another_reranker_never_takes_a_results_place(tmp_path: Path, other: dict[str, Any]):
    result = make_result()
    another = replace(result, reranker=replace(result.reranker, **other))
    paths = [write_result(each, RUN, tmp_path) for each in (result, another)]
    assert [read_result(path) for path in paths] == [result, another]
    assert len(set(paths)) == 2


def test_the_same_reranker_measured_again_takes_the_results_place(tmp_path: Path):
    result = make_result()
    again = replace(result, measures={"nDCG@10": 0.5, "MAP": 0.5})
    paths = {write_result(each, RUN, tmp_path) for each in (result, again)}
    assert [read_result(path) for path in paths] == [again]


@pytest.mark.parametrize(
    ("part", "wrong", "key"),
    [
        ("cost", {"tokens": -1}, "cost.tokens"),
        ("cost", {"lists": np.int64(1)}, "cost.lists"),
        ("cost", {"seconds": math.nan}, "cost.seconds"),
        ("cut", {"documents": -1}, "cut.documents"),
        ("cut", {"tokens": 2**63}, "cut.tokens"),
        ("protocol", {"depth": 10**19}, "protocol.depth"),
        ("protocol", {"max_doc_length": 2**63}, "protocol.max_doc_length"),
        ("protocol", {"first_stage": "caf\udce9"}, "protocol.first_stage"),
        ("reranker", {"name": ""}, "reranker.name"),
        ("reranker", {"name": "caf\udce9"}, "reranker.name"),
        ("reranker", {"fingerprint": None}, "reranker.fingerprint"),
        ("reranker", {"parameters": 1.5}, "reranker.parameters"),
        ("reranker", {"settings": {"seed": [1]}}, "reranker.settings.seed"),
        ("reranker", {"settings": {"seed": 2**63}}, "reranker.settings.seed"),
        ("candidates", {"ceiling": "1"}, "candidates.ceiling"),
    ],
    ids=str,
)
def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, part: str, wrong: dict[str, Any], key: str):
    result = make_result()
    damaged = replace(result, **{part: replace(getattr(result, part), **wrong)})
    with pytest.raises(BenchError, match=re.escape(key)):
        write_result(damaged, RUN, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_utf8_cannot_hold_is_still_written(tmp_path: Path):
    # A path on the command line may be any bytes; Python carries those that are not UTF-8 as lone surrogates.
    result = replace(make_result(), provenance={"command": "python -m bench folder caf\udce9"})
    assert read_result(write_result(result, RUN, tmp_path)) == result


def test_every_missing_key_is_named(tmp_path: Path):
    path = write_result(make_result(), RUN, tmp_path)
    whole = path.read_text(encoding="utf-8")
    for key in keys(json.loads(whole)):
        path.write_text(whole, encoding="utf-8")
        change(path, key)
        with pytest.raises(BenchError) as caught:
            read_result(path)
        assert str(path) in str(caught.value)
        assert ("schema None" if key == ("schema",) else f"{'.'.join(key)}: Field required") in str(caught.value)


def test_a_key_that_no_result_has_is_named(tmp_path: Path):
    path = write_result(make_result(), RUN, tmp_path)
    whole = path.read_text(encoding="utf-8")
    for above in ((), ("protocol",), ("reranker",), ("candidates",), ("cut",), ("cost",)):
        path.write_text(whole, encoding="utf-8")
        change(path, (*above, "foreign"), 1)
        with pytest.raises(BenchError, match=r"\.".join((*above, "foreign")) + ": Extra"):
            read_result(path)


def test_a_key_that_stands_twice_is_named(tmp_path: Path):
    path = write_result(make_result(), RUN, tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace('"MAP": 0.0', '"MAP": 0.0, "MAP": 0.9'), encoding="utf-8")
    with pytest.raises(BenchError, match="'MAP' occurs twice"):
        read_result(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "cp1252"])
def test_a_result_in_another_encoding_is_refused(tmp_path: Path, encoding: str):
    result = replace(make_result(), per_query={"é": 0.0})
    path = write_result(replace(result, reranker=replace(result.reranker, settings={})), RUN, tmp_path)
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    with pytest.raises(BenchError, match=r"result\.json is not valid JSON"):
        read_result(path)


def test_every_value_of_the_wrong_type_is_named(tmp_path: Path):
    path = write_result(make_result(), RUN, tmp_path)
    whole = path.read_text(encoding="utf-8")
    checked = [key for key in keys(json.loads(whole)) if key not in (("schema",), ("protocol", "id"))]
    for key in checked:
        for wrong in ([1], None, True):
            path.write_text(whole, encoding="utf-8")
            change(path, key, wrong)
            with pytest.raises(BenchError) as caught:
                # A flag is the one value that may be true.
                read_result(path)
                assert wrong is True and key == ("reranker", "listwise")
                raise BenchError(f"{path} {'.'.join(key)}")
            assert str(path) in str(caught.value)
            assert ".".join(key) in str(caught.value)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_named(tmp_path: Path, value: str):
    path = write_result(make_result(), RUN, tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace('"MAP": 0.0', f'"MAP": {value}'), encoding="utf-8")
    with pytest.raises(BenchError, match=rf"result\.json is not valid JSON: {value}"):
        read_result(path)


@pytest.mark.parametrize("value", ["1e999", "1" + "0" * 400, '"0.5"', "true", "null"])
@pytest.mark.parametrize("key", ["measures", "per_query"])
def test_a_figure_that_is_no_finite_number_is_refused(tmp_path: Path, key: str, value: str):
    path = write_result(make_result(), RUN, tmp_path)
    content = json.loads(path.read_text(encoding="utf-8"))
    content[key][next(iter(content[key]))] = "HERE"
    path.write_text(json.dumps(content).replace('"HERE"', value), encoding="utf-8")
    with pytest.raises(BenchError, match=rf"result\.json does not fit its format: {key}\."):
        read_result(path)


def test_a_lacking_main_measure_is_named(tmp_path: Path):
    path = write_result(make_result(), RUN, tmp_path)
    change(path, ("measures", "nDCG@10"))
    with pytest.raises(BenchError, match="lacks the main measure nDCG@10"):
        read_result(path)


@pytest.mark.parametrize(("field", "value"), [("depth", 50), ("first_stage", "other"), ("id", "00000000")])
def test_a_protocol_changed_by_hand_is_refused(tmp_path: Path, field: str, value: object):
    path = write_result(make_result(), RUN, tmp_path)
    change(path, ("protocol", field), value)
    with pytest.raises(BenchError, match="changed by hand"):
        read_result(path)


@pytest.mark.parametrize("schema", [SCHEMA + 1, 0, "1", None, 1.5, 1.0, True])
def test_another_schema_is_named(tmp_path: Path, schema: object):
    path = write_result(make_result(), RUN, tmp_path)
    change(path, ("schema",), schema)
    with pytest.raises(BenchError, match="schema") as caught:
        read_result(path)
    assert repr(schema) in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'"text"', b"null", b"\xff\xfe", b"[" * 100_000, b"{}"],
    ids=["empty", "torn", "list", "text", "null", "not UTF-8", "deep", "no keys"],
)  # fmt: skip
def test_what_is_no_result_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "result.json"
    path.write_bytes(content)
    with pytest.raises(BenchError) as caught:
        read_result(path)
    assert str(path) in str(caught.value)


def test_results_are_found_in_files_and_folders(tmp_path: Path):
    written = [write_result(make_result(name), RUN, tmp_path / "out") for name in ("b", "a")]
    assert result_paths([tmp_path / "out"]) == sorted(written)
    assert result_paths([written[0], tmp_path / "out"]) == written  # each once
    assert [result.reranker.name for result in map(read_result, result_paths([tmp_path / "out"]))] == ["a", "b"]


def test_places_without_results_are_named(tmp_path: Path):
    with pytest.raises(BenchError, match="missing does not exist"):
        result_paths([tmp_path / "missing"])
    with pytest.raises(BenchError, match="holds no result"):
        result_paths([tmp_path])


def test_speed_is_a_matter_of_the_rerankers_own_time():
    cost = make_result().cost
    assert cost.documents_per_second == 4 / 0.5
    assert replace(cost, seconds=0.0).documents_per_second == 0
