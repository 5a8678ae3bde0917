"""What a section of the leaderboard is called, on a page and in a paper."""

from bench.leaderboard.board import Section
from bench.paths import component

TITLES = {
    "beir": "BEIR",
    "miracl": "MIRACL",
    "mkqa": "MKQA",
    "coir": "CoIR",
    "irds": "ir_datasets",
    "mteb": "mteb",
    "folder": "Own collections",
}


def section_title(section: Section) -> str:
    """What a section is called."""
    title = TITLES.get(section.suite, section.suite)
    return f"{title}, embedded sample" if section.embedded else title


def label(section: Section, what: str = "") -> str:
    """What a paper refers to a section's table by: ``beir``, ``beir-embedded-costs``."""
    return "-".join(filter(None, (component(section.suite), "embedded" if section.embedded else "", what)))
