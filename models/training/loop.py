"""The training loop, the same for every recipe."""

import hashlib

import numpy as np
import torch
from torch import Tensor, nn

from models.architectures import build_architecture
from models.backends import find_device
from models.backends.precision import native_bfloat16
from models.data import Dataset, LabelledImages
from models.errors import TrainingError
from models.initialise import initialised_from
from models.layout import memory_format
from models.normalize import Normalize, NormalizedClassifier
from models.training.checkpoint import Conditions, TrainingState, restore_checkpoint, save_checkpoint
from models.training.distributed import Group
from models.training.feeding import Batch, Crop, TrainingImages, augmented
from models.training.plan import TrainingPlan
from models.training.progress import Progress
from models.training.recipes import RECIPES, Step
from models.training.schedule import one_cycle
from models.training.validation import validate


class BatchLoss(nn.Module):
    """A recipe's loss as a module, so that gradients can be averaged over processes in one place."""

    def __init__(self, plan: TrainingPlan, model: nn.Module) -> None:
        super().__init__()
        self._plan = plan
        self.model = model

    def forward(self, step: Step) -> Tensor:
        """Return the loss of one batch."""
        device = step.images.device
        with torch.autocast(device.type, torch.bfloat16, enabled=use_bfloat16(self._plan, device)):
            return RECIPES[self._plan.recipe].loss(step, **self._plan.recipe_arguments)


def fit(plan: TrainingPlan, dataset: Dataset, progress: Progress, group: Group) -> TrainingState:
    """Train a classifier by the plan; return it, in eval mode, with all that it was trained with.

    A checkpoint is written after every epoch; a resumed run gives the same weights as an uninterrupted one.

    Raises:
        TrainingError: if the network does not take its arguments, there are too few images, they have a
            margin where the plan wants a border, the checkpoint is damaged or of another plan or other
            conditions, or the loss diverges.
    """
    device = group.device(find_device(plan.device).type)
    kept, held_out = split(plan, dataset.train)
    training = TrainingImages(kept, device, padding(plan, dataset))
    state = initial_state(plan, dataset, device)
    if memory := RECIPES[plan.recipe].memory:
        state.memory.update(memory(len(kept), plan.sigma, device))
    here = conditions(plan, dataset, device, group)
    if plan.resume and plan.checkpoint.exists():
        restore_checkpoint(plan, state, device, here)
    losses = group.parallel(BatchLoss(plan, state.model))
    while state.epoch < plan.epochs:
        loss = train_epoch(plan, state, losses, training, progress, group)
        state.epoch += 1
        if group.first:
            state.model.eval()
            validation = validate(plan, state.model, held_out, device) if len(held_out) else None
            if validation is not None and plan.kept == "best":
                state.remember_if_best(validation.score(plan.recipe))
            save_checkpoint(plan, state, here)
            progress.epoch_done(state.epoch, loss, validation)
        group.wait()
    state.model.eval()
    return state


def split(plan: TrainingPlan, data: LabelledImages) -> tuple[LabelledImages, LabelledImages]:
    """Set training images aside for validation, and drop those that the plan does not use."""
    least, name = (plan.batch_size, "batch_size") if plan.images is None else (plan.images, "images")
    if len(data) < plan.held_out + least:
        raise TrainingError(
            f"'held_out' + '{name}' must be <= {len(data)} training images, got {plan.held_out} + {least}"
        )
    order = np.random.default_rng([plan.seed, 1]).permutation(len(data))
    held_out, others = order[: plan.held_out], order[plan.held_out :]
    return data.take(others[: plan.images]), data.take(held_out).centred()


def padding(plan: TrainingPlan, dataset: Dataset) -> int:
    """Return the border for the random crop, in pixels.

    Raises:
        TrainingError: if the plan wants one where images have a margin, out of which they are cropped.
    """
    if plan.crop_padding is None:
        return dataset.crop_padding
    if dataset.train.margin:
        raise TrainingError(
            f"'crop_padding' must be omitted for {dataset.name}, whose images have a margin for the crop, "
            f"got {plan.crop_padding}"
        )
    return plan.crop_padding


def conditions(plan: TrainingPlan, dataset: Dataset, device: torch.device, group: Group) -> Conditions:
    """Return what decides the outcome besides the plan: where it leaves a choice, what was chosen."""
    labels = dataset.train.labels
    return {
        "processes": group.size,  # each draws from a stream of its own
        "device": device.type,
        "precision": "bfloat16" if use_bfloat16(plan, device) else "float32",
        "training_labels": f"{len(labels)} of sha256 {hashlib.sha256(labels.tobytes()).hexdigest()}",
    }


def initial_state(plan: TrainingPlan, dataset: Dataset, device: torch.device) -> TrainingState:
    """Build the classifier with weights drawn from the plan's seed, and the optimizer.

    Raises:
        TrainingError: if the network does not take its arguments.
    """
    try:
        with initialised_from(plan.seed):
            network = build_architecture(
                plan.architecture, len(dataset.classes), dataset.input_shape[0], plan.architecture_arguments
            )
    except ValueError as error:
        raise TrainingError(str(error)) from error
    classifier = NormalizedClassifier(Normalize(dataset.mean, dataset.std), network)
    model = classifier.to(device).to(memory_format=memory_format(network, device))
    optimizer = torch.optim.SGD(
        model.parameters(), lr=plan.learning_rate, momentum=0.9, nesterov=True, weight_decay=plan.weight_decay
    )
    return TrainingState(model=model, optimizer=optimizer)


def train_epoch(
    plan: TrainingPlan,
    state: TrainingState,
    losses: nn.Module,
    training: TrainingImages,
    progress: Progress,
    group: Group,
) -> float:
    """Pass over the training images once, in a new order, and return the mean loss."""
    state.model.train()
    device = training.device
    order = torch.randperm(len(training), generator=_stream(plan, state.epoch, 0, torch.device("cpu")))
    generator = _stream(plan, state.epoch, 1 + group.rank, device)
    before = {key: value.clone() for key, value in state.memory.items()}
    batches = list(torch.split(order, plan.batch_size))
    if len(batches[-1]) < plan.batch_size:
        batches.pop()  # a small batch would disturb the batch statistics
    total = 0.0
    for number, batch in enumerate(training.batches([group.share(indices) for indices in batches])):
        done = (state.epoch + number / len(batches)) / plan.epochs
        loss = train_step(plan, state, losses, training.crop, batch, generator, done)
        total += loss
        progress.step(state.epoch, number + 1, len(batches), loss)
    for key, value in state.memory.items():
        state.memory[key] = group.merge(before[key], value)
    return group.mean(total / len(batches))


def train_step(
    plan: TrainingPlan,
    state: TrainingState,
    losses: nn.Module,
    crop: Crop,
    batch: Batch,
    generator: torch.Generator,
    done: float,
) -> float:
    """Update the weights on one batch and return its loss."""
    for parameters in state.optimizer.param_groups:
        parameters["lr"] = plan.learning_rate * one_cycle(done)
    step = Step(
        model=state.model,
        images=augmented(batch.images, crop, flip=plan.flip, generator=generator),
        labels=batch.labels,
        indices=batch.indices,
        sigma=torch.full((len(batch.indices),), plan.sigma, device=batch.indices.device),
        generator=generator,
        progress=done,
        label_smoothing=plan.label_smoothing,
        memory=state.memory,
    )
    state.optimizer.zero_grad()
    loss: Tensor = losses(step)
    value = loss.item()
    if not np.isfinite(value):
        raise TrainingError(f"the loss must stay finite, got {value} at {done:.0%}; lower 'learning_rate'")
    loss.backward()  # type: ignore[no-untyped-call]
    state.optimizer.step()
    return value


def use_bfloat16(plan: TrainingPlan, device: torch.device) -> bool:
    """Say whether the forward pass runs in bfloat16."""
    return plan.precision == "bfloat16" or (plan.precision == "auto" and native_bfloat16(device.type))


def _stream(plan: TrainingPlan, epoch: int, use: int, device: torch.device) -> torch.Generator:
    """One epoch's own source of randomness for one use, so that a resumed run need not restore any."""
    seed = int(np.random.SeedSequence([plan.seed, epoch, use]).generate_state(1, np.uint64)[0])
    return torch.Generator(device).manual_seed(seed)
