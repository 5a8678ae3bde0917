"""Cutting texts to a number of tokens, and counting what that takes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokenizers import Encoding, Tokenizer

from bench.errors import BenchError
from reranker.pieces import PIECE, batches, encodings
from reranker.prompt import well_formed


@dataclass(frozen=True, slots=True)
class Cut:
    """A text of ``tokens`` tokens, special tokens not counted, after the last ``lost`` were cut away."""

    text: str
    tokens: int
    lost: int = 0

    def within(self, room: int | None) -> "Cut":
        """The same text, for a model that will itself read only the first ``room`` tokens; None for all."""
        over = 0 if room is None else max(0, self.tokens - max(0, room))
        return Cut(self.text, self.tokens - over, self.lost + over)


class Cutter:
    """Cuts texts with a model's own tokeniser, on a copy that no truncation or padding setting of the model touches."""

    def __init__(self, tokenizer: object, model: str) -> None:
        """Copy a tokeniser of transformers or tokenizers.

        Raises:
            BenchError: for one that is not backed by tokenizers, and so does not say where in a text a token ends, or
                that splits texts by Python code.
        """
        backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
        if not isinstance(backend, Tokenizer):
            raise BenchError(f"{model} has no tokenizer.json, by which its texts could be cut to a length.")
        try:
            self._tokenizer = Tokenizer.from_str(backend.to_str())
        except Exception as error:  # the library raises nothing narrower
            raise BenchError(
                f"{model} has a tokenizer that cannot be copied, and so not be cut by: {error}."
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    @property
    def special_tokens(self) -> int:
        """How many special tokens the tokeniser puts around a single text."""
        return int(self._tokenizer.num_special_tokens_to_add(is_pair=False))

    @property
    def special_tokens_of_pair(self) -> int:
        """How many special tokens the tokeniser puts around and between a pair of texts."""
        return int(self._tokenizer.num_special_tokens_to_add(is_pair=True))

    def cut(self, texts: Sequence[str], limit: int) -> list[Cut]:
        """Cut each text after its first ``limit`` tokens, 0 or more."""
        return [cut for some in batches([well_formed(text) for text in texts]) for cut in self._cut(some, limit)]

    def _cut(self, texts: list[str], limit: int) -> list[Cut]:
        if len(texts[0]) > PIECE:
            # Alone in its batch; not all of its tokens are to be in memory at once.
            return [_cut(encodings(self._tokenizer, texts[0]), texts[0], limit)]
        found = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        return [_cut([(0, encoding)], text, limit) for text, encoding in zip(texts, found, strict=True)]

    def shorter(self, cut: Cut, limit: int) -> Cut:
        """Cut a text once more where it is still longer than ``limit`` tokens."""
        if cut.tokens <= limit:
            return cut
        again = self.cut([cut.text], limit)[0]
        return Cut(again.text, again.tokens, cut.lost + again.lost)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of whole texts, without special tokens."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def _cut(pieces: Iterable[tuple[int, Encoding]], text: str, limit: int) -> Cut:
    """Cut a text, given its encoded pieces and their places, after its first ``limit`` tokens."""
    tokens, end = 0, 0
    for start, encoding in pieces:
        if tokens < limit <= tokens + len(encoding.ids):
            end = start + encoding.offsets[limit - tokens - 1][1]
        tokens += len(encoding.ids)
    lost = max(0, tokens - limit)
    return Cut(text[:end] if lost else text, tokens - lost, lost)


def longest_first(query: int, document: int, room: int) -> tuple[int, int]:
    """Token counts of a pair after longest-first truncation to ``room`` tokens."""
    if query + document <= room:
        return query, document
    shorter = min(query, document, room // 2)
    if query <= document:
        return shorter, room - shorter
    return room - shorter, shorter
