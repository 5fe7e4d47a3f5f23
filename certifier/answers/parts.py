"""What certificates and predictions have in common."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from certifier.loading import LoadedModel
from contract.certificates import Adaptation, ClassLabel, Compute
from contract.choices import AbstainReason, Arithmetic, SeedSource
from contract.tasks import Question, Resolved
from models.backends import ExecutableClassifier


@dataclass(frozen=True)
class Identity:
    """What an answer is called, and which image it is about.

    Attributes:
        id: Of the answer.
        image_digest: SHA-256 of the pixels.
        upload_digest: SHA-256 of the file that was sent.
    """

    id: str
    image_digest: str
    upload_digest: str


def about_image(
    identity: Identity,
    question: Question,
    model: LoadedModel,
    base_class: int,
    label: int | None,
    reason: AbstainReason | None,
) -> dict[str, Any]:
    """Returns the fields that every answer has; no label means that the smoothed classifier abstained."""
    abstained = label is None
    return {
        "id": identity.id,
        "model": model.card.name,
        "model_digest": model.digest,
        "image_digest": identity.image_digest,
        "upload_digest": identity.upload_digest,
        "prediction": class_label(model, base_class),
        "label": None if label is None else class_label(model, label),
        "agrees": None if label is None else label == base_class,
        "abstained": abstained,
        "abstain_reason": (reason or AbstainReason.TOP_CLASS_NOT_SEPARATED) if abstained else None,
        "correct": is_correct(question.resolved, label),
    }


def is_correct(resolved: Resolved, label: int | None) -> bool | None:
    """Returns whether a label is the true class; None when that was not given."""
    return None if resolved.label is None else label == resolved.label


def class_label(model: LoadedModel, index: int) -> ClassLabel:
    """Returns a class with its name."""
    return ClassLabel(index=index, name=model.card.classes[index])


def adaptation(resolved: Resolved, digests: Sequence[str | None]) -> Adaptation:
    """Returns whether the model was adapted, and to which statistics: under a hybrid, to two."""
    known = [digest for digest in digests if digest is not None]
    if not known:
        return Adaptation(used=False, momentum=None, clean_size=None, statistics_digest=None)
    both = hashlib.sha256("".join(known).encode()).hexdigest()
    return Adaptation(
        used=True,
        momentum=resolved.momentum,
        clean_size=resolved.clean_size,
        statistics_digest=known[0] if len(known) == 1 else both,
    )


def seed_source(question: Question) -> SeedSource:
    """Returns who chose the seed."""
    return SeedSource.SERVICE if question.asked.seed is None else SeedSource.CLIENT


def compute(classifier: ExecutableClassifier, seconds: float, samples: int, *, exact: bool) -> Compute:
    """Returns where, how and how fast noisy copies were made and classified."""
    return Compute(
        arithmetic=Arithmetic.EXACT if exact else Arithmetic.FLOAT,
        device=str(classifier.device),
        backend=classifier.backend,
        dtype=classifier.dtype,
        torch=str(torch.__version__),
        batch_size=classifier.batch_size,
        seconds=round(seconds, 6),
        samples=samples,
        samples_per_second=round(samples / seconds, 1) if seconds > 0 else 0.0,
    )
