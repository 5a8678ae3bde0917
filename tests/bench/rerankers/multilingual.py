"""What tiny checkpoints of the XLM-RoBERTa family share: sizes, and the layouts of Jina's repositories."""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import JinaEmbeddingsV3Model

TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 66,
    "type_vocab_size": 1,
    "initializer_range": 0.3,
}
ADAPTERS = ("classification", "retrieval_passage", "retrieval_query", "separation", "text_matching")
QUERY, PASSAGE = "Represent the query for retrieving evidence documents: ", "Represent the document for retrieval: "
TARGETS = ["word_embeddings", "q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2", "dense"]
MODULES = ("custom_st.Transformer", "sentence_transformers.models.Pooling", "sentence_transformers.models.Normalize")
JINA_RERANKER = {
    "_name_or_path": "jina-reranker-v2-base-multilingual",
    "architectures": ["XLMRobertaForSequenceClassification"],
    "auto_map": {
        "AutoConfig": "configuration_xlm_roberta.XLMRobertaFlashConfig",
        "AutoModel": "modeling_xlm_roberta.XLMRobertaModel",
        "AutoModelForSequenceClassification": "modeling_xlm_roberta.XLMRobertaForSequenceClassification",
    },
    "emb_pooler": None,
    "num_labels": 1,
    "id2label": {"0": "LABEL_0"},
    "label2id": {"LABEL_0": 0},
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-05,
    "pad_token_id": 1,
    "position_embedding_type": "absolute",
    "torch_dtype": "float32",
    "use_flash_attn": True,
}
THETA = 300.0
MARKERS = ("[QueryMarker]", "[DocumentMarker]")
JINA_COLBERT = {
    "architectures": ["HF_ColBERT"],
    "auto_map": {
        "AutoConfig": "jinaai/xlm-roberta-flash-implementation--configuration_xlm_roberta.XLMRobertaFlashConfig",
        "AutoModel": "jinaai/xlm-roberta-flash-implementation--modeling_xlm_roberta.XLMRobertaModel",
    },
    "emb_pooler": None,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-05,
    "model_type": "xlm-roberta",
    "pad_token_id": 1,
    "position_embedding_type": "rotary",
    "rotary_emb_base": THETA,
    "torch_dtype": "float32",
    "truncate_dim": None,
    "use_flash_attn": True,
}


def write_adapters(folder: Path) -> None:
    """Lay out the rest of jina-embeddings-v3's conversion around the base model in a folder: adapters and modules."""
    for name in ADAPTERS:
        adapter = LoraConfig(r=4, lora_alpha=4, target_modules=TARGETS, init_lora_weights=False)
        model = get_peft_model(JinaEmbeddingsV3Model.from_pretrained(folder), adapter)
        model.save_pretrained(folder / name)
    (folder / "custom_st.py").write_text("raise SystemExit('code of the repository ran')\n")
    places = ("", "1_Pooling", "2_Normalize")
    rows = [{"idx": at, "name": str(at), "path": places[at], "type": kind} for at, kind in enumerate(MODULES)]
    (folder / "modules.json").write_text(json.dumps(rows))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    prompts = {"retrieval.query": QUERY, "retrieval.passage": PASSAGE, "text-matching": ""}
    (folder / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"})
    )


def jina_names(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """An XLM-RoBERTa classifier's tensors as jina-reranker-v2-base-multilingual's file has them."""
    names = {
        "attention.output.dense": "mixer.out_proj",
        "attention.output.LayerNorm": "norm1",
        "intermediate.dense": "mlp.fc1",
        "output.dense": "mlp.fc2",
        "output.LayerNorm": "norm2",
    }
    found = {}
    for name, tensor in weights.items():
        if ".attention.self.query." in name:
            parts = [weights[name.replace(".query.", f".{part}.")] for part in ("query", "key", "value")]
            found[name.replace("attention.self.query", "mixer.Wqkv")] = torch.cat(parts)
        elif ".attention.self." not in name:
            name = name.replace("roberta.embeddings.LayerNorm", "roberta.emb_ln")
            found[next((name.replace(old, new) for old, new in names.items() if f".{old}." in name), name)] = tensor
    return {name.replace("encoder.layer.", "encoder.layers."): tensor.clone() for name, tensor in found.items()}
