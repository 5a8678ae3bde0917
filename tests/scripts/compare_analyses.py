"""Our text analyses next to Lucene's: ``python -m tests.scripts.compare_analyses JAR`` prints sections of
results/first_stage.md.

JAR holds Lucene's analysers, such as Anserini's fatjar in the source package of pyserini; Java 17 or newer runs them.
Needs ``../shared/data`` and icu4py, which nothing else of the project uses (``pip install icu4py``).
"""

import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from math import comb
from pathlib import Path

import bm25s.stopwords
import numpy as np
import regex

from bench.collections.beir_folder import load_folder, read_queries
from bench.first_stage.analysis import analyser, spelling, tokens
from bench.first_stage.analysis.stems import stemmer
from bench.first_stage.analysis.stopwords import StopList
from bench.first_stage.bm25 import build_run
from bench.measures import Measure, mean, per_query
from bench.render import render
from bench.render.numbers import count, difference, p_value, percent, score
from bench.render.page import Block, Heading, Page, Paragraph, Table, columns, rows
from bench.statistics import differences
from bench.statistics import p_value as p_value_of
from bench.task import Task

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
NDCG, RECALL = Measure.parse("nDCG@10"), Measure.parse("R@100")
SPLITS = ("dev", "train")
_THAI = regex.compile(r"\p{Thai}+")
_CJK = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}ー]")

Analyse = Callable[[str], list[str]]


def lucene(jar: Path, name: str, texts: Iterable[str]) -> dict[str, list[str]]:
    """What an analyser of LuceneTokens.java makes of texts, by text."""
    lines = {text: " ".join(text.split()) for text in texts}
    command = ["java", "-cp", str(jar), str(Path(__file__).with_name("LuceneTokens.java")), name]
    answer = subprocess.run(command, input="\n".join(lines.values()), capture_output=True, encoding="utf-8", check=True)
    found = answer.stdout.removesuffix("\n").split("\n")
    return {text: line.split("\t") if line else [] for text, line in zip(lines, found, strict=True)}


def questions(language: str) -> list[str]:
    """MIRACL's questions of a language, and MKQA's where they are there; white space is one space."""
    topics = (SHARED / "miracl-official" / "v1.0" / language / split / "topics.tsv" for split in SPLITS)
    found = [line.split("\t", 1)[1] for path in topics for line in path.read_text("utf-8").splitlines()]
    mkqa = SHARED / "mkqa" / language / "queries.jsonl.gz"
    found.extend(read_queries(mkqa).values() if mkqa.is_file() else ())
    return list(dict.fromkeys(" ".join(text.split()) for text in found))


def _without(stop: frozenset[str], cut: Analyse, fold: Callable[[str], str]) -> Analyse:
    """An analysis without a stemmer."""
    return lambda text: [token for token in cut(fold(unicodedata.normalize("NFC", text))) if token not in stop]


def retrieval(language: str, analyses: Mapping[str, Analyse]) -> Table:
    """BM25's figures with several analyses on the part of MIRACL, and differences to the first of them."""
    lines = []
    for split in SPLITS:
        loaded = load_folder(Task("folder", language, split=split), SHARED / "miracl-partial" / language)
        with closing(loaded.documents):
            documents = list(loaded.documents)
        base: Mapping[str, float] = {}
        for name, analyse in analyses.items():
            built = build_run(documents, loaded.queries, analyse)
            orders = {query: [document for document, _ in ranking] for query, ranking in built.items()}
            ndcg, recall = per_query(loaded.judgements, orders, [NDCG, RECALL]).values()
            cells = [split, str(len(ndcg)), name, f"{score(mean(ndcg))} / {score(mean(recall))}"]
            if base:
                gaps = differences(base, ndcg)
                cells += [difference(float(gaps.mean())), p_value(p_value_of(gaps))]
            base = base or ndcg
            lines.append((*cells, "–", "–")[:6])
    return Table(columns(("split", "queries", "analysis", "nDCG@10 / R@100", "difference", "p")), (rows(lines),))


def arabic() -> Table:
    """Snowball's Arabic stemmer and light10."""
    stop, snowball = StopList("stop-words", "arabic").words(spelling.fold_arabic), stemmer("arabic")
    cut = _without(stop, tokens.words, spelling.fold_arabic)
    return retrieval("ar", {"Snowball": lambda text: snowball(cut(text)), "light10": analyser("arabic")})


def japanese(jar: Path) -> Table:
    """Pairs of characters, with and without more tokens, and Lucene's dictionary analysis."""
    task = Task("folder", "ja", split=SPLITS[0])
    loaded = load_folder(task, SHARED / "miracl-partial" / "ja")
    with closing(loaded.documents):
        texts = [text for _, text in loaded.documents]
    for split in SPLITS:
        texts.extend(load_folder(Task("folder", "ja", split=split), SHARED / "miracl-partial" / "ja").queries.values())
    words = lucene(jar, "japanese", texts)
    pairs = _without(frozenset(), tokens.cjk_bigrams, spelling.fold_width)
    characters = _without(frozenset(), _CJK.findall, spelling.fold_width)
    return retrieval(
        "ja",
        {
            "pairs of characters": pairs,
            "pairs, and single characters": lambda text: pairs(text) + characters(text),
            "pairs, and runs of one script: ours": analyser("japanese"),
            "Lucene's JapaneseAnalyzer": words.__getitem__,
            "pairs, and Lucene's JapaneseAnalyzer": lambda text: pairs(text) + words[text],
        },
    )


def _bounds(pieces: Iterable[str]) -> set[int]:
    return set(np.cumsum([len(piece) for piece in pieces]).tolist())


def thai_segments(jar: Path) -> Table:
    """Segmenters' word bounds inside runs of Thai letters, against Java's."""
    from icu4py.breakers import WordBreaker
    from pythainlp.corpus import thai_icu_words, thai_orst_words, thai_words
    from pythainlp.tokenize import longest, multi_cut, newmm
    from pythainlp.util import Trie

    engines: dict[str, Callable[[str], Sequence[str]]] = {
        f"{engine.__name__.rpartition('.')[2]}, {name}": partial(engine.segment, custom_dict=trie)
        for name, trie in (
            ("pythainlp's list", Trie(thai_words())),
            ("Royal Institute's list", Trie(thai_orst_words())),
            ("ICU's list", Trie(thai_icu_words())),
        )
        for engine in (newmm, longest, multi_cut)
    }
    engines["ICU"] = lambda text: list(WordBreaker(text, "th"))
    expected = lucene(jar, "thai words", questions("th"))
    inside = {
        text: {at for run in _THAI.finditer(text) for at in range(run.start() + 1, run.end())} for text in expected
    }
    right = {text: _bounds(pieces) & inside[text] for text, pieces in expected.items()}
    lines = []
    for name, cut in engines.items():
        ours = {text: _thai_bounds(cut, text) & inside[text] for text in right}
        found, both, total = (
            sum(map(len, sets)) for sets in (ours.values(), (ours[t] & right[t] for t in right), right.values())
        )
        figures = (both / found, both / total, 2 * both / (found + total))
        lines.append((name, *map(score, figures), f"{found / len(right):.2f}"))
    lines.append(("Java", "–", "–", "–", f"{total / len(right):.2f}"))
    return Table(columns(("segmenter", "precision", "recall", "F1", "bounds a question")), (rows(lines),))


def _thai_bounds(cut: Callable[[str], Sequence[str]], text: str) -> set[int]:
    """Where a segmenter cuts a text's runs of Thai letters, as positions in the text."""
    return {run.start() + at for run in _THAI.finditer(text) for at in _bounds(cut(run[0]))}


def _overlap(ours: Mapping[str, list[str]], theirs: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Precision, recall and F1 of tokens as bags, and tokens a text."""
    both = sum((Counter(ours[text]) & Counter(theirs[text])).total() for text in theirs)
    found, total = (sum(map(len, side.values())) for side in (ours, theirs))
    figures = (both / found, both / total, 2 * both / (found + total))
    return (*map(score, figures), f"{found / len(theirs):.2f}")


def thai_tokens(jar: Path) -> Table:
    """The whole Thai analysis, before and now, against Lucene's ThaiAnalyzer."""
    from pythainlp.corpus import thai_stopwords
    from pythainlp.tokenize.newmm import segment

    theirs = lucene(jar, "thai", questions("th"))
    long_list = frozenset(thai_stopwords())

    def pythainlp_words(text: str) -> list[str]:
        return [part for word in tokens.words(text) for piece in segment(word) for part in tokens.words(piece)]

    analyses = {
        "pythainlp's words and its 1,030 stop words": _without(long_list, pythainlp_words, spelling.fold_thai),
        "ICU's words, pythainlp's stop words": _without(long_list, tokens.thai_words, spelling.fold_thai),
        "ICU's words, Lucene's 115 stop words: ours": analyser("thai"),
        "Lucene": theirs.__getitem__,
    }
    lines = [(name, *_overlap({text: cut(text) for text in theirs}, theirs)) for name, cut in analyses.items()]
    return Table(columns(("analysis", "precision", "recall", "F1", "tokens a question")), (rows(lines),))


def latin(jar: Path) -> Table:
    """French and Spanish: how many questions have as many tokens as Lucene's, and which words get one stem."""
    lines = []
    for language, code, fold, old in (
        ("french", "fr", spelling.fold_french, bm25s.stopwords.STOPWORDS_FRENCH),
        ("spanish", "es", str.lower, bm25s.stopwords.STOPWORDS_SPANISH),
    ):
        theirs = lucene(jar, language, questions(code))
        before = _without(frozenset(old), tokens.words, fold)
        now = _without(StopList("lucene", language).words(fold), tokens.words, fold)
        same = [mean({text: len(cut(text)) == len(found) for text, found in theirs.items()}) for cut in (before, now)]
        words = sorted({word for text in theirs for word in now(text)})
        light = {word: found[0] for word, found in lucene(jar, language, words).items() if len(found) == 1}
        snowball = dict(zip(light, stemmer(language)(list(light)), strict=True))
        both = {word: (snowball[word], light[word]) for word in light}
        pairs = [sum(comb(size, 2) for size in Counter(stems.values()).values()) for stems in (snowball, light, both)]
        lines.append((language, count(len(theirs)), *map(percent, same), count(len(light)), *map(count, pairs)))
    titles = ("language", "questions", "as many tokens, old list", "new list")
    titles += ("words", "pairs with one stem, Snowball", "light", "both")
    return Table(columns(titles), (rows(lines),))


def page(jar: Path) -> Page:
    """All sections."""
    blocks: tuple[Block, ...] = (
        Heading("Arabic analysis: two stemmers"),
        Paragraph("nDCG@10 / R@100 on the part of MIRACL. light10 is Lucene's, and is used."),
        arabic(),
        Heading("Japanese analysis"),
        Paragraph(
            "nDCG@10 / R@100 on the part of MIRACL, and the difference in nDCG@10 to pairs of characters alone. Runs "
            "of kanji and runs of katakana as further tokens are used: they are ahead on both splits and need no "
            "dictionary. Lucene's analyser is ahead on one split and behind on the other. 21 variants were tried on "
            "these queries, which p does not account for: multiplied by 21 it is .08 on dev and .002 on train."
        ),
        japanese(jar),
        Heading("Thai analysis"),
        Paragraph(
            "There are no Thai passages to search, so this shows how near each segmenter is to Lucene's, which is "
            "Java's, and not what is found. On MIRACL's questions of both splits: word bounds inside runs of Thai "
            "letters, and tokens of the whole analysis, both against Java and Lucene. pythainlp's own word list has "
            "compounds that Java cuts; ICU's list, which pythainlp has too, is used. ICU's own segmenter would be "
            "another package and is no nearer to Java."
        ),
        thai_segments(jar),
        thai_tokens(jar),
        Heading("French and Spanish analysis"),
        Paragraph(
            "There are no French and Spanish passages to search either. On MIRACL's questions, and MKQA's for Spanish: "
            "the share with as many tokens as Lucene's analysers give, by the stop lists of bm25s, which were used "
            "before, and by Snowball's as Lucene has them, which are used now. The older French list kept quel, cette "
            "and sans, and dropped été, son and est, which are also nouns; the older Spanish list took the forms of "
            "sentir for those of ser. The stemmers stay Snowball's where Lucene has light ones. Word pairs with one "
            "stem show how they differ: little in French, while Snowball's Spanish stemmer merges 2.6 times as many "
            "pairs. Which of the two finds more cannot be measured without passages, and no maintained Python library "
            "with the light stemmers was found."
        ),
        latin(jar),
    )
    return Page(blocks)


if __name__ == "__main__":
    print(render(page(Path(sys.argv[1])), "markdown"))
