"""A checkpoint is whole and of the family's kind, or it is refused: no score comes of random numbers."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import AutoModelForCausalLM, Qwen3Config, Qwen3ForSequenceClassification

from bench.errors import BenchError
from bench.rerankers import load
from bench.rerankers.base import CandidateList, Options

FOLDERS = {"bi-encoder": "encoder", "cross-encoder": "classifier", "late-interaction": "colbert", "yes-no": "qwen3"}
INNER = {
    "bi-encoder": "encoder.layer.1.output.dense.weight",
    "cross-encoder": "bert.encoder.layer.1.output.dense.weight",
    "late-interaction": "bert.encoder.layer.1.output.dense.weight",
    "yes-no": "model.layers.1.mlp.up_proj.weight",
}


@pytest.fixture
def copy(tmp_path, request):
    """A family's tiny checkpoint, to be damaged."""
    return lambda family: Path(shutil.copytree(request.getfixturevalue(FOLDERS[family]), tmp_path / "copy"))


@pytest.fixture(scope="module")
def projecting(tmp_path_factory, encoder):
    """A bi-encoder with a layer after its pooling."""
    folder = tmp_path_factory.mktemp("projecting")
    modules = [Transformer(str(encoder)), Pooling(32), Dense(32, 8)]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(folder))
    return folder


def change(folder, names_to_tensors):
    """Replace the tensors of a checkpoint by what a function makes of them."""
    path = folder / "model.safetensors"
    tensors = names_to_tensors(load_file(path))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, {"format": "pt"})


def scores_of(name, lists):
    return [answer.scores for answer in load(name, Options(device="cpu")).score(lists)]


@pytest.mark.parametrize("family", FOLDERS)
def test_a_missing_tensor_is_named(family, copy, cpu):
    folder = copy(family)
    change(folder, lambda tensors: {name: each for name, each in tensors.items() if name != INNER[family]})
    with pytest.raises(BenchError, match=rf"lacks tensors .*{INNER[family].removeprefix('bert.')}"):
        load(f"{family}:{folder}", cpu)


@pytest.mark.parametrize("family", FOLDERS)
def test_renamed_tensors_are_missing_ones(family, copy, cpu):
    folder = copy(family)
    change(folder, lambda tensors: {name.replace("layer", "block"): each for name, each in tensors.items()})
    with pytest.raises(BenchError, match="lacks tensors"):
        load(f"{family}:{folder}", cpu)


@pytest.mark.parametrize("family", FOLDERS)
def test_a_tensor_of_another_shape_is_refused(family, copy, cpu):
    folder = copy(family)
    change(folder, lambda tensors: tensors | {INNER[family]: torch.zeros(3, 5)})
    with pytest.raises(BenchError, match="cannot be loaded as"):
        load(f"{family}:{folder}", cpu)


def test_a_classifier_without_its_head(copy, cpu):
    folder = copy("cross-encoder")
    change(folder, lambda tensors: {name: each for name, each in tensors.items() if "classifier" not in name})
    with pytest.raises(BenchError, match=r"lacks tensors .*classifier\.bias, classifier\.weight"):
        load(f"cross-encoder:{folder}", cpu)


def test_a_colbert_without_its_projection(copy, cpu):
    folder = copy("late-interaction")
    change(folder, lambda tensors: {name: each for name, each in tensors.items() if name != "linear.weight"})
    with pytest.raises(BenchError, match=r"linear\.weight"):
        load(f"late-interaction:{folder}", cpu)


def test_a_generator_without_its_output_layer(copy, cpu):
    folder = copy("yes-no")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    with pytest.raises(BenchError, match=r"lacks tensors .*lm_head\.weight"):
        load(f"yes-no:{folder}", cpu)


def test_the_pooler_may_lack_where_nothing_reads_it(copy, encoder, lists, cpu):
    folder = copy("bi-encoder")
    change(folder, lambda tensors: {name: each for name, each in tensors.items() if "pooler" not in name})
    assert scores_of(f"bi-encoder:{folder}", lists) == scores_of(f"bi-encoder:{encoder}", lists)


def test_the_pooler_of_a_classifier_may_not_lack(copy, cpu):
    folder = copy("cross-encoder")
    change(folder, lambda tensors: {name: each for name, each in tensors.items() if "pooler" not in name})
    with pytest.raises(BenchError, match=r"lacks tensors .*pooler"):
        load(f"cross-encoder:{folder}", cpu)


def test_stored_buffers_are_ignored(copy, encoder, lists):
    folder = copy("bi-encoder")
    change(folder, lambda tensors: tensors | {"embeddings.position_ids": torch.arange(64)[None]})
    assert scores_of(f"bi-encoder:{folder}", lists) == scores_of(f"bi-encoder:{encoder}", lists)


@pytest.mark.parametrize("family", FOLDERS)
def test_tensors_of_another_kind_of_model_are_refused(family, copy, cpu):
    folder = copy(family)
    change(folder, lambda tensors: tensors | {"vision_tower.weight": torch.zeros(2, 2)})
    with pytest.raises(BenchError, match=r"has no use for: vision_tower\.weight"):
        load(f"{family}:{folder}", cpu)


@pytest.mark.parametrize("family", FOLDERS)
@pytest.mark.parametrize("given", FOLDERS)
def test_a_checkpoint_of_another_family_is_refused(family, given, request, cpu):
    name = f"{family}:{request.getfixturevalue(FOLDERS[given])}"
    if family == given:
        load(name, cpu)
    else:
        with pytest.raises(BenchError, match=r"is (a|an|no|of) "):
            load(name, cpu)


@pytest.mark.parametrize("given", ["classifier", "qwen3", "colbert"])
def test_a_checkpoint_that_hides_its_kind_is_refused(given, tmp_path, request, cpu):
    folder = Path(shutil.copytree(request.getfixturevalue(given), tmp_path / "copy"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({name: config[name] for name in config if name != "architectures"}))
    # A generator with tied embeddings has the tensors of its bare model.
    if given == "qwen3":
        change(folder, lambda tensors: tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()})
    with pytest.raises(BenchError, match="has no use for"):
        load(f"bi-encoder:{folder}", cpu)


def test_modules_that_the_list_does_not_name(projecting, tmp_path, cpu):
    folder = Path(shutil.copytree(projecting, tmp_path / "copy"))
    rows = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps(rows[:2]))
    with pytest.raises(BenchError, match=r"has the module 2_Dense, which modules\.json does not name"):
        load(f"bi-encoder:{folder}", cpu)


def test_a_lost_list_of_modules(projecting, tmp_path, cpu):
    folder = Path(shutil.copytree(projecting, tmp_path / "copy"))
    (folder / "modules.json").unlink()
    with pytest.raises(BenchError, match=r"does not name|has no modules\.json"):
        load(f"bi-encoder:{folder}", cpu)
    for inner in ("1_Pooling", "2_Dense"):
        shutil.rmtree(folder / inner)
    with pytest.raises(BenchError, match=r"has no modules\.json"):
        load(f"bi-encoder:{folder}", cpu)


@pytest.mark.parametrize("lost", ["1_Pooling", "2_Dense", "2_Dense/model.safetensors", "2_Dense/config.json"])
def test_a_lost_module(lost, projecting, tmp_path, cpu):
    folder = Path(shutil.copytree(projecting, tmp_path / "copy"))
    path = folder / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(BenchError):
        load(f"bi-encoder:{folder}", cpu)


def test_a_dense_modules_tensors(projecting, tmp_path, cpu):
    folder = Path(shutil.copytree(projecting, tmp_path / "copy"))
    change(folder / "2_Dense", lambda tensors: {"linear.weight": tensors["linear.weight"]})
    with pytest.raises(BenchError, match=r"linear\.bias"):
        load(f"bi-encoder:{folder}", cpu)


@pytest.fixture(scope="module")
def converted(tmp_path_factory, qwen3, byte_level):
    """Qwen3-Reranker as a sequence classifier: its one output is the difference of the rows for yes and no."""
    folder = tmp_path_factory.mktemp("converted")
    generator = AutoModelForCausalLM.from_pretrained(qwen3)
    config = Qwen3Config.from_pretrained(qwen3, num_labels=1)
    classifier = Qwen3ForSequenceClassification(config)
    classifier.model.load_state_dict(generator.model.state_dict())
    yes, no = (byte_level(word, add_special_tokens=False)["input_ids"][0] for word in ("yes", "no"))
    rows = generator.lm_head.weight.detach()
    classifier.score.weight.data = (rows[yes] - rows[no])[None]
    classifier.save_pretrained(folder)
    byte_level.save_pretrained(folder)
    return folder


def test_a_converted_qwen3_reranker_scores_as_the_original(converted, qwen3, lists):
    expected = scores_of(f"yes-no:{qwen3}", lists)
    for scores, original in zip(scores_of(f"yes-no:{converted}", lists), expected, strict=True):
        assert scores == pytest.approx(original, abs=1e-5)


def test_a_generators_classifier_is_not_given_texts_glued_together(converted, cpu):
    with pytest.raises(BenchError, match=r"made of the generator qwen3.*yes-no:"):
        load(f"cross-encoder:{converted}", cpu)


@pytest.mark.parametrize("precision", [torch.int8, torch.uint8, torch.int64, torch.bool, torch.float8_e4m3fn])
@pytest.mark.parametrize("family", FOLDERS)
def test_weights_that_are_no_floating_point_numbers_are_refused(family, precision, copy, cpu):
    folder = copy(family)
    change(folder, lambda tensors: tensors | {INNER[family]: (100 * tensors[INNER[family]]).to(precision)})
    with pytest.raises(BenchError, match=rf"the tensor {INNER[family]} is of \w+, as quantised weights are"):
        load(f"{family}:{folder}", cpu)


def test_a_quantised_module_is_refused(projecting, tmp_path, cpu):
    folder = Path(shutil.copytree(projecting, tmp_path / "copy"))
    change(folder / "2_Dense", lambda tensors: {name: (100 * each).to(torch.int8) for name, each in tensors.items()})
    with pytest.raises(BenchError, match="as quantised weights are"):
        load(f"bi-encoder:{folder}", cpu)


def test_a_tensor_of_two_values_is_refused(copy, cpu):
    folder = copy("bi-encoder")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    name = INNER["bi-encoder"]
    shards = {"model-1.safetensors": tensors, "model-2.safetensors": {name: tensors[name] + 1}}
    for shard, held in shards.items():
        save_file(held, folder / shard, {"format": "pt"})
    index = {"weight_map": dict.fromkeys(tensors, "model-1.safetensors") | {name: "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BenchError, match=rf"{name}, which model-1.safetensors has too"):
        load(f"bi-encoder:{folder}", cpu)


def test_weights_with_an_adapter_beside_them_are_refused(copy, cpu):
    folder = copy("cross-encoder")
    save_file({"base_model.model.lora_A.weight": torch.zeros(2, 2)}, folder / "adapter_model.safetensors")
    with pytest.raises(BenchError, match="Merge the adapter"):
        load(f"cross-encoder:{folder}", cpu)


def test_an_output_layer_that_contradicts_the_config_is_refused(copy, qwen3, lists, cpu):
    folder = copy("yes-no")
    embeddings = load_file(folder / "model.safetensors")["model.embed_tokens.weight"]
    change(folder, lambda tensors: tensors | {"lm_head.weight": embeddings.clone()})
    assert scores_of(f"yes-no:{folder}", lists) == scores_of(f"yes-no:{qwen3}", lists)
    change(folder, lambda tensors: tensors | {"lm_head.weight": embeddings + 1})
    with pytest.raises(BenchError, match="tie_word_embeddings"):
        load(f"yes-no:{folder}", cpu)


@pytest.mark.parametrize("family", ["bi-encoder", "cross-encoder", "late-interaction"])
def test_a_token_without_an_embedding_is_one_message(family, copy, cpu):
    """The last of the vocabulary is in no text that is tried when a model is loaded."""
    folder = copy(family)
    prefix = "" if family == "bi-encoder" else "bert."
    name = f"{prefix}embeddings.word_embeddings.weight"
    change(folder, lambda tensors: tensors | {name: tensors[name][:-1]})
    config = json.loads((folder / "config.json").read_text())
    config["vocab_size"] -= 1
    (folder / "config.json").write_text(json.dumps(config))
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    last = max(vocabulary, key=vocabulary.__getitem__).removeprefix("##")
    reranker = load(f"{family}:{folder}", cpu)
    with pytest.raises(BenchError, match=r"failed on a text: .* Check that its tokenizer"):
        list(reranker.score([CandidateList("q", "moon", ("d",), (1.0,), (last,))]))
