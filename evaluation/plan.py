"""What is evaluated and how: everything that decides a table, so that equal plans give equal tables."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from contract.choices import NoiseKind
from evaluation.statistics.metrics import RADII
from evaluation.suites.corrupt import CORRUPTIONS, SEVERITIES

Positive = Annotated[FiniteFloat, Field(gt=0)]
NonNegative = Annotated[FiniteFloat, Field(ge=0)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]


def _once(values: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        got = ", ".join(map(str, values))
        raise ValueError(f"'{info.field_name}' must hold no value twice, got {got}")
    return values


def _apart(sigmas: tuple[float | None, ...]) -> tuple[float | None, ...]:
    names = {f"{sigma:g}" for sigma in sigmas if sigma is not None}
    if len(names) < sum(sigma is not None for sigma in sigmas):
        got = ", ".join(map(str, sigmas))
        raise ValueError(f"'sigma' must differ in its first six digits, got {got}")
    return sigmas


ONCE = AfterValidator(_once)
"""A repeated value would be measured once and counted twice, or just told twice."""
APART = AfterValidator(_apart)
"""Runs are known by six digits of their level: two alike would share their measurements."""

SIGMAS = (0.25, 0.5, 0.75, 1.0)
MOMENTA = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
CLEAN_SIZES = (8, 16, 32, 64, 128, 256, 512)
EPSILONS = {"l2": (0.5, 1.0, 1.5, 2.0, 3.0), "linf": (4 / 255, 8 / 255, 12 / 255, 16 / 255)}
ASCENTS = (0, 1, 2, 5, 10, 20, 50, 100)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NoisePlan(_Frozen):
    """Accuracy under one draw of noise.

    Attributes:
        sigmas: levels of the main table.
        sweep_sigma: level of the sweeps.
        momenta, clean_sizes: what adaptation is swept over, the other being as it is by default.
        draws: how often each adaptation of a sweep is repeated with other noise.
    """

    sigmas: Annotated[tuple[Positive, ...], ONCE] = SIGMAS
    sweep_sigma: Positive = 0.5
    momenta: Annotated[tuple[Share, ...], ONCE] = MOMENTA
    clean_sizes: Annotated[tuple[Annotated[int, Field(ge=2)], ...], ONCE] = CLEAN_SIZES
    draws: PositiveInt = 3


class AttackPlan(_Frozen):
    """Projected gradient descent.

    Attributes:
        epsilons_l2, epsilons_linf: radii of the balls, in pixel units.
        steps: of each attack, from a random start.
        ensembles: for adapted classifiers, how many of them the attack averages over.
    """

    epsilons_l2: Annotated[tuple[Positive, ...], Field(min_length=1), ONCE] = EPSILONS["l2"]
    epsilons_linf: Annotated[tuple[Positive, ...], Field(min_length=1), ONCE] = EPSILONS["linf"]
    steps: PositiveInt = 40
    ensembles: Annotated[tuple[PositiveInt, ...], ONCE] = (1, 5, 10)

    def epsilons(self, norm: str) -> tuple[float, ...]:
        """Return the radii in one norm, in rising order."""
        return tuple(sorted(self.epsilons_l2 if norm == "l2" else self.epsilons_linf))


class CorruptionPlan(_Frozen):
    """Common corruptions.

    Attributes:
        baseline: name of the bundle whose errors are 1; the first bundle if None.
        names: corruptions, all that apply if None.
        severities: of 1 to 5.
        clean_size: clean images that are corrupted likewise to adapt to a corruption.
    """

    baseline: str | None = None
    names: Annotated[tuple[str, ...], Field(min_length=1), ONCE] | None = None
    severities: Annotated[tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1), ONCE] = (
        SEVERITIES
    )
    clean_size: Annotated[int, Field(ge=2)] = 256

    @field_validator("names")
    @classmethod
    def _known(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in names or ():
            if name not in CORRUPTIONS:
                raise ValueError(f"'corruption' must be one of {', '.join(CORRUPTIONS)}, got {name!r}")
        return names


class LevelPlan(_Frozen):
    """The sweep over K, the steps of OptimizeSigma.

    Attributes:
        steps: values of K; 0 is the level that the ascent starts from.
        sigma: that level; the bundle's recommended one if None.
        n, alpha: votes and failure probability of their certificates.
    """

    steps: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), ONCE] = ASCENTS
    sigma: Positive | None = None
    n: Annotated[int, Field(ge=100)] = 2000
    alpha: Annotated[FiniteFloat, Field(gt=0, lt=0.5)] = 0.001


class GradientPlan(_Frozen):
    """Pictures of loss gradients: how many images, under which noise."""

    images: PositiveInt = 6
    sigmas: Annotated[tuple[NonNegative, ...], ONCE] = (0.0, 0.25, 0.5, 0.75)


class CertifyPlan(_Frozen):
    """What certificates are asked for; the meaning of each field is that of a request to the service.

    The suite ``bounds`` takes its votes so, too, but always under Gaussian noise of a fixed level.

    Attributes:
        noise: ``gaussian``, ``uniform`` or ``hybrid``.
        noise_level: ``fixed``, ``auto`` or ``optimize``.
        sigmas: one run each; None, one run at the bundle's own level, or level chosen per image.
        sigma_uniform: of a hybrid's uniform noise; None, the same as ``sigma``.
        sigma_grid: for ``auto``; None, the bundle's.
        adapt: one run each; None, adapted where the bundle can.
        momentum, clean_size: of the adaptation; None, the service's defaults.
        n0, n, alpha, bound: votes, failure probability and bound; n None, the bundle's.
        radii: at which tables give certified accuracy, in the noise's own norm.
        levels: clean accuracies at which schemes are compared.
        rho: failure probability of the guaranteed accuracy.
        confidence: of the interval over images.
    """

    noise: Literal["gaussian", "uniform", "hybrid"] = "gaussian"
    noise_level: Literal["fixed", "auto", "optimize"] = "fixed"
    sigmas: Annotated[tuple[Positive | None, ...], Field(min_length=1), ONCE, APART] = (None,)
    sigma_uniform: Positive | None = None
    sigma_grid: Annotated[tuple[Positive, ...], ONCE] | None = None
    adapt: Annotated[tuple[bool | None, ...], Field(min_length=1), ONCE] = (None,)
    momentum: Annotated[FiniteFloat, Field(gt=0, le=1)] | None = None
    clean_size: Annotated[int, Field(ge=2)] | None = None
    n0: PositiveInt = 100
    n: PositiveInt | None = None
    alpha: Annotated[FiniteFloat, Field(gt=0, lt=0.5)] = 0.001
    bound: Literal["one_sided", "two_sided"] = "two_sided"
    radii: Annotated[tuple[NonNegative, ...], ONCE] = RADII
    levels: Annotated[tuple[Share, ...], ONCE] = (0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85)
    rho: Annotated[FiniteFloat, Field(gt=0, lt=1)] = 0.001
    confidence: Annotated[FiniteFloat, Field(gt=0, lt=1)] = 0.95

    @property
    def norm(self) -> str:
        """The norm that the noise's theorem is about; a hybrid's tables give it and the other one."""
        return NoiseKind(self.noise).norm


class EvaluationPlan(_Frozen):
    """One evaluation.

    Attributes:
        bundles: digest of each bundle by name, in the order of the tables.
        suites: names in ``SUITES``.
        dataset: a name in ``DATASETS``; its test split is evaluated.
        images: how many test images at most.
        every: take each so many-th image only.
        seed: 128 bits; decides all votes, draws and starts.
    """

    bundles: dict[str, str]
    suites: Annotated[tuple[str, ...], ONCE]
    dataset: str = "fashion-mnist"
    images: PositiveInt = 100
    every: PositiveInt = 1
    seed: Annotated[int, Field(ge=0, lt=2**128)] = 0
    certify: CertifyPlan = CertifyPlan()
    noise: NoisePlan = NoisePlan()
    attacks: AttackPlan = AttackPlan()
    corruptions: CorruptionPlan = CorruptionPlan()
    levels: LevelPlan = LevelPlan()
    gradients: GradientPlan = GradientPlan()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        baseline = self.corruptions.baseline
        if baseline is not None and baseline not in self.bundles:
            raise ValueError(f"'baseline' must be one of {', '.join(self.bundles)}, got {baseline}")
        return self
