"""Tiny classifiers, trained on a few synthetic images."""

import fcntl
from pathlib import Path
from typing import Any

from models.training import TrainingPlan, train
from tests.models.support import write_synthetic_fashion


def tiny_plan(data: Path, out: Path, **changes: Any) -> TrainingPlan:
    """Two epochs of six steps."""
    fields: dict[str, Any] = {
        "recipe": "gaussian",
        "out": out,
        "data_root": data,
        "architecture_arguments": {"width": 2},
        "sigma": 0.1,
        "epochs": 2,
        "batch_size": 16,
        "held_out": 8,
        "crop_padding": 1,
        "device": "cpu",
        "precision": "float32",
    }
    return TrainingPlan(**{**fields, **changes})


def train_once(recipe: str, folder: Path) -> TrainingPlan:
    """Trains by a recipe, unless another process has done so in this folder; returns the plan that was carried out."""
    arguments = (
        {"fixed_share": 0.0} if recipe == "data_dependent" else {}
    )  # its levels move from the first step on
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        data = folder / "data"
        if not data.exists():
            data.mkdir()
            write_synthetic_fashion(data)
        plan = tiny_plan(data, folder / f"trained-{recipe}", recipe=recipe, recipe_arguments=arguments)
        if not plan.out.exists():
            train(plan)
    return plan
