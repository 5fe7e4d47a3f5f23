"""What to train: everything that decides the outcome of a run, made once and passed down."""

import dataclasses
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from models.architectures import ARCHITECTURES
from models.bundles.card import BUNDLE_NAME
from models.data import DATASETS
from models.errors import TrainingError
from models.training.recipes import RECIPES, check_arguments, recipe_within
from models.training.rules import NOT_NEGATIVE, POSITIVE, Rule, integer, number, one_of

_OPTIONS = (
    "batch_size",
    "learning_rate",
    "weight_decay",
    "label_smoothing",
    "crop_padding",
    "held_out",
    "images",
    "keep",
    "precision",
)

_RULES: Final = {
    "recipe": one_of(RECIPES),
    "dataset": one_of(DATASETS),
    "architecture": one_of(ARCHITECTURES),
    "sigma": NOT_NEGATIVE,
    "epochs": integer(1),
    "batch_size": integer(1),
    "learning_rate": POSITIVE,
    "weight_decay": NOT_NEGATIVE,
    "label_smoothing": number("in [0, 1)", lambda value: 0 <= value < 1),
    "crop_padding": integer(0),
    "held_out": integer(0),
    "images": integer(1),
    "keep": one_of(("best", "last")),
    "seed": Rule("an integer in [0, 2**64)", lambda value: integer(0).holds(value) and value < 2**64),
    "device": one_of(("auto", "cpu", "cuda")),
    "precision": one_of(("auto", "float32", "bfloat16")),
}

_MAY_BE_NONE: Final = frozenset({"crop_padding", "images", "keep"})

_NAME: Final = Rule(
    "fit to name a bundle (up to 64 lower-case letters, digits, '.', '_' and '-', first a letter or digit)",
    lambda value: re.fullmatch(BUNDLE_NAME, value) is not None,
)
"""Checked before training, since the card that would refuse it is written after."""

_FREE = frozenset(
    {"out", "last_out", "data_root", "download", "device", "resume", "overwrite", "name", "command"}
)


@dataclass(frozen=True)
class TrainingPlan:
    """One training run.

    Attributes:
        recipe: a name in ``RECIPES``.
        out: folder of the bundle to write; its name is the bundle's. The checkpoint lies beside it.
        dataset: a name in ``DATASETS``.
        data_root: folder of the data set's files; None looks where they usually lie.
        download: whether the data set may be downloaded.
        architecture: a name in ``ARCHITECTURES``.
        architecture_arguments: its arguments besides the number of classes and of channels.
        recipe_arguments: the recipe's arguments besides the step.
        sigma: standard deviation of the training noise in pixel units; also that of validation. 0 means none,
            and is for recipes that train without.
        epochs: passes over the training images.
        batch_size: images a step.
        learning_rate: the peak of the one-cycle schedule.
        weight_decay: on all parameters.
        label_smoothing: of the cross entropy; 0 for recipes that have none.
        crop_padding: pixels of black border for the random crop; None takes what suits the data set. It must
            be None where images have a margin, out of which they are cropped.
        flip: whether images are mirrored at random.
        held_out: training images kept for the validation numbers, not trained on; with 0 there are no such
            numbers, and no epoch can be told to be the best.
        images: how many of the other training images are trained on, drawn by the seed; None takes all.
        keep: ``best`` stops early, at the epoch that is best on held-out images; None means ``best`` for
            adversarial training, which overfits, and ``last`` for the others.
        last_out: folder of a second bundle, of the last epoch, where the best one is kept; another than out.
        seed: decides initialisation, order, augmentation, noise and the choice of clean images.
        device: ``auto`` is CUDA where there is one.
        precision: of the forward pass; ``auto`` is bfloat16 where the device computes in it.
        resume: whether to go on from the checkpoint, when there is one.
        overwrite: whether an existing bundle may be replaced, and unless resuming, the checkpoint of an
            interrupted run.
        name: of the bundle; None takes the folder's.
        command: for the card; None writes the ``radii train`` command of this plan.

    Raises:
        TrainingError: if a field or an argument of the recipe breaks its rule, or would do nothing.
    """

    recipe: str
    out: Path
    dataset: str = "fashion-mnist"
    data_root: Path | None = None
    download: bool = False
    architecture: str = "preact_resnet18"
    architecture_arguments: Mapping[str, object] = field(default_factory=dict)
    recipe_arguments: Mapping[str, object] = field(default_factory=dict)
    sigma: float = 0.5
    epochs: int = 10
    batch_size: int = 256
    learning_rate: float = 0.2
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    crop_padding: int | None = None
    flip: bool = True
    held_out: int = 2000
    images: int | None = None
    keep: Literal["best", "last"] | None = None
    last_out: Path | None = None
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    resume: bool = False
    overwrite: bool = False
    name: str | None = None
    command: str | None = None

    def __post_init__(self) -> None:
        for key, rule in _RULES.items():
            value = getattr(self, key)
            if value is not None or key not in _MAY_BE_NONE:
                rule.require(key, value)
        check_arguments(self.recipe, self.recipe_arguments)
        self._require_effect()
        if self.images is not None and self.images < self.batch_size:
            raise TrainingError(f"'images' must be >= 'batch_size' {self.batch_size}, got {self.images}")
        if self.held_out == 0 and self.kept == "best":
            raise TrainingError("'held_out' must be > 0 where the best epoch is kept, got 0")
        if self.name:
            _NAME.require("name", self.name)
        else:
            _NAME.require("out", self.out.name)
        if self.last_out is not None:
            self._require_second_place(self.last_out)

    def _require_effect(self) -> None:
        """Refuse fields that the recipe would pass over."""
        if RECIPES[self.recipe].noise and self.sigma == 0:
            raise TrainingError(
                f"'sigma' must be > 0 where '{self.recipe}' trains with noise, got {self.sigma}"
            )
        within = recipe_within(self.recipe, self.recipe_arguments)
        if self.label_smoothing and not RECIPES[within].label_smoothing:
            raise TrainingError(
                f"'label_smoothing' must be 0 for '{within}', which has no cross entropy, "
                f"got {self.label_smoothing}"
            )

    def _require_second_place(self, last_out: Path) -> None:
        """Refuse a second bundle where the first holds the last epoch, and a place where it cannot be."""
        if self.kept == "last":
            raise TrainingError("'last_out' must be left out where the last epoch is kept anyway")
        if last_out.resolve() == self.out.resolve():
            raise TrainingError(f"'last_out' must be another folder than 'out', got {last_out}")
        _NAME.require("last_out", last_out.name)

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
        names = [item.name for item in dataclasses.fields(self) if item.name not in _FREE]
        return {name: _text(getattr(self, name)) for name in names}

    def radii_command(self) -> str:
        """Return the command line that repeats this run."""
        words = ["radii", "train", self.recipe, "--dataset", self.dataset]
        if self.architecture != "preact_resnet18":
            words += ["--architecture", self.architecture]
        words += ["--sigma", str(self.sigma)]
        for key, value in {**self.architecture_arguments, **self.recipe_arguments}.items():
            words += [f"--{key.replace('_', '-')}", str(value)]
        words += ["--epochs", str(self.epochs)]
        for key in _OPTIONS:
            if getattr(self, key) != getattr(TrainingPlan, key):
                words += [f"--{key.replace('_', '-')}", str(getattr(self, key))]
        if not self.flip:
            words.append("--no-flip")
        last = [] if self.last_out is None else ["--last-out", str(self.last_out)]
        return shlex.join([*words, "--seed", str(self.seed), "--out", str(self.out), *last])


def _text(value: object) -> str:
    return repr(sorted(value.items())) if isinstance(value, Mapping) else repr(value)
