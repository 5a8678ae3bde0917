"""No key of a checkpoint makes anything run, in any family: a payload would write a file, and none is there."""

import contextlib
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
import transformers.modeling_utils
from transformers import AutoModel

from bench.errors import BenchError
from bench.rerankers import load

CORE = Path(__file__).parents[2] / "reranker" / "data" / "tiny-checkpoint"
PAYLOAD = "from pathlib import Path\nPath({mark!r}).write_text('ran')\nclass X: pass\n"
PAYLOADS = ("payload", "pylate", "payload_package", "xielu")
KERNEL = "evil/kernel@main"


@pytest.fixture
def mark(tmp_path, monkeypatch):
    """The file that a payload would write; payloads can be imported under several names, and a kernel be fetched."""
    mark, home = tmp_path / "it-ran", tmp_path / "working-folder"
    for name in PAYLOADS:
        (home / name / "x").mkdir(parents=True)
        (home / name / "__init__.py").write_text(PAYLOAD.format(mark=str(mark)))
        (home / name / "x" / "__init__.py").write_text(PAYLOAD.format(mark=str(mark)))
    monkeypatch.chdir(home)
    monkeypatch.syspath_prepend(str(home))
    monkeypatch.setattr(
        transformers.modeling_utils, "lazy_import_flash_attention", lambda *_, **__: mark.write_text("kernel")
    )
    yield mark
    for module in [name for name in sys.modules if name.partition(".")[0] in PAYLOADS]:
        del sys.modules[module]


def poison(folder):
    """Add to every settings file of a checkpoint all keys that could name code."""
    auto = {"AutoConfig": "payload.X", "AutoTokenizer": ["payload.X", "payload.X"], "AutoProcessor": "payload.X"}
    kernels = {
        "attn_implementation": KERNEL,
        "_attn_implementation": KERNEL,
        "_attn_implementation_internal": KERNEL,
        "experts_implementation": KERNEL,
    }
    anywhere = kernels | {"auto_map": auto, "processor_class": "payload.X", "trust_remote_code": True}
    named = {"model_args": kernels | {"trust_remote_code": True}, "config_args": kernels, "model_kwargs": kernels}
    keys = {
        "config.json": anywhere
        | {
            "custom_pipelines": {"rerank": {"impl": "payload.X", "pt": ["AutoModel"]}},
            "text_config": anywhere | {"model_type": "bert"},
            "sentence_transformers": {"activation_fn": "payload.X"},
            "sbert_ce_default_activation_function": "payload.X",
        },
        "tokenizer_config.json": anywhere | {"chat_template": "{{ payload }}", "tokenizer_class": "payload.X"},
        "generation_config.json": anywhere | {"custom_generate": "payload"},
        "processor_config.json": anywhere,
        "preprocessor_config.json": anywhere,
        "video_preprocessor_config.json": anywhere,
        "sentence_bert_config.json": named,
        "adapter_config.json": {"base_model_name_or_path": "evil/base", "peft_type": "LORA", "auto_mapping": auto},
    }
    for name, added in keys.items():
        path = folder / name
        content = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps(content | added))
    (folder / "chat_template.jinja").write_text("{{ payload }}")
    for name in ("payload", "modeling", "configuration"):
        (folder / f"{name}.py").write_text(PAYLOAD.format(mark=str(folder.parent / "it-ran")))


FOLDERS = {
    "bi-encoder": "encoder",
    "cross-encoder": "classifier",
    "late-interaction": "colbert",
    "yes-no": "qwen3",
}


@pytest.mark.parametrize("family", [*FOLDERS, "core"])
def test_every_family_scores_a_poisoned_checkpoint_as_if_it_were_clean(family, mark, tmp_path, request, cpu, lists):
    clean = request.getfixturevalue(FOLDERS[family]) if family in FOLDERS else CORE
    poisoned = Path(shutil.copytree(clean, tmp_path / "poisoned"))
    poison(poisoned)
    poisoned_answers = [answer.scores for answer in load(f"{family}:{poisoned}", cpu).score(lists)]
    assert poisoned_answers == [answer.scores for answer in load(f"{family}:{clean}", cpu).score(lists)]
    assert not mark.exists()


def test_the_poison_is_one(mark, tmp_path, encoder):
    """transformers itself does as the poisoned config says: the test above would notice it."""
    poisoned = Path(shutil.copytree(encoder, tmp_path / "poisoned"))
    poison(poisoned)
    (poisoned / "adapter_config.json").unlink()
    with contextlib.suppress(ValueError, KeyError, AttributeError):
        AutoModel.from_pretrained(poisoned, local_files_only=True)
    assert mark.exists()


@pytest.mark.parametrize("family", ["bi-encoder", "cross-encoder", "late-interaction", "yes-no", "core"])
@pytest.mark.parametrize("package", ["payload.x", "payload", "pylate", "payload_package.x"])
def test_a_package_is_not_imported_to_find_it(family, package, mark, cpu):
    with pytest.raises(BenchError):
        load(f"{family}:package:{package}/m", cpu)
    assert not mark.exists()


@pytest.mark.parametrize(
    "kind",
    [
        "payload.X",
        "payload.x.X",
        "pylate.models.Transformer",
        "pylate.X",
        "sentence_transformers.payload.X",
        "sentence_transformers.util.import_from_string",
        "sentence_transformers.sentence_transformer.modules.WordEmbeddings",
        "sentence_transformers.base.modules.router.Router",
        "sentence_transformers.sentence_transformer.modules.CLIPModel",
        "os.system",
        "",
        ".",
    ],
)
@pytest.mark.parametrize("family", ["bi-encoder", "cross-encoder", "late-interaction"])
def test_modules_that_are_not_the_librarys_own(family, kind, mark, tmp_path, encoder, cpu):
    folder = Path(shutil.copytree(encoder, tmp_path / "modular"))
    rows = [("0", "", "sentence_transformers.models.Transformer"), ("1", "1_Own", kind)]
    (folder / "1_Own").mkdir()
    (folder / "1_Own" / "config.json").write_text("{}")
    (folder / "modules.json").write_text(
        json.dumps([dict(zip(("name", "path", "type"), row, strict=True)) for row in rows])
    )
    with pytest.raises(BenchError, match=r"modules\.json names|not a trained|neither of the two"):
        load(f"{family}:{folder}", cpu)
    assert not mark.exists()


def test_pylates_own_name_is_read_without_that_package(mark, tmp_path, encoder, cpu, lists):
    from safetensors.torch import save_file

    folder = Path(shutil.copytree(encoder, tmp_path / "colbert"))
    (folder / "1_Dense").mkdir()
    save_file({"linear.weight": torch.randn(8, 32)}, folder / "1_Dense" / "model.safetensors")
    (folder / "1_Dense" / "config.json").write_text(json.dumps({"in_features": 32, "out_features": 8, "bias": False}))
    rows = [("0", "", "sentence_transformers.models.Transformer"), ("1", "1_Dense", "pylate.models.Dense.Dense")]
    (folder / "modules.json").write_text(
        json.dumps([dict(zip(("name", "path", "type"), row, strict=True)) for row in rows])
    )
    assert len(list(load(f"late-interaction:{folder}", cpu).score(lists))) == len(lists)
    assert not mark.exists()


@pytest.mark.parametrize("activation", ["payload.X", "torch.nn.payload.X", "torch.hub.load", "torch.nn.Module", "x"])
def test_an_activation_that_is_not_torchs_own(activation, mark, tmp_path, encoder, cpu):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    modules = [Transformer(str(encoder)), Pooling(32), Dense(32, 8)]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(tmp_path / "dense"))
    path = tmp_path / "dense" / "2_Dense" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"activation_function": activation}))
    with pytest.raises(BenchError, match="none of torch's own"):
        load(f"bi-encoder:{tmp_path / 'dense'}", cpu)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["xielu", "payload.X", "owner/kernel"])
def test_an_activation_of_the_config_that_is_not_known(name, mark, tmp_path, classifier, cpu):
    folder = Path(shutil.copytree(classifier, tmp_path / "activated"))
    content = json.loads((folder / "config.json").read_text()) | {"hidden_act": name}
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(BenchError, match="hidden_act"):
        load(f"cross-encoder:{folder}", cpu)
    assert not mark.exists()


def test_a_quantised_checkpoint_is_refused(tmp_path, classifier, cpu):
    folder = Path(shutil.copytree(classifier, tmp_path / "quantised"))
    content = json.loads((folder / "config.json").read_text()) | {"quantization_config": {"quant_method": "payload"}}
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(BenchError, match="quantised weights"):
        load(f"cross-encoder:{folder}", cpu)


@pytest.mark.parametrize("model_type", ["yoso", "mra", "rwkv"])
def test_a_model_for_which_transformers_fetches_code_is_refused(model_type, tmp_path, encoder, cpu):
    folder = Path(shutil.copytree(encoder, tmp_path / "fetching"))
    content = json.loads((folder / "config.json").read_text()) | {"model_type": model_type, "architectures": []}
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(BenchError, match="fetches code"):
        load(f"bi-encoder:{folder}", cpu)
