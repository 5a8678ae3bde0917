import subprocess
import sys

import pytest
import torch

from bench.errors import BenchError
from bench.rerankers import load
from bench.rerankers.base import Options
from bench.rerankers.options import check_options

IMPOSSIBLE = [
    "meta",
    "quantum",
    "",
    "cuda:9999",
    "cuda:-1",
    "cpu:7",
    "CPU",
    "mkldnn",
    "vulkan",
    "cuda:99999999999999999999",
]


@pytest.mark.parametrize("device", IMPOSSIBLE)
def test_a_device_that_computes_nothing_here_is_refused(device):
    with pytest.raises(BenchError, match="cannot be used"):
        check_options(Options(device=device))


@pytest.mark.parametrize("family", ["minilm", "embedded", "core", "cross-encoder", "yes-no", "late-interaction"])
def test_every_family_refuses_the_meta_device(family, request):
    folders = {"cross-encoder": "classifier", "yes-no": "qwen3", "late-interaction": "colbert"}
    model = f"{family}:{request.getfixturevalue(folders[family])}" if family in folders else family
    with pytest.raises(BenchError, match=r"device 'meta' cannot be used"):
        load("core:package:reranker/embedded" if model == "core" else model, Options(device="meta"))


@pytest.mark.parametrize("dtype", ["int8", "", "float64", "FLOAT32", "__doc__"])
def test_an_unknown_precision_is_refused(dtype):
    with pytest.raises(BenchError, match="Unknown precision"):
        check_options(Options(device="cpu", dtype=dtype))


def test_what_is_possible_passes():
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    for device in ("auto", "cpu", *([accelerator.type, f"{accelerator.type}:0"] if accelerator else [])):
        for dtype in ("auto", "float32", "bfloat16", "float16"):
            check_options(Options(device=device, dtype=dtype))


def test_the_check_loads_no_model_library():
    code = (
        "import sys; from bench.rerankers.base import Options; from bench.rerankers.options import check_options\n"
        "check_options(Options(device='cpu')); print('torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == "False"
