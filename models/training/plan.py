"""What to train: everything that decides the outcome of a run, made once and passed down."""

import dataclasses
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from models.architectures import ARCHITECTURES
from models.data import DATASETS
from models.training.recipes import RECIPES, recipe_parameters

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

_CHOICES: Final = {
    "keep": ("best", "last"),
    "device": ("auto", "cpu", "cuda"),
    "precision": ("auto", "float32", "bfloat16"),
}

_FREE = frozenset(
    {"out", "last_out", "data_root", "download", "device", "resume", "overwrite", "name", "command"}
)


class TrainingError(ValueError):
    """A plan is impossible, or a checkpoint does not belong to it."""


@dataclass(frozen=True)
class TrainingPlan:
    """One training run.

    Attributes:
        recipe: a name in ``RECIPES``.
        out: folder of the bundle to write; the checkpoint lies beside it.
        dataset: a name in ``DATASETS``.
        data_root: folder of the data set's files; None looks where they usually lie.
        download: whether the data set may be downloaded.
        architecture: a name in ``ARCHITECTURES``.
        architecture_arguments: its arguments besides the number of classes and of channels.
        recipe_arguments: the recipe's arguments besides the step.
        sigma: standard deviation of the training noise in pixel units; also that of validation. 0 means none.
        epochs: passes over the training images.
        batch_size: images a step.
        learning_rate: the peak of the one-cycle schedule.
        weight_decay: on all parameters.
        label_smoothing: of the cross entropy.
        crop_padding: pixels of black border for the random crop; None takes what suits the data set.
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
        overwrite: whether an existing bundle may be replaced.
        name: of the bundle; None takes the folder's.
        command: for the card; None writes the ``radii train`` command of this plan.
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
        for key, names in (("recipe", RECIPES), ("dataset", DATASETS), ("architecture", ARCHITECTURES)):
            if getattr(self, key) not in names:
                raise TrainingError(f"'{key}' must be one of {sorted(names)}, got {getattr(self, key)!r}")
        for key, choices in _CHOICES.items():
            if getattr(self, key) not in (*choices, getattr(TrainingPlan, key)):
                raise TrainingError(f"'{key}' must be one of {[*choices]}, got {getattr(self, key)!r}")
        for key in ("epochs", "batch_size", "learning_rate"):
            if not getattr(self, key) > 0:
                raise TrainingError(f"'{key}' must be > 0, got {getattr(self, key)}")
        if self.crop_padding is not None and self.crop_padding < 0:
            raise TrainingError(f"'crop_padding' must be >= 0, got {self.crop_padding}")
        if self.images is not None and self.images < self.batch_size:
            raise TrainingError(f"'images' must be >= 'batch_size' {self.batch_size}, got {self.images}")
        for key in ("sigma", "weight_decay", "held_out", "seed"):
            if not getattr(self, key) >= 0:
                raise TrainingError(f"'{key}' must be >= 0, got {getattr(self, key)}")
        if self.held_out == 0 and self.kept == "best":
            raise TrainingError("'held_out' must be > 0 where the best epoch is kept, got 0")
        known = recipe_parameters(self.recipe, self.recipe_arguments)
        for key in self.recipe_arguments:
            if key not in known:
                raise TrainingError(f"'{key}' is no argument of the recipe '{self.recipe}'")
        if self.last_out is not None and self.kept == "last":
            raise TrainingError("'last_out' must be left out where the last epoch is kept anyway")
        if self.last_out is not None and self.last_out.resolve() == self.out.resolve():
            raise TrainingError(f"'last_out' must be another folder than 'out', got {self.last_out}")
        if not 0 <= self.label_smoothing < 1:
            raise TrainingError(f"'label_smoothing' must be in [0, 1), got {self.label_smoothing}")

    @property
    def kept(self) -> Literal["best", "last"]:
        """Which epoch the bundle holds."""
        return self.keep or ("best" if self.recipe == "adversarial" else "last")

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
        words += ["--sigma", f"{self.sigma:g}"]
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
