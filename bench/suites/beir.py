"""BEIR: the 13 tasks that the paper averages, the other public ones, and the embedded sample.

Thakur et al. 2021, https://arxiv.org/abs/2104.08663. Counts are those of ir_datasets 0.6.3's metadata; judgements of 0
and below are counted too. Touché is the 2020 task with the judgements of BEIR's second version.
"""

from bench.task import Counts, Task


def _task(
    name: str, source_id: str, mteb: str, documents: int, queries: int, judgements: int, *, identical: bool = False,
    split: str = "test", group: str = "", default: bool = True,
) -> Task:  # fmt: skip
    return Task(
        suite="beir",
        name=name,
        split=split,
        source_id=f"beir/{source_id}",
        mteb=mteb,
        counts=Counts(documents, queries, judgements),
        drop_identical_ids=identical,
        group=group,
        default=default,
    )


def _forum(name: str, mteb: str, documents: int, queries: int, judgements: int) -> Task:
    return _task(
        f"cqadupstack-{name}", f"cqadupstack/{name}", f"CQADupstack{mteb}Retrieval", documents, queries, judgements,
        group="cqadupstack", default=False,
    )  # fmt: skip


def _sample(name: str, documents: int, queries: int, judgements: int, *, identical: bool = False) -> Task:
    """A collection written for this project in a BEIR task's manner."""
    counts = Counts(documents, queries, judgements)
    return Task(
        "beir", f"embedded-{name}", counts=counts, drop_identical_ids=identical, embedded=True, sample_queries=12
    )


TASKS = (
    _task("trec-covid", "trec-covid", "TRECCOVID", 171_332, 50, 66_336),
    _task("nfcorpus", "nfcorpus/test", "NFCorpus", 3_633, 323, 12_334),
    _task("nq", "nq", "NQ", 2_681_468, 3_452, 4_201),
    _task("hotpotqa", "hotpotqa/test", "HotpotQA", 5_233_329, 7_405, 14_810),
    _task("fiqa", "fiqa/test", "FiQA2018", 57_638, 648, 1_706),
    # Queries of ArguAna and Quora are documents of the corpus under the same id.
    _task("arguana", "arguana", "ArguAna", 8_674, 1_406, 1_406, identical=True),
    _task("webis-touche2020", "webis-touche2020/v2", "Touche2020", 382_545, 49, 2_214),
    _task("dbpedia-entity", "dbpedia-entity/test", "DBPedia", 4_635_922, 400, 43_515),
    _task("scidocs", "scidocs", "SCIDOCS", 25_657, 1_000, 29_928),
    _task("fever", "fever/test", "FEVER", 5_416_568, 6_666, 7_937),
    _task("climate-fever", "climate-fever", "ClimateFEVER", 5_416_593, 1_535, 4_681),
    _task("scifact", "scifact/test", "SciFact", 5_183, 300, 339),
    _task("quora", "quora/test", "QuoraRetrieval", 522_931, 10_000, 15_675, identical=True),
    _task("msmarco", "msmarco/dev", "MSMARCO", 8_841_823, 6_980, 7_437, split="dev", default=False),
    _forum("android", "Android", 22_998, 699, 1_696),
    _forum("english", "English", 40_221, 1_570, 3_765),
    _forum("gaming", "Gaming", 45_301, 1_595, 2_263),
    _forum("gis", "Gis", 37_637, 885, 1_114),
    _forum("mathematica", "Mathematica", 16_705, 804, 1_358),
    _forum("physics", "Physics", 38_316, 1_039, 1_933),
    _forum("programmers", "Programmers", 32_176, 876, 1_675),
    _forum("stats", "Stats", 42_269, 652, 913),
    _forum("tex", "Tex", 68_184, 2_906, 5_154),
    _forum("unix", "Unix", 47_382, 1_072, 1_693),
    _forum("webmasters", "Webmasters", 17_405, 506, 1_395),
    _forum("wordpress", "Wordpress", 48_605, 541, 744),
    _sample("claims", 100, 34, 415),
    _sample("questions", 159, 39, 502),
    _sample("arguments", 124, 31, 419, identical=True),
)
