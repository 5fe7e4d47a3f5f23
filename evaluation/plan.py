"""What is evaluated and how: everything that decides a table, so that equal plans give equal tables."""

import hashlib
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PositiveInt,
    ValidationInfo,
    model_validator,
)

from contract.choices import NoiseKind, NoiseLevel
from contract.requests import CertifyRequest, Sigma


class SuiteName(StrEnum):
    """What can be measured, in the order of measuring."""

    CERTIFY = "certify"
    NOISE = "noise"
    ATTACKS = "attacks"
    CORRUPTIONS = "corruptions"
    GRADIENTS = "gradients"
    LEVELS = "levels"
    BOUNDS = "bounds"


Positive = Annotated[FiniteFloat, Field(gt=0)]
NonNegative = Annotated[FiniteFloat, Field(ge=0)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]


def _once(values: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        got = ", ".join(map(str, values))
        raise ValueError(f"'{info.field_name}' must hold no value twice, got {got}")
    return values


def _suites(names: Any) -> Any:
    """Put suites into the order in which they are measured; ``all`` stands for every one."""
    if not isinstance(names, list | tuple):
        return names
    known = [each.value for each in SuiteName]
    return known if "all" in names else sorted(names, key=lambda name: [*known, name].index(name))


def _both(values: Any) -> Any:
    """``both`` makes a run without and a run with."""
    return (False, True) if values in (["both"], ("both",)) else values


def _apart(sigmas: tuple[float | None, ...]) -> tuple[float | None, ...]:
    names = {f"{sigma:g}" for sigma in sigmas if sigma is not None}
    if len(names) < sum(sigma is not None for sigma in sigmas):
        got = ", ".join(map(str, sigmas))
        raise ValueError(f"'sigma' must differ in its first six digits, got {got}")
    return sigmas


ONCE = AfterValidator(_once)
"""A repeated value would be measured once and counted twice, or reported twice."""
APART = AfterValidator(_apart)
"""Runs are known by six digits of their level: two alike would share their measurements."""


class Corruption(StrEnum):
    """The fifteen of ImageNet-C."""

    GAUSSIAN_NOISE = "gaussian_noise"
    SHOT_NOISE = "shot_noise"
    IMPULSE_NOISE = "impulse_noise"
    DEFOCUS_BLUR = "defocus_blur"
    GLASS_BLUR = "glass_blur"
    MOTION_BLUR = "motion_blur"
    ZOOM_BLUR = "zoom_blur"
    SNOW = "snow"
    FROST = "frost"
    FOG = "fog"
    BRIGHTNESS = "brightness"
    CONTRAST = "contrast"
    ELASTIC_TRANSFORM = "elastic_transform"
    PIXELATE = "pixelate"
    JPEG_COMPRESSION = "jpeg_compression"


_SEED_DOMAIN: Final = b"radii/evaluation/seed/1\0"

RADII = tuple(step / 4 for step in range(13))
"""0, 0.25, … 3: the radii of the papers' tables, pixel units."""
SIGMAS = (0.25, 0.5, 0.75, 1.0)
MOMENTA = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
CLEAN_SIZES = (8, 16, 32, 64, 128, 256, 512)
EPSILONS = {"l2": (0.5, 1.0, 1.5, 2.0, 3.0), "linf": (4 / 255, 8 / 255, 12 / 255, 16 / 255)}
ASCENTS = (0, 1, 2, 5, 10, 20, 50, 100)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NoisePlan(_Frozen):
    """Accuracy under one draw of noise."""

    sigmas: Annotated[tuple[Positive, ...], ONCE] = Field(SIGMAS, description="Noise levels of the table.")
    sweep_sigma: Positive = Field(0.5, description="Noise level of the sweeps.")
    momenta: Annotated[tuple[Share, ...], ONCE] = Field(
        MOMENTA, description="What adaptation is swept over, all clean images being used."
    )
    clean_sizes: Annotated[tuple[Annotated[int, Field(ge=2)], ...], ONCE] = Field(
        CLEAN_SIZES, description="What adaptation is swept over, the momentum being 1."
    )
    draws: PositiveInt = Field(3, description="Repetitions of each adaptation of a sweep, with other noise.")


class AttackPlan(_Frozen):
    """Projected gradient descent."""

    epsilons_l2: Annotated[tuple[Positive, ...], Field(min_length=1), ONCE] = Field(
        EPSILONS["l2"], description="ℓ2 radii of the balls, in pixel units."
    )
    epsilons_linf: Annotated[tuple[Positive, ...], Field(min_length=1), ONCE] = Field(
        EPSILONS["linf"],
        description="ℓ∞ radii of the balls, in pixel units. Default: 4, 8, 12 and 16 of 255.",
    )
    steps: PositiveInt = Field(40, description="Steps of PGD, from a random start.")
    ensembles: Annotated[tuple[PositiveInt, ...], ONCE] = Field(
        (1, 5, 10), description="How many adapted classifiers an attack on an adapted one averages over."
    )

    def epsilons(self, norm: str) -> tuple[float, ...]:
        """Return the radii in one norm, in rising order."""
        return tuple(sorted(self.epsilons_l2 if norm == "l2" else self.epsilons_linf))


class CorruptionPlan(_Frozen):
    """Common corruptions."""

    baseline: str | None = Field(None, description="Bundle whose errors count as 1. Default: the first.")
    names: Annotated[tuple[Corruption, ...], Field(min_length=1), ONCE] | None = Field(
        None, description="Only these corruptions. Default: all that apply."
    )
    severities: Annotated[tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1), ONCE] = Field(
        (1, 2, 3, 4, 5), description="Severities, of 1 to 5."
    )
    clean_size: Annotated[int, Field(ge=2)] = Field(
        256, description="Clean images that are corrupted likewise to adapt to a corruption."
    )


class LevelPlan(_Frozen):
    """The sweep over K, the steps of OptimizeSigma."""

    steps: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), ONCE] = Field(
        ASCENTS, description="Values of K, the steps of OptimizeSigma; 0 is the level that it starts from."
    )
    sigma: Positive | None = Field(None, description="That level. Default: the bundle's.")
    n: Annotated[int, Field(ge=100)] = Field(2000, description="Votes of each certificate.")
    alpha: Annotated[FiniteFloat, Field(gt=0, lt=0.5)] = Field(
        0.001, description="Failure probability of each certificate."
    )


class GradientPlan(_Frozen):
    """Pictures of loss gradients."""

    images: PositiveInt = Field(6, description="How many images.")
    sigmas: Annotated[tuple[NonNegative, ...], ONCE] = Field(
        (0.0, 0.25, 0.5, 0.75), description="Noise levels, one column each."
    )


class CertifyPlan(_Frozen):
    """The certificates of the suites ``certify`` and ``bounds``, whose noise is Gaussian, of a fixed level.

    A run is made for each level of ``sigmas`` and each choice of ``adapt``. All else that is asked of the
    service stands in ``asked``, a request without an image; its level is fixed where nothing else is said.
    """

    asked: CertifyRequest = CertifyRequest(noise_level=NoiseLevel.FIXED)
    sigmas: Annotated[tuple[Sigma | None, ...], Field(min_length=1), ONCE, APART] = Field(
        (None,), description="Noise levels: one run each; `levels` takes one. Default: the bundle's."
    )
    adapt: Annotated[tuple[bool | None, ...], BeforeValidator(_both), Field(min_length=1), ONCE] = Field(
        (None,),
        description="Re-estimate batch-norm statistics under the noise: `yes`, `no`, or `both`, a run each. "
        "Default: `yes` where a bundle can.",
    )
    radii: Annotated[tuple[NonNegative, ...], ONCE] = Field(
        RADII, description="Radii of the tables, in the noise's own norm. Default: 0, 0.25, … 3."
    )
    levels: Annotated[tuple[Share, ...], ONCE] = Field(
        (0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85),
        description="Clean accuracies at which schemes are compared.",
    )
    rho: Annotated[FiniteFloat, Field(gt=0, lt=1)] = Field(
        0.001, description="Failure probability of the guaranteed accuracy."
    )
    confidence: Annotated[FiniteFloat, Field(gt=0, lt=1)] = Field(
        0.95, description="Confidence of the intervals over images."
    )

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, values: Any) -> Any:
        """Move the request's fields into ``asked``: plans of earlier versions have them beside it."""
        if not isinstance(values, dict) or not isinstance(asked := values.get("asked", {}), dict):
            return values
        own = {name: value for name, value in values.items() if name in cls.model_fields}
        asked |= {name: value for name, value in values.items() if name not in own}
        level = NoiseLevel.AUTO if asked.get("sigma_grid") else NoiseLevel.FIXED
        return {**own, "asked": {"noise_level": level, **asked}}

    @property
    def norms(self) -> tuple[str, ...]:
        """The norms that tables are about: the noise's own, and both of a hybrid."""
        return ("l2", "l1") if self.asked.noise is NoiseKind.HYBRID else (self.asked.noise.norm,)


class EvaluationPlan(_Frozen):
    """One evaluation.

    Attributes:
        bundles: Digest of each bundle by name, in the order of the tables.
    """

    bundles: dict[str, str]
    suites: Annotated[tuple[SuiteName, ...], BeforeValidator(_suites), ONCE] = Field(
        description=f"What is measured: {', '.join(SuiteName)}, or all. Default: certify."
    )
    dataset: str = Field("fashion-mnist", description="Data set whose test split is evaluated.")
    images: PositiveInt = Field(100, description="At most this many test images.")
    every: PositiveInt = Field(1, description="Evaluate every N-th test image.")
    seed: Annotated[int, Field(ge=0, lt=2**128)] = Field(0, description="Decides everything random.")
    certify: CertifyPlan = CertifyPlan()
    noise: NoisePlan = NoisePlan()
    attacks: AttackPlan = AttackPlan()
    corruptions: CorruptionPlan = CorruptionPlan()
    levels: LevelPlan = LevelPlan()
    gradients: GradientPlan = GradientPlan()

    def image_seed(self, index: int) -> int:
        """Return the seed, of 128 bits, of all votes on one image of the test split.

        Schemes that are compared so meet the same noise, and nothing depends on the order of images;
        evaluations of two seeds share no votes.

        >>> f"{EvaluationPlan(bundles={}, suites=()).image_seed(7):032x}"
        'd1e5d9db5732b6becadeb709a3baccf3'
        """
        seed = self.seed.to_bytes(16, "big")
        digest = hashlib.sha256(_SEED_DOMAIN + seed + f"{self.dataset}:{index}".encode()).digest()
        return int.from_bytes(digest[:16], "big")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        baseline = self.corruptions.baseline
        if baseline is not None and baseline not in self.bundles:
            raise ValueError(f"'baseline' must be one of {', '.join(self.bundles)}, got {baseline}")
        return self
