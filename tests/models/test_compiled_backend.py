"""Compiled PyTorch: one batch size for every call, and the classifier it was given."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from models.backends import BACKENDS, BackendError, prepare
from models.backends.precision import float32_means_float32

SHAPE = (1, 4, 4)
CPU = torch.device("cpu")

needs_compiler = pytest.mark.skipif(
    not BACKENDS["compiled"].dtypes(CPU, emulated=True), reason="there is no C++ compiler"
)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = [
    pytest.param("cpu", marks=needs_compiler),
    pytest.param("cuda", marks=[pytest.mark.gpu, needs_cuda]),
]


def network(seed: int = 0) -> nn.Module:
    """The smallest that has a convolution: compiling takes its time."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)).eval()


@pytest.mark.parametrize("device", DEVICES)
def test_any_number_of_images_is_run_at_one_size(device: str) -> None:
    """Smaller batches are padded, larger ones are cut, nothing is compiled again, and rows stay their own."""
    executable = prepare(
        network(),
        input_shape=SHAPE,
        num_classes=3,
        backend="compiled",
        device=device,
        dtype="float32",
        batch_size=4,
    )
    assert (executable.backend, executable.batch_size) == ("compiled", 4)
    images = torch.rand((11, *SHAPE), device=executable.device)
    kept = images.clone()
    expected = network().to(executable.device)(images)
    with torch._dynamo.config.patch(error_on_recompile=True):
        together = executable(images)
        assert torch.allclose(together, expected, atol=1e-5)
        for size in (1, 3, 4, 5):
            assert torch.equal(executable(images[:size]), together[:size])
        again = prepare(network(1), input_shape=SHAPE, num_classes=3, like=executable)
    assert again.votes_per_second == executable.votes_per_second
    assert torch.allclose(again(images), network(1).to(executable.device)(images), atol=1e-5)
    assert torch.equal(executable(images), together)  # results are not overwritten by another's
    assert torch.equal(images, kept)


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize(
    "dtype", BACKENDS["compiled"].dtypes(torch.device("cuda")) if torch.cuda.is_available() else ["none"]
)
def test_every_precision_on_cuda_agrees_with_float32(dtype: str) -> None:
    """Compiled and recorded, or layer by layer."""
    images = torch.rand(64, *SHAPE)
    expected = network()(images)
    for backend in ("compiled", "eager"):
        executable = prepare(
            network(),
            input_shape=SHAPE,
            num_classes=3,
            backend=backend,
            device="cuda",
            dtype=dtype,
            batch_size=64,
        )
        assert torch.allclose(executable(images.cuda()).cpu(), expected, atol=0.03)


@pytest.mark.gpu
@needs_cuda
def test_float32_is_float32_on_cuda() -> None:
    """TF32 is off inside and as it was outside."""
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    with float32_means_float32(torch.device("cuda")):
        assert matmul.fp32_precision == "ieee"
    assert matmul.fp32_precision == before


def test_automatic_choice_on_a_cpu_never_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes minutes there, and gains little."""
    monkeypatch.setattr(torch, "compile", _refuse)
    assert (
        prepare(network(), input_shape=SHAPE, num_classes=3, device="cpu", batch_size=4).backend != "compiled"
    )


@needs_compiler
def test_what_cannot_be_compiled_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiler's reason."""
    monkeypatch.setattr(torch, "compile", _refuse)
    with pytest.raises(
        BackendError, match="'module' must be supported by the compiler of PyTorch: RuntimeError: no"
    ):
        prepare(network(), input_shape=SHAPE, num_classes=3, backend="compiled", device="cpu", batch_size=4)


def test_without_a_compiler_it_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU it needs one."""
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(BackendError, match="'backend' must run on cpu, got 'compiled'"):
        prepare(network(), input_shape=SHAPE, num_classes=3, backend="compiled", device="cpu")


def _refuse(*args: object, **kwargs: object) -> Callable[[torch.Tensor], torch.Tensor]:
    raise RuntimeError("no")
