"""MKQA: questions in 26 languages, answered by English passages, and an embedded sample in each language.

Longpre et al. 2021, https://arxiv.org/abs/2007.15207, by the protocol of BGE-M3, https://arxiv.org/abs/2402.03216: the
passages are BEIR's NQ corpus, and one is relevant when it holds one of the English answers. Papers call the main
measure Recall@10; it is the share of questions with at least one such passage among the first ten, which is
``Success@10`` in ir_measures' words (``R@10`` would be the share of all such passages). mteb's MKQARetrieval is another
task.

All 10,000 questions are a test set; the 6,619 with a short answer are measured. No judgements are given, so that their
declared number is 0: candidates are judged by their texts, in `bench.collections.mkqa`.
"""

from bench.task import Counts, Task

LANGUAGES = (
    "ar", "da", "de", "en", "es", "fi", "fr", "he", "hu", "it", "ja", "km", "ko",
    "ms", "nl", "no", "pl", "pt", "ru", "sv", "th", "tr", "vi", "zh_cn", "zh_hk", "zh_tw",
)  # fmt: skip


OTHER_SCRIPTS = ("ar", "he", "ja", "km", "ko", "ru", "th", "zh_cn", "zh_hk", "zh_tw")
"""Languages whose questions share no word with English passages. Their samples are searched by the English question."""


def _task(name: str, counts: Counts, *, source_id: str = "", embedded: bool = False) -> Task:
    return Task(
        suite="mkqa",
        name=name,
        source_id=source_id,
        counts=counts,
        measure="Success@10",
        first_stage="bm25-english" if embedded and name.removeprefix("embedded-") in OTHER_SCRIPTS else "bm25",
        extra_measures=("Success@20", "Success@100"),
        embedded=embedded,
    )


TASKS = (
    *(_task(language, Counts(2_681_468, 6_619, 0), source_id="beir/nq") for language in LANGUAGES),
    *(_task(f"embedded-{language}", Counts(183, 22, 0), embedded=True) for language in LANGUAGES),
)
