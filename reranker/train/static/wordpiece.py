"""The tokenizer of static token embeddings: uncased WordPiece without accents, so that most words are one token.

Byte-level tokens, which differ by case and by the preceding space, would each need their own vector. The vocabulary is
the teacher's.
"""

import random
from collections.abc import Sequence

from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from reranker.blocks import MAX_DOCUMENTS
from reranker.errors import RerankerError
from reranker.prompt import Markers

CONTINUES = "##"
"""Prefix of tokens that continue a word."""
START = "<|im_start|>"
"""The first token of the prompt."""
NUMBERS = tuple(str(number) for number in range(MAX_DOCUMENTS))
"""The numbers of a prompt's passages."""
MARKS = ('"', "<", ">", "query")
"""The other tokens that mark passages and the query in a prompt."""
_UNKNOWN = "[UNK]"
_LENGTHS = (3, 10)  # words of a random text
_SKEW = 1.5  # above 1, the first words of the vocabulary, which are the frequent ones, are drawn more often


def uncased(vocabulary: Sequence[str], markers: Markers) -> Tokenizer:
    """A tokenizer with this vocabulary, in its order, without the special tokens of the model that it comes from.

    Raises:
        RerankerError: tokens are missing by which `reranker.train.static.compile` parses the prompt.
    """
    known = set(vocabulary)
    missing = [piece for piece in (*NUMBERS, *MARKS) if piece not in known]
    if missing:
        raise RerankerError(
            f"a words recipe needs the vocabulary of an uncased WordPiece tokenizer: the teacher's lacks {missing[0]!r}"
        )
    pieces = [piece for piece in vocabulary if not (piece.startswith("[") and piece.endswith("]"))]
    tokenizer = Tokenizer(
        WordPiece({piece: number for number, piece in enumerate((_UNKNOWN, *pieces))}, unk_token=_UNKNOWN)
    )
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.decoder = WordPieceDecoder(cleanup=False)
    special = (_UNKNOWN, START, markers.document, markers.query)
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in special])
    return tokenizer


def random_texts(tokenizer: Tokenizer, number: int, seed: int) -> list[str]:
    """Random sequences of whole words of the vocabulary: meaningless texts that cover every subject."""
    source = random.Random(seed)
    pieces = (tokenizer.id_to_token(token) for token in range(tokenizer.get_vocab_size()))
    words = [piece for piece in pieces if piece and piece.isascii() and piece.isalpha() and len(piece) > 1]
    return [
        " ".join(words[int(len(words) * source.random() ** _SKEW)] for _ in range(source.randint(*_LENGTHS)))
        for _ in range(number)
    ]
