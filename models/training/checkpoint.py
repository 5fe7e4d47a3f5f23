"""The state of an unfinished run, in a file that is read without unpickling code."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.training.plan import TrainingError, TrainingPlan


@dataclass
class TrainingState:
    """All that changes while training.

    Attributes:
        model: the classifier.
        optimizer: with its momentum.
        order: generator of the order of the images, on the CPU.
        generator: of augmentation and noise, on the device.
        memory: what the recipe keeps.
        epoch: epochs done.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    order: torch.Generator
    generator: torch.Generator
    memory: dict[str, Tensor]
    epoch: int = 0


def save_checkpoint(plan: TrainingPlan, state: TrainingState) -> None:
    """Write the checkpoint so that either the old or the new one is there, whenever the process dies."""
    content = {
        "plan": plan.law(),
        "epoch": state.epoch,
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "order": state.order.get_state(),
        "generator": state.generator.get_state(),
        "memory": state.memory,
    }
    plan.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    temporary = plan.checkpoint.with_suffix(".part")
    torch.save(content, temporary)
    temporary.replace(plan.checkpoint)


def restore_checkpoint(plan: TrainingPlan, state: TrainingState) -> None:
    """Put the checkpoint's state into a freshly made one.

    Raises:
        TrainingError: if the checkpoint was made under another plan.
    """
    content = torch.load(plan.checkpoint, map_location="cpu", weights_only=True)
    for key, value in plan.law().items():
        if content["plan"].get(key) != value:
            raise TrainingError(
                f"'{key}' must be {content['plan'].get(key)} to resume {plan.checkpoint.name}, got {value}"
            )
    state.model.load_state_dict(content["model"])
    state.optimizer.load_state_dict(content["optimizer"])
    state.order.set_state(content["order"])
    state.generator.set_state(content["generator"])
    device = state.generator.device
    state.memory.update({key: value.to(device) for key, value in content["memory"].items()})
    state.epoch = int(content["epoch"])
