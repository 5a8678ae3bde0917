"""Text to token ids: each document is tokenised once, and the ids are exactly those of the whole prompt.

Tokenising by pieces pays on a GPU: tokenising whole prompts took 1.20 times as long end to end (H200, bfloat16, the
0.6B model, documents of 15 tokens: 1.29 s of tokenising for 200 lists in place of .23 s).

Pieces have the ids of the whole prompt only if the tokenizer always splits between them, whatever the texts. The pieces
of `reranker.prompt` meet at two kinds of boundary:

- at a marker: a tokenizer takes special tokens out of the text before it does anything else;
- between a document's number and the quotation mark after it: every pre-tokenizer in `_SPLITS_AFTER_A_DIGIT` splits off
  a digit, BERT's a quotation mark; each matches from left to right without looking back, and no normalisation joins the
  two.

So a document is tokenised together with the `">` and the line break before it: a document that begins with a line break
shares a token with them. `pieces_are_exact` decides whether this holds for a tokenizer; for any other, whole prompts
are tokenised.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE, WordPiece

from reranker import pieces
from reranker.errors import CheckpointError
from reranker.prompt import BODY_START, CLOSING, Markers, between, body, head, render, tail, without_markers

Ids = npt.NDArray[np.int32]

_CACHED_UNITS = 32_000_000  # tokens plus characters in the cache: about 100 MB for English
QWEN_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPLITS_AFTER_A_DIGIT: tuple[list[dict[str, Any]], ...] = (
    [  # Qwen 2 and 3
        {"type": "Split", "pattern": {"Regex": QWEN_PIECES}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
    ],
    [  # SmolLM 2
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
    ],
)
_SEPARATE_ADDED_TOKEN = re.compile(r'<[^<>"\s]+>|[^<>"\s]+')


@dataclass(frozen=True, slots=True)
class Cut:
    """A text for the prompt: truncated to its cap and without marker strings.

    `length` counts the tokens of the raw text up to the cap, `lost` those beyond it.
    """

    text: str
    length: int
    lost: int


@dataclass(frozen=True, slots=True)
class Document:
    """A cut document, with the ids of its body in the prompt; None where only whole prompts are tokenised."""

    cut: Cut
    ids: Ids | None


@dataclass(frozen=True, slots=True)
class Prompt:
    """One block ready for the model: ids [tokens]; positions of the documents' markers, then the query's [N + 1].

    `first_query` is the position of the marker after the query's first occurrence, where the block asked for one.
    """

    ids: Ids
    markers: npt.NDArray[np.int64]
    first_query: int | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """What one prompt is made of; the query and the instruction are free of marker strings.

    `mark_first_query` puts the query's marker after its first occurrence as well, as in training alone.
    """

    query: str
    documents: Sequence[Document]
    instruction: str | None
    mark_first_query: bool = False


def pieces_are_exact(tokenizer: Tokenizer) -> bool:
    """Whether the prompt's pieces are certain to have the ids of the whole prompt."""
    return (
        (_splits_after_digits(tokenizer) or _splits_at_quotation_marks(tokenizer))
        and not tokenizer.encode_special_tokens
        and all(_is_separate(token) for token in tokenizer.get_added_tokens_decoder().values())
    )


def _splits_after_digits(tokenizer: Tokenizer) -> bool:
    pre = _spec(tokenizer.pre_tokenizer)
    steps = [{k: v for k, v in step.items() if k != "trim_offsets"} for step in pre.get("pretokenizers", [])]
    return (
        isinstance(tokenizer.model, BPE)
        and not tokenizer.model.dropout
        and _spec(tokenizer.normalizer) in ({}, {"type": "NFC"})
        and steps in _SPLITS_AFTER_A_DIGIT
    )


def _splits_at_quotation_marks(tokenizer: Tokenizer) -> bool:
    """Whether it is BERT's, which also normalises character by character."""
    kinds = [_spec(step).get("type") for step in (tokenizer.normalizer, tokenizer.pre_tokenizer)]
    return isinstance(tokenizer.model, WordPiece) and kinds == ["BertNormalizer", "BertPreTokenizer"]


def _spec(step: Any) -> dict[str, Any]:
    """A tokenizer's step as in `tokenizer.json`."""
    return {} if step is None else dict(json.loads(step.__getstate__()))


def _is_separate(token: AddedToken) -> bool:
    """Whether an added token neither spans a boundary of pieces nor takes white space next to it.

    Every boundary is next to `<`, `>`, `"` or white space, so a token with none of these inside cannot span one.
    """
    separate = _SEPARATE_ADDED_TOKEN.fullmatch(token.content) is not None
    return separate and not (token.lstrip or token.rstrip or token.single_word or token.normalized)


class PromptTokens:
    """Makes prompts of token ids, and caches the ids of the most recently used documents.

    Safe to use from several threads.
    """

    def __init__(self, tokenizer: Tokenizer, markers: Markers, by_pieces: bool | None = None) -> None:
        """Take a tokenizer that knows both markers.

        Args:
            tokenizer: the checkpoint's tokenizer.
            markers: the two special tokens.
            by_pieces: False tokenises whole prompts; by default, only a tokenizer that needs it does.

        Raises:
            CheckpointError: a marker is not one token of the tokenizer.
        """
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.markers = markers
        self.by_pieces = pieces_are_exact(tokenizer) if by_pieces is None else by_pieces
        self._document_id = self._marker_id(markers.document)
        self._query_id = self._marker_id(markers.query)
        self._body_start = self._ids([BODY_START])[0]
        self._between: list[Ids] = []
        self._closing = self._ids([CLOSING])[0]
        self._documents: dict[tuple[int, str], Document] = {}
        self._units = 0
        self._lock = Lock()

    @property
    def marker_ids(self) -> tuple[int, int]:
        """The ids of the document's and the query's marker."""
        return self._document_id, self._query_id

    def _marker_id(self, marker: str) -> int:
        number = self._tokenizer.token_to_id(marker)
        if number is None or self._tokenizer.encode(marker, add_special_tokens=False).ids != [number]:
            raise CheckpointError(
                f"the tokenizer has no token {marker!r}, which the model's answers are read at: "
                "use the tokenizer files that belong to the reranker's weights"
            )
        return int(number)

    def _ids(self, texts: Sequence[str]) -> list[Ids]:
        return [ids for batch in pieces.batches(texts) for ids in self._batch_ids(batch)]

    def _batch_ids(self, texts: Sequence[str]) -> list[Ids]:
        if len(texts) == 1 and len(texts[0]) > pieces.PIECE:  # at once, it would take 160 bytes a character
            parts = [encoding.ids for _, encoding in pieces.encodings(self._tokenizer, texts[0])]
            return [np.concatenate([np.array(ids, dtype=np.int32) for ids in parts])]
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]

    def cut(self, texts: Sequence[str], cap: int) -> list[Cut]:
        """Each text within `cap` tokens and without marker strings.

        A text of `cap` tokens or more is decoded from its first `cap`, as the published code does.
        """
        return [self._cut(text, ids, cap) for text, ids in zip(texts, self._ids(texts), strict=True)]

    def _cut(self, text: str, ids: Ids, cap: int) -> Cut:
        if len(ids) >= cap:
            text = self._tokenizer.decode(ids[:cap].tolist(), skip_special_tokens=False)
        return Cut(without_markers(text, self.markers), min(len(ids), cap), max(len(ids) - cap, 0))

    def documents(self, texts: Iterable[str], cap: int) -> dict[str, Document]:
        """Each distinct text as a document of at most `cap` tokens."""
        with self._lock:
            wanted = dict.fromkeys(texts)
            found = {text: known for text in wanted if (known := self._cached((cap, text))) is not None}
            new = [text for text in wanted if text not in found]
            for text, document in zip(new, self._tokenise(new, cap), strict=True):
                found[text] = document
                self._cache((cap, text), document)
            return found

    def _tokenise(self, texts: Sequence[str], cap: int) -> list[Document]:
        raw = self._ids(texts)
        cuts = [self._cut(text, ids, cap) for text, ids in zip(texts, raw, strict=True)]
        if not self.by_pieces:
            return [Document(cut, None) for cut in cuts]
        # A text that was tokenised for its length is not tokenised again if the prompt contains it unchanged.
        same = [cut.text == text and _starts_a_token(text) for cut, text in zip(cuts, texts, strict=True)]
        others = iter(self._ids([body(cut.text) for cut, kept in zip(cuts, same, strict=True) if not kept]))
        return [
            Document(cut, np.concatenate((self._body_start, ids)) if kept else next(others))
            for cut, ids, kept in zip(cuts, raw, same, strict=True)
        ]

    def _cached(self, key: tuple[int, str]) -> Document | None:
        document = self._documents.pop(key, None)
        if document is not None:
            self._documents[key] = document  # to the end, so that the first is always the least recently used
        return document

    def _cache(self, key: tuple[int, str], document: Document) -> None:
        self._documents[key] = document
        self._units += _units(key, document)
        while self._units > _CACHED_UNITS:
            oldest = next(iter(self._documents))
            self._units -= _units(oldest, self._documents.pop(oldest))

    def forget(self) -> None:
        """Empty the cache."""
        with self._lock:
            self._documents.clear()
            self._units = 0

    def prompts(self, blocks: Sequence[Block]) -> list[Prompt]:
        """The ids of each block's prompt, with the positions of its markers."""
        if not self.by_pieces:
            return [self._whole(block) for block in blocks]
        heads = self._ids([head(self._first_query(block), len(block.documents), block.instruction) for block in blocks])
        tails = self._ids([tail(block.query) for block in blocks])
        self._number_up_to(max((len(block.documents) for block in blocks), default=0))
        return [self._join(*parts) for parts in zip(blocks, heads, tails, strict=True)]

    def _number_up_to(self, count: int) -> None:
        marker = np.array([self._document_id], dtype=np.int32)
        missing = range(len(self._between), count)
        for ids in self._ids([between(number) for number in missing]):
            self._between.append(np.concatenate((marker, ids)))

    def _join(self, block: Block, head_ids: Ids, tail_ids: Ids) -> Prompt:
        parts, markers, length = [head_ids], [], len(head_ids)
        for number, document in enumerate(block.documents):
            before = self._between[number] if number else _NOTHING
            assert document.ids is not None
            parts += (before, document.ids)
            length += len(before) + len(document.ids)
            markers.append(length)
        query_marker = length + 1 + len(tail_ids)
        first = int(np.flatnonzero(head_ids == self._query_id)[0]) if block.mark_first_query else None
        ends = np.array([self._document_id], np.int32), tail_ids, np.array([self._query_id], np.int32), self._closing
        return Prompt(np.concatenate((*parts, *ends)), np.array([*markers, query_marker], np.int64), first)

    def _whole(self, block: Block) -> Prompt:
        texts = [document.cut.text for document in block.documents]
        first_query = self._first_query(block)
        ids = self._ids([render(block.query, texts, block.instruction, self.markers, first_query)])[0]
        *first, last = np.flatnonzero(ids == self._query_id).tolist()
        markers = np.append(np.flatnonzero(ids == self._document_id), last)
        return Prompt(ids, markers, first[0] if first else None)

    def _first_query(self, block: Block) -> str:
        """The query's first occurrence, before the documents."""
        return block.query + self.markers.query if block.mark_first_query else block.query


_NOTHING: Ids = np.empty(0, dtype=np.int32)


def _starts_a_token(text: str) -> bool:
    """Whether the text begins a new token even after a line break: with a letter, a digit or an ASCII mark."""
    return bool(text) and (text[0].isalnum() or "!" <= text[0] <= "~")


def _units(key: tuple[int, str], document: Document) -> int:
    return len(key[1]) + (0 if document.ids is None else len(document.ids)) + 64
