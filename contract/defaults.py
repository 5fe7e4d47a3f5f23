"""Fills in the omitted fields of a request, so that a worker decides nothing."""

import math
import secrets
from statistics import NormalDist
from typing import Any, Final

from pydantic_core import PydanticCustomError

from contract.choices import NoiseKind, NoiseLevel, ProblemCode
from contract.limits import CLEAN_SIZE, OPTIMIZE_RANGE, SIGMA_GRID, SIGMA_LATTICE, minimum_samples
from contract.models import ModelInfo
from contract.problems import refusal, shorten
from contract.requests import CertifyRequest, PredictRequest, require_enough_samples
from contract.tasks import Resolved

_PREDICT_SAMPLES: Final = 1000  # a label needs far fewer votes than a radius
_SHORTEST_STEP: Final = 32  # votes between two looks for a target

Request = CertifyRequest | PredictRequest


def resolve(request: Request, model: ModelInfo) -> Resolved:
    """Returns the fields that depend on the model, with every default filled in.

    Raises:
        ProblemError: A field is refused; it names the field, the rule and the value.
    """
    sigma = _sigma(request, model)
    certify = request if isinstance(request, CertifyRequest) else None
    resolved = Resolved(
        noise_level=certify.sigma_policy if certify else NoiseLevel.FIXED,
        sigma=sigma,
        sigma_uniform=sigma if request.sigma_uniform is None else request.sigma_uniform,
        sigma_grid=_sigma_grid(certify, model) if certify else [],
        **_adaptation(request, model),
        n=_samples(request, model),
        label=_label(request, model),
        memory=request.namespace,
        seed=(request.seed or secrets.token_hex(16)).zfill(32),
    )
    if certify is not None:
        if resolved.noise_level is NoiseLevel.OPTIMIZE and resolved.adapt:
            _require_level_on_lattice(certify, resolved)
        _require_target_in_reach(certify, model, resolved)
    return resolved


def _sigma(request: Request, model: ModelInfo) -> float:
    sigma = model.sigma if request.sigma is None else request.sigma
    if sigma is not None:
        return sigma
    if isinstance(request, CertifyRequest) and request.sigma_policy is NoiseLevel.AUTO:
        return _sigma_grid(request, model)[0]  # `auto` uses only the grid
    detail = f"'sigma' is required: the model '{model.name}' recommends none"
    raise refusal(ProblemCode.INVALID_FIELD, detail, pointer="/sigma")


def _sigma_grid(request: CertifyRequest, model: ModelInfo) -> list[float]:
    return sorted(set(request.sigma_grid or model.sigma_grid or SIGMA_GRID))


def _adaptation(request: Request, model: ModelInfo) -> dict[str, Any]:
    if not model.adaptable:
        _require_no_adaptation(request, model)
    adapt = model.adaptable if request.adapt is None else request.adapt
    return {
        "adapt": adapt,
        "momentum": request.momentum or 1.0,
        "clean_size": _clean_size(request, model) if adapt else 0,
    }


def _require_no_adaptation(request: Request, model: ModelInfo) -> None:
    """Refuses fields that ask for adaptation, or have no effect without it."""
    why = f"'{model.name}' cannot be adapted: {model.not_adaptable_because or 'no reason is known'}"
    if request.adapt:
        detail = f"'adapt' must be false or omitted, got true: {why}"
        raise refusal(ProblemCode.NOT_ADAPTABLE, detail, pointer="/adapt")
    for field in ("momentum", "clean_size"):
        value = getattr(request, field)
        if value is not None:
            detail = f"'{field}' must be omitted, got {value}: {why}"
            raise refusal(ProblemCode.NOT_ADAPTABLE, detail, pointer=f"/{field}")


def _clean_size(request: Request, model: ModelInfo) -> int:
    if request.clean_size is None:
        return min(CLEAN_SIZE, model.clean_size)
    if request.clean_size > model.clean_size:
        detail = (
            f"'clean_size' must be <= {model.clean_size}, the number of clean images of '{model.name}', "
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
    """Returns the index of the true class. A name wins over an index, since names may be digits."""
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


def _require_level_on_lattice(request: CertifyRequest, resolved: Resolved) -> None:
    """Refuses a start from which `optimize` cannot reach the first multiple of the lattice."""
    least = SIGMA_LATTICE / OPTIMIZE_RANGE[1]
    fields = ("sigma", "sigma_uniform") if request.noise is NoiseKind.HYBRID else ("sigma",)
    for field in fields:
        sigma = getattr(resolved, field)
        if sigma < least:
            detail = (
                f"'{field}' must be >= {least} with 'noise_level' = optimize and 'adapt' = true, which take "
                f"a multiple of {SIGMA_LATTICE} up to {OPTIMIZE_RANGE[1]:g} times it, got {sigma}"
            )
            raise refusal(ProblemCode.INVALID_FIELD, detail, pointer=f"/{field}")


def _require_target_in_reach(request: CertifyRequest, model: ModelInfo, resolved: Resolved) -> None:
    """Refuses a target that even equal votes cannot certify, unless `optimize` chooses the level later."""
    target = request.target_radius
    if target is None or request.sigma_policy is NoiseLevel.OPTIMIZE:
        return
    sigma, sigma_uniform = resolved.sigma, resolved.sigma_uniform
    if request.sigma_policy is NoiseLevel.AUTO:
        sigma = sigma_uniform = resolved.sigma_grid[-1]
    dimension = math.prod(model.input_shape)
    n = resolved.n
    alpha = last_look_alpha(n, request.branch_alpha)
    most = largest_radius(request.noise, sigma, sigma_uniform, n, alpha, dimension)
    if target > most:
        detail = (
            f"'target_radius' must be <= {most:.6f}, the largest {request.noise.norm} radius that {n} equal "
            f"votes can certify with 'alpha' = {request.alpha} and 'sigma' = {sigma:g}, got {target}"
        )
        raise refusal(ProblemCode.INVALID_FIELD, detail, pointer="/target_radius")


def last_look_alpha(n: int, alpha: float) -> float:
    """Returns what `smoothing.target_schedule` leaves of ``alpha`` for its look at all ``n`` votes.

    >>> round(last_look_alpha(1000, 0.001), 6)
    0.000278
    """
    votes, earlier = max(_SHORTEST_STEP, minimum_samples(alpha / 6)), 0
    while (votes := max(votes + _SHORTEST_STEP, -(-6 * votes // 5))) <= n:
        earlier += 1
    return 5 * alpha / (earlier + 5)


def largest_radius(
    noise: NoiseKind, sigma: float, sigma_uniform: float, n: int, alpha: float, dimension: int
) -> float:
    """Returns the largest radius that ``n`` votes can certify, rounded down to six decimals.

    In ℓ1 under uniform noise, else in ℓ2. All votes for one class bound its probability from below by
    ``alpha ** (1 / n)``.

    Args:
        noise: For `hybrid`, the larger of both noises' ℓ2 radii counts.
        sigma: The noise level.
        sigma_uniform: The noise level of the uniform branch of `hybrid`.
        n: Estimation votes of each noise.
        alpha: Failure probability of each noise's look at them.
        dimension: Channels times height times width.

    >>> largest_radius(NoiseKind.GAUSSIAN, 0.5, 0.5, 100_000, 0.001, 784)
    1.905728
    >>> largest_radius(NoiseKind.UNIFORM, 0.5, 0.5, 1000, 0.001, 784)
    0.854102
    """
    p_lower = math.pow(alpha, 1 / n)
    if noise is NoiseKind.UNIFORM:
        radius = math.sqrt(3) * sigma * (2 * p_lower - 1)
    elif noise is NoiseKind.GAUSSIAN:
        radius = _gaussian_l2(sigma, p_lower)
    else:
        radius = max(_gaussian_l2(sigma, p_lower), _uniform_l2(sigma_uniform, p_lower, dimension))
    return math.floor(radius * 1e6) / 1e6


def _gaussian_l2(sigma: float, p_lower: float) -> float:
    return sigma * NormalDist().inv_cdf(p_lower)


def _uniform_l2(sigma: float, p_lower: float, dimension: int) -> float:
    # √d times the ℓ∞ radius 2λ(1 − (1 − t)^(1/d)) with λ = √3σ and t = p_lower − ½.
    return -2 * math.sqrt(3 * dimension) * sigma * math.expm1(math.log1p(0.5 - p_lower) / dimension)
