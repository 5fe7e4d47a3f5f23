"""`/models`: the models that can be certified."""

from fastapi import APIRouter

from contract.choices import ProblemCode
from contract.models import ModelInfo, ModelList
from contract.problems import refusal
from service.edge.callers import KeyScope, require
from service.openapi.responses import TO_A_MODEL, problem_responses
from service.resources import Shared

router = APIRouter(tags=["models"], dependencies=[require(KeyScope.READ)])


@router.get("/models", responses={200: {"links": TO_A_MODEL}, **problem_responses()})
def list_models(resources: Shared) -> ModelList:
    """List the models that workers hold, the default first."""
    return resources.read_catalogue().listing()


@router.get("/models/{name}", responses=problem_responses(404))
def get_model(name: str, resources: Shared) -> ModelInfo:
    """Get one model."""
    models = resources.read_catalogue().models
    if name not in models:
        raise refusal(ProblemCode.NOT_FOUND, "no such model")
    return models[name]
