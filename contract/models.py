"""What workers report about themselves and their models. The API knows models only from these reports."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from pydantic import Field

from contract import Frozen

FIRST_CHOICE: Final = "fashion-mnist-gaussian"
"""The default model, if it is there and no setting names another."""


def first_choice(names: Iterable[str]) -> str | None:
    """Returns the default among some models, or None if there are none.

    >>> first_choice(["adversarial", "fashion-mnist-gaussian"]), first_choice(["mine", "yours"])
    ('fashion-mnist-gaussian', 'mine')
    """
    known = list(names)
    return FIRST_CHOICE if FIRST_CHOICE in known else next(iter(known), None)


class Metric(Frozen):
    """A measured figure, the number of images behind it, and the command that measured it."""

    metric: str
    value: float
    n: int
    sigma: float | None
    command: str


class FitRule(Frozen):
    """How an image of another size is fitted: resize the shorter side to `resize`, then crop the centre."""

    resize: int
    interpolation: str


class Execution(Frozen):
    """How a loaded model is executed."""

    backend: str
    device: str
    dtype: str
    batch_size: int


class ModelInfo(Frozen):
    """A base classifier that workers can serve."""

    name: str
    digest: str
    ready: bool = Field(description="Whether a live worker can serve it.")
    reason: str | None = Field(description="Why it is not ready.")
    description: str
    classes: list[str]
    input_shape: list[int] = Field(description="Channels, height, width.", min_length=3, max_length=3)
    fit: FitRule | None
    recipe: str | None
    sigma: float | None = Field(description="Recommended noise level.")
    sigma_grid: list[float]
    n: int = Field(description="Default number of estimation votes.")
    clean_size: int = Field(description="Number of clean images available for adaptation.")
    adaptable: bool = Field(description="Whether batch-norm statistics can be re-estimated under noise.")
    not_adaptable_because: str | None = Field(description="Why the model cannot be adapted.")
    metrics: list[Metric]
    execution: Execution | None = Field(description="Null until the model is loaded, by its first request.")


class ModelList(Frozen):
    """Every model, the default first."""

    default: str | None
    models: list[ModelInfo]


class FollowedMemory(Frozen):
    """A memory of certified regions that an engine mirrors."""

    model: str
    model_digest: str
    namespace: str


class EngineStatus(Frozen):
    """One engine's heartbeat."""

    engine_id: str
    host: str = ""
    pid: int = 0
    device: str
    started_at: datetime
    jobs: int
    loads: int = Field(description="Number of model loads; constant while the engine is warm.")
    models: list[ModelInfo]
    resident_bytes: int = Field(default=0, description="Main memory in use; 0 if unknown.")
    device_bytes: int = Field(default=0, description="Reserved GPU memory; 0 on a CPU.")
    votes_per_second: dict[str, float] = Field(
        default={}, description="Speed of each model's last answer that needed votes."
    )
    memories: list[FollowedMemory] = Field(default=[], description="The memories that it used last.")
