"""What a backend made is compared with what it was given, once, before anything relies on it."""

import copy

import torch
from torch import Tensor, nn

from models.backends.base import BackendError, Logits

TOLERANCE = 0.05
"""Largest mean difference of logits that is taken for rounding, as a fraction of their spread."""


@torch.inference_mode()
def check_logits(
    call: Logits, input_shape: tuple[int, int, int], num_classes: int, device: torch.device
) -> None:
    """Refuse a callable that does not give finite float32 logits ``(b, k)``.

    Raises:
        BackendError: saying what it gave instead, or why it failed.
    """
    try:
        logits = call(torch.full((2, *input_shape), 0.5, device=device))
    except Exception as error:  # a user's network may raise anything
        raise BackendError(
            f"'module' must run on images {(2, *input_shape)}: {type(error).__name__}: {error}"
        ) from error
    if logits.shape != (2, num_classes) or logits.dtype != torch.float32:
        raise BackendError(
            f"'module' must give float32 logits {(2, num_classes)}, got {logits.dtype} {tuple(logits.shape)}"
        )
    if not bool(torch.isfinite(logits).all()):
        raise BackendError(f"'module' must give finite logits in this precision, got {logits[0].tolist()}")


@torch.inference_mode()
def check_agreement(
    call: Logits, module: nn.Module, input_shape: tuple[int, int, int], device: torch.device
) -> None:
    """Refuse a callable whose logits are not the module's but for rounding.

    A certificate would be true of it all the same, but it would not be about the user's classifier.

    Raises:
        BackendError: saying how large the difference is.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((8, *input_shape), generator=generator)
    images += 0.25 * torch.randn(images.shape, generator=generator)
    expected: Tensor = copy.deepcopy(module).to(device)(images.to(device)).float()
    logits = call(images.to(device))
    if logits.shape != expected.shape:
        raise BackendError(
            f"'module' must give logits {tuple(expected.shape)} when executed, got {tuple(logits.shape)}"
        )
    spread = float((expected.amax(1) - expected.amin(1)).mean())
    difference = float((logits - expected).abs().mean())
    if not difference <= TOLERANCE * spread + 1e-6:
        raise BackendError(
            f"'module' must have the same logits when it is executed, got a mean difference of "
            f"{difference:.3g} where their spread is {spread:.3g}"
        )
