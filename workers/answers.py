"""From votes to the answer that a client gets: rounding down, and the claim in words."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import torch

from contract.certificates import (
    Adaptation,
    Certificate,
    ClassLabel,
    Compute,
    Look,
    Memory,
    NoiseEvidence,
    Prediction,
    Radius,
)
from contract.choices import AbstainReason, MemoryOutcome
from contract.tasks import CertifyTask, PredictTask
from smoothing import Certification, Noise, round_down
from smoothing import Look as ScheduledLook
from smoothing import Prediction as SmoothedPrediction
from smoothing.bounds import perfect_vote_p_lower
from workers.shelf import Resident

_NOT_ADAPTED = Adaptation(used=False, momentum=None, statistics_digest=None)
_NO_MEMORY = Memory(namespace=None, epoch=None, outcome=MemoryOutcome.OFF, index=None, neighbours=[])


def certificate(
    task: CertifyTask,
    resident: Resident,
    noise: Noise,
    certification: Certification,
    looks: Sequence[ScheduledLook],
    base_class: int,
    seconds: float,
) -> Certificate:
    """Returns the certificate of a finished certification; ``seconds`` is the time spent sampling."""
    label = None if certification.abstained else _class(resident, certification.top_class)
    radii = certification.radius.rounded_down()
    evidence = _evidence(task, resident, noise, certification, looks)
    return Certificate(
        **_about_image(task, resident, label, base_class),
        radius=Radius(l2=radii.l2, l1=radii.l1, linf=radii.linf),
        same_class_radius=None,
        claim=_claim(label, radii.l2, task),
        sigma=task.sigma,
        sigma_policy=task.noise_level,
        bound=task.bound,
        alpha=task.alpha,
        alpha_spent=certification.alpha,
        noise=[evidence],
        adaptation=_NOT_ADAPTED,
        memory=_NO_MEMORY,
        seed=task.seed,
        compute=_compute(resident, seconds, task.n0 + certification.n_drawn),
        created_at=datetime.now(UTC),
    )


def prediction(
    task: PredictTask, resident: Resident, smoothed: SmoothedPrediction, base_class: int, seconds: float
) -> Prediction:
    """Returns the answer to a prediction; ``seconds`` is the time spent sampling."""
    label = None if smoothed.abstained else _class(resident, smoothed.top_class)
    return Prediction(
        **_about_image(task, resident, label, base_class),
        noise=task.noise,
        sigma=task.sigma,
        n=smoothed.n,
        counts=[int(count) for count in smoothed.counts],
        runner_up=smoothed.runner_up,
        p_value=smoothed.p_value,
        alpha=task.alpha,
        seed=task.seed,
        compute=_compute(resident, seconds, smoothed.n),
        created_at=datetime.now(UTC),
    )


def _about_image(
    task: CertifyTask | PredictTask, resident: Resident, label: ClassLabel | None, base_class: int
) -> dict[str, Any]:
    """The fields that every answer has; no label means that g abstained."""
    abstained = label is None
    return {
        "id": task.job_id,
        "model": task.model,
        "model_digest": resident.digest,
        "image_digest": task.image_digest,
        "upload_digest": task.upload_digest,
        "prediction": _class(resident, base_class),
        "label": label,
        "agrees": None if label is None else label.index == base_class,
        "abstained": abstained,
        "abstain_reason": AbstainReason.TOP_CLASS_NOT_SEPARATED if abstained else None,
        "correct": None if task.label is None else label is not None and label.index == task.label,
    }


def _evidence(
    task: CertifyTask,
    resident: Resident,
    noise: Noise,
    certification: Certification,
    looks: Sequence[ScheduledLook],
) -> NoiseEvidence:
    bound = certification.bound
    channels, height, width = resident.card.input_shape
    dimension = channels * height * width
    best = perfect_vote_p_lower(task.n, task.alpha)
    return NoiseEvidence(
        noise=task.noise,
        sigma=task.sigma,
        dimension=dimension,
        n0=task.n0,
        n=certification.n,
        n_planned=task.n,
        looks=[Look(n=look.n, alpha=look.alpha) for look in looks],
        selection_counts=[int(count) for count in certification.selection_counts],
        counts=[int(count) for count in certification.counts],
        top_class=certification.top_class,
        runner_up=bound.runner_up,
        p_lower=bound.p_lower,
        p_upper=bound.p_upper,
        alpha_lower=bound.alpha_lower,
        alpha_upper=bound.alpha_upper,
        radius_limit=round_down(noise.radius(best, 1.0 - best, dimension=dimension).l2),
    )


def _class(resident: Resident, index: int) -> ClassLabel:
    return ClassLabel(index=index, name=resident.card.classes[index])


def _claim(label: ClassLabel | None, radius: float, task: CertifyTask) -> str:
    if label is None:
        return "No claim: no class was separated from the others by these votes."
    return (
        f"The smoothed classifier (this model under {task.noise} noise, sigma {task.sigma:g}) answers "
        f"'{label.name}' for this image and for every image within an l2 distance below {radius:.6f} of it "
        f"(pixels in [0, 1]), unless an event of probability at most {task.alpha:g} happened while sampling."
    )


def _compute(resident: Resident, seconds: float, samples: int) -> Compute:
    classifier = resident.classifier
    return Compute(
        device=str(classifier.device),
        backend=classifier.backend,
        dtype=classifier.dtype,
        torch=str(torch.__version__),
        batch_size=classifier.batch_size,
        seconds=round(seconds, 6),
        samples=samples,
        samples_per_second=round(samples / seconds, 1) if seconds > 0 else 0.0,
    )
