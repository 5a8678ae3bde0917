"""The prompt: a query and its documents as one text, with a marker after each document and after the query.

The layout is the one that the released weights of jina-reranker-v3 were tuned on (arXiv 2509.25085, section 3.2; the
exact strings are those of the Apache-2.0 port in vLLM, `JinaRankingIOProcessorMixin`). It is written here as a sequence
of pieces, each of which can be tokenised by itself: see `reranker.tokens`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

PROMPT_VERSION = 1  # part of every fingerprint: raise it whenever the same list would give other token ids

SYSTEM = (
    "You are a search relevance expert who can determine a ranking of the passages based on how relevant they are to "
    "the query. If the query is a question, how relevant a passage is depends on how well it answers the question. If "
    "not, try to analyze the intent of the query and assess how well each passage satisfies the intent. If an "
    "instruction is provided, you should follow the instruction when determining the ranking."
)
CLOSING = "\n</query><|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
BODY_START = '">\n'


@dataclass(frozen=True, slots=True)
class Markers:
    """The two special tokens whose hidden states are read; the defaults are those of jina-reranker-v3."""

    document: str = "<|embed_token|>"
    query: str = "<|rerank_token|>"


def well_formed(text: str) -> str:
    """The text with each lone surrogate replaced by U+FFFD, since a tokenizer works on UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def without_markers(text: str, markers: Markers) -> str:
    """The text without marker strings, so that only the prompt's own markers are read.

    Removing one marker can join the halves of another, hence the loop.
    """
    while markers.document in text or markers.query in text:
        text = text.replace(markers.query, "").replace(markers.document, "")
    return text


def head(query: str, count: int, instruction: str | None) -> str:
    """Everything before the first document's body, for a block of `count` documents."""
    instruct = f"<instruct>\n{instruction}\n</instruct>\n" if instruction else ""
    return (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n"
        f"I will provide you with {count} passages, each indicated by a numerical identifier. "
        f'Rank the passages based on their relevance to query: {query}\n{instruct}<passage id="0'
    )


def between(number: int) -> str:
    """The text between the marker of document `number - 1` and the body of document `number`."""
    return f'\n</passage>\n<passage id="{number}'


def body(document: str) -> str:
    """A document in the prompt, from the quotation mark that ends its number."""
    return BODY_START + document


def tail(query: str) -> str:
    """The text between the last document's marker and the query's marker."""
    return f"\n</passage>\n<query>\n{query}"


def render(
    query: str, documents: Sequence[str], instruction: str | None, markers: Markers, first_query: str | None = None
) -> str:
    """The whole prompt of one block as text.

    The texts must be free of marker strings and lone surrogates (`without_markers`, `well_formed`), and there must be
    at least one document. `first_query` replaces the query's first occurrence, before the documents.
    """
    parts = [head(query if first_query is None else first_query, len(documents), instruction)]
    for number, document in enumerate(documents):
        if number:
            parts.append(between(number))
        parts += (body(document), markers.document)
    return "".join((*parts, tail(query), markers.query, CLOSING))
