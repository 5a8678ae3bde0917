"""The device and precision that "auto" stands for, the same for every family."""

import pytest
import torch

from bench.rerankers.base import Options
from bench.rerankers.local.loading import place


@pytest.mark.parametrize(
    ("cuda", "mps", "device", "precision"),
    [
        (True, True, "cuda", torch.bfloat16),
        (True, False, "cuda", torch.bfloat16),
        (False, True, "mps", torch.bfloat16),
        (False, False, "cpu", torch.float32),
    ],
)
def test_auto_is_cuda_then_mps_then_the_cpu(cuda, mps, device, precision, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert place(Options()) == (torch.device(device), precision)
    assert place(Options(dtype="float16")) == (torch.device(device), torch.float16)
    assert place(Options(device="cpu")) == (torch.device("cpu"), torch.float32)
