"""The state of an unfinished run, in a file that is read without unpickling code."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from models.training.plan import TrainingError, TrainingPlan


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

    model: nn.Module
    optimizer: torch.optim.Optimizer
    memory: dict[str, Tensor] = field(default_factory=dict)
    best: Best = field(default_factory=Best)
    epoch: int = 0

    def remember_if_best(self, score: float) -> None:
        """Keep the present weights if they are better than any before."""
        if score > self.best.score:
            weights = {key: value.detach().cpu().clone() for key, value in self.model.state_dict().items()}
            self.best = Best(score, self.epoch, weights)


def save_checkpoint(plan: TrainingPlan, state: TrainingState, processes: int = 1) -> None:
    """Write the checkpoint so that either the old or the new one is there, whenever the process dies."""
    content = {
        "plan": plan.law(),
        "processes": processes,
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
    """Return how many epochs of this plan its checkpoint holds: 0 without one, or if it is another plan's."""
    if not plan.checkpoint.exists():
        return 0
    content = torch.load(plan.checkpoint, map_location="cpu", weights_only=True)
    return int(content["epoch"]) if content["plan"] == plan.law() else 0


def restore_checkpoint(
    plan: TrainingPlan, state: TrainingState, device: torch.device, processes: int = 1
) -> None:
    """Put the checkpoint's state into a freshly made one.

    Raises:
        TrainingError: if the checkpoint was made under another plan, by another number of processes, each of
            which draws from a stream of its own, or by another release.
    """
    content = torch.load(plan.checkpoint, map_location="cpu", weights_only=True)
    # Checkpoints of older releases do not say how many processes made them.
    before = {**content["plan"], "processes": content.get("processes", processes)}
    for key, value in {**plan.law(), "processes": processes}.items():
        if before.get(key) != value:
            raise TrainingError(
                f"'{key}' must be {before.get(key)} to resume {plan.checkpoint.name}, got {value}"
            )
    if "best" not in content:
        raise TrainingError(f"{plan.checkpoint.name} is of an older release: delete it and train anew")
    state.model.load_state_dict(content["model"])
    state.optimizer.load_state_dict(content["optimizer"])
    state.memory.update({key: value.to(device) for key, value in content["memory"].items()})
    state.best = Best(**content["best"])
    state.epoch = int(content["epoch"])
