"""Which text analysis BM25 takes for a language, by the codes that sources give."""

from bench.console import note

_CODES = {
    "arabic": "ar ara arb",
    "bengali": "bn ben",
    "german": "de deu",
    "english": "en eng",
    "spanish": "es spa",
    "persian": "fa fas",
    "finnish": "fi fin",
    "french": "fr fra",
    "hindi": "hi hin",
    "indonesian": "id ind",
    "japanese": "ja jpn",
    "korean": "ko kor",
    "russian": "ru rus",
    "swahili": "sw swa swh",
    "telugu": "te tel",
    "thai": "th tha",
    "yoruba": "yo yor",
    "chinese": "zh zho cmn",
}
ANALYSES = {code: analysis for analysis, codes in _CODES.items() for code in codes.split()}
"""Analyses by ISO 639-1 and 639-3."""


def analysis_of(task_id: str, language: str, chosen: str) -> str:
    """The analysis that the user chose, or that of the documents' language; white space where there is none."""
    if chosen:
        return chosen
    if language in ANALYSES:
        return ANALYSES[language]
    about = f"the documents' language, {language!r}," if language else "the documents' language, which is not stated,"
    note(f"Note: {task_id}: {about} has no analysis; BM25 cuts at white space. Choose one with --analysis NAME.")
    return "whitespace"
