"""Every backend computes the classifier it was given, in its own precision."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from models.backends import BACKENDS, BackendError, prepare
from models.backends.base import BuildRequest, threads
from models.bundles import LoadedBundle
from models.bundles.module import assemble
from smoothing import check_batch_invariance, generator_for
from tests.models.support import describe, tiny_network

SHAPE = (1, 8, 8)
CPU = torch.device("cpu")
QUICK = [name for name in BACKENDS if BACKENDS[name].dtypes(CPU)]
OFFERED = [(name, dtype) for name in QUICK for dtype in BACKENDS[name].dtypes(CPU, emulated=True)]


def noisy(images: torch.Tensor, sigma: float = 0.5) -> torch.Tensor:
    return images + sigma * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))


def calibration(dtype: str) -> torch.Tensor | None:
    grey = torch.rand((64, *SHAPE), generator=torch.Generator().manual_seed(1))
    return noisy(grey, 0.25) if dtype == "int8" else None


def noisy_clean(bundle: LoadedBundle) -> torch.Tensor:
    assert bundle.clean is not None
    return noisy(torch.from_numpy(bundle.clean) / 255)


def tiny_classifier() -> nn.Module:
    return assemble(describe(), tiny_network())


@pytest.mark.parametrize(("backend", "dtype"), OFFERED)
def test_votes_under_noise_agree_with_float32(shipped: LoadedBundle, backend: str, dtype: str) -> None:
    """At least 99 % of the votes on noisy clean images are those of the float32 classifier."""
    images = noisy_clean(shipped)
    executable = prepare(
        shipped.base_classifier,
        input_shape=(1, 28, 28),
        num_classes=10,
        backend=backend,
        device="cpu",
        dtype=dtype,
        batch_size=256,
        calibration=images,
    )
    logits = executable(images)
    with torch.inference_mode():
        expected = shipped.base_classifier(images).argmax(1)
    assert logits.dtype == torch.float32
    assert (logits.argmax(1) == expected).float().mean() >= 0.99


@pytest.mark.parametrize(("backend", "dtype"), OFFERED)
def test_the_callers_module_is_left_alone(backend: str, dtype: str) -> None:
    """Preparing and running change neither values, types, layouts nor gradients of the module."""
    classifier = tiny_classifier().requires_grad_(requires_grad=True)
    before = copy.deepcopy(classifier)
    prepare(
        classifier,
        input_shape=SHAPE,
        num_classes=3,
        backend=backend,
        device="cpu",
        dtype=dtype,
        batch_size=4,
        calibration=calibration(dtype),
    )(torch.rand(4, *SHAPE))
    for (key, value), expected in zip(classifier.named_parameters(), before.parameters(), strict=True):
        assert value.dtype == expected.dtype, key
        assert value.stride() == expected.stride(), key
        assert value.requires_grad, key
    for key, value in classifier.state_dict().items():
        assert torch.equal(value, before.state_dict()[key]), key


@pytest.mark.parametrize(("backend", "dtype"), OFFERED)
def test_the_images_are_left_alone(backend: str, dtype: str) -> None:
    """A sampler may reuse its buffer of noisy images."""
    images = torch.rand(4, *SHAPE)
    kept = images.clone()
    prepare(
        tiny_classifier(),
        input_shape=SHAPE,
        num_classes=3,
        backend=backend,
        device="cpu",
        dtype=dtype,
        batch_size=4,
        calibration=calibration(dtype),
    )(images)
    assert torch.equal(images, kept)


@pytest.mark.parametrize(("backend", "dtype"), OFFERED)
def test_no_vote_depends_on_its_batch(shipped: LoadedBundle, backend: str, dtype: str) -> None:
    """The probe that every worker makes passes in every precision."""
    executable = prepare(
        shipped.base_classifier,
        input_shape=(1, 28, 28),
        num_classes=10,
        backend=backend,
        device="cpu",
        dtype=dtype,
        batch_size=16,
        calibration=noisy_clean(shipped),
    )
    check_batch_invariance(executable, (1, 28, 28), num_classes=10, generator=generator_for(0, "probe"))


@pytest.mark.parametrize(("backend", "dtype"), OFFERED)
def test_a_variant_is_made_like_another(backend: str, dtype: str) -> None:
    """Backend, precision, batch size and speed are taken over, the values are its own."""
    wishes: dict[str, Any] = {"input_shape": SHAPE, "num_classes": 3, "calibration": calibration(dtype)}
    one = prepare(tiny_classifier(), **wishes, backend=backend, device="cpu", dtype=dtype, batch_size=4)
    changed = tiny_classifier()
    changed.load_state_dict({**changed.state_dict(), "network.linear.bias": torch.tensor([5.0, 0.0, -5.0])})
    other = prepare(changed, **wishes, like=one)
    assert replace(other, call=one.call) == one
    images = torch.rand(4, *SHAPE)
    with torch.inference_mode():
        expected = changed(images) - tiny_classifier()(images)
    assert torch.allclose(other(images) - one(images), expected, atol=0.1)


@pytest.mark.parametrize("backend", QUICK)
def test_what_was_chosen_is_recorded(backend: str) -> None:
    """Automatic choices are told: device, precision, batch size and speed."""
    executable = prepare(tiny_classifier(), input_shape=SHAPE, num_classes=3, backend=backend, device="cpu")
    assert executable.backend == backend
    assert executable.device == CPU
    assert executable.dtype == next(dtype for dtype in BACKENDS[backend].dtypes(CPU) if dtype != "int8")
    assert 1 <= executable.batch_size <= 4096
    assert executable.votes_per_second > 0


@pytest.mark.skipif(not BACKENDS["openvino"].dtypes(CPU), reason="OpenVINO does not run here")
@pytest.mark.parametrize("dtype", BACKENDS["openvino"].dtypes(CPU))
def test_openvino_gives_the_same_logits_in_any_batch(shipped: LoadedBundle, dtype: str) -> None:
    """Bit for bit: alone, in a batch whose size is compiled for, and in one of any size."""
    calibrated = noisy_clean(shipped) if dtype == "int8" else None
    call = BACKENDS["openvino"].build(
        BuildRequest(shipped.base_classifier, (1, 28, 28), 10, CPU, dtype, calibration=calibrated)
    )
    images = torch.rand((64, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    together = call(images)
    assert torch.equal(torch.cat([call(image[None]) for image in images]), together)
    assert torch.equal(call(images[:37]), together[:37])
    for _ in range(3):  # compiled for this size by now
        assert torch.equal(call(images), together)


@pytest.mark.parametrize("backend", QUICK)
def test_pytorch_keeps_its_threads_unless_another_runtime_works(backend: str) -> None:
    """And gets them back."""
    executable = prepare(
        tiny_classifier(), input_shape=SHAPE, num_classes=3, backend=backend, device="cpu", batch_size=4
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with executable.alone():
            assert torch.get_num_threads() == (2 if backend == "eager" else 1)
            assert threads() == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


class Unusual(nn.Module):
    """A network with an operation that only PyTorch knows."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = [float(value) for value in images.flatten(1).double().logcumsumexp(1)[:, -1]]
        return torch.tensor([[value, -value, 0.0] for value in values])


def test_a_network_that_a_backend_cannot_express_goes_to_the_next() -> None:
    """Tracing would freeze what it saw; the comparison of logits finds that, and eager PyTorch takes over."""
    executable = prepare(
        Unusual().eval(), input_shape=SHAPE, num_classes=3, device="cpu", dtype="float32", batch_size=4
    )
    assert executable.backend == "eager"
    images = torch.rand(4, *SHAPE)
    assert torch.equal(executable(images), Unusual()(images))


def test_a_vision_transformer_runs_in_bfloat16() -> None:
    """Networks with parameters of their own beside layers mix precisions without failing."""
    timm = pytest.importorskip("timm", reason="timm is optional")
    network = timm.create_model("test_vit", num_classes=3).eval()
    shape = tuple(network.default_cfg["input_size"])
    executable = prepare(
        network, input_shape=shape, num_classes=3, device="cpu", dtype="bfloat16", batch_size=2
    )
    assert executable(torch.rand(2, *shape)).shape == (2, 3)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"backend": "abacus"}, "'backend' must be one of .* got 'abacus'"),
        ({"device": "tpu"}, "'device' must be auto, cpu, cuda or cuda:N, got 'tpu'"),
        ({"device": "meta"}, "'device' must be auto, cpu, cuda or cuda:N, got 'meta'"),
        ({"device": "cuda:99"}, "'device' cuda:99 must exist"),
        ({"dtype": "float8"}, "'dtype' must be one of .* got 'float8'"),
        ({"dtype": "int8"}, "'calibration' must be noisy images when 'dtype' is int8, got None"),
        ({"dtype": "int8", "backend": "eager"}, "'dtype' must be one of .* by eager, got 'int8'"),
        (
            {"calibration": torch.zeros(2, 1, 9, 9)},
            r"'calibration' must be float32 images .* got torch.float32 \(2, 1, 9, 9\)",
        ),
        (
            {"calibration": torch.zeros(0, *SHAPE)},
            "'calibration' must be at least one image, with finite values",
        ),
        ({"num_classes": 4}, r"float32 logits \(8, 4\), got torch.float32 \(8, 3\)"),
        ({"input_shape": (2, 8, 8)}, r"must run on images \(8, 2, 8, 8\)"),
    ],
)
def test_impossible_wishes_are_refused_with_the_value(changes: dict[str, object], reason: str) -> None:
    """The message says which wish cannot be met."""
    wishes: dict[str, object] = {"input_shape": SHAPE, "num_classes": 3, "device": "cpu", **changes}
    with pytest.raises(BackendError, match=reason):
        prepare(tiny_classifier(), **wishes)  # type: ignore[arg-type]


def test_a_module_in_train_mode_is_refused() -> None:
    """Batch statistics would make votes depend on each other."""
    with pytest.raises(BackendError, match="eval mode"):
        prepare(tiny_classifier().train(), input_shape=SHAPE, num_classes=3, device="cpu")
