"""The requests: every field, with its type, limits, default and description."""

import base64
from collections.abc import Callable
from typing import Annotated, ClassVar, Final, Literal, NoReturn, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    EncodedBytes,
    EncoderProtocol,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from contract.choices import BoundKind, Fit, JobKind, NoiseKind, NoiseLevel
from contract.limits import (
    CLEAN_SIZE,
    DEFAULT_MEMORY,
    JOB_TIMEOUT,
    MAX_SAMPLES,
    MIN_ALPHA,
    NO_MEMORY,
    minimum_prediction_samples,
    minimum_samples,
)

_WHITE_SPACE: Final = b" \t\r\n\v\f"


class _Base64(EncoderProtocol):
    """A strict decoder: pydantic's own skips characters that are not base64, so it accepts any text."""

    @classmethod
    def decode(cls, data: bytes) -> bytes:
        try:
            return base64.b64decode(data.translate(None, _WHITE_SPACE), validate=True)
        except ValueError:
            raise PydanticCustomError("base64_decode", "must be base64") from None

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return base64.b64encode(value)

    @classmethod
    def get_json_format(cls) -> Literal["base64"]:
        return "base64"


_Positive = Field(gt=0, le=100, allow_inf_nan=False)
Sigma = Annotated[float, _Positive]
Namespace = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
# Comes from the API key; not a field of requests.
Tenant = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")]
Samples = Annotated[int, Field(ge=1, le=MAX_SAMPLES)]


class _Asked(BaseModel):
    """The fields that certification and prediction share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Of a failure probability: the least number of votes that allow any answer but an abstention.
    least_samples: ClassVar = staticmethod(minimum_samples)

    model: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="Name of the model. Default: the server's."
    )
    noise: NoiseKind = Field(
        default=NoiseKind.GAUSSIAN, description="`gaussian` certifies ℓ2, `uniform` ℓ1, `hybrid` both."
    )
    sigma: Sigma | None = Field(
        default=None,
        description="Noise level σ: standard deviation per pixel, pixels in [0, 1]. Default: the model's; "
        "for certificates without `noise_level`, one chosen per image.",
    )
    sigma_uniform: Sigma | None = Field(
        default=None, description="Noise level of the uniform branch of `hybrid`. Default: `sigma`."
    )
    alpha: Annotated[float, Field(gt=0, lt=0.5, allow_inf_nan=False)] = Field(
        default=0.001,
        description="Failure probability: the answer is wrong with at most this probability, "
        "over the service's own sampling.",
    )
    n: Samples | None = Field(
        default=None, description="Estimation votes, for each noise of `hybrid`. Default: the model's."
    )
    adapt: bool | None = Field(
        default=None,
        description="Re-estimate batch-norm statistics under the noise. "
        "Default: true if the model can be adapted.",
    )
    momentum: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = Field(
        default=None,
        description="Weight of the re-estimated statistics against the trained ones. Default: 1.",
    )
    clean_size: Annotated[int, Field(ge=2)] | None = Field(
        default=None,
        description=f"Clean images to re-estimate from. Default: {CLEAN_SIZE}, or all that the model has.",
    )
    fit: Fit = Field(
        default=Fit.EXACT,
        description="For an image of another size: `exact` refuses it; `resize` fits it by the model's own "
        "resize and crop, and the radius is then about the fitted image.",
    )
    memory: Namespace | None = Field(
        default=None,
        description="Namespace of the memory of certified regions, or `off`. Default: `off` if the noise "
        "level is fixed; else `default`, which keeps answers at different levels consistent with each other.",
    )
    label: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None,
        description="The true class, by name or index; the answer then says whether it is `correct`.",
    )
    seed: Annotated[str, Field(pattern=r"^[0-9a-f]{1,32}$")] | None = Field(
        default=None,
        description="Seed of all randomness: 128 bits in hexadecimal, to reproduce an answer; only without a "
        "memory. Default: the service's own for this model and image.",
    )

    @property
    def branch_alpha(self) -> float:
        """The failure probability that each noise may spend."""
        return self.alpha / 2 if self.noise is NoiseKind.HYBRID else self.alpha

    @property
    def namespace(self) -> str | None:
        """The memory that the request uses; None: no memory."""
        if self.memory is None:
            return DEFAULT_MEMORY if self._level_is_open else None
        return None if self.memory == NO_MEMORY else self.memory

    @property
    def _level_is_open(self) -> bool:
        """Whether the client leaves the noise level to the service."""
        return self.sigma is None and self.sigma_uniform is None

    @field_validator("alpha")
    @classmethod
    def _computable_alpha(cls, alpha: float) -> float:
        # Not a limit in the OpenAPI document: adding it there would be a breaking change.
        if alpha < MIN_ALPHA:
            raise PydanticKnownError("greater_than_equal", {"ge": MIN_ALPHA})
        return alpha

    @field_validator("n")
    @classmethod
    def _enough_samples(cls, n: int | None, info: ValidationInfo) -> int | None:
        if n is not None and {"alpha", "noise"} <= info.data.keys():
            share = 2 if info.data["noise"] is NoiseKind.HYBRID else 1
            require_enough_samples(n, info.data["alpha"] / share, cls.least_samples)
        return n

    @field_validator("sigma_uniform")
    @classmethod
    def _uniform_branch(cls, sigma: float | None, info: ValidationInfo) -> float | None:
        if sigma is not None and info.data.get("noise", NoiseKind.HYBRID) is not NoiseKind.HYBRID:
            _refuse_pointless(
                "sigma_uniform", sigma, "noise", info.data["noise"], "omit it or ask for hybrid"
            )
        return sigma

    @model_validator(mode="after")
    def _seed_without_memory(self) -> Self:
        # Whoever chooses the seed chooses the votes: a region from them would mislead everybody else.
        if self.seed is not None and self.namespace is not None:
            raise PydanticCustomError(
                "seed_with_memory",
                "'{field}' must be omitted with 'memory' = {memory}, got {seed}: other answers would rest on "
                "votes of your choice; send 'memory' = off",
                {"field": "seed", "memory": self.namespace, "seed": self.seed},
            )
        return self

    @field_validator("momentum", "clean_size")
    @classmethod
    def _adapted(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("adapt") is False:
            _refuse_pointless(str(info.field_name), value, "adapt", "false", "omit one of them")
        return value


class CertifyRequest(_Asked):
    """Request a label and a radius within which no perturbation can change it."""

    kind: ClassVar = JobKind.CERTIFY

    noise_level: NoiseLevel | None = Field(
        default=None,
        description="How σ is chosen: `fixed` uses `sigma`; per image, `auto` tries the levels of "
        "`sigma_grid` and `optimize` climbs from `sigma`. Default: `fixed` if `sigma` is given, else `auto`.",
    )
    sigma_grid: Annotated[list[Sigma], Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="Noise levels that `auto` tries. Default: the model's."
    )
    n0: Samples = Field(default=100, description="Selection votes, for each noise of `hybrid`.")
    bound: BoundKind = Field(
        default=BoundKind.TWO_SIDED,
        description="How votes become bounds: `one_sided` bounds the top class alone, `two_sided` the "
        "runner-up as well.",
    )
    target_radius: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None,
        description="Stop as soon as it is decided whether this radius is certified: "
        "in ℓ2, or in ℓ1 for `uniform`.",
    )
    max_seconds: Annotated[float, Field(gt=0, le=JOB_TIMEOUT, allow_inf_nan=False)] | None = Field(
        default=None,
        description="Stop after this many seconds of computation, not counting the time in the queue, and "
        "answer with what is certified by then.",
    )
    fresh: bool = Field(
        default=False,
        description="Sample again even if the memory holds the answer to this question about this image.",
    )

    @property
    def sigma_policy(self) -> NoiseLevel:
        """How the noise level is chosen."""
        if self.noise_level is not None:
            return self.noise_level
        given = self.sigma is not None or self.sigma_uniform is not None
        return NoiseLevel.FIXED if given and self.sigma_grid is None else NoiseLevel.AUTO

    @property
    def _level_is_open(self) -> bool:
        return self.sigma_policy is not NoiseLevel.FIXED

    @model_validator(mode="after")
    def _fresh_from_what(self) -> Self:
        if self.fresh and self.namespace is None:
            _refuse_pointless("fresh", "true", "memory", NO_MEMORY, "omit it or name a memory")
        return self

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        if self.sigma_policy is NoiseLevel.AUTO:
            for field in ("sigma", "sigma_uniform"):
                if getattr(self, field) is not None:
                    _refuse_pointless(
                        field, getattr(self, field), "noise_level", "auto", "omit it or ask for fixed"
                    )
        elif self.sigma_grid is not None:
            advice = "omit it or ask for auto"
            _refuse_pointless("sigma_grid", self.sigma_grid, "noise_level", self.sigma_policy, advice)
        return self


class PredictRequest(_Asked):
    """Request the smoothed classifier's label only, which needs far fewer votes than a radius."""

    kind: ClassVar = JobKind.PREDICT
    least_samples: ClassVar = staticmethod(minimum_prediction_samples)


ImageFile = Annotated[
    bytes,
    EncodedBytes(encoder=_Base64),
    Field(description="The image file (PNG, JPEG, WebP or BMP), in base64."),
]


class CertifyJsonRequest(CertifyRequest):
    """Request a label and a radius within which no perturbation can change it, as a JSON document."""

    image: ImageFile


class PredictJsonRequest(PredictRequest):
    """Request the label only, as a JSON document."""

    image: ImageFile


def _refuse_pointless(field: str, value: object, other: str, its_value: object, advice: str) -> NoReturn:
    """Refuses a field that has no effect together with another one."""
    raise PydanticCustomError(
        "pointless",
        "'{field}' = {value} has no meaning with '{other}' = {its_value}: {advice}",
        {"field": field, "value": str(value), "other": other, "its_value": str(its_value), "advice": advice},
    )


def require_enough_samples(n: int, alpha: float, least: Callable[[float], int]) -> None:
    """Refuses ``n`` if even ``n`` equal votes give no answer at failure probability ``alpha``.

    Args:
        n: Estimation votes.
        alpha: Failure probability.
        least: Returns the least number of votes for an alpha, such as `minimum_samples`.
    """
    if n < least(alpha):
        raise PydanticCustomError(
            "too_few_samples",
            "'n' must be >= {least} for 'alpha' = {alpha}, got {n}: even equal votes would say nothing",
            {"least": least(alpha), "alpha": alpha, "n": n},
        )
