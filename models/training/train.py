"""From a plan to a bundle."""

from pathlib import Path

import numpy as np
from rich.console import Console
from torch import nn

from models.bundles import Description, ExampleImage, Metric, Recommended, TrainingData, write_bundle
from models.bundles.errors import BundleExistsError
from models.data import Dataset, LabelledImages, load_dataset
from models.training.loop import fit, resolve_device
from models.training.measure import accuracy
from models.training.plan import TrainingPlan
from models.training.progress import Progress
from models.training.recipes import WITHOUT_NOISE

CLEAN_SET_SIZE = 512
VOTES_ON_CPU = 20_000


def train(plan: TrainingPlan, *, console: Console | None = None) -> Path:
    """Train by the plan, measure on the test split, write the bundle, and return its folder.

    Raises:
        BundleExistsError: before training, if the folder is taken and may not be replaced.
        DatasetError: if the data set's files are missing or damaged.
        TrainingError: if the plan does not suit the data or the checkpoint, or the loss diverges.
    """
    if plan.out.exists() and not plan.overwrite:
        raise BundleExistsError(f"'out' must not exist yet, got {plan.out}")
    dataset = load_dataset(plan.dataset, plan.data_root, download=plan.download)
    with Progress(console, plan.epochs) as progress:
        classifier = fit(plan, dataset, progress)
    metrics = measured(plan, classifier, dataset.test)
    clean = dataset.train.balanced(CLEAN_SET_SIZE, np.random.default_rng([plan.seed, 2]))
    licence_file = f"LICENSE-{dataset.name}.txt"
    write_bundle(
        plan.out,
        describe(plan, dataset, metrics, licence_file),
        classifier.network,
        clean=clean.images,
        clean_labels=clean.labels,
        examples=first_of_each_class(dataset.test),
        extra_files={licence_file: dataset.licence_text},
        overwrite=plan.overwrite,
    )
    plan.checkpoint.unlink(missing_ok=True)
    return plan.out


def measured(plan: TrainingPlan, classifier: nn.Module, test: LabelledImages) -> tuple[Metric, ...]:
    """Measure accuracy on all test images in float32: clean, and under one draw of the training noise."""
    device = resolve_device(plan.device)
    command = plan.command or plan.radii_command()
    sigmas = {"clean_accuracy": None, "noisy_accuracy": plan.sigma or None}
    return tuple(
        Metric(
            metric=metric,
            value=accuracy(classifier, test, sigma=sigma or 0.0, seed=plan.seed, device=device),
            n=len(test),
            sigma=sigma,
            command=command,
        )
        for metric, sigma in sigmas.items()
        if metric == "clean_accuracy" or sigma is not None
    )


def describe(
    plan: TrainingPlan, dataset: Dataset, metrics: tuple[Metric, ...], licence_file: str
) -> Description:
    """Fill in the card of a trained classifier."""
    return Description.model_validate(
        {
            "name": plan.name or plan.out.name,
            "architecture": plan.architecture,
            "arguments": dict(plan.architecture_arguments),
            "classes": dataset.classes,
            "input_shape": dataset.input_shape,
            "mean": dataset.mean,
            "std": dataset.std,
            "fit": {"resize": max(dataset.input_shape[1:])},
            "recipe": plan.recipe,
            "sigma_train": 0.0 if plan.recipe in WITHOUT_NOISE else plan.sigma,
            "command": plan.command or plan.radii_command(),
            "training_data": TrainingData(
                name=dataset.name, licence=dataset.licence, licence_file=licence_file
            ),
            "metrics": metrics,
            "recommended": Recommended(sigma=plan.sigma or 0.25, n=VOTES_ON_CPU),
        }
    )


def first_of_each_class(test: LabelledImages) -> list[ExampleImage]:
    """Return the first test image of every class, as examples that nobody has picked."""
    labels, positions = np.unique(test.labels, return_index=True)
    return [
        ExampleImage(test.images[index], int(label), int(index))
        for label, index in zip(labels, positions, strict=True)
    ]
