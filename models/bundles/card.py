"""The card of a bundle: what the classifier is, how to build and feed it, and what is known about it."""

import hashlib
import json
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    JsonValue,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Sigma = Annotated[FiniteFloat, Field(gt=0)]
BUNDLE_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
ENTRY_POINT = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Fit(_Frozen):
    """How an image of another size is fitted: resize the shorter side to ``resize``, then crop the centre."""

    resize: PositiveInt
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"


class Metric(_Frozen):
    """A measured value, and the command that measured it."""

    metric: str
    value: FiniteFloat
    n: Annotated[int, Field(gt=0, description="images it was measured on")]
    sigma: Annotated[FiniteFloat, Field(ge=0)] | None = None
    command: str


class TrainingData(_Frozen):
    """What the classifier was trained on."""

    name: str
    licence: str | None = None
    licence_file: str | None = None


class Recommended(_Frozen):
    """Defaults of requests for this bundle."""

    sigma: Sigma = 0.25
    sigma_grid: tuple[Sigma, ...] = (0.12, 0.25, 0.37, 0.5, 0.67, 0.75, 0.87, 1.0)
    n: Annotated[int, Field(gt=0, description="votes of a certificate on a CPU")] = 10_000


class Example(_Frozen):
    """An example image: its file in ``examples/``, its true class, and its position in the test split."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.png$")]
    label: Annotated[int, Field(ge=0)]
    index: Annotated[int, Field(ge=0)] | None = None


class Digests(_Frozen):
    """The SHA-256 of the files that affect an answer."""

    weights: Sha256
    clean: Sha256 | None = None


class Description(_Frozen):
    """The fields of a card that its author decides.

    Attributes:
        name: the model's name in requests: lower-case letters, digits, ``.``, ``_`` and ``-``.
        architecture: a registered architecture, ``torchvision:NAME`` or ``timm:NAME``.
        entry_point: alternatively, ``pkg.module:callable`` of a user's own network. It is imported when the
            bundle is loaded, so every machine that serves the bundle must have the package.
        arguments: keyword arguments of the architecture (besides classes and channels) or of the entry point.
        classes: names, in the order of the logits.
        input_shape: shape ``(c, h, w)`` of an image.
        mean, std: normalisation per channel, in pixel units [0, 1]; the first layer of the classifier.
        fit: how an image of another size is fitted; None accepts only the exact size.
        recipe, sigma_train, command, training_data: how the weights were trained.
        metrics: measured values.
        recommended: defaults of requests for this bundle.
    """

    name: Annotated[str, Field(pattern=BUNDLE_NAME)]
    architecture: str | None = None
    entry_point: Annotated[str, Field(pattern=ENTRY_POINT)] | None = None
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    input_shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    mean: tuple[FiniteFloat, ...]
    std: tuple[PositiveFloat, ...]
    fit: Fit | None = None
    recipe: str | None = None
    sigma_train: Annotated[FiniteFloat, Field(ge=0)] | None = None
    command: str | None = None
    training_data: TrainingData | None = None
    metrics: tuple[Metric, ...] = ()
    recommended: Recommended = Recommended()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.architecture is None) == (self.entry_point is None):
            raise ValueError(
                "exactly one of 'architecture' and 'entry_point' must be given, "
                f"got {self.architecture!r} and {self.entry_point!r}"
            )
        channels, height, width = self.input_shape
        for field in ("mean", "std"):
            if len(getattr(self, field)) != channels:
                raise ValueError(f"'{field}' must have {channels} values, got {len(getattr(self, field))}")
        if len(set(self.classes)) != len(self.classes):
            repeated = sorted({name for name in self.classes if self.classes.count(name) > 1})
            raise ValueError(f"'classes' must have different names, got {repeated} repeatedly")
        if self.fit is not None and self.fit.resize < max(height, width):
            raise ValueError(f"'fit.resize' must be >= {max(height, width)}, got {self.fit.resize}")
        return self


class Card(Description):
    """The content of ``card.json``: the description, and the fields that `write_bundle` adds."""

    format_version: Literal[1] = 1
    examples: tuple[Example, ...] = ()
    digests: Digests
    created: datetime

    @model_validator(mode="after")
    def _examples_have_classes(self) -> Self:
        for example in self.examples:
            if example.label >= len(self.classes):
                raise ValueError(
                    f"'label' of {example.file} must be < {len(self.classes)}, got {example.label}"
                )
        return self


def bundle_digest(card: Card) -> str:
    """Return the SHA-256 of everything in a bundle that affects an answer, and of nothing else.

    Certificates and the memory of certified regions are bound to this digest. It does not cover the code of
    an entry point. After a change of that code, give the bundle another entry point or argument.
    """
    decisive = {
        "architecture",
        "entry_point",
        "arguments",
        "classes",
        "input_shape",
        "mean",
        "std",
        "fit",
        "digests",
    }
    content = {"format": "radii-bundle-1", **card.model_dump(mode="json", include=decisive)}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
