"""Every field that a request leaves out, so that a worker decides nothing."""

import secrets
from typing import Any, Final

from pydantic_core import PydanticCustomError

from contract.choices import NoiseKind, NoiseLevel, ProblemCode
from contract.limits import CLEAN_SIZE, OPTIMIZE_RANGE, SIGMA_GRID, SIGMA_LATTICE
from contract.models import ModelInfo
from contract.requests import CertifyRequest, PredictRequest, require_enough_samples
from service.field_messages import shorten
from service.jobs.perfect_votes import largest_radius
from service.problems import ProblemError, refusal

_PREDICT_SAMPLES: Final = 1000  # a label needs far fewer votes than a radius

Request = CertifyRequest | PredictRequest


def shared_fields(request: Request, model: ModelInfo) -> dict[str, Any]:
    """Returns the fields that every task has, those of the job and of its image apart.

    Raises:
        ProblemError: A field is refused; it names the field, the rule and the value.
    """
    sigma = _sigma(request, model)
    return {
        "model": model.name,
        "model_digest": model.digest,
        "noise": request.noise,
        "sigma": sigma,
        "sigma_uniform": sigma if request.sigma_uniform is None else request.sigma_uniform,
        **_adaptation(request, model),
        "n": _samples(request, model),
        "alpha": request.alpha,
        "label": _label(request, model),
        "memory": request.namespace,
        "seed": (request.seed or secrets.token_hex(16)).zfill(32),
    }


def certify_fields(request: CertifyRequest, model: ModelInfo, shared: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields that a certification has besides the shared ones.

    Raises:
        ProblemError: The target radius is out of reach, or no level that `optimize` may choose is.
    """
    if request.policy is NoiseLevel.OPTIMIZE and shared["adapt"]:
        _require_level_on_lattice(request, shared)
    grid = _sigma_grid(request, model)
    _require_target_in_reach(request, model, shared, grid)
    return {
        "noise_level": request.policy,
        "sigma_grid": grid,
        "n0": request.n0,
        "bound": request.bound,
        "target_radius": request.target_radius,
        "max_seconds": request.max_seconds,
        "fresh": request.fresh,
    }


def _sigma(request: Request, model: ModelInfo) -> float:
    sigma = model.sigma if request.sigma is None else request.sigma
    if sigma is not None:
        return sigma
    if isinstance(request, CertifyRequest) and request.policy is NoiseLevel.AUTO:
        return _sigma_grid(request, model)[0]  # only the grid counts
    detail = f"'sigma' is required: the model '{model.name}' recommends none"
    raise refusal(ProblemCode.INVALID_FIELD, detail, pointer="/sigma")


def _sigma_grid(request: CertifyRequest, model: ModelInfo) -> list[float]:
    return sorted(set(request.sigma_grid or model.sigma_grid or SIGMA_GRID))


def _adaptation(request: Request, model: ModelInfo) -> dict[str, Any]:
    if not model.adaptable:
        _require_no_adaptation(request, model)
    if not (model.adaptable if request.adapt is None else request.adapt):
        return {"adapt": False, "momentum": 1.0, "clean_size": 0}
    return {
        "adapt": True,
        "momentum": 1.0 if request.momentum is None else request.momentum,
        "clean_size": _clean_size(request, model),
    }


def _require_no_adaptation(request: Request, model: ModelInfo) -> None:
    """Refuses what asks for adaptation, or would silently do nothing without it."""
    why = f"'{model.name}' cannot be adapted: {model.not_adaptable_because or 'it does not say why'}"
    if request.adapt:
        detail = f"'adapt' must be false or left out, got true: {why}"
        raise refusal(ProblemCode.NOT_ADAPTABLE, detail, pointer="/adapt")
    for field in ("momentum", "clean_size"):
        value = getattr(request, field)
        if value is not None:
            detail = f"'{field}' must be left out, got {value}: {why}"
            raise refusal(ProblemCode.NOT_ADAPTABLE, detail, pointer=f"/{field}")


def _clean_size(request: Request, model: ModelInfo) -> int:
    if request.clean_size is None:
        return min(CLEAN_SIZE, model.clean_size)
    if request.clean_size > model.clean_size:
        detail = (
            f"'clean_size' must be <= {model.clean_size}, the clean images that '{model.name}' has, "
            f"got {request.clean_size}"
        )
        raise refusal(ProblemCode.INVALID_FIELD, detail, pointer="/clean_size")
    return request.clean_size


def _samples(request: Request, model: ModelInfo) -> int:
    if request.n is not None:
        return request.n
    n = min(model.n, _PREDICT_SAMPLES) if isinstance(request, PredictRequest) else model.n
    try:
        require_enough_samples(n, request.branch_alpha, request.least_samples)
    except PydanticCustomError as error:
        raise refusal(ProblemCode.TOO_FEW_SAMPLES, error.message(), pointer="/n") from None
    return n


def _label(request: Request, model: ModelInfo) -> int | None:
    """A name wins over an index, since digits may be names."""
    label = request.label
    if label is None:
        return None
    if label in model.classes:
        return model.classes.index(label)
    if label.isascii() and label.isdecimal() and int(label) < len(model.classes):
        return int(label)
    last = len(model.classes) - 1
    detail = f"'label' must be a class of '{model.name}' or an index from 0 to {last}, got {shorten(label)}"
    raise refusal(ProblemCode.INVALID_FIELD, detail, pointer="/label")


def _require_level_on_lattice(request: CertifyRequest, shared: dict[str, Any]) -> None:
    """Refuses a start from which not even the first multiple of the lattice is in reach."""
    least = SIGMA_LATTICE / OPTIMIZE_RANGE[1]
    fields = ("sigma", "sigma_uniform") if request.noise is NoiseKind.HYBRID else ("sigma",)
    for field in fields:
        if shared[field] < least:
            detail = (
                f"'{field}' must be >= {least} with 'noise_level' = optimize and 'adapt' = true, which take "
                f"a multiple of {SIGMA_LATTICE} up to {OPTIMIZE_RANGE[1]:g} times it, got {shared[field]}"
            )
            raise refusal(ProblemCode.INVALID_FIELD, detail, pointer=f"/{field}")


def _require_target_in_reach(
    request: CertifyRequest, model: ModelInfo, shared: dict[str, Any], grid: list[float]
) -> None:
    """Refuses a target that not even perfect votes could certify; where `optimize` climbs to is not known."""
    target = request.target_radius
    if target is None or request.policy is NoiseLevel.OPTIMIZE:
        return
    sigma, sigma_uniform = (
        (grid[-1], grid[-1])
        if request.policy is NoiseLevel.AUTO
        else (shared["sigma"], shared["sigma_uniform"])
    )
    dimension = model.input_shape[0] * model.input_shape[1] * model.input_shape[2]
    n = shared["n"]
    most = largest_radius(request.noise, sigma, sigma_uniform, n, request.branch_alpha, dimension)
    if target > most:
        raise _out_of_reach(request, n, sigma, most)


def _out_of_reach(request: CertifyRequest, n: int, sigma: float, most: float) -> ProblemError:
    norm = "l1" if request.noise is NoiseKind.UNIFORM else "l2"
    detail = (
        f"'target_radius' must be <= {most:.6f}, the largest {norm} radius that {n} equal votes can certify "
        f"with 'alpha' = {request.alpha} and 'sigma' = {sigma:g}, got {request.target_radius}"
    )
    return refusal(ProblemCode.INVALID_FIELD, detail, pointer="/target_radius")
