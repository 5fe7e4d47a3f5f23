"""The models that can be requested: the engines' reports, merged."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from redis import Redis

from contract import keys
from contract.choices import ProblemCode
from contract.models import EngineStatus, ModelInfo, ModelList, first_choice
from contract.problems import refusal, shorten
from contract.settings import Timing
from service.problems import RETRY_AFTER


@dataclass(frozen=True)
class Heartbeat:
    """An engine's last report, and whether it is recent; if not, none of its models is ready."""

    status: EngineStatus
    alive: bool


@dataclass(frozen=True)
class Catalogue:
    """The models of all engines by name, and the default model."""

    models: dict[str, ModelInfo]
    default: str | None
    engines_alive: int

    def resolve(self, name: str | None) -> ModelInfo:
        """Returns the model with a name, or the default.

        Raises:
            ProblemError: No worker has reported recently, or none that has this model.
        """
        if not self.models:
            raise refusal(ProblemCode.NO_WORKERS, "no worker has reported recently", headers=RETRY_AFTER)
        wanted = self.default if name is None else name
        if wanted in self.models:
            return self.models[wanted]
        if name is None:
            detail = f"no worker with the default model '{wanted}' has reported recently"
            raise refusal(ProblemCode.NO_WORKERS, detail, headers=RETRY_AFTER)
        known = ", ".join(f"'{model}'" for model in self.models)
        detail = f"'model' must be one of {known}, got {shorten(name)}"
        raise refusal(ProblemCode.UNKNOWN_MODEL, detail, pointer="/model")

    def listing(self) -> ModelList:
        """Returns every model, the default first."""
        ordered = sorted(self.models, key=lambda name: (name != self.default, name))
        return ModelList(default=self.default, models=[self.models[name] for name in ordered])


def read_catalogue(redis: Redis, default_model: str | None, timing: Timing) -> Catalogue:
    """Reads the engines' reports. Their age is by Redis' clock, so clocks of machines need not agree."""
    beats = read_heartbeats(redis, timing)
    models = _merge(beats)
    ready = [name for name, model in models.items() if model.ready]
    return Catalogue(
        models, default_model or first_choice(ready or models), sum(beat.alive for beat in beats)
    )


def read_heartbeats(redis: Redis, timing: Timing) -> list[Heartbeat]:
    """Returns the engines' last reports, the most recent first."""
    seconds, microseconds = redis.time()
    now = seconds + microseconds / 1e6
    scored = cast(
        "list[tuple[bytes, float]]",
        redis.zrangebyscore(keys.ENGINES, now - timing.engine_known_seconds, "+inf", withscores=True),
    )
    times = {engine.decode(): time for engine, time in reversed(scored)}
    if not times:
        return []
    stored = redis.mget([keys.engine(engine) for engine in times])
    return [
        _heartbeat(EngineStatus.model_validate_json(value), now - time, timing.engine_alive_seconds)
        for value, time in zip(stored, times.values(), strict=True)
        if value is not None
    ]


def ready_models(beats: Iterable[Heartbeat]) -> dict[str, bool]:
    """Returns the models of these engines, and whether one of them can serve each."""
    return {name: model.ready for name, model in _merge(beats).items()}


def _merge(beats: Iterable[Heartbeat]) -> dict[str, ModelInfo]:
    """Takes each model from one engine: a ready one, else a live one, else the most recent."""
    best: dict[str, ModelInfo] = {}
    for beat in sorted(beats, key=lambda beat: not beat.alive):
        for model in beat.status.models:
            if model.name not in best or (model.ready and not best[model.name].ready):
                best[model.name] = model
    return dict(sorted(best.items()))


def _heartbeat(status: EngineStatus, age: float, alive_seconds: float) -> Heartbeat:
    if age <= alive_seconds:
        return Heartbeat(status, alive=True)
    reason = f"no worker with this model has reported in the last {alive_seconds:g} s"
    models = [model.model_copy(update={"ready": False, "reason": reason}) for model in status.models]
    return Heartbeat(status.model_copy(update={"models": models}), alive=False)
