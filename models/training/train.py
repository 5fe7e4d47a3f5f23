"""From a plan to a bundle."""

from pathlib import Path

import numpy as np
from rich.console import Console
from torch import nn

from models.backends import find_device
from models.backends.precision import float32_means_float32
from models.bundles import (
    BundleError,
    Description,
    ExampleImage,
    Metric,
    Recommended,
    TrainingData,
    read_card,
    write_bundle,
)
from models.bundles.write import require_free
from models.data import Dataset, LabelledImages, load_dataset
from models.errors import TrainingError
from models.images import as_pixels
from models.normalize import NormalizedClassifier
from models.training.checkpoint import TrainingState, epochs_done
from models.training.distributed import joined
from models.training.loop import fit
from models.training.measure import accuracy
from models.training.plan import TrainingPlan
from models.training.progress import Progress
from models.training.recipes import RECIPES
from smoothing import Gaussian, adaptable, estimate_statistics, generator_for, with_statistics

CLEAN_SET_SIZE = 512
VOTES_ON_CPU = 20_000


def train(plan: TrainingPlan, *, console: Console | None = None) -> Path:
    """Train by the plan, measure on the test split, write the bundle, and return its folder.

    Under ``torchrun`` every process calls this; the first one measures and writes.

    Raises:
        BackendError: if the device is missing.
        BundleExistsError: before training, if a folder is taken and may not be replaced.
        DatasetError: if the data set's files are missing or damaged.
        TrainingError: if the plan does not suit the data or the checkpoint, if it starts anew where an
            interrupted run has left one, or if the loss diverges.
    """
    kind = find_device(plan.device).type  # first, before anything slow
    for key, folder in (("out", plan.out), ("last_out", plan.last_out)):
        if folder is not None:
            require_free(folder, overwrite=plan.overwrite or made_by(plan, folder), key=key)
    if plan.checkpoint.exists() and not (plan.resume or plan.overwrite):
        raise TrainingError(
            f"'out' must have no checkpoint of an interrupted run beside it, got {plan.checkpoint}: "
            "`--resume` goes on from it, `--overwrite` starts anew"
        )
    with joined(kind, plan.batch_size) as group:
        dataset = group.in_turn(lambda: load_dataset(plan.dataset, plan.data_root, download=plan.download))
        with Progress(console if group.first else None, plan.epochs) as progress:
            state = fit(plan, dataset, progress, group)
        if group.first:
            write_bundles(plan, dataset, state)
        group.wait()
    return plan.out


def made_by(plan: TrainingPlan, folder: Path) -> bool:
    """Say whether a folder holds a bundle that this very run wrote before it was interrupted.

    That is where all epochs are done, so the checkpoint is only there because the other bundle is missing.
    """
    if not (plan.resume and folder.exists()):
        return False
    try:
        ours = read_card(folder).command == card_command(plan)
    except BundleError:
        return False
    return ours and epochs_done(plan) >= plan.epochs


def write_bundles(plan: TrainingPlan, dataset: Dataset, state: TrainingState) -> None:
    """Write the bundle of the plan, and that of the last epoch besides if the plan asks for it."""
    if plan.last_out is not None:
        write_one(plan, plan.last_out, dataset, state.model, epoch=plan.epochs)
    epoch = plan.epochs
    if plan.kept == "best":
        state.model.load_state_dict(state.best.weights)
        epoch = state.best.epoch
    write_one(plan, plan.out, dataset, state.model, epoch=epoch)
    plan.checkpoint.unlink(missing_ok=True)


def write_one(
    plan: TrainingPlan, out: Path, dataset: Dataset, classifier: NormalizedClassifier, *, epoch: int
) -> None:
    """Measure one classifier and write its bundle."""
    kept = Metric(metric="epoch", value=epoch, n=plan.held_out or 1, command=card_command(plan))
    clean = dataset.train.balanced(CLEAN_SET_SIZE, np.random.default_rng([plan.seed, 2])).centred()
    metrics = (*measured(plan, classifier, dataset.test, clean), kept)
    licence_file = f"LICENSE-{dataset.name}.txt"
    write_bundle(
        out,
        describe(plan, out, dataset, metrics, licence_file),
        classifier.network,
        clean=np.asarray(clean.images[:]),
        clean_labels=clean.labels,
        examples=first_of_each_class(dataset.test),
        extra_files={licence_file: dataset.licence_text},
        overwrite=plan.overwrite or made_by(plan, out),
    )


def card_command(plan: TrainingPlan) -> str:
    """Return the command that the card names."""
    return plan.command or plan.radii_command()


def measured(
    plan: TrainingPlan, classifier: nn.Module, test: LabelledImages, clean: LabelledImages
) -> tuple[Metric, ...]:
    """Measure accuracy on all test images in float32: clean, and under one draw of the plan's noise.

    Under noise twice where there is batch normalisation: with its statistics as trained, and re-estimated
    under the noise from the clean images.
    """
    device = find_device(plan.device).type
    subjects: list[tuple[str, float | None, nn.Module]] = [("clean_accuracy", None, classifier)]
    if plan.sigma:
        subjects.append(("noisy_accuracy", plan.sigma, classifier))
        if adaptable(classifier):
            pixels = as_pixels(np.asarray(clean.images[:]), device)
            generator = generator_for(plan.seed, "adaptation", device=device)
            with float32_means_float32(pixels.device):
                statistics = estimate_statistics(
                    classifier, pixels, Gaussian(plan.sigma), generator=generator
                )
            adapted = with_statistics(classifier, statistics).to(device).eval()
            subjects.append(("noisy_accuracy_adapted", plan.sigma, adapted))
    return tuple(
        Metric(
            metric=metric,
            value=accuracy(subject, test, sigma=sigma or 0.0, seed=plan.seed, device=device),
            n=len(test),
            sigma=sigma,
            command=card_command(plan),
        )
        for metric, sigma, subject in subjects
    )


def describe(
    plan: TrainingPlan, out: Path, dataset: Dataset, metrics: tuple[Metric, ...], licence_file: str
) -> Description:
    """Fill in the card of a trained classifier."""
    return Description.model_validate(
        {
            "name": plan.name if plan.name and out == plan.out else out.name,
            "architecture": plan.architecture,
            "arguments": dict(plan.architecture_arguments),
            "classes": dataset.classes,
            "input_shape": dataset.input_shape,
            "mean": dataset.mean,
            "std": dataset.std,
            "fit": {"resize": dataset.resize or max(dataset.input_shape[1:])},
            "recipe": plan.recipe,
            "sigma_train": plan.sigma if RECIPES[plan.recipe].noise else 0.0,
            "command": card_command(plan),
            "training_data": TrainingData(
                name=dataset.name, licence=dataset.licence, licence_file=licence_file
            ),
            "metrics": metrics,
            "recommended": Recommended(sigma=plan.sigma or 0.25, n=VOTES_ON_CPU),
        }
    )


def first_of_each_class(test: LabelledImages) -> list[ExampleImage]:
    """Return the first test image of every class, as examples that are not chosen by hand."""
    labels, positions = np.unique(test.labels, return_index=True)
    return [
        ExampleImage(test.images[index], int(label), int(index))
        for label, index in zip(labels, positions, strict=True)
    ]
