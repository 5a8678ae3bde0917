"""Our arithmetic against transformers' own, on the same weights: full and sliding attention, Qwen 3 and Llama."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reranker import checkpoint, cpu
from reranker import model as model_module
from reranker.model import ListModel
from tests.torch_threads import torch_threads

LENGTHS = [61, 7, 34]
MARKERS = [[5, 20, 40, 60], [6], [0, 33]]
# Three local layers, then two global ones: the plan of v3.5. And one whose last layer, read at markers only, is local.
SLIDING = {"sliding_window": 16, "use_sliding_window": True}
LOCAL, GLOBAL = "sliding_attention", "full_attention"
SHAPES: dict[str, dict[str, Any]] = {
    "full": {},
    "3L2G": SLIDING | {"layer_types": [LOCAL] * 3 + [GLOBAL] * 2},
    "local last": SLIDING | {"layer_types": [GLOBAL] * 3 + [LOCAL] * 2},
    "llama": {"model_type": "llama"},
}


def load(folder: Path) -> ListModel:
    return checkpoint.find(folder).model(torch.device("cpu"), torch.float32)


def library(model: ListModel, ids: Tensor, markers: list[int]) -> Tensor:
    """What transformers' own forward pass gives at the markers of one list."""
    states = model.backbone(input_ids=ids[None], use_cache=False).last_hidden_state[0]
    return model.projector(states[markers])


@pytest.fixture
def lists() -> list[Tensor]:
    source = torch.Generator().manual_seed(1)
    return [torch.randint(0, 4000, (length,), generator=source) for length in LENGTHS]


@pytest.mark.parametrize("fast", [True, False], ids=["fast path", "by torch alone"])
@pytest.mark.parametrize("rows", [10, 1024], ids=["in tiles", "at once"])
@pytest.mark.parametrize("shape", SHAPES)
def test_packed_lists_give_what_the_library_gives_each_alone(
    shape: str,
    rows: int,
    fast: bool,
    lists: list[Tensor],
    make_checkpoint: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cpu, "_CPU_ROWS" if fast else "_OTHER_ROWS", rows)
    model = load(make_checkpoint(**SHAPES[shape]))
    with torch.inference_mode() if fast else torch.no_grad():
        packed = model(torch.cat(lists), LENGTHS, [torch.tensor(positions) for positions in MARKERS])
        alone = torch.cat([library(model, ids, positions) for ids, positions in zip(lists, MARKERS, strict=True)])
    assert packed.shape == (7, 24)
    torch.testing.assert_close(packed, alone, atol=1e-5, rtol=1e-5)


def test_the_number_of_threads_changes_no_bit(make_checkpoint: Callable[..., Path]) -> None:
    # Of few markers and many keys torch's own attention divides the keys among threads, and so the sums.
    lengths, markers = [959, 300, 700], [torch.tensor(places) for places in ([4, 500, 958], [299], [0, 699])]
    ids = torch.randint(0, 4000, (sum(lengths),), generator=torch.Generator().manual_seed(1))
    model = load(make_checkpoint())
    found = []
    for threads in (1, 2, 3, 4):
        with torch_threads(threads), torch.inference_mode():
            found.append(model(ids, lengths, markers))
    assert all(torch.equal(found[0], each) for each in found)


def test_company_changes_no_bit(make_checkpoint: Callable[..., Path]) -> None:
    lengths, markers = [61, 7, 300, 34], [torch.tensor(places) for places in ([5, 20, 60], [6], range(0, 300, 2), [0])]
    lists = torch.randint(0, 4000, (sum(lengths),), generator=torch.Generator().manual_seed(1)).split(lengths)
    model = load(make_checkpoint())
    with torch.inference_mode():
        packed = model(torch.cat(lists), lengths, markers)
        alone = [model(ids, [len(ids)], [places]) for ids, places in zip(lists, markers, strict=True)]
    assert torch.equal(packed, torch.cat(alone))


def test_windows_change_the_answer(lists: list[Tensor], make_checkpoint: Callable[..., Path]) -> None:
    # Else the comparison above would hold with windows ignored on both sides.
    with torch.inference_mode():
        full, local = (
            load(make_checkpoint(**SHAPES[shape]))(lists[0], [61], [torch.tensor([60])]) for shape in ("full", "3L2G")
        )
    assert (full - local).abs().max() > 0.01


def test_gradients_are_those_of_the_library(lists: list[Tensor], make_checkpoint: Callable[..., Path]) -> None:
    gradients = []
    for way in ("ours", "library"):
        model = load(make_checkpoint())
        if way == "ours":
            found = model(lists[2], [34], [torch.tensor(MARKERS[2])])
        else:
            found = library(model, lists[2], MARKERS[2])
        found.square().sum().backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters()})
    assert all(gradient is not None for gradient in gradients[0].values())
    torch.testing.assert_close(*gradients, atol=1e-3, rtol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("length", [40, 5000], ids=["short list", "long list"])
def test_a_gpu_gives_what_the_cpu_gives(length: int, make_checkpoint: Callable[..., Path]) -> None:
    files = checkpoint.find(make_checkpoint())
    ids, markers = torch.arange(length) % 4000, [torch.tensor([3, length - 1])]
    with torch.inference_mode():
        on_cpu, on_gpu = (
            files.model(torch.device(device), torch.float32)(
                ids.to(device), [length], [positions.to(device) for positions in markers]
            )
            for device in ("cpu", "cuda")
        )
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=1e-4, atol=1e-5)


def test_one_operation_normalises_as_the_library_does(make_checkpoint: Callable[..., Path]) -> None:
    """The replacement of RMSNorm on a GPU, computed on the CPU."""
    norm = load(make_checkpoint()).backbone.layers[0].input_layernorm
    states = torch.randn(7, norm.weight.shape[0])
    on_gpu = states.as_subclass(_Cuda)
    torch.testing.assert_close(model_module._norm(norm, on_gpu).as_subclass(Tensor), norm(states), rtol=1e-6, atol=1e-6)


class _Cuda(Tensor):
    is_cuda = True
