"""Spelling: folding of texts and normalising of tokens, for scripts that spell one word in many ways.

The tables follow Lucene's normalizers (Apache Lucene 9, org.apache.lucene.analysis.ar, .bn, .cjk, .fa, .fr, .hi, .in,
.te), whose own sources are named next to them. All texts come in NFC, so that a letter and its marks are one character
where Unicode has such a character.
"""

import unicodedata

import regex

_ZERO_WIDTH = dict.fromkeys("\u200c\u200d", "")  # non-joiner and joiner
_ARABIC_MARKS = dict.fromkeys("ـ\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652", "")  # tatweel and harakat

# Lucene's DecimalDigitFilter: every script's digits as ASCII's; the zeros of the scripts used here
_DIGITS = {chr(ord(zero) + digit): str(digit) for zero in "٠۰०০౦๐" for digit in range(10)}

_ARABIC = str.maketrans(_DIGITS | _ARABIC_MARKS)
# ArabicNormalizer: alef, yeh and teh marbuta as their plain forms
_ARABIC_LETTERS = str.maketrans(dict.fromkeys("آأإ", "ا") | {"ى": "ي", "ة": "ه"})
# ArabicNormalizer and PersianNormalizer unify the same letters, with Arabic yeh and kaf for the Persian ones; here the
# Persian ones stay, since Snowball's Persian stemmer expects them.
_PERSIAN = str.maketrans(
    _DIGITS
    | _ARABIC_MARKS
    | {"\u0654": ""}  # hamza above, of heh
    | dict.fromkeys("آأإ", "ا")
    | dict.fromkeys("يىے", "ی")
    | dict.fromkeys("ك", "ک")
    | dict.fromkeys("ةۀہ", "ه")
)
_THAI = str.maketrans(_DIGITS)
# candrabindu as bindu, before the stemmer, which knows the endings with bindu only
_INDIC = str.maketrans(_DIGITS | _ZERO_WIDTH | {"ँ": "ं"})

# FrenchAnalyzer.DEFAULT_ARTICLES
_ELISION = regex.compile(r"\b(?:jusqu|quoiqu|lorsqu|puisqu|qu|[lmtnsjdc])['’](?=\p{L})")
# CJKWidthFilter: full-width ASCII and half-width katakana
_ODD_WIDTH = regex.compile(r"[\uff01-\uff5e\uff65-\uff9f]+")


def fold_arabic(text: str) -> str:
    """Lower-case, drop tatweel and harakat, make digits ASCII."""
    return text.lower().translate(_ARABIC)


def normalise_arabic(token: str) -> str:
    """Spell an Arabic token as Lucene's ArabicNormalizer does, marks having gone before."""
    return token.translate(_ARABIC_LETTERS)


def fold_persian(text: str) -> str:
    """Lower-case, drop marks, make digits ASCII, and unify the forms of alef, yeh, kaf and heh."""
    return text.lower().translate(_PERSIAN)


def fold_thai(text: str) -> str:
    """Lower-case and make digits ASCII."""
    return text.lower().translate(_THAI)


def fold_indic(text: str) -> str:
    """Lower-case, make digits ASCII, drop zero-width joiners, and write Devanagari's candrabindu as bindu."""
    return text.lower().translate(_INDIC)


def fold_french(text: str) -> str:
    """Lower-case and drop elided articles, pronouns and conjunctions: l'eau is eau."""
    plain: str = _ELISION.sub("", text.lower())
    return plain


def fold_width(text: str) -> str:
    """Lower-case, and give full-width Latin and half-width katakana their usual width."""
    usual: str = _ODD_WIDTH.sub(lambda run: unicodedata.normalize("NFKC", run[0]), text)
    return usual.lower()


# HindiNormalizer, after Pingali and Varma, "Word normalization in Indian languages", and Larkey et al., "Hindi CLIR in
# thirty days": no nukta, no virama, candra and short vowels as the plain ones, long vowels as the short ones.
_HINDI = str.maketrans(
    dict.fromkeys("\u093c\u094d", "")
    | {"ऩ": "न", "ऱ": "र", "ऴ": "ळ"}
    | {"ॲ": "अ", "आ": "अ", "ई": "इ", "ऊ": "उ", "ॠ": "ऋ", "ॡ": "ऌ"}
    | dict.fromkeys("ऍऎऐ", "ए")
    | dict.fromkeys("ऑऒऔ", "ओ")
    | {"ी": "ि", "ू": "ु", "ॄ": "ृ", "ॣ": "ॢ"}
    | dict.fromkeys("ॅॆै", "े")
    | dict.fromkeys("ॉॊौ", "ो")
)
# IndicNormalizer's compositions for Devanagari, as they come out of the table above
_HINDI_COMPOSED = {"अाे": "ओ", "अो": "ओ", "अा": "अ", "अे": "अ", "ाे": "ो", "उु": "उ", "एे": "ए"}
_HINDI_PARTS = regex.compile("|".join(_HINDI_COMPOSED))


def normalise_hindi(token: str) -> str:
    """Spell a Hindi stem as Lucene's HindiNormalizer does; a dead n is a bindu."""
    plain = token.replace("न्", "ं").translate(_HINDI)
    composed: str = _HINDI_PARTS.sub(lambda parts: _HINDI_COMPOSED[parts[0]], plain)
    return composed


# TeluguNormalizer. Of IndicNormalizer's compositions those that only look alike (వు as మ) are left out, since they
# merge words of different sound.
_TELUGU = str.maketrans(
    {"ః": "", "ఀ": "ం", "ఁ": "ం"}
    | {"ఆ": "అ", "ఈ": "ఇ", "ఊ": "ఉ", "ఐ": "ఏ", "ఔ": "ఓ"}
    | {"ీ": "ి", "ూ": "ు", "ే": "ె", "ో": "ొ"}
)
_TELUGU_PARTS = regex.compile("ఒ[\u0c4c\u0c55]")


def normalise_telugu(token: str) -> str:
    """Spell a Telugu token as Lucene's TeluguNormalizer does: long vowels as short ones, candrabindu as bindu."""
    composed: str = _TELUGU_PARTS.sub("ఓ", token)
    return composed.translate(_TELUGU)


# BengaliNormalizer, after UzZaman and Khan, "A double metaphone encoding for Bangla and its application in spelling
# checker": letters that sound alike. NFC leaves rra and rha as letter and nukta.
_BENGALI = str.maketrans(
    {"ঁ": "", "ী": "ি", "ূ": "ু", "ঙ": "ং", "শ": "স", "ষ": "স", "ণ": "ন", "ৎ": "ত"},
)
_BENGALI_RULES = [
    (regex.compile(pattern), replacement)
    for pattern, replacement in (
        ("[ডঢ]\u09bc", "র"),
        ("^(.)্যা?(?!\u09bc)", r"\1ে"),  # y after the first letter opens the syllable
        ("্য(?!\u09bc)", ""),  # and is silent elsewhere
        ("^(.)্ব", r"\1"),  # v after the first letter is silent
        ("(?<=্.)্ব", ""),  # so is it after a cluster
        ("(.)্ব", r"\1\1"),  # elsewhere it doubles the letter before
        ("^(.{1,2})ঃ$", r"\1হ"),  # visarga is an h at the end of a short word,
        ("ঃ$", ""),  # nothing at the end of a long one,
        ("ঃ(.)", r"\1\1"),  # and doubles the letter after it
    )
]


def normalise_bengali(token: str) -> str:
    """Spell a Bengali token as Lucene's BengaliNormalizer does."""
    for pattern, replacement in _BENGALI_RULES:
        token = pattern.sub(replacement, token)
    return token.translate(_BENGALI)
