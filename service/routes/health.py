"""`/livez`, `/readyz` and `/version`: for operators and their probes."""

from fastapi import APIRouter
from pydantic import BaseModel

from contract import __version__
from contract.choices import ProblemCode
from contract.problems import refusal
from service.jobs.durability import why_volatile
from service.openapi.responses import problem_responses
from service.problems import RETRY_AFTER
from service.resources import Shared

router = APIRouter(tags=["service"])


class Liveness(BaseModel):
    """The process is alive."""

    alive: bool


class Readiness(BaseModel):
    """Requests can be served: the number of live engines, and the models they are ready to serve."""

    ready: bool
    engines: int
    models: list[str]


class Version(BaseModel):
    """The release that is running."""

    version: str


@router.get("/livez")
async def check_liveness() -> Liveness:
    """Check that the process is alive. It does not check Redis: restarting the API would not help."""
    return Liveness(alive=True)


@router.get("/readyz", responses=problem_responses())
def check_readiness(resources: Shared) -> Readiness:
    """Check that requests can be served: a worker has a model ready, and Redis is durable."""
    if resources.stopping.is_set():
        raise refusal(
            ProblemCode.STOPPING, "this process will stop accepting requests soon", headers=RETRY_AFTER
        )
    why = None if resources.settings.allow_volatile_memory else why_volatile(resources.redis)
    if why is not None:
        raise refusal(ProblemCode.VOLATILE_STORE, why, headers=RETRY_AFTER)
    catalogue = resources.read_catalogue()
    ready = [name for name, model in catalogue.models.items() if model.ready]
    if not ready:
        detail = f"{catalogue.engines_alive} engines are alive, but no model is ready"
        raise refusal(ProblemCode.NO_WORKERS, detail, headers=RETRY_AFTER)
    return Readiness(ready=True, engines=catalogue.engines_alive, models=ready)


@router.get("/version")
async def get_version() -> Version:
    """Get the release that is running."""
    return Version(version=__version__)
