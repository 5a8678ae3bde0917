"""CoIR: ten tasks of retrieving code, and retrieving by code, and an embedded sample.

Li et al. 2024, https://arxiv.org/abs/2407.02883, as mteb loads them. Counts are those of mteb 2.26's descriptive
statistics. The text rule is mteb's: title and text, joined by a space. CoIR's own library leaves the title out, and so
gives other scores where a corpus has titles. CodeSearchNet (code asks for its comment) and CodeSearchNet-ccr (the first
half of a function asks for the rest) have a task for each of six languages; their score is the mean over them.

BM25 analyses a task as code where queries or documents are code, since words must then be found inside identifiers, and
as English where both are prose that quotes some (questions and answers of Stack Overflow and of CodeFeedback).
"""

from bench.task import Counts, Task


def _task(name: str, mteb: str, documents: int, queries: int, *, analysis: str = "code", group: str = "") -> Task:
    """A task of CoIR, where each query has a single judgement."""
    return Task(
        suite="coir",
        name=name,
        mteb=mteb,
        counts=Counts(documents, queries, queries),
        analysis=analysis,
        group=group,
    )


def _search(language: str, documents: int, queries: int) -> Task:
    mteb = f"COIRCodeSearchNetRetrieval:{language}"
    return _task(f"codesearchnet-{language}", mteb, documents, queries, group="codesearchnet")


def _completion(language: str, documents: int, queries: int) -> Task:
    mteb = f"CodeSearchNetCCRetrieval:{language}"
    return _task(f"codesearchnet-ccr-{language}", mteb, documents, queries, group="codesearchnet-ccr")


TASKS = (
    _task("apps", "AppsRetrieval", 8_765, 3_765),
    # CosQA has 6,267 different texts; of documents that share one, a single one is judged: left as published.
    _task("cosqa", "CosQA", 20_604, 500),
    _task("synthetic-text2sql", "SyntheticText2SQL", 105_851, 5_851),
    _search("go", 182_440, 8_122),
    _search("java", 180_866, 10_955),
    _search("javascript", 64_854, 3_291),
    _search("php", 267_725, 14_014),
    _search("python", 280_310, 14_918),
    _search("ruby", 27_570, 1_261),
    _completion("go", 182_735, 8_122),
    _completion("java", 181_061, 10_955),
    _completion("javascript", 65_201, 3_291),
    _completion("php", 268_237, 14_014),
    _completion("python", 280_652, 14_918),
    _completion("ruby", 27_588, 1_261),
    _task("codetrans-dl", "CodeTransOceanDL", 816, 180),
    _task("codetrans-contest", "CodeTransOceanContest", 1_008, 221),
    _task("stackoverflow-qa", "StackOverflowQA", 19_931, 1_994, analysis="english"),
    _task("codefeedback-st", "CodeFeedbackST", 156_526, 31_306, analysis="english"),
    _task("codefeedback-mt", "CodeFeedbackMT", 66_383, 13_277, analysis="english"),
    # Docstrings and functions of networkx, as `tests/scripts/functions_sample.py` takes them from its source.
    Task(
        suite="coir",
        name="embedded-functions",
        source_id="source of networkx 3.6.1",
        counts=Counts(1_170, 1_170, 1_170),
        join_title=False,
        analysis="code",
        embedded=True,
        sample_queries=12,
    ),
)
