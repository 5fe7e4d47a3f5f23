"""What a client may ask, field by field. Values that a later release will build are refused by name."""

import base64
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    EncodedBytes,
    EncoderProtocol,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from contract.choices import BoundKind, Fit, NoiseKind, NoiseLevel
from contract.limits import MAX_SAMPLES, minimum_prediction_samples, minimum_samples

_BUILT: Final[Mapping[str, tuple[object, ...]]] = {
    "noise": (NoiseKind.GAUSSIAN,),
    "noise_level": (NoiseLevel.FIXED,),
    "adapt": (None, False),
    "memory": (None, "off"),
    "sigma_uniform": (None,),
    "sigma_grid": (None,),
    "target_radius": (None,),
    "max_seconds": (None,),
    "fresh": (False,),
}


def _refuse_unbuilt(field: str, value: object) -> None:
    built = _BUILT.get(field)
    if built is None or value in built:
        return
    words = [str(choice) for choice in built if choice is not None]
    allowed = f"use {' or '.join(words).lower()}" if words else "leave the field out"
    raise PydanticCustomError(
        "not_built",
        "'{field}' = {value} is not built yet in this version: {allowed}",
        {"field": field, "value": str(value), "allowed": allowed},
    )


def _built(field: str) -> AfterValidator:
    def check(value: Any) -> Any:
        _refuse_unbuilt(field, value)
        return value

    return AfterValidator(check)


class _Base64(EncoderProtocol):
    """Pydantic's own decoder skips what is not base64, and would take any text for an image."""

    @classmethod
    def decode(cls, data: bytes) -> bytes:
        try:
            return base64.b64decode(b"".join(data.split()), validate=True)
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
Samples = Annotated[int, Field(ge=1, le=MAX_SAMPLES)]


class _Asked(BaseModel):
    """The fields that certification and prediction share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="Name of the model. Left out: the server's default."
    )
    noise: Annotated[NoiseKind, _built("noise")] = Field(
        default=NoiseKind.GAUSSIAN, description="`gaussian` certifies ℓ2; `uniform` ℓ1; `hybrid` both."
    )
    sigma: Sigma | None = Field(
        default=None,
        description="Noise level: standard deviation per pixel, pixels in [0, 1]. Left out: the model's.",
    )
    alpha: Annotated[float, Field(gt=0, lt=0.5, allow_inf_nan=False)] = Field(
        default=0.001, description="Probability that the answer is wrong, over the service's own sampling."
    )
    n: Samples | None = Field(default=None, description="Estimation votes. Left out: the model's.")
    adapt: Annotated[bool | None, _built("adapt")] = Field(
        default=None, description="Re-estimate batch-norm statistics under the noise."
    )
    fit: Fit = Field(
        default=Fit.EXACT,
        description="`exact` refuses an image of another size; `resize` fits it as the model says, "
        "and the radius is then about the fitted image.",
    )
    memory: Annotated[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None, _built("memory")] = (
        Field(default=None, description="Namespace of the memory of certified regions, or `off`.")
    )
    label: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="The true class, by name or index, so that the answer can say `correct`."
    )
    seed: Annotated[str, Field(pattern=r"^[0-9a-f]{1,32}$")] | None = Field(
        default=None, description="128 bits in hexadecimal. Left out: drawn by the server."
    )

    @staticmethod
    def least_samples(alpha: float) -> int:
        """Returns the least number of votes that can say anything."""
        return minimum_samples(alpha)

    @field_validator("n")
    @classmethod
    def _enough_samples(cls, n: int | None, info: ValidationInfo) -> int | None:
        if n is not None and "alpha" in info.data:
            require_enough_samples(n, info.data["alpha"], cls.least_samples)
        return n


class CertifyRequest(_Asked):
    """Ask for a label and a radius within which no perturbation can change it."""

    noise_level: Annotated[NoiseLevel, _built("noise_level")] = Field(
        default=NoiseLevel.FIXED,
        description="`fixed` takes `sigma`; `auto` and `optimize` choose it per image.",
    )
    sigma_uniform: Annotated[Sigma | None, _built("sigma_uniform")] = Field(
        default=None, description="Noise level of the uniform branch of `hybrid`."
    )
    sigma_grid: Annotated[
        Annotated[list[Sigma], Field(min_length=1, max_length=64)] | None, _built("sigma_grid")
    ] = Field(default=None, description="Noise levels that `auto` tries.")
    n0: Samples = Field(default=100, description="Selection votes.")
    bound: BoundKind = Field(default=BoundKind.TWO_SIDED, description="How votes become bounds.")
    target_radius: Annotated[
        Annotated[float, Field(gt=0, allow_inf_nan=False)] | None, _built("target_radius")
    ] = Field(default=None, description="Stop as soon as it is sure whether this radius is certified.")
    max_seconds: Annotated[
        Annotated[float, Field(gt=0, allow_inf_nan=False)] | None, _built("max_seconds")
    ] = Field(default=None, description="Answer with what is certified by then.")
    fresh: Annotated[bool, _built("fresh")] = Field(
        default=False, description="Sample even when the memory holds this very image."
    )


class PredictRequest(_Asked):
    """Ask for the smoothed classifier's label alone, which takes far fewer votes than a radius."""

    @staticmethod
    def least_samples(alpha: float) -> int:
        """Returns the least number of votes that can say anything."""
        return minimum_prediction_samples(alpha)


ImageFile = Annotated[
    bytes,
    EncodedBytes(encoder=_Base64),
    Field(description="The image file (PNG, JPEG, WebP or BMP), in base64."),
]


class CertifyJsonRequest(CertifyRequest):
    """`CertifyRequest` with its image, as one JSON document."""

    image: Annotated[bytes, EncodedBytes(encoder=_Base64)] = Field(
        description="The image file (PNG, JPEG, WebP or BMP), in base64."
    )


class PredictJsonRequest(PredictRequest):
    """`PredictRequest` with its image, as one JSON document."""

    image: Annotated[bytes, EncodedBytes(encoder=_Base64)] = Field(
        description="The image file (PNG, JPEG, WebP or BMP), in base64."
    )


def require_enough_samples(n: int, alpha: float, least: Callable[[float], int]) -> None:
    """Raises when even ``n`` perfect votes say nothing at failure probability ``alpha``.

    Args:
        n: Estimation votes.
        alpha: Failure probability.
        least: Which number is enough at an alpha, such as `minimum_samples`.
    """
    if n < least(alpha):
        raise PydanticCustomError(
            "too_few_samples",
            "'n' must be >= {least} for 'alpha' = {alpha}, got {n}: even equal votes would say nothing",
            {"least": least(alpha), "alpha": alpha, "n": n},
        )
