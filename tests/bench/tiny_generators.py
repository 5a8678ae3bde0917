"""Tiny random causal language models of the architectures that write orders, with a chat template each."""

from pathlib import Path

import torch
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

from tests.tiny_tokenizers import chat_tokenizer

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


def write_model(
    folder: Path, kind: str, positions: int = 4096, tokenizer: PreTrainedTokenizerFast | None = None
) -> Path:
    config_class, model_class, template = KINDS[kind]
    made = tokenizer or chat_tokenizer(with_bos=kind in ("mistral", "llama"))
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
