import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.first_stage.analysis import NAMES, analyser, spelling
from bench.first_stage.analysis.tokens import long_words

SCRIPTS = "aéßIİЁёألةىـ\u064bکي\u200c\u200dनकि्ँ़ॉশ্বযঃড়లోఒౌกรุงๆ漢字カﾞｶＡ한글'’._-1٣१ 　\n\t\x00\u2028\ud800😀"


@pytest.mark.parametrize(
    ("name", "text", "tokens"),
    [
        # stop words and one-letter tokens go, the possessive with them
        ("english", "The runner's shoes were running, weren't they?", ["runner", "shoe", "were", "run", "weren"]),
        ("english", "3.5 mg of vitamin B12", ["mg", "vitamin", "b12"]),
        ("english", "e\u0301tudes", ["étude"]),
        ("arabic", "ما هي منظَّمةُ الأوبك؟", ["منظم", "اوبك"]),
        # article, conjunction and article, preposition and article; suffixes of gender and number
        ("arabic", "الكتاب والكتاب بالكتاب للكتاب وكتاب", ["كتاب"] * 5),
        ("arabic", "المعلمون معلمات معلمتها مكتبة", ["معلم", "معلم", "معلمت", "مكتب"]),
        # two letters stay, and three where a conjunction alone goes
        ("arabic", "وجد الاب هبة", ["وجد", "اب", "هب"]),
        ("arabic", "كتـــاب ١٩٨٧", ["كتاب", "1987"]),
        ("bengali", "বিশ্ব স্বাধীন দুঃখ", ["বিসস", "সাধিন", "দুখখ"]),
        ("bengali", "নদীগুলি ২০২১", ["নদি", "2021"]),
        ("bengali", "পড়া", ["পর"]),
        ("german", "Die Häuser der Straße", ["haus", "strass"]),
        ("german", "Haeuser Größe groesse", ["haus", "gross", "gross"]),
        ("spanish", "¿Cuándo nacieron los niños?", ["cuand", "nac", "niñ"]),
        ("spanish", "las canciones españolas", ["cancion", "español"]),
        ("spanish", "ha sido y sigue siendo el sentido", ["sig", "sent"]),  # no form of ser, but that of sentir
        # Arabic and Persian letters for the same sound; the plural stands behind a zero-width non-joiner
        ("persian", "كتاب\u200cهاي ما", ["کتاب"]),
        ("persian", "کتابها در ۱۳۵۷", ["کتاب", "1357"]),
        ("finnish", "Suomen kaupungeissa", ["suome", "kaupung"]),
        ("finnish", "ja talossa", ["talo"]),
        ("french", "L'école d'aujourd'hui et l’eau", ["écol", "aujourd'hui", "eau"]),
        ("french", "Qu’est-ce que les maisons", ["est", "maison"]),
        # question words go; words with a homonym stay (east, summer, sound, planes)
        ("french", "Quelle est cette ville sans aéroport ?", ["est", "vill", "aéroport"]),
        ("french", "l'été, le son des avions", ["été", "son", "avion"]),
        ("hindi", "हिन्दी की किताबें", ["हिंद", "किताब"]),
        ("hindi", "हिंदी किताब २०२०", ["हिंद", "किताब", "2020"]),
        ("hindi", "लड़कियाँ भाषाएँ", ["लडक", "भाष"]),
        ("indonesian", "Perpustakaan itu membaca bukunya", ["pustaka", "baca", "buku"]),
        ("indonesian", "makanan dan minuman", ["makan", "minum"]),
        # runs of kanji and of katakana, then pairs
        (
            "japanese",
            "東京タワーの高さ",
            ["東京", "タワー", "高", "東京", "京タ", "タワ", "ワー", "ーの", "の高", "高さ"],
        ),
        ("japanese", "ｶﾞﾗｽ　ＡＢＣ 123", ["ガラス", "ガラ", "ラス", "abc", "123"]),
        ("japanese", "らーめん", ["らー", "ーめ", "めん"]),
        ("japanese", "猫", ["猫", "猫"]),
        ("korean", "대한민국의 수도", ["대한", "한민", "민국", "국의", "수도"]),
        ("korean", "집 Korea 2002", ["집", "korea", "2002"]),
        ("russian", "Ёлки и книгами", ["елк", "книг"]),
        ("russian", "Столицы городов", ["столиц", "город"]),
        ("swahili", "Ng'ombe wa Tanzania", ["ng'ombe", "wa", "tanzania"]),
        ("swahili", "Rais wa 1.000 aliitwa nani?", ["rais", "wa", "1.000", "aliitwa", "nani"]),
        ("telugu", "భారతదేశంలో నదులు", ["భారతదెశం", "నదు"]),
        ("telugu", "రామ్\u200c ౨౦౨౦ రామ్", ["రామ్", "2020", "రామ్"]),
        # compounds in their parts: capital city, to lose one's life; to be born is no stop word
        ("thai", "เมืองหลวงชื่อกรุงเทพมหานคร", ["เมือง", "หลวง", "ชื่อ", "กรุงเทพมหานคร"]),
        ("thai", "ใครเกิดและเสียชีวิตที่เชียงใหม่", ["ใคร", "เกิด", "เสีย", "ชีวิต", "เชียงใหม่"]),
        ("thai", "ปี ๒๕๖๓ Bangkok", ["ปี", "2563", "bangkok"]),
        ("yoruba", "Kí ni orúkọ olú-ìlú?", ["kí", "ni", "orúkọ", "olú-ìlú?"]),
        ("yoruba", "o\u0300run", ["òrun"]),
        ("chinese", "意大利首都", ["意大", "大利", "利首", "首都"]),
        ("chinese", "2008年 Beijing 奧運", ["2008", "年", "beijing", "奧運"]),
        (
            "code",
            "def parseHTTPResponse2(raw_data): return __init__",
            ["parsehttpresponse2", "raw_data", "def", "pars", "http", "respons", "2", "raw", "data", "return", "init"],
        ),
        ("code", "how to parse the HTTP responses", ["how", "pars", "http", "respons"]),
        ("code", "SELECT t1.NAME, utf8", ["t1", "utf8", "select", "t", "1", "name", "utf", "8"]),
        ("whitespace", "Plain, white\u3000 SPACE\ttokens", ["plain,", "white", "space", "tokens"]),
    ],
)
def test_tokens(name: str, text: str, tokens: list[str]) -> None:
    assert analyser(name)(text) == tokens


@pytest.mark.parametrize("name", NAMES)
def test_any_text_gives_tokens(name: str) -> None:
    analyse = analyser(name)
    again = analyser(name)

    @settings(max_examples=60)
    @given(st.text(st.characters()) | st.text(st.sampled_from(SCRIPTS)))
    def check(text: str) -> None:
        tokens = analyse(text)
        assert all(token and token.split() == [token] for token in tokens)
        assert again(text) == tokens

    check()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["", " \n\t\u3000", "?!… -", "\x00\x1f", "\ud800"])
def test_texts_without_words(name: str, text: str) -> None:
    tokens = analyser(name)(text)
    if name not in {"whitespace", "yoruba"}:
        assert tokens == []


def test_ascii_text_is_cut_as_any_other_is() -> None:
    characters = [chr(code) for code in range(128)]
    text = " ".join(f"{one}{other} a{one}{other}b" for one in characters for other in characters)
    assert long_words(text) == long_words(text + " é")  # one letter, so no token itself


def test_description_says_what_the_tokens_depend_on() -> None:
    assert analyser("english").description == (
        "lower-cased runs of two or more letters and digits; 33 stop words (bm25s 0.3.16); "
        "Snowball English stemmer (PyStemmer {PyStemmer}); regex {regex}".format(**versions())
    )
    assert "no stop words; no stemmer" in analyser("swahili").description
    assert "light10 Arabic stemmer" in analyser("arabic").description
    assert "no stop words; light Telugu stemmer" in analyser("telugu").description
    assert all("\n" not in analyser(name).description for name in NAMES)


def versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("PyStemmer", "regex")}


def test_unknown_names_are_told_the_known_ones() -> None:
    with pytest.raises(BenchError, match=r"'klingon'.*english.*whitespace"):
        analyser("klingon")


@pytest.mark.parametrize(
    ("token", "normal"),
    [
        ("হ্যাঁ", "হে"),  # y after the first letter opens the syllable, candrabindu goes
        ("বাক্য", "বাক"),  # elsewhere it is silent
        ("জ্বর", "জর"),  # v after the first letter is silent
        ("উজ্জ্বল", "উজ্জল"),  # so is it after a cluster
        ("পক্ব", "পকক"),  # elsewhere it doubles
        ("বাঃ", "বাহ"),  # visarga ends a short word as h
        ("বস্তুতঃ", "বস্তুত"),  # and a long one as nothing
        ("সময়", "সময়"),  # y with its dot is another letter
        ("ভাষণ", "ভাসন"),
    ],
)
def test_bengali_normalising(token: str, normal: str) -> None:
    import unicodedata

    assert spelling.normalise_bengali(unicodedata.normalize("NFC", token)) == unicodedata.normalize("NFC", normal)


@pytest.mark.parametrize(
    ("token", "normal"), [("अाेर", "ओर"), ("आज", "अज"), ("ज़मीन", "जमिन"), ("कॉलेज", "कोलेज"), ("अन्त", "अंत")]
)
def test_hindi_normalising(token: str, normal: str) -> None:
    assert spelling.normalise_hindi(token) == normal


def test_telugu_normalising() -> None:
    assert spelling.normalise_telugu("ఔషధం") == spelling.normalise_telugu("ఒౌషధం") == "ఓషధం"


def test_tokens_do_not_depend_on_the_hash_seed_and_leave_the_home_folder_alone(tmp_path: os.PathLike[str]) -> None:
    program = (
        "from bench.first_stage.analysis import NAMES, analyser\n"
        "text = 'ตากลมนั่งตากลม the houses 東京 کتابها ' * 3\n"
        "print(ascii([analyser(name)(text) for name in NAMES]))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed, "HOME": str(tmp_path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert os.listdir(tmp_path) == []  # noqa: PTH208
