"""Stemmers: Snowball's by PyStemmer, light10 for Arabic, and suffix lists for two languages that Snowball lacks."""

import unicodedata
from collections.abc import Callable
from importlib.metadata import version

# Endings that the light stemmer takes off, the longest that leaves two characters or more, spelt as the language's
# normaliser in spelling.py leaves them.
_SUFFIXES = {
    # Case endings, classifiers and verb endings; the inventory of Lucene's BengaliStemmer, which draws on Sengupta and
    # Chaudhuri, "Natural Language Processing in an Indian Language (Bengali)-I: Verb Phrase Analysis", and on Savoy's
    # light stemmer.
    "bengali": """
        িয়াছিলাম িতেছিলাম িতেছিলেন ইতেছিলেন িয়াছিলেন ইয়াছিলেন
        িতেছিলি িতেছিলে িতেছিলা িয়াছিলা িয়াছিলে িয়াছিলি য়েদেরকে
        িতেছিস িতেছেন িয়াছিস িয়াছেন েছিলাম েছিলেন েদেরকে
        িতেছি িতেছা িতেছে ছিলাম ছিলেন িয়াছি িয়াছা িয়াছে েছিলে েছিলা য়েদের দেরকে
        িলাম িলেন িতাম িতেন িবেন ছিলি ছিলে ছিলা তেছে িতেছ খানা খানি গুলো গুলি য়েরা েদের
        লাম লেন িলি ইলি িলে ইলে িলা ইলা তাম তেন িতি ইতি িতে ইতে িতা িবা ইবা িবি ইবি বেন িবে ইবে ছেন য়োন য়ের েরা দের
        িস েন লি লে লা তি তে তা বি বে বা ছি ছা ছে ুন ুক টা টি নি ের রা কে
        ি া ো ে ব ত
    """,
    # Plural, case and gender endings; the inventory of Lucene's TeluguStemmer.
    "telugu": """
        ళ్ళు డ్లు
        డు ము వు లు ని ను చె కై లొ ది కి సు వై పై
        ి ు ె ొ ా
    """,
}
_SHORTEST_STEM = 2

# light10 of Larkey, Ballesteros and Connell, "Light Stemming for Arabic Information Retrieval" (2007), in the order of
# Lucene's ArabicStemmer: one prefix goes, the conjunction with the article among them, and then every suffix that fits.
_ARABIC_PREFIXES = ("ال", "وال", "بال", "كال", "فال", "لل", "و")
_ARABIC_SUFFIXES = ("ها", "ان", "ات", "ون", "ين", "يه", "ية", "ه", "ة", "ي")
_LIGHT10 = "light10"


def stemmer(name: str) -> Callable[[list[str]], list[str]]:
    """Make the stemmer of a language: a function from words to their stems, one for one."""
    if name == _LIGHT10:
        return lambda words: [_light10(word) for word in words]
    if name in _SUFFIXES:
        return _suffix_stemmer(frozenset(unicodedata.normalize("NFC", _SUFFIXES[name]).split()))
    from Stemmer import Stemmer

    # without PyStemmer's cache, which is slower than its stemming and grows
    stem: Callable[[list[str]], list[str]] = Stemmer(name, 0).stemWords
    return stem


def describe_stemmer(name: str) -> str:
    """A few words on the stemmer of a name."""
    if name == _LIGHT10:
        return "light10 Arabic stemmer (the affixes of Lucene's)"
    if name in _SUFFIXES:
        return f"light {name.capitalize()} stemmer (the suffixes of Lucene's)"
    return f"Snowball {name.capitalize()} stemmer (PyStemmer {version('PyStemmer')})"


def _light10(word: str) -> str:
    """Take off one prefix and all suffixes that leave two letters or more; a lone conjunction must leave three."""
    for prefix in _ARABIC_PREFIXES:
        if word.startswith(prefix) and len(word) - len(prefix) >= _SHORTEST_STEM + (len(prefix) == 1):
            word = word[len(prefix) :]
            break
    for suffix in _ARABIC_SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _SHORTEST_STEM:
            word = word[: -len(suffix)]
    return word


def _suffix_stemmer(suffixes: frozenset[str]) -> Callable[[list[str]], list[str]]:
    lengths = sorted({len(suffix) for suffix in suffixes}, reverse=True)

    def stem(word: str) -> str:
        for length in lengths:
            if len(word) - length >= _SHORTEST_STEM and word[-length:] in suffixes:
                return word[:-length]
        return word

    return lambda words: [stem(word) for word in words]
