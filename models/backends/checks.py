"""Compares a backend's callable with its module, once, before it is used."""

import copy

import torch
from torch import Tensor, nn

from models.backends.base import BuildRequest, Logits, together
from models.backends.precision import float32_means_float32
from models.errors import BackendError

TOLERANCE = 0.05
"""Largest mean difference of logits that counts as rounding, as a fraction of their spread."""

INT8_TOLERANCE = 0.25
"""The same for int8. Its votes are compared as well, so this only finds grossly wrong executions."""

LEAST_AGREEMENT = 0.97
"""Least share of equal votes in int8 and float32. A certificate is about the int8 classifier and holds for
any share. But rounding mostly changes votes near a decision boundary, so a good quantisation changes one or
two in a hundred; more means that it is another classifier."""

COMPARED_IMAGES = 128
_BATCH = 8  # images of the first comparison, of shapes and then of logits


@torch.inference_mode()
def check_logits(call: Logits, request: BuildRequest) -> None:
    """Refuse a callable that does not return finite float32 logits ``(b, k)``.

    Raises:
        BackendError: with what it returned instead, or why it failed.
    """
    shape, expected = (_BATCH, *request.input_shape), (_BATCH, request.num_classes)
    try:
        logits = call(torch.full(shape, 0.5, device=request.device))
    except Exception as error:  # a user's network may raise anything
        raise BackendError(f"'module' must run on images {shape}: {type(error).__name__}: {error}") from error
    if logits.shape != expected or logits.dtype != torch.float32:
        raise BackendError(
            f"'module' must return float32 logits {expected}, got {logits.dtype} {tuple(logits.shape)}"
        )
    if not bool(torch.isfinite(logits).all()):
        raise BackendError(f"'module' must return finite logits in this precision, got {logits[0].tolist()}")


@torch.inference_mode()
def check_agreement(call: Logits, request: BuildRequest) -> None:
    """Refuse a callable whose logits differ from the module's by more than rounding.

    A certificate would still hold for the callable, but it would not be about the user's classifier.

    Raises:
        BackendError: with the size of the difference.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((_BATCH, *request.input_shape), generator=generator)
    images += 0.25 * torch.randn(images.shape, generator=generator)
    expected = _float32(request.module, images.to(request.device))
    logits = call(images.to(request.device))
    tolerance = INT8_TOLERANCE if request.dtype == "int8" else TOLERANCE
    spread = float((expected.amax(1) - expected.amin(1)).mean())
    difference = float((logits - expected).abs().mean())
    if not difference <= tolerance * spread + 1e-6:
        raise BackendError(
            f"'module' must have the same logits when it is executed, got a mean difference of "
            f"{difference:.3g} at a spread of {spread:.3g}"
        )


@torch.inference_mode()
def check_votes(call: Logits, module: nn.Module, images: Tensor, dtype: str) -> None:
    """Refuse a callable whose votes differ from the module's on too many noisy images ``(m, c, h, w)``.

    Raises:
        BackendError: with the share of equal votes.
    """
    images = images[:COMPARED_IMAGES]
    with together():
        expected = torch.cat([_float32(module, part).argmax(1) for part in torch.split(images, 32)])
    agreement = float((call(images).argmax(1) == expected).double().mean())
    if agreement < LEAST_AGREEMENT:
        raise BackendError(
            f"'dtype' {dtype} must vote like float32 on at least {LEAST_AGREEMENT:.0%} of the "
            f"calibration images, got {agreement:.1%} of {len(images)}"
        )


def check_calibration(calibration: Tensor, input_shape: tuple[int, int, int]) -> None:
    """Refuse anything but finite float32 images ``(m, c, h, w)``.

    Raises:
        BackendError: with its type and shape.
    """
    given = f"{calibration.dtype} {tuple(calibration.shape)}"
    if calibration.dtype != torch.float32 or tuple(calibration.shape[1:]) != input_shape:
        raise BackendError(f"'calibration' must be float32 images {('m', *input_shape)}, got {given}")
    if len(calibration) == 0 or not bool(torch.isfinite(calibration).all()):
        raise BackendError(f"'calibration' must be at least one image, with finite values, got {given}")


def _float32(module: nn.Module, images: Tensor) -> Tensor:
    with float32_means_float32(images.device):
        logits: Tensor = copy.deepcopy(module).to(images.device)(images)
    return logits.float()
