"""The state of an unfinished run, in a file that is read without unpickling code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from models.errors import TrainingError
from models.normalize import NormalizedClassifier
from models.training.plan import TrainingPlan

Conditions = Mapping[str, int | str]
"""What decides the outcome of a run besides its plan, by name."""


@dataclass
class Best:
    """The weights that were best on held-out images so far.

    Attributes:
        score: by the recipe's own measure.
        epoch: epochs done when they were.
        weights: a copy, on the CPU.
    """

    score: float = -1.0
    epoch: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class TrainingState:
    """All that changes while training. Randomness is no part of it: each epoch draws from streams of its own.

    Attributes:
        model: the classifier.
        optimizer: with its momentum.
        memory: what the recipe keeps.
        best: for early stopping.
        epoch: epochs done.
    """

    model: NormalizedClassifier
    optimizer: torch.optim.Optimizer
    memory: dict[str, Tensor] = field(default_factory=dict)
    best: Best = field(default_factory=Best)
    epoch: int = 0

    def remember_if_best(self, score: float) -> None:
        """Keep the present weights if they are better than any before."""
        if score > self.best.score:
            weights = {key: value.detach().cpu().clone() for key, value in self.model.state_dict().items()}
            self.best = Best(score, self.epoch, weights)


def save_checkpoint(plan: TrainingPlan, state: TrainingState, conditions: Conditions) -> None:
    """Write the checkpoint so that either the old or the new one is there, whenever the process dies."""
    content = {
        **conditions,
        "plan": plan.law(),
        "epoch": state.epoch,
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "memory": state.memory,
        "best": vars(state.best),
    }
    plan.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    temporary = plan.checkpoint.with_suffix(".part")
    torch.save(content, temporary)
    temporary.replace(plan.checkpoint)


def epochs_done(plan: TrainingPlan) -> int:
    """Return how many epochs of this plan its checkpoint holds: 0 without one, or if it is another plan's.

    Raises:
        TrainingError: if it cannot be read.
    """
    if not plan.checkpoint.exists():
        return 0
    content = read_checkpoint(plan.checkpoint)
    return int(content["epoch"]) if content["plan"] == plan.law() else 0


def restore_checkpoint(
    plan: TrainingPlan, state: TrainingState, device: torch.device, conditions: Conditions
) -> None:
    """Put the checkpoint's state into a freshly made one.

    Raises:
        TrainingError: if it cannot be read, or was made under another plan, under other conditions, or by a
            release whose plans have other fields.
    """
    content = read_checkpoint(plan.checkpoint)
    law, name = plan.law(), plan.checkpoint.name
    strange = sorted(law.keys() ^ content["plan"].keys())
    if strange:
        raise TrainingError(
            f"{name} is of another release, whose plans differ in {strange}: delete it and train anew"
        )
    for kept, here in ((content["plan"], law), (content, conditions)):
        for key, value in here.items():
            before = kept.get(key, value)  # checkpoints of older releases do not have all conditions
            if before != value:
                raise TrainingError(f"'{key}' must be {before} to resume {name}, got {value}")
    state.model.load_state_dict(content["model"])
    state.optimizer.load_state_dict(content["optimizer"])
    state.memory.update({key: value.to(device) for key, value in content["memory"].items()})
    state.best = Best(**content["best"])
    state.epoch = int(content["epoch"])


def read_checkpoint(file: Path) -> dict[str, Any]:
    """Read what a checkpoint holds.

    Raises:
        TrainingError: if it is damaged, no checkpoint of a training, or of a release that kept less.
    """
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise TrainingError(f"{file} cannot be read: {error}") from error
    except (EOFError, RuntimeError, ValueError, LookupError, UnpicklingError) as error:
        raise TrainingError(f"{file} is damaged: delete it and train anew") from error
    kept = {"plan", "epoch", "model", "optimizer", "memory", "best"}
    if not isinstance(content, dict) or not kept <= content.keys():
        raise TrainingError(f"{file} is of an older release, or no checkpoint: delete it and train anew")
    return content
