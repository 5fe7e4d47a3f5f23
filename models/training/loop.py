"""The training loop, the same for every recipe."""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.architectures import build_architecture
from models.backends.precision import native_bfloat16
from models.data import Dataset, LabelledImages
from models.initialise import initialised_from
from models.normalize import Normalize, NormalizedClassifier
from models.training.augment import random_crop, random_flip
from models.training.checkpoint import TrainingState, restore_checkpoint, save_checkpoint
from models.training.measure import accuracy
from models.training.plan import TrainingError, TrainingPlan
from models.training.progress import Progress
from models.training.recipes import RECIPES, Step
from models.training.schedule import one_cycle


@dataclass(frozen=True)
class TrainingImages:
    """Training images on the device: ``(n, c, h, w)`` uint8, labels ``(n,)``, and their largest shift."""

    images: Tensor
    labels: Tensor
    crop_padding: int


def fit(plan: TrainingPlan, dataset: Dataset, progress: Progress) -> NormalizedClassifier:
    """Train a classifier by the plan and return it in eval mode.

    A checkpoint is written after every epoch; a resumed run gives the same weights as an uninterrupted one.

    Raises:
        TrainingError: if there are too few images, the checkpoint is another plan's, or the loss diverges.
    """
    device = torch.device(resolve_device(plan.device))
    kept, held_out = split(plan, dataset.train)
    training = TrainingImages(
        torch.from_numpy(kept.images).to(device),
        torch.from_numpy(kept.labels).to(device),
        dataset.crop_padding if plan.crop_padding is None else plan.crop_padding,
    )
    state = initial_state(plan, dataset, device)
    if plan.resume and plan.checkpoint.exists():
        restore_checkpoint(plan, state)
    while state.epoch < plan.epochs:
        loss = train_epoch(plan, state, training, progress)
        state.epoch += 1
        save_checkpoint(plan, state)
        state.model.eval()
        measure = functools.partial(accuracy, state.model, held_out, device=device)
        progress.epoch_done(state.epoch, loss, clean=measure(), noisy=measure(sigma=plan.sigma))
    classifier = state.model.eval()
    assert isinstance(classifier, NormalizedClassifier)  # noqa: S101
    return classifier


def split(plan: TrainingPlan, data: LabelledImages) -> tuple[LabelledImages, LabelledImages]:
    """Set training images aside for validation."""
    if len(data) < plan.held_out + plan.batch_size:
        raise TrainingError(
            f"'held_out' + 'batch_size' must be <= {len(data)} training images, "
            f"got {plan.held_out} + {plan.batch_size}"
        )
    order = np.random.default_rng([plan.seed, 1]).permutation(len(data))
    return data.take(order[plan.held_out :]), data.take(order[: plan.held_out])


def initial_state(plan: TrainingPlan, dataset: Dataset, device: torch.device) -> TrainingState:
    """Build the classifier with weights drawn from the plan's seed, and the optimizer and generators."""
    with initialised_from(plan.seed):
        network = build_architecture(
            plan.architecture, len(dataset.classes), dataset.input_shape[0], plan.architecture_arguments
        )
    classifier = NormalizedClassifier(Normalize(dataset.mean, dataset.std), network)
    model: nn.Module = classifier.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=plan.learning_rate, momentum=0.9, nesterov=True, weight_decay=plan.weight_decay
    )
    return TrainingState(
        model=model,
        optimizer=optimizer,
        order=torch.Generator().manual_seed(plan.seed + 1),
        generator=torch.Generator(device).manual_seed(plan.seed + 2),
        memory={},
    )


def train_epoch(
    plan: TrainingPlan, state: TrainingState, training: TrainingImages, progress: Progress
) -> float:
    """Pass over the training images once, in a new order, and return the mean loss."""
    state.model.train()
    order = torch.randperm(len(training.images), generator=state.order).to(training.images.device)
    batches = list(torch.split(order, plan.batch_size))
    if len(batches[-1]) < plan.batch_size:
        batches.pop()  # a small batch would disturb the batch statistics
    total = 0.0
    for number, indices in enumerate(batches):
        done = (state.epoch + number / len(batches)) / plan.epochs
        loss = train_step(plan, state, training, indices, done)
        total += loss
        progress.step(state.epoch, number + 1, len(batches), loss)
    return total / len(batches)


def train_step(
    plan: TrainingPlan, state: TrainingState, training: TrainingImages, indices: Tensor, done: float
) -> float:
    """Update the weights on one batch and return its loss."""
    for group in state.optimizer.param_groups:
        group["lr"] = plan.learning_rate * one_cycle(done)
    step = Step(
        model=state.model,
        images=augmented(plan, training, indices, state.generator),
        labels=training.labels[indices],
        indices=indices,
        sigma=plan.sigma,
        generator=state.generator,
        progress=done,
        label_smoothing=plan.label_smoothing,
        memory=state.memory,
    )
    state.optimizer.zero_grad()
    with torch.autocast(indices.device.type, torch.bfloat16, enabled=use_bfloat16(plan, indices.device)):
        try:
            loss: Tensor = RECIPES[plan.recipe](step, **plan.recipe_arguments)
        except ValueError as error:  # an argument of the recipe is out of range
            raise TrainingError(str(error)) from error
    value = loss.item()
    if not np.isfinite(value):
        raise TrainingError(f"the loss must stay finite, got {value} at {done:.0%}; lower 'learning_rate'")
    loss.backward()  # type: ignore[no-untyped-call]
    state.optimizer.step()
    return value


def augmented(
    plan: TrainingPlan, training: TrainingImages, indices: Tensor, generator: torch.Generator
) -> Tensor:
    """Turn some 8-bit images into float32 ones in pixel units, cropped and mirrored at random."""
    floats = training.images[indices].float() / 255
    if training.crop_padding:
        floats = random_crop(floats, training.crop_padding, generator)
    if plan.flip:
        floats = random_flip(floats, generator)
    return floats.contiguous(memory_format=torch.channels_last)


def resolve_device(device: str) -> str:
    """Return ``cuda`` or ``cpu`` for ``auto``."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def use_bfloat16(plan: TrainingPlan, device: torch.device) -> bool:
    """Say whether the forward pass runs in bfloat16."""
    return plan.precision == "bfloat16" or (plan.precision == "auto" and native_bfloat16(device.type))
