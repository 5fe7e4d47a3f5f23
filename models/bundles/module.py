"""Builds the classifier that a card describes, and loads its weights."""

import importlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.architectures import build_architecture
from models.bundles.card import Description
from models.errors import ModuleError, WeightsError
from models.initialise import initialised_from
from models.normalize import Normalize, NormalizedClassifier


def build_network(description: Description, *, seed: int = 0) -> nn.Module:
    """Build the network that a card describes, on the CPU, with weights drawn from a seed.

    Raises:
        ModuleError: if the architecture is unknown, or the entry point cannot be imported or called.
    """
    channels, classes = description.input_shape[0], len(description.classes)
    with initialised_from(seed):
        if description.architecture is None:
            return _call_entry_point(str(description.entry_point), description.arguments)
        try:
            return build_architecture(description.architecture, classes, channels, description.arguments)
        except ValueError as error:
            raise ModuleError(str(error)) from error


def _call_entry_point(entry_point: str, arguments: Mapping[str, object]) -> nn.Module:
    module_name, _, attribute = entry_point.partition(":")
    try:
        build = getattr(importlib.import_module(module_name), attribute)
        network = build(**arguments)
    except Exception as error:  # a user's code may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise ModuleError(
            f"'entry_point' (--from) must be importable, from an installed package, the current folder or "
            f"PYTHONPATH, and take {dict(arguments)}, got {entry_point}: {reason}"
        ) from error
    if not isinstance(network, nn.Module):
        raise ModuleError(
            f"'entry_point' (--from) must return a torch module, got {type(network).__name__}: {entry_point}"
        )
    return network


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], *, allow_unused: bool = False) -> None:
    """Copy weights into a network. Every key must be present, have the right shape, and be used.

    The batch counter of a batch normalisation may be missing, because no answer depends on it.

    Raises:
        WeightsError: the weights do not fit; the message names every missing, unexpected and misshapen key.
    """
    expected = network.state_dict()
    missing = [key for key in expected if key not in weights and not key.endswith("num_batches_tracked")]
    unused = [] if allow_unused else [key for key in weights if key not in expected]
    misshapen = [
        f"{key} {tuple(weights[key].shape)} for {tuple(expected[key].shape)}"
        for key in expected
        if key in weights and weights[key].shape != expected[key].shape
    ]
    problems = {"missing keys": missing, "unexpected keys": unused, "wrong shapes": misshapen}
    found = "; ".join(f"{what}: {', '.join(keys)}" for what, keys in problems.items() if keys)
    if found:
        raise WeightsError(f"the weights must fit the network: {found}")
    # Not strict, because counters of batches may be missing; everything else was checked above.
    network.load_state_dict({key: weights[key] for key in expected if key in weights}, strict=False)


def assemble(description: Description, network: nn.Module) -> NormalizedClassifier:
    """Put normalisation before a network; the result is float32, in eval mode, without gradients.

    Raises:
        ModuleError: if it does not map one image of the card's shape to one finite logit per class.
    """
    classifier = NormalizedClassifier(Normalize(description.mean, description.std), network)
    classifier = classifier.float().eval().requires_grad_(requires_grad=False)
    _probe(description, classifier)
    return classifier


@torch.inference_mode()
def _probe(description: Description, classifier: nn.Module) -> None:
    images = torch.full((2, *description.input_shape), 0.5)
    try:
        logits = classifier(images)
    except Exception as error:  # a user's code may raise anything
        raise ModuleError(
            f"the network must accept images {tuple(images.shape)}: {type(error).__name__}: {error}"
        ) from error
    shape = (2, len(description.classes))
    if not isinstance(logits, Tensor) or tuple(logits.shape) != shape:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ModuleError(f"the network must return one logit per class, {shape} for two images, got {got}")
    if not bool(torch.isfinite(logits).all()):
        raise ModuleError("the network must return finite logits for a grey image, got nan or infinity")
