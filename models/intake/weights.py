"""From what a checkpoint holds to the weights of a network, with an account of everything else in it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from models.bundles import WeightsError
from models.intake.files import read_file
from models.intake.inert import UNKNOWN
from models.intake.names import own_name

_NESTED: Final = ("state_dict", "model_state_dict", "model", "network", "net")
_WRAPPERS: Final = ("module.", "_orig_mod.", "model.", "network.", "net.")
_SECOND_COPY: Final = "attacker."
"""MadryLab's robustness saves the network once more, within its attacker."""

_LAYERS: Final = ("0", "normalize", "normalizer")
_MEANS: Final = frozenset(f"{layer}.{name}" for layer in _LAYERS for name in ("mean", "means", "new_mean"))
_STDS: Final = frozenset(f"{layer}.{name}" for layer in _LAYERS for name in ("std", "stds", "sds", "new_std"))
"""Where a layer of public code keeps the input normalisation, if as buffers or parameters.

MadryLab's InputNormalize does, and so do descendants of locuslab's NormalizeLayer. This layer itself and
SmoothAdv's InputCenterLayer do not: of them a file holds nothing.
"""


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights held.

    Attributes:
        weights: under the names that the network has; what it has no place for keeps its own name.
        mean: of the checkpoint's normalisation layer, per channel, or None if it has none.
        std: likewise.
        behind_layer: whether the network was second in a ``Sequential``, behind its normalisation.
        notes: what became of everything else, one sentence each.
    """

    weights: dict[str, Tensor]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    behind_layer: bool
    notes: tuple[str, ...]


def read_checkpoint(path: Path, expected_keys: Iterable[str], architecture: str = "") -> Checkpoint:
    """Read a state dict from a ``.safetensors`` file or a legacy ``.pth`` pickle.

    A state dict inside a checkpoint is found; objects of unknown code are left out. Prefixes that wrappers
    put before keys (``DataParallel``, a ``Sequential`` of normalisation and network, an attacker) are taken
    off where the network does not have them, and the names of public code become ours.

    Args:
        path: the file; anything but ``.safetensors`` is read as a pickle, of which no code runs.
        expected_keys: the keys of the network.
        architecture: its name, if it is one of ours.

    Raises:
        WeightsError: if it cannot be read, holds anything but tensors, or two copies that differ.
    """
    content, unknown = read_file(path)
    if content is UNKNOWN:
        raise WeightsError(
            f"'weights' {path} must hold a state dict, got an object of {', '.join(unknown[:10])}"
        )
    state, notes = _state_dict(content, path)
    if unknown:
        notes.append(f"left out, as nothing of their code runs: objects of {', '.join(unknown[:10])}")
    expected = frozenset(expected_keys)
    behind_layer = not _numbered(expected) and any(_unwrapped(key).startswith("1.") for key in state)
    mean, std = _take(state, _MEANS, expected), _take(state, _STDS, expected)
    if mean is not None:
        what = "means and standard deviations" if std is not None else "means, and no standard deviations"
        notes.append(f"its normalisation layer holds {what}{_shown(mean)}{_shown(std)}")
    elif std is not None:
        notes.append(f"its normalisation layer holds standard deviations, and no means{_shown(std)}")
    keys: dict[tuple[str, bool], list[str]] = {}
    for key in state:
        keys.setdefault(_located(key, expected, architecture), []).append(key)
    _require_agreement(list(keys.values()), state)
    weights = {name: state[found[0]] for (name, copy), found in keys.items() if not copy}
    copies = {name: state[found[0]] for (name, copy), found in keys.items() if copy}
    notes += _compared(copies, weights)
    return Checkpoint(weights, mean, std, behind_layer, tuple(notes))


def _state_dict(content: object, path: Path) -> tuple[dict[str, Tensor], list[str]]:
    notes = []
    while isinstance(content, Mapping):
        found = next((key for key in _NESTED if isinstance(content.get(key), Mapping)), None)
        if found is None:
            break
        if others := [str(key) for key in content if key != found]:
            notes.append(f"'{found}' holds the weights; left out besides it: {', '.join(others)}")
        content = content[found]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"'weights' {path} must hold a state dict, got {type(content).__name__}")
    foreign = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if foreign:
        raise WeightsError(
            f"'weights' {path} must hold tensors only, got others in: {', '.join(foreign[:10])}"
        )
    return {str(key): value for key, value in content.items()}, notes


def _take(
    state: dict[str, Tensor], names: frozenset[str], expected: frozenset[str]
) -> tuple[float, ...] | None:
    """Takes a normalisation's numbers out of the state; of several copies, the first one counts."""
    found = [key for key in state if key not in expected and _unwrapped(key) in names]
    values = [tuple(float(number) for number in state.pop(key).flatten()) for key in found]
    if len(set(values)) > 1:
        raise WeightsError(f"the normalisation layers must agree, got {values} in {', '.join(found)}")
    return values[0] if values else None


def _unwrapped(key: str) -> str:
    """A key of a normalisation without the wrappers round it; ``0.`` is its place in a ``Sequential``."""
    outer = (*_WRAPPERS, _SECOND_COPY)
    while prefix := next((wrapper for wrapper in outer if key.startswith(wrapper)), None):
        key = key.removeprefix(prefix)
    return key


def _numbered(expected: frozenset[str]) -> bool:
    """Whether the network is itself a ``Sequential``, whose keys start with numbers of their own."""
    return any(key[0].isdigit() for key in expected)


def _located(key: str, expected: frozenset[str], architecture: str) -> tuple[str, bool]:
    """The network's name for a key, and whether it is a second copy's; an unknown key keeps its own name."""
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


def _require_agreement(same_weight: Iterable[Sequence[str]], state: Mapping[str, Tensor]) -> None:
    """Refuse keys that stand for one weight, under several wrappers, and hold several values."""
    differing = [
        " and ".join(keys)
        for keys in same_weight
        if not all(_equal(state[keys[0]], state[other]) for other in keys[1:])
    ]
    if differing:
        raise WeightsError(
            f"the copies of the network must be equal, they differ in: {', '.join(differing[:10])}"
        )


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def _compared(copies: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> list[str]:
    """Says what became of a second copy, which has to be equal to the first."""
    differing = [
        name for name, value in copies.items() if name not in weights or not _equal(value, weights[name])
    ]
    if differing:
        raise WeightsError(
            f"the two copies of the network must be equal, they differ in: {', '.join(differing[:10])}"
        )
    if not copies:
        return []
    # Its library also cuts pixels to [0, 1] before it normalises, which matters under noise only.
    return [
        (
            f"left out a second copy of the network, under '{_SECOND_COPY}': {len(copies)} keys; "
            "its library's cut of pixels to [0, 1] is not repeated, so noise reaches the network whole"
        )
    ]


def _shown(numbers: tuple[float, ...] | None) -> str:
    return "" if numbers is None else f" ({', '.join(f'{number:g}' for number in numbers)})"
