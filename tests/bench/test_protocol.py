"""A protocol's id: the same for the same protocol on every day, another for any field that differs."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.protocol import Protocol, digest

PROTOCOL = Protocol(
    task="beir/nfcorpus",
    split="test",
    data="caef801ed4a6a246",
    texts="0123456789abcdef",
    documents=3633,
    queries=323,
    query_subset="all",
    first_stage="bm25",
    first_stage_sha256="0" * 64,
    depth=100,
    candidate_order="first stage",
    text_rule="title and text, joined by a space",
    identical_ids="kept",
    judgements="given",
    max_query_length=512,
    max_doc_length=2048,
    measure="nDCG@10",
    measure_library="pytrec_eval-terrier 0.5.11",
)


def test_the_id_is_the_same_in_every_process_and_version():
    # Stored results carry it: where this fails, every result that anybody has is orphaned.
    assert PROTOCOL.id == "e4c79728"
    assert PROTOCOL.label == "bm25@100-e4c79728"


@pytest.mark.parametrize("field", [field.name for field in fields(Protocol)])
def test_the_id_changes_with_each_field(field: str):
    value = getattr(PROTOCOL, field)
    changed = replace(PROTOCOL, **{field: value + 1 if isinstance(value, int) else f"{value}2"})
    assert changed.id != PROTOCOL.id
    assert [text.partition(":")[0] for text in PROTOCOL.differences(changed)] == [field]


def test_differences_give_both_values_and_only_the_first_digits_of_hashes():
    others = replace(PROTOCOL, depth=50, first_stage_sha256="1" * 64)
    hashes = "first_stage_sha256: '000000000000' and '111111111111'"
    assert PROTOCOL.differences(others) == [hashes, "depth: 100 and 50"]
    twin = "0" * 63 + "1"
    assert PROTOCOL.differences(replace(PROTOCOL, first_stage_sha256=twin)) == [
        f"first_stage_sha256: {'0' * 64!r} and {twin!r}"
    ]


SHARED = {"first_stage", "depth", "candidate_order", "max_query_length", "max_doc_length", "measure"}


@pytest.mark.parametrize("field", [field.name for field in fields(Protocol)])
def test_tasks_of_one_mean_share_what_does_not_belong_to_the_task(field: str):
    value = getattr(PROTOCOL, field)
    changed = replace(PROTOCOL, **{field: value + 1 if isinstance(value, int) else f"{value}2"})
    assert (changed.condition != PROTOCOL.condition) == (field in SHARED)


def test_a_protocol_does_not_differ_from_its_equal():
    assert PROTOCOL.differences(replace(PROTOCOL)) == []
    assert PROTOCOL.as_dict() == {"id": PROTOCOL.id} | {f.name: getattr(PROTOCOL, f.name) for f in fields(Protocol)}


@given(one=st.lists(st.text(max_size=3), max_size=4), other=st.lists(st.text(max_size=3), max_size=4))
def test_a_digest_keeps_borders_and_order(one: list[str], other: list[str]):
    assert (digest(one) == digest(other)) == (one == other)
    assert digest([*one, ""]) != digest(one)
    assert digest(["".join([*one, "x"])]) != digest([*one, "x"]) or len(one) == 0


def test_a_digest_takes_what_utf8_cannot_hold():
    assert digest(["\ud800"]) != digest(["\ud801"])
