"""Chooses the normalisation of a new bundle: it must be the one of training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from torch import nn

from models.architectures.libraries import LIBRARIES
from models.errors import WeightsError
from models.intake.weights import Checkpoint

PUBLIC_NORMALISATIONS: Final = (
    "of CIFAR-10's, locuslab/smoothing has mean 0.4914,0.4822,0.4465 and std 0.2023,0.1994,0.2010 "
    "(smoothing-adversarial only centres: this mean and std 1,1,1), robust_overfitting the same mean and std "
    "0.2471,0.2435,0.2616, MACER, TRADES and AWP none: 0,0,0 and 1,1,1; "
    "of ImageNet's, most have 0.485,0.456,0.406 and 0.229,0.224,0.225 (again, smoothing-adversarial 1,1,1)"
)
"""Normalisations of public code, which most of its checkpoints do not contain.

Reference: code/datasets.py and code/architectures.py of locuslab/smoothing and of
Hadisalman/smoothing-adversarial; train_cifar.py of locuslab/robust_overfitting, with the constants of
utils.py in its descendant P2333/Bag-of-Tricks-for-AT; main.py of RuntianZ/macer; train_trades_cifar10.py of
yaodongyu/TRADES; trades_AWP/train_trades_cifar.py of csdongxian/AWP.
"""


@dataclass(frozen=True)
class Normalisation:
    """The mean to subtract from pixels in [0, 1], and the standard deviation to divide by, per channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


_IMAGENET: Final = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def choose_normalisation(
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    checkpoint: Checkpoint | None,
    *,
    source: str,
    network: nn.Module,
    channels: int,
) -> tuple[Normalisation, tuple[str, ...]]:
    """Return the normalisation, and a sentence about it if it is assumed.

    The checkpoint's values come first, then the user's. If both have none, values are assumed in two cases:
    those of a library for weights in its own format, and any values for random weights.

    Args:
        mean: the user's mean per channel, or None.
        std: the user's standard deviation per channel, or None.
        checkpoint: the content of the file of weights; None for random weights.
        source: source of the network, such as ``timm:NAME``.
        network: the network built from it.
        channels: channels of an image.

    Raises:
        WeightsError: if the user contradicts the checkpoint, or a value is neither given nor known.
    """
    held = (None, None) if checkpoint is None else (checkpoint.mean, checkpoint.std)
    for field, asked, found in (("mean", mean, held[0]), ("std", std, held[1])):
        if asked is not None and found is not None and not _close(asked, found):
            raise WeightsError(
                f"'{field}' must be that of the checkpoint's normalisation layer, {found}, got {tuple(asked)}"
            )
    chosen_mean, chosen_std = held[0] or mean, held[1] or std
    if chosen_mean is not None and chosen_std is not None:
        return Normalisation(tuple(chosen_mean), tuple(chosen_std)), ()
    if chosen_mean is None and chosen_std is None and _is_conventional(source, checkpoint):
        whose, assumed = _convention(source, network, channels)
        numbers = f"mean {_listed(assumed.mean)} and std {_listed(assumed.std)}"
        return assumed, (f"no mean and std given, so {whose} are assumed: {numbers}",)
    raise WeightsError(_demand(chosen_mean, chosen_std, checkpoint))


def _close(asked: Sequence[float], held: Sequence[float]) -> bool:
    return len(asked) == len(held) and np.allclose(asked, held, atol=1e-4)


def _is_conventional(source: str, checkpoint: Checkpoint | None) -> bool:
    if checkpoint is None:
        return True
    # With a normalisation layer of its own, the network may expect other input than the library's.
    return source.partition(":")[0] in LIBRARIES and not checkpoint.behind_layer


def _convention(source: str, network: nn.Module, channels: int) -> tuple[str, Normalisation]:
    whose, assumed = "ImageNet's", _IMAGENET
    config = getattr(network, "pretrained_cfg", None)
    if source.startswith("timm:") and isinstance(config, dict):
        whose, assumed = f"those of {source}", Normalisation(tuple(config["mean"]), tuple(config["std"]))
    if channels == 1:
        return whose, Normalisation((float(np.mean(assumed.mean)),), (float(np.mean(assumed.std)),))
    return whose, assumed


def _demand(mean: Sequence[float] | None, std: Sequence[float] | None, checkpoint: Checkpoint | None) -> str:
    missing = [f"'{field}'" for field, value in (("mean", mean), ("std", std)) if value is None]
    if checkpoint is None:
        return f"{missing[0]} must be given together with the other one, got None"
    held = checkpoint.mean or checkpoint.std
    why = "has no normalisation" if held is None else f"has only the other one, {held}"
    return (
        f"{' and '.join(missing)} must be given, because the file of weights {why}, got None; "
        f"{PUBLIC_NORMALISATIONS}"
    )


def _listed(numbers: Sequence[float]) -> str:
    return ",".join(f"{number:g}" for number in numbers)
