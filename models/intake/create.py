"""From a name and a file of weights to a bundle."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import JsonValue, ValidationError
from torch import nn

from models.bundles import (
    Card,
    CardError,
    Description,
    Fit,
    Recommended,
    TrainingData,
    WeightsError,
    write_bundle,
)
from models.bundles.card import faults
from models.bundles.module import assemble, build_network, load_weights
from models.intake.clean import read_clean
from models.intake.weights import Checkpoint, read_checkpoint

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def create_bundle(
    folder: Path,
    *,
    source: str,
    classes: Sequence[str],
    input_shape: tuple[int, int, int],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    weights: Path | None = None,
    arguments: Mapping[str, JsonValue] | None = None,
    clean: Path | None = None,
    fit: Fit | None = None,
    name: str | None = None,
    sigma_train: float | None = None,
    recommended: Recommended | None = None,
    training_data: TrainingData | None = None,
    command: str | None = None,
    allow_unused: bool = False,
    overwrite: bool = False,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> Card:
    """Build a network, give it weights, try it on an image, and write it as a bundle.

    Args:
        folder: where the bundle goes.
        source: a registered architecture, ``torchvision:NAME``, ``timm:NAME``, or ``pkg.module:callable``.
            The callable is imported as Python would, now and whenever the bundle is loaded: its package must
            be installed, or on ``PYTHONPATH``, where the bundle is served. The current folder is not added.
        classes: names, in the order of the logits.
        input_shape: ``(c, h, w)``.
        mean: per channel, in pixel units [0, 1]; None takes those of the checkpoint's normalisation layer, or
            else ImageNet's; it has to be given where that layer holds standard deviations alone.
        std: per channel, in pixel units; likewise.
        weights: a ``.safetensors`` or legacy ``.pth`` file; None keeps random weights, which is for trials.
        arguments: of the architecture, besides classes and channels, or of the callable.
        clean: a folder of pictures or an npz file, which makes adaptation possible.
        fit: how images of another size are fitted; None refuses them.
        name: of the bundle; None takes the folder's.
        sigma_train: noise level of the training, when there was noise.
        recommended: settings for requests that leave them out.
        training_data: what the weights were trained on.
        command: recorded in the card.
        allow_unused: whether weights that the network has no place for are left out instead of refused.
        overwrite: whether a bundle in the same place is replaced.
        seed: of random weights.
        say: is told what became of everything in the checkpoint that is not a weight of the network.

    Returns:
        The card of the bundle.

    Raises:
        BundleError: the subclass and the message say what does not fit, naming every missing or unused key.
    """
    given = _description(
        name=name or folder.name,
        **_origin(source),
        arguments=dict(arguments or {}),
        classes=classes,
        input_shape=input_shape,
        mean=_channels(mean or IMAGENET_MEAN, input_shape),
        std=_channels(std or IMAGENET_STD, input_shape),
        fit=fit,
        sigma_train=sigma_train,
        recommended=recommended or Recommended(),
        training_data=training_data,
        command=command,
    )
    images = None if clean is None else read_clean(clean, given.input_shape, fit)
    network = build_network(given, seed=seed)
    description = given
    if weights is not None:
        checkpoint = read_checkpoint(weights, network.state_dict(), given.architecture or "")
        load_weights(network, checkpoint.weights, allow_unused=allow_unused)
        description = _normalised(given, checkpoint, mean, std)
        for note in (*checkpoint.notes, *_left_out(checkpoint, network)):
            say(note)
    assemble(description, network)
    return write_bundle(folder, description, network, clean=images, overwrite=overwrite)


def _normalised(
    given: Description, checkpoint: Checkpoint, mean: Sequence[float] | None, std: Sequence[float] | None
) -> Description:
    """Takes the checkpoint's own normalisation; with another one it would be another classifier."""
    if checkpoint.std is None:
        return given
    if checkpoint.mean is None and mean is None:
        raise WeightsError(
            "'mean' must be given, since the checkpoint's normalisation layer holds standard deviations, "
            f"{checkpoint.std}, and no means, got None"
        )
    held_mean = given.mean if checkpoint.mean is None else checkpoint.mean
    for field, asked, held in (("mean", mean, held_mean), ("std", std, checkpoint.std)):
        if asked is not None and not _close(asked, held):
            raise WeightsError(
                f"'{field}' must be that of the checkpoint's normalisation layer, {held}, got {tuple(asked)}"
            )
    return _description(**{**given.model_dump(), "mean": held_mean, "std": checkpoint.std})


def _close(asked: Sequence[float], held: Sequence[float]) -> bool:
    return len(asked) == len(held) and np.allclose(asked, held, atol=1e-4)


def _left_out(checkpoint: Checkpoint, network: nn.Module) -> list[str]:
    known = network.state_dict()
    unused = [key for key in checkpoint.weights if key not in known]
    return [f"left out, as the network has no place for it: {', '.join(unused)}"] if unused else []


def _channels(numbers: Sequence[float], input_shape: tuple[int, int, int]) -> Sequence[float]:
    """ImageNet's three numbers, averaged where images are grey; what a user gives stays as it is."""
    if input_shape[0] == 1 and numbers in (IMAGENET_MEAN, IMAGENET_STD):
        return (sum(numbers) / len(numbers),)
    return numbers


def parse_classes(text: str) -> tuple[str, ...]:
    """Read class names from a count (``10``), a comma-separated list, or a file with one name a line."""
    if text.isdecimal():
        return tuple(str(number) for number in range(int(text)))
    if "," not in text and Path(text).is_file():
        lines = Path(text).read_text(encoding="utf-8").splitlines()
        return tuple(line.strip() for line in lines if line.strip())
    return tuple(name.strip() for name in text.split(",") if name.strip())


def parse_arguments(words: Sequence[str]) -> dict[str, JsonValue]:
    """Read ``key=value`` words; a value is JSON where it can be, else text.

    >>> parse_arguments(["width=16", "act=relu"])
    {'width': 16, 'act': 'relu'}

    Raises:
        CardError: if a word has no ``=``.
    """
    arguments: dict[str, JsonValue] = {}
    for word in words:
        key, separator, value = word.partition("=")
        if not separator or not key.isidentifier():
            raise CardError(f"'arg' must be key=value, got {word!r}")
        try:
            arguments[key] = json.loads(value)
        except json.JSONDecodeError:
            arguments[key] = value
    return arguments


def _origin(source: str) -> dict[str, str]:
    prefix, separator, _ = source.partition(":")
    is_entry_point = separator and prefix not in ("torchvision", "timm")
    return {"entry_point" if is_entry_point else "architecture": source}


def _description(**fields: object) -> Description:
    try:
        return Description.model_validate(fields)
    except ValidationError as error:
        raise CardError(faults(error)) from error
