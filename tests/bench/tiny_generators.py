"""Tiny random causal language models of the architectures that write orders, with a chat template each."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
)
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
    "{% for m in messages %}[INST] {{ m.content }} [/INST]{% endfor %}"
)
KINDS = {
    "mistral": (MistralConfig, MistralForCausalLM, NO_SYSTEM),
    "llama": (LlamaConfig, LlamaForCausalLM, TEMPLATE),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, TEMPLATE),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, TEMPLATE),
}


def tokenizer(with_bos: bool) -> PreTrainedTokenizerFast:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=320, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator(["passage query number answer moon tide bread"], trainer)
    made.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>"])
    if with_bos:
        made.post_processor = processors.TemplateProcessing("<s> $A", None, [("<s>", made.token_to_id("<s>"))])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<|endoftext|>", eos_token="<|im_end|>", bos_token="<s>" if with_bos else None
    )


def write_model(folder: Path, kind: str, positions: int = 4096) -> Path:
    config_class, model_class, template = KINDS[kind]
    made = tokenizer(with_bos=kind in ("mistral", "llama"))
    torch.manual_seed(7)
    config = config_class(
        vocab_size=len(made),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=48,
        max_position_embeddings=positions,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=made.eos_token_id,
        tie_word_embeddings=kind == "qwen3",
    )
    model_class(config).save_pretrained(folder)
    made.chat_template = template
    made.save_pretrained(folder)
    return folder
