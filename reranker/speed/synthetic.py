"""Models with random weights, a tokenizer and lists, made on the spot: speed can be measured without a download."""

import random

import torch
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.normalizers import NFC
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from tokenizers.trainers import BpeTrainer
from torch import nn
from transformers import Qwen3Config, Qwen3Model

from reranker.model import ListModel
from reranker.prompt import Markers, render
from reranker.tokens import QWEN_PIECES

CAPACITY = 131_072  # tokens that a prompt may hold, as released
SIZES = {
    "tiny": {"layers": 4, "width": 64, "heads": 4, "key_heads": 2, "head_width": 16},
    "small": {"layers": 8, "width": 256, "heads": 4, "key_heads": 2, "head_width": 64},
    "0.6b": {"layers": 28, "width": 1024, "heads": 16, "key_heads": 8, "head_width": 128},
}
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


def model(size: str, device: torch.device, dtype: torch.dtype) -> ListModel:
    """A model of the released architecture in one of `SIZES`, "0.6b" being the released size.

    The weights are drawn wide enough for every token to count: with the usual narrow ones a model hardly looks at its
    context, and two ways of running it would agree however wrong one of them was.
    """
    shape = SIZES[size]
    config = Qwen3Config(
        vocab_size=151_936 if size == "0.6b" else 4_096,
        hidden_size=shape["width"],
        intermediate_size=3 * shape["width"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["key_heads"],
        head_dim=shape["head_width"],
        max_position_embeddings=CAPACITY,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        initializer_range=shape["width"] ** -0.5,
    )
    torch.manual_seed(0)
    backbone = Qwen3Model(config)
    projector = nn.Sequential(
        nn.Linear(shape["width"], shape["width"] // 2, bias=False),
        nn.ReLU(),
        nn.Linear(shape["width"] // 2, 512, bias=False),
    )
    return ListModel(backbone.to(device, dtype), projector.to(device)).eval()  # type: ignore[arg-type]


def tokenizer() -> Tokenizer:
    """A byte-level BPE tokenizer that cuts text as Qwen's does, with a vocabulary for `lists` and the prompt."""
    made = Tokenizer(BPE())
    made.normalizer = NFC()
    made.pre_tokenizer = Sequence(
        [Split(Regex(QWEN_PIECES), behavior="isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    made.decoder = ByteLevelDecoder()
    prompts = [render("", [""], None, Markers())] * 100  # often, so that its words become whole tokens
    made.train_from_iterator(
        [*prompts, *(" ".join(_words(random.Random(seed), 400)) for seed in range(50))],
        BpeTrainer(vocab_size=4_000, initial_alphabet=ByteLevel.alphabet(), show_progress=False),
    )
    special = ("<|im_start|>", "<|im_end|>", "<think>", "</think>", Markers().document, Markers().query)
    made.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in special])
    return made


def lists(tokens_of: Tokenizer, count: int, documents: int, tokens: range) -> list[tuple[str, list[str]]]:
    """`count` lists of `documents` documents of made-up words, lengths drawn from `tokens`; always the same ones."""
    source = random.Random(7)
    return [
        (" ".join(_words(source, 8)), [_document(tokens_of, source, source.choice(tokens)) for _ in range(documents)])
        for _ in range(count)
    ]


def _document(tokens_of: Tokenizer, source: random.Random, tokens: int) -> str:
    ids = tokens_of.encode(" ".join(_words(source, tokens)), add_special_tokens=False).ids
    text: str = tokens_of.decode(ids[:tokens], skip_special_tokens=False)
    return text


def _words(source: random.Random, count: int) -> list[str]:
    return ["".join(source.choices(_SYLLABLES, k=source.randint(1, 3))) for _ in range(count)]
