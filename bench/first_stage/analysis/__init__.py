"""Text analysis: how a text becomes the tokens that BM25 counts.

One analyser a language, composed as Lucene's language analysers are: fold spelling, cut into tokens, drop stop words,
normalise and stem. Each step comes from a maintained library where one exists; the rest are tables that cite their
source. An analyser's description says in one line all that its tokens depend on.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version

from bench.errors import BenchError
from bench.first_stage.analysis import spelling, tokens
from bench.first_stage.analysis.stems import describe_stemmer, stemmer
from bench.first_stage.analysis.stopwords import StopList


@dataclass(frozen=True)
class Analyser:
    """A named way from a text to its tokens: call it with the text. The same text always gives the same tokens."""

    name: str
    description: str
    _tokens: Callable[[str], list[str]] = field(repr=False, compare=False)

    def __call__(self, text: str) -> list[str]:
        """Cut a text into tokens, none of them empty or holding white space."""
        return self._tokens(text)

    def __reduce__(self) -> tuple[Callable[[str], "Analyser"], tuple[str]]:
        """Another process makes it again by its name."""
        return analyser, (self.name,)


@dataclass(frozen=True)
class _Recipe:
    """The parts of an analyser; ``said`` describes all but ``stop`` and ``stem``."""

    said: str
    cut: Callable[[str], list[str]]
    stop: StopList | None = None
    stem: str | None = None
    fold: Callable[[str], str] = str.lower  # on the text, before it is cut
    spell: Callable[[str], str] | None = None  # on each token, before it is stemmed
    finish: Callable[[str], str] | None = None  # on each stem
    whole: Callable[[str], list[str]] | None = None  # further tokens, which are neither stopped nor stemmed
    libraries: tuple[str, ...] = ("regex",)


_WORDS = "lower-cased words as Unicode UAX 29 bounds them"
_BIGRAMS = "overlapping pairs in runs of CJK characters, other words whole, full and half width folded, lower-cased"
_WHITE_SPACE = "lower-cased white-space tokens"
_ENGLISH_STOP = StopList("bm25s", "english")

_RECIPES = {
    # Two or more characters, as bm25s and scikit-learn cut: so BM25 lands on the published figures of all three BEIR
    # tasks that it was tried on, while with one-letter tokens it misses ArguAna's. The possessive 's falls with them.
    "english": _Recipe(
        "lower-cased runs of two or more letters and digits", tokens.long_words, _ENGLISH_STOP, "english"
    ),
    # Snowball's Arabic stemmer leaves the conjunction on a word that has the article too ("and the book"), so that
    # it is another token: light10 is 2.2 points of nDCG@10 ahead on a part of MIRACL (results/first_stage.md).
    "arabic": _Recipe(
        f"{_WORDS}, vowel marks and tatweel dropped, letters unified as by Lucene's ArabicNormalizer",
        tokens.words,
        StopList("stop-words", "arabic"),
        "light10",
        fold=spelling.fold_arabic,
        spell=spelling.normalise_arabic,
    ),
    "bengali": _Recipe(
        f"{_WORDS}, spelt as by Lucene's BengaliNormalizer",
        tokens.words,
        stem="bengali",
        fold=spelling.fold_indic,
        spell=spelling.normalise_bengali,
    ),
    # Snowball's German stemmer does what Lucene's GermanNormalizationFilter does: ä and ae to a, ß to ss.
    "german": _Recipe(_WORDS, tokens.words, StopList("bm25s", "german"), "german"),
    "spanish": _Recipe(_WORDS, tokens.words, StopList("lucene", "spanish"), "spanish"),
    "persian": _Recipe(
        f"{_WORDS}, cut at zero-width non-joiners, letters unified as by Lucene's PersianNormalizer",
        tokens.words,
        StopList("stop-words", "persian"),
        "persian",
        fold=spelling.fold_persian,
    ),
    "finnish": _Recipe(_WORDS, tokens.words, StopList("stop-words", "finnish"), "finnish"),
    "french": _Recipe(
        f"{_WORDS}, elided articles dropped",
        tokens.words,
        StopList("lucene", "french"),
        "french",
        fold=spelling.fold_french,
    ),
    # Snowball's Hindi stemmer knows full spellings only, so Lucene's normalising, which shortens vowels, comes last.
    "hindi": _Recipe(
        f"{_WORDS}, stems spelt as by Lucene's HindiNormalizer",
        tokens.words,
        StopList("stop-words", "hindi"),
        "hindi",
        fold=spelling.fold_indic,
        finish=spelling.normalise_hindi,
    ),
    "indonesian": _Recipe(_WORDS, tokens.words, StopList("stop-words", "indonesian"), "indonesian"),
    # Whole runs are 4.3 (dev) and 5.6 points (train) of nDCG@10 ahead of pairs alone on a part of MIRACL
    # (results/first_stage.md).
    "japanese": _Recipe(
        f"{_BIGRAMS}, and runs of kanji and of katakana whole",
        tokens.cjk_bigrams,
        fold=spelling.fold_width,
        whole=tokens.script_runs,
    ),
    "korean": _Recipe(_BIGRAMS, tokens.cjk_bigrams, fold=spelling.fold_width),
    "russian": _Recipe(_WORDS, tokens.words, StopList("bm25s", "russian"), "russian"),
    # No library keeps a stemmer, and the one stop list (stopwords-iso, 74 words) moves nDCG@10 on a part of MIRACL
    # by -1.1 points (dev) and +.3 (train): not worth a dependency.
    "swahili": _Recipe(_WORDS, tokens.words),
    "telugu": _Recipe(
        f"{_WORDS}, spelt as by Lucene's TeluguNormalizer",
        tokens.words,
        stem="telugu",
        fold=spelling.fold_indic,
        spell=spelling.normalise_telugu,
    ),
    "thai": _Recipe(
        "lower-cased words of the newmm segmenter with ICU's word list",
        tokens.thai_words,
        StopList("lucene", "thai"),
        fold=spelling.fold_thai,
        libraries=("pythainlp", "regex"),
    ),
    "yoruba": _Recipe(_WHITE_SPACE, tokens.white_space, libraries=()),
    "chinese": _Recipe(_BIGRAMS, tokens.cjk_bigrams, fold=spelling.fold_width),
    # Queries for code are prose, so the words in an identifier are treated as prose: without stop words nDCG@10 on
    # text2sql falls from 67 to 59, without stems on CosQA from 36.5 to 35.0. The whole identifier stays as it is.
    "code": _Recipe(
        "identifiers whole, and the words in them (cut at camelCase, underscores and digits), lower-cased",
        tokens.identifier_words,
        _ENGLISH_STOP,
        "english",
        fold=str,
        whole=tokens.identifiers,
    ),
    "whitespace": _Recipe(_WHITE_SPACE, tokens.white_space, libraries=()),
}

NAMES = tuple(_RECIPES)


def analyser(name: str) -> Analyser:
    """Make the analyser of a name.

    Raises:
        BenchError: for a name that is not in ``NAMES``.
    """
    if name not in _RECIPES:
        raise BenchError(f"There is no analyser {name!r}. Known: {', '.join(NAMES)}.")
    recipe = _RECIPES[name]
    stop = recipe.stop.words(recipe.fold) if recipe.stop else frozenset[str]()
    return Analyser(name, _describe(recipe, stop), _pipeline(recipe, stop))


def _pipeline(recipe: _Recipe, stop: frozenset[str]) -> Callable[[str], list[str]]:
    """Chain the steps of a recipe."""
    cut, fold, spell, finish, whole = recipe.cut, recipe.fold, recipe.spell, recipe.finish, recipe.whole
    stem = stemmer(recipe.stem) if recipe.stem else None

    def run(text: str) -> list[str]:
        text = fold(unicodedata.normalize("NFC", text))
        found = [token for token in cut(text) if token not in stop]
        if spell:
            found = [spell(token) for token in found]
        if stem:
            found = stem(found)
        if finish:
            found = [finish(token) for token in found]
        return whole(text) + found if whole else found

    return run


def _describe(recipe: _Recipe, stop: frozenset[str]) -> str:
    """Say in one line what an analyser does and with which libraries."""
    parts = [
        recipe.said,
        f"{len(stop)} stop words ({recipe.stop})" if recipe.stop else "no stop words",
        describe_stemmer(recipe.stem) if recipe.stem else "no stemmer",
        *(f"{library} {version(library)}" for library in recipe.libraries),
    ]
    return "; ".join(parts)
