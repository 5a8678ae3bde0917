"""What tiny checkpoints of the XLM-RoBERTa family share: sizes, and a tokenizer with its special tokens."""

from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tests.bench.rerankers.conftest import QUERIES, TEXTS

TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 66,
    "type_vocab_size": 1,
    "initializer_range": 0.3,
}
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def xlm_roberta_tokenizer(window: int, more: tuple[str, ...] = ()) -> PreTrainedTokenizerFast:
    """A window in tokens; ``more`` tokens follow the mask token, as a ColBERT model's markers do."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXTS + QUERIES, trainer)
    tokenizer.add_special_tokens(["<mask>", *more])
    ends = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", "<s> $A </s> </s> $B </s>", ends)
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
