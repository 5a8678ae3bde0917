"""Tokenizers of tiny checkpoints: the kinds that BERT's, Qwen's, Llama's and XLM-RoBERTa's families have."""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def wordpiece_tokenizer(texts: tuple[str, ...]) -> PreTrainedTokenizerFast:
    """BERT's kind, trained on some texts; a window of 64 tokens."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]", "[unused1]"]
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special))
    tokenizer.post_processor = _ends(tokenizer, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
    )


def byte_level_tokenizer(texts: tuple[str, ...]) -> PreTrainedTokenizerFast:
    """Qwen's kind, trained on some texts, with the answers of its rerankers as single tokens."""
    words = ["yes no 1 0 yes no yes no Query Document Instruct relevant relevance"]
    return PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(texts + tuple(words * 20), 500, CHAT),
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        model_max_length=1024,
    )


def chat_tokenizer(with_bos: bool) -> PreTrainedTokenizerFast:
    """The kind of models that chat, as Qwen's; or as Llama's and Mistral's, which put a token before each text."""
    tokenizer = _byte_level(["passage query number answer moon tide bread"], 320, [*CHAT, "<s>"])
    if with_bos:
        tokenizer.post_processor = _ends(tokenizer, "<s> $A")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        bos_token="<s>" if with_bos else None,
    )


def xlm_roberta_tokenizer(texts: tuple[str, ...], window: int, more: tuple[str, ...] = ()) -> PreTrainedTokenizerFast:
    """XLM-RoBERTa's kind, trained on some texts.

    ``window`` is in tokens; ``more`` tokens follow the mask token, as a ColBERT model's markers do.
    """
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(["<mask>", *more])
    tokenizer.post_processor = _ends(tokenizer, "<s> $A </s>", "<s> $A </s> </s> $B </s>")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=window,
        model_input_names=["input_ids", "attention_mask"],
    )


def _byte_level(texts: Iterable[str], size: int, special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(special)
    return tokenizer


def _ends(tokenizer: Tokenizer, one: str, pair: str | None = None) -> processors.TemplateProcessing:
    """Special tokens around one text, and around a pair of texts."""
    names = {word for word in f"{one} {pair or ''}".replace(":1", "").split() if not word.startswith("$")}
    return processors.TemplateProcessing(one, pair, [(name, tokenizer.token_to_id(name)) for name in sorted(names)])
