"""Which normalisation a new bundle gets: with another one than in training it would be another classifier."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from torch import nn

from models.architectures.libraries import LIBRARIES
from models.bundles import WeightsError
from models.intake.weights import Checkpoint

PUBLIC_NORMALISATIONS: Final = (
    "of CIFAR-10's, locuslab/smoothing has mean 0.4914,0.4822,0.4465 and std 0.2023,0.1994,0.2010 "
    "(smoothing-adversarial only centres: this mean and std 1,1,1), robust_overfitting the same mean and std "
    "0.2471,0.2435,0.2616, MACER, TRADES and AWP none: 0,0,0 and 1,1,1; "
    "of ImageNet's, most have 0.485,0.456,0.406 and 0.229,0.224,0.225 (again, smoothing-adversarial 1,1,1)"
)
"""What public code normalises by and most of its checkpoints do not hold.

Reference: code/datasets.py and code/architectures.py of locuslab/smoothing and of
Hadisalman/smoothing-adversarial; train_cifar.py of locuslab/robust_overfitting, with the constants of
utils.py in its descendant P2333/Bag-of-Tricks-for-AT; main.py of RuntianZ/macer; train_trades_cifar10.py of
yaodongyu/TRADES; trades_AWP/train_trades_cifar.py of csdongxian/AWP.
"""


@dataclass(frozen=True)
class Normalisation:
    """What is subtracted from pixels in [0, 1], and what the difference is divided by, per channel."""

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
    """Return the normalisation, and a sentence about it if it was assumed.

    What the checkpoint holds counts, then what the user gives. Numbers are assumed only where both leave them
    out and it is known which: a library's for weights in its own form; any for random weights.

    Args:
        mean: per channel, as the user gives it, or None.
        std: likewise.
        checkpoint: what the file of weights held; None for random weights.
        source: of the network, such as ``timm:NAME``.
        network: that was built from it.
        channels: of an image.

    Raises:
        WeightsError: if the user contradicts the checkpoint, or if a number is neither given, held nor known.
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
        return assumed, (f"no mean and std are given, so {whose} are assumed: {numbers}",)
    raise WeightsError(_demand(chosen_mean, chosen_std, checkpoint))


def _close(asked: Sequence[float], held: Sequence[float]) -> bool:
    return len(asked) == len(held) and np.allclose(asked, held, atol=1e-4)


def _is_conventional(source: str, checkpoint: Checkpoint | None) -> bool:
    if checkpoint is None:
        return True
    # Behind a layer of somebody's own, a library's network need not get what the library would give it.
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
        return f"{missing[0]} must be given, since the other one is, got None"
    held = checkpoint.mean or checkpoint.std
    why = "holds no normalisation" if held is None else f"holds the other one alone, {held}"
    return (
        f"{' and '.join(missing)} must be given, since the file of weights {why}, got None; "
        f"{PUBLIC_NORMALISATIONS}"
    )


def _listed(numbers: Sequence[float]) -> str:
    return ",".join(f"{number:g}" for number in numbers)
