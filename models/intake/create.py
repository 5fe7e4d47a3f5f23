"""Makes a bundle from an architecture and a file of weights."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import JsonValue, ValidationError
from torch import nn

from models.bundles import Card, Description, write_bundle
from models.bundles.module import assemble, build_network, load_weights
from models.errors import CardError, faults
from models.intake.clean import read_clean
from models.intake.normalisation import choose_normalisation
from models.intake.weights import Checkpoint, read_checkpoint


def create_bundle(
    folder: Path,
    *,
    source: str,
    classes: Sequence[str],
    input_shape: tuple[int, int, int],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    weights: Path | None = None,
    clean: Path | None = None,
    allow_unused: bool = False,
    overwrite: bool = False,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
    **card: object,
) -> Card:
    """Build a network, load its weights, try it on an image, and write a bundle.

    Args:
        folder: the folder of the new bundle.
        source: a registered architecture, ``torchvision:NAME``, ``timm:NAME``, or ``pkg.module:callable``.
            The callable is imported now, and whenever the bundle is loaded. So its package must be importable
            on every machine that serves the bundle.
        classes: names, in the order of the logits.
        input_shape: ``(c, h, w)``.
        mean: per channel, in pixel units [0, 1]. None takes the mean of the checkpoint's normalisation layer.
            Most public checkpoints have no such layer; then ``mean`` is required. Only for random weights,
            and for a library's network with weights in the library's own format, are values assumed: those
            of the library, else those of ImageNet. ``say`` reports them.
        std: per channel, in pixel units; as ``mean``. Both are assumed, or none.
        weights: a ``.safetensors`` file, or a file written by ``torch.save``, from which no code runs. None
            keeps random weights, for trials.
        clean: a folder of image files or an npz file; without it the bundle cannot be adapted.
        allow_unused: whether weights that the network does not have are ignored; otherwise they are an error.
        overwrite: whether an existing bundle in ``folder`` is replaced.
        seed: seed of random weights.
        say: gets one sentence about each part of the checkpoint that is not a weight of the network, and
            about assumed values.
        card: any other field of `Description`. The default of ``name`` is the name of the folder.

    Returns:
        The card of the bundle.

    Raises:
        BundleError: something does not fit. The message names every missing or unused key.
    """
    channels = input_shape[0]
    given = _description(
        **{"name": folder.name, **card},
        **_origin(source),
        classes=classes,
        input_shape=input_shape,
        mean=(0.0,) * channels if mean is None else mean,  # placeholder until the checkpoint is read
        std=(1.0,) * channels if std is None else std,
    )
    images = None if clean is None else read_clean(clean, given.input_shape, given.fit)
    network = build_network(given, seed=seed)
    checkpoint = None
    if weights is not None:
        checkpoint = read_checkpoint(weights, network.state_dict(), given.architecture or "")
        load_weights(network, checkpoint.weights, allow_unused=allow_unused)
    normalisation, assumed = choose_normalisation(
        mean, std, checkpoint, source=source, network=network, channels=channels
    )
    description = _description(**{**given.model_dump(), "mean": normalisation.mean, "std": normalisation.std})
    for note in (*_account(checkpoint, network), *assumed):
        say(note)
    assemble(description, network)
    return write_bundle(folder, description, network, clean=images, overwrite=overwrite)


def _account(checkpoint: Checkpoint | None, network: nn.Module) -> tuple[str, ...]:
    """Return one sentence about each part of the checkpoint that the network does not use."""
    if checkpoint is None:
        return ()
    known = network.state_dict()
    unused = [key for key in checkpoint.weights if key not in known]
    ignored = (f"ignored, because the network has no such weight: {', '.join(unused)}",) if unused else ()
    return (*checkpoint.notes, *ignored)


def parse_classes(text: str) -> tuple[str, ...]:
    """Read class names from a count (``10``), a comma-separated list, or a file with one name per line."""
    if text.isdecimal():
        return tuple(str(number) for number in range(int(text)))
    if "," not in text and Path(text).is_file():
        lines = Path(text).read_text(encoding="utf-8").splitlines()
        return tuple(line.strip() for line in lines if line.strip())
    return tuple(name.strip() for name in text.split(",") if name.strip())


def parse_arguments(words: Sequence[str]) -> dict[str, JsonValue]:
    """Read ``key=value`` words; a value is JSON if it parses as JSON, else text.

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
        raise CardError(faults(error, "card")) from error
