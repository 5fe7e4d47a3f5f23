"""What to train: everything that decides the outcome of a run, made once and passed down."""

import re
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from models.architectures import ARCHITECTURES
from models.bundles.card import BUNDLE_NAME
from models.data import DATASETS
from models.errors import TrainingError, faults
from models.training.recipes import RECIPES, checked_arguments, recipe_within
from models.training.recipes.arguments import Count, NotNegative, Positive

_FREE: Final = frozenset(
    {"out", "last_out", "data_root", "download", "device", "resume", "overwrite", "name", "command"}
)
"""Fields that do not decide the outcome."""

_OMITTED: Final = (
    *("batch_size", "learning_rate", "weight_decay", "label_smoothing", "crop_padding", "held_out", "images"),
    *("keep", "precision"),
)
"""Fields that a command omits where they are at their default."""


def _one_of(names: Collection[str]) -> AfterValidator:
    def check(value: str, info: ValidationInfo) -> str:
        _require(value in names, str(info.field_name), f"be one of {', '.join(names)}", value)
        return value

    return AfterValidator(check)


def _require(held: bool, field: str, rule: str, value: object) -> None:
    if not held:
        raise ValueError(f"'{field}' must {rule}, got {value!r}")


class TrainingPlan(BaseModel):
    """One training run.

    Raises:
        TrainingError: A field or an argument of the recipe breaks its rule, or would do nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Annotated[str, _one_of(RECIPES)] = Field(description="How to train.")
    out: Path = Field(description="Folder of the bundle to write; its name is the bundle's.")
    dataset: Annotated[str, _one_of(DATASETS)] = Field("fashion-mnist", description="What to train on.")
    data_root: Path | None = Field(
        None, description="Folder of the data set's files. Default: where they usually lie."
    )
    download: bool = Field(False, description="Download the data set if it is missing.")
    architecture: Annotated[str, _one_of(ARCHITECTURES)] = Field(
        "preact_resnet18", description="The network."
    )
    architecture_arguments: Mapping[str, object] = Field(
        {}, description="Its arguments besides the number of classes and of channels."
    )
    recipe_arguments: Mapping[str, object] = Field({}, description="The recipe's arguments besides the step.")
    sigma: NotNegative = Field(
        0.5,
        description="Noise level of training and validation, pixels in [0, 1]; 0 only for recipes that train "
        "without noise.",
    )
    epochs: Count = Field(10, description="Passes over the training images.")
    batch_size: Count = Field(256, description="Images a step.")
    learning_rate: Positive = Field(0.2, description="Peak of the one-cycle schedule.")
    weight_decay: NotNegative = Field(5e-4, description="On all parameters.")
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Of the cross entropy; macer has none."
    )
    crop_padding: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="Black border of the random crop, pixels; imagenet has none. Default: by data set.",
    )
    flip: bool = Field(True, description="Mirror images at random.")
    held_out: Annotated[int, Field(ge=0)] = Field(
        2000,
        description="Training images kept for validation; 0: none, and then the best epoch is unknown.",
    )
    images: Count | None = Field(
        None, description="Training images to use, drawn by the seed. Default: all others."
    )
    keep: Literal["best", "last"] | None = Field(
        None,
        description="best stops early, at the epoch that is best on held-out images. Default: best for "
        "adversarial training, which overfits, last for the others.",
    )
    last_out: Path | None = Field(
        None, description="Folder of a second bundle: the last epoch, where the best is kept."
    )
    seed: Annotated[int, Field(ge=0, lt=2**64)] = Field(
        0, description="Decides initialisation, order, augmentation, noise and the choice of clean images."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto is CUDA where there is one.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Of the forward pass; auto is bfloat16 where the device computes in it."
    )
    resume: bool = Field(
        False, description="Go on from the checkpoint that an interrupted run left beside OUT."
    )
    overwrite: bool = Field(
        False, description="Replace an existing bundle; without --resume, an interrupted run as well."
    )
    name: str | None = Field(None, description="Of the bundle. Default: the folder's.")
    command: str | None = Field(None, description="For the card. Default: the command of this plan.")

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise TrainingError(faults(error, "plan")) from error

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        checked_arguments(self.recipe, self.recipe_arguments)
        self._require_effect()
        if self.images is not None:
            _require(
                self.images >= self.batch_size, "images", f"be >= 'batch_size' {self.batch_size}", self.images
            )
        known = self.held_out > 0 or self.kept != "best"
        _require(known, "held_out", "be > 0 where the best epoch is kept", self.held_out)
        _require_name(*(("name", self.name) if self.name else ("out", self.out.name)))
        if self.last_out is not None:
            self._require_second_place(self.last_out)
        return self

    def _require_effect(self) -> None:
        """Refuse fields that the recipe would pass over."""
        rule = f"be > 0 where '{self.recipe}' trains with noise"
        _require(self.sigma > 0 or not RECIPES[self.recipe].noise, "sigma", rule, self.sigma)
        within = recipe_within(self.recipe, self.recipe_arguments)
        rule = f"be 0 for '{within}', which has no cross entropy"
        smoothed = RECIPES[within].label_smoothing
        _require(not self.label_smoothing or smoothed, "label_smoothing", rule, self.label_smoothing)

    def _require_second_place(self, last_out: Path) -> None:
        """Refuse a second bundle where the first holds the last epoch, and a place where it cannot be."""
        if self.kept == "last":
            raise ValueError("'last_out' must be omitted where the last epoch is kept anyway")
        same = last_out.resolve() == self.out.resolve()
        _require(not same, "last_out", "be another folder than 'out'", str(last_out))
        _require_name("last_out", last_out.name)

    @property
    def kept(self) -> Literal["best", "last"]:
        """Which epoch the bundle holds."""
        return self.keep or RECIPES[self.recipe].keep

    @property
    def checkpoint(self) -> Path:
        """Where the state of an unfinished run lies."""
        return self.out.with_name(f"{self.out.name}.checkpoint.pt")

    def law(self) -> dict[str, str]:
        """Return the fields that decide the outcome; a checkpoint resumes only under the same ones."""
        return {name: _text(value) for name, value in self if name not in _FREE}

    def radii_command(self) -> str:
        """Return the command line that repeats this run; what is at its default is omitted, mostly."""
        words = ["radii", "train", self.recipe, "--dataset", self.dataset]
        words += self._changed("architecture")
        words += ["--sigma", str(self.sigma)]
        for key, value in {**self.architecture_arguments, **self.recipe_arguments}.items():
            words += _option(key, value)
        words += ["--epochs", str(self.epochs)]
        for key in _OMITTED:
            words += self._changed(key)
        if not self.flip:
            words.append("--no-flip")
        words += [*_option("seed", self.seed), *_option("out", self.out), *self._changed("last_out")]
        return shlex.join(words)

    def _changed(self, key: str) -> list[str]:
        value = getattr(self, key)
        return [] if value == type(self).model_fields[key].default else _option(key, value)


def _require_name(key: str, name: str) -> None:
    """Checked before training, since the card that would refuse it is written after."""
    _require(
        re.fullmatch(BUNDLE_NAME, name) is not None,
        key,
        "be fit to name a bundle (up to 64 lower-case letters, digits, '.', '_' and '-', first a letter or "
        "digit)",
        name,
    )


def _option(key: str, value: object) -> list[str]:
    return [f"--{key.replace('_', '-')}", str(value)]


def _text(value: object) -> str:
    return repr(sorted(value.items())) if isinstance(value, Mapping) else repr(value)
