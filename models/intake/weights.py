"""Finds the weights of a network in a checkpoint, and reports everything else in it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from models.errors import WeightsError
from models.intake.files import read_file
from models.intake.inert import UNKNOWN
from models.intake.names import own_name

_NESTED: Final = ("state_dict", "model_state_dict", "model", "network", "net")
_WRAPPERS: Final = ("module.", "_orig_mod.", "model.", "network.", "net.")
_SECOND_COPY: Final = "attacker."
"""Prefix of the second copy of the network that MadryLab's robustness saves with its attacker."""

_LAYERS: Final = ("0", "normalize", "normalizer")
_MEANS: Final = frozenset(f"{layer}.{name}" for layer in _LAYERS for name in ("mean", "means", "new_mean"))
_STDS: Final = frozenset(f"{layer}.{name}" for layer in _LAYERS for name in ("std", "stds", "sds", "new_std"))
"""Keys under which public code saves an input normalisation.

MadryLab's InputNormalize and descendants of locuslab's NormalizeLayer save theirs. NormalizeLayer itself and
SmoothAdv's InputCenterLayer do not: their values are not in the file.
"""


@dataclass(frozen=True)
class Checkpoint:
    """The content of a file of weights.

    Attributes:
        weights: the weights under the network's names; unknown weights keep their own names.
        mean: mean of the checkpoint's normalisation layer, per channel; None without such a layer.
        std: standard deviation of that layer, or None.
        behind_layer: whether the network is second in a ``Sequential``, after a normalisation layer.
        notes: one sentence about each other part of the file.
    """

    weights: dict[str, Tensor]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    behind_layer: bool
    notes: tuple[str, ...]


def read_checkpoint(path: Path, expected_keys: Iterable[str], architecture: str = "") -> Checkpoint:
    """Read a state dict from a ``.safetensors`` file or a legacy ``.pth`` pickle.

    The state dict may be nested in a checkpoint. Objects of unknown code are ignored. Prefixes of wrappers
    (``DataParallel``, a ``Sequential`` of normalisation and network, an attacker) are removed unless the
    network has them, and names of public code are translated into ours.

    Args:
        path: the file; any file but ``.safetensors`` is read as a pickle, from which no code runs.
        expected_keys: the keys of the network.
        architecture: name of the network, if it is a registered architecture.

    Raises:
        WeightsError: if it cannot be read, contains anything but tensors, or two copies that differ.
    """
    content, unknown = read_file(path)
    if content is UNKNOWN:
        raise WeightsError(
            f"'weights' {path} must contain a state dict, got an object of {', '.join(unknown[:10])}"
        )
    state, notes = _state_dict(content, path)
    if unknown:
        notes.append(f"ignored, because no code of the file runs: objects of {', '.join(unknown[:10])}")
    expected = frozenset(expected_keys)
    behind_layer = not _numbered(expected) and any(_unwrapped(key).startswith("1.") for key in state)
    mean, std = _take(state, _MEANS, expected), _take(state, _STDS, expected)
    if mean is not None:
        what = "means and standard deviations" if std is not None else "means, and no standard deviations"
        notes.append(f"its normalisation layer has {what}{_shown(mean)}{_shown(std)}")
    elif std is not None:
        notes.append(f"its normalisation layer has standard deviations, and no means{_shown(std)}")
    keys: dict[str, list[str]] = {}
    copies = set()
    for key in state:
        name, copy = _located(key, expected, architecture)
        keys.setdefault(name, []).append(key)
        copies |= {key} if copy else set()
    _require_agreement(keys.values(), copies, state)
    if copies:
        notes.append(
            f"ignored a second copy of the network, under '{_SECOND_COPY}': {len(copies)} keys; "
            "its library clips pixels to [0, 1] before normalising, radii does not clip the noise"
        )
    weights = {name: state[found[0]] for name, found in keys.items()}
    return Checkpoint(weights, mean, std, behind_layer, tuple(notes))


def _state_dict(content: object, path: Path) -> tuple[dict[str, Tensor], list[str]]:
    notes = []
    while isinstance(content, Mapping):
        found = next((key for key in _NESTED if isinstance(content.get(key), Mapping)), None)
        if found is None:
            break
        if others := [str(key) for key in content if key != found]:
            notes.append(f"'{found}' contains the weights; ignored entries: {', '.join(others)}")
        content = content[found]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"'weights' {path} must contain a state dict, got {type(content).__name__}")
    foreign = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if foreign:
        raise WeightsError(
            f"'weights' {path} must contain only tensors, got others in: {', '.join(foreign[:10])}"
        )
    return {str(key): value for key, value in content.items()}, notes


def _take(
    state: dict[str, Tensor], names: frozenset[str], expected: frozenset[str]
) -> tuple[float, ...] | None:
    """Remove the values of a normalisation from the state and return them; several copies must agree."""
    found = [key for key in state if key not in expected and _unwrapped(key) in names]
    values = [tuple(float(number) for number in state.pop(key).flatten()) for key in found]
    if len(set(values)) > 1:
        raise WeightsError(f"the normalisation layers must agree, got {values} in {', '.join(found)}")
    return values[0] if values else None


def _unwrapped(key: str) -> str:
    """Return a key without the prefixes of wrappers; ``0.``, the index in a ``Sequential``, stays."""
    outer = (*_WRAPPERS, _SECOND_COPY)
    while prefix := next((wrapper for wrapper in outer if key.startswith(wrapper)), None):
        key = key.removeprefix(prefix)
    return key


def _numbered(expected: frozenset[str]) -> bool:
    """Whether the network is itself a ``Sequential``, so that its keys start with numbers."""
    return any(key[0].isdigit() for key in expected)


def _located(key: str, expected: frozenset[str], architecture: str) -> tuple[str, bool]:
    """Return the network's name of a key, or the key if unknown; and whether it is of a second copy."""
    name, copy = key, False
    wrappers = _WRAPPERS if _numbered(expected) else (*_WRAPPERS, "1.")
    while name not in expected:
        if (own := own_name(architecture, name)) in expected:
            return own, copy
        if name.startswith(_SECOND_COPY):
            name, copy = name.removeprefix(_SECOND_COPY), True
        elif prefix := next((wrapper for wrapper in wrappers if name.startswith(wrapper)), None):
            name = name.removeprefix(prefix)
        else:
            return key, False
    return name, copy


def _require_agreement(
    same_weight: Iterable[Sequence[str]], copies: Collection[str], state: Mapping[str, Tensor]
) -> None:
    """Refuse keys of one weight with different values, and weights that only the second copy has."""
    differing = [
        " and ".join(keys)
        for keys in same_weight
        if all(key in copies for key in keys)
        or not all(_equal(state[keys[0]], state[other]) for other in keys[1:])
    ]
    if differing:
        raise WeightsError(
            f"the copies of the network must be equal, they differ in: {', '.join(differing[:10])}"
        )


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def _shown(numbers: tuple[float, ...] | None) -> str:
    return "" if numbers is None else f" ({', '.join(f'{number:g}' for number in numbers)})"
