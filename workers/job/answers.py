"""From votes to the answer that a client gets: combining noises, rounding down, and the words."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import torch

from contract.certificates import (
    Adaptation,
    Certificate,
    ClassLabel,
    Compute,
    Memory,
    Prediction,
    PredictionVotes,
    Radius,
)
from contract.choices import AbstainReason, MemoryOutcome, NoiseKind
from contract.tasks import CertifyTask, PredictTask
from models.backends import ExecutableClassifier
from smoothing import Noise, Radii, combine, combine_predictions
from smoothing import Prediction as SmoothedPrediction
from workers.job.branch import Branch
from workers.job.claim import claim
from workers.job.evidence import noise_evidence, rounded
from workers.job.shelf import Resident
from workers.memory.placing import NO_RADIUS, Finding, Placed, in_each_norm


@dataclass(frozen=True, eq=False)
class PredictedBranch:
    """What one noise has to say about the label alone."""

    kind: NoiseKind
    noise: Noise
    smoothed: SmoothedPrediction
    statistics_digest: str | None
    classifier: ExecutableClassifier


@dataclass(frozen=True)
class Verdict:
    """The class and the radii that the votes under all noises stand for; radii are rounded down.

    Attributes:
        finding: The class, or None, and its radii.
        unrounded: The radii before they were rounded.
        same_class_radius: For a hybrid: within it the class cannot be lost to abstention.
        reason: Why there is no class, or None.
    """

    finding: Finding
    unrounded: Radii
    same_class_radius: Radius | None
    reason: AbstainReason | None


def certificate(
    task: CertifyTask,
    resident: Resident,
    branches: Sequence[Branch],
    verdict: Verdict,
    placed: Placed,
    base_class: int,
    seconds: float,
) -> Certificate:
    """Returns the certificate of a finished certification, as it is placed in the memory.

    Args:
        task: What was asked.
        resident: The model.
        branches: The votes under each noise.
        verdict: What they stand for.
        placed: What is left of that beside what the memory holds.
        base_class: The base classifier's own answer.
        seconds: The time spent on it.
    """
    label = None if placed.label is None else _class(resident, placed.label)
    evidence = [noise_evidence(branch, resident.card.input_shape) for branch in branches]
    return Certificate(
        **_about_image(task, resident, label, base_class, verdict.reason),
        radius=placed.radius,
        same_class_radius=_same_class_radius(verdict, placed),
        target_radius=task.question.asked.target_radius,
        target_certified=None
        if task.question.asked.target_radius is None
        else _reaches(task, verdict, placed),
        claim=claim(task, label, placed.radius, evidence, placed.memory),
        sigma=branches[0].noise.sigma,
        sigma_policy=task.question.resolved.noise_level,
        bound=task.question.asked.bound,
        alpha=task.question.asked.alpha,
        alpha_spent=sum(branch.plan.alpha for branch in branches),
        noise=evidence,
        adaptation=_adaptation(task, [branch.statistics_digest for branch in branches]),
        memory=placed.memory,
        seed=task.question.resolved.seed,
        compute=_compute(branches[0].classifier, seconds, sum(branch.samples for branch in branches)),
        created_at=datetime.now(UTC),
    )


def repeated(task: CertifyTask, earlier: Certificate, memory: Memory) -> Certificate:
    """Returns the certificate that the memory holds for this very question, for another job."""
    label = earlier.label
    return earlier.model_copy(
        update={
            "id": task.job_id,
            "claim": claim(task, label, earlier.radius, earlier.noise, memory),  # of the epoch of now
            "upload_digest": task.upload_digest,
            "correct": None
            if task.question.resolved.label is None
            else label is not None and label.index == task.question.resolved.label,
            "memory": memory,
            "compute": earlier.compute.model_copy(
                update={"seconds": 0.0, "samples": 0, "samples_per_second": 0.0}
            ),
            "created_at": datetime.now(UTC),
        }
    )


def _same_class_radius(verdict: Verdict, placed: Placed) -> Radius | None:
    """The votes are about their own class, not about one that the memory gives."""
    if verdict.same_class_radius is None:
        return None
    same = placed.label == verdict.finding.label
    return in_each_norm(min, verdict.same_class_radius, placed.radius) if same else NO_RADIUS


def _reaches(task: CertifyTask, verdict: Verdict, placed: Placed) -> bool:
    """It is held against the radius before rounding, unless the memory changed it."""
    assert task.question.asked.target_radius is not None  # noqa: S101 (there is one to be reached)
    norm = "l1" if task.question.asked.noise is NoiseKind.UNIFORM else "l2"
    stated, found = (getattr(radius, norm) for radius in (placed.radius, verdict.finding.radius))
    radius: float = getattr(verdict.unrounded, norm) if stated == found else stated
    return placed.label is not None and radius >= task.question.asked.target_radius


def remembered(
    task: PredictTask,
    resident: Resident,
    placed: Placed,
    branches: Sequence[PredictedBranch],
    base_class: int,
    seconds: float,
) -> Prediction:
    """Returns the answer to a prediction whose image lies in a region.

    There are ``branches``, made in so many seconds, if the region was stored while they voted. Their time is
    told, and their votes are not: the answer does not rest on them.
    """
    assert placed.label is not None  # noqa: S101 (that is what the region says)
    return Prediction(
        **_about_image(task, resident, _class(resident, placed.label), base_class, None),
        sigma=task.question.resolved.sigma,
        noise=[],
        adaptation=_adaptation(task, []),
        memory=placed.memory.model_copy(update={"outcome": MemoryOutcome.REPEATED}),
        alpha=task.question.asked.alpha,
        seed=task.question.resolved.seed,
        compute=_compute(resident.classifier, seconds, sum(branch.smoothed.n for branch in branches)),
        created_at=datetime.now(UTC),
    )


def prediction(
    task: PredictTask,
    resident: Resident,
    branches: Sequence[PredictedBranch],
    memory: Memory,
    base_class: int,
    seconds: float,
) -> Prediction:
    """Returns the answer to a prediction; ``seconds`` is the time spent on it."""
    smoothed = [branch.smoothed for branch in branches]
    top_class = combine_predictions(*smoothed) if len(smoothed) == 2 else _predicted(smoothed[0])
    label = None if top_class is None else _class(resident, top_class)
    disagree = label is None and not any(one.abstained for one in smoothed)
    reason = AbstainReason.BRANCHES_DISAGREE if disagree else AbstainReason.TOP_CLASS_NOT_SEPARATED
    return Prediction(
        **_about_image(task, resident, label, base_class, reason),
        sigma=branches[0].noise.sigma,
        noise=[_votes(branch) for branch in branches],
        adaptation=_adaptation(task, [branch.statistics_digest for branch in branches]),
        memory=memory,
        alpha=task.question.asked.alpha,
        seed=task.question.resolved.seed,
        compute=_compute(branches[0].classifier, seconds, sum(one.n for one in smoothed)),
        created_at=datetime.now(UTC),
    )


def verdict(branches: Sequence[Branch]) -> Verdict:
    """Returns what the votes under all noises stand for together."""
    certifications = [branch.certification for branch in branches]
    if len(certifications) == 2:
        both = combine(*certifications)
        top_class, radius, same = both.top_class, both.radius, rounded(both.same_class_radius)
        reason = None if both.abstain_reason is None else AbstainReason(both.abstain_reason)
    else:
        (only,) = certifications
        radius, same = only.radius, None
        top_class = None if only.abstained else only.top_class
        reason = None if only.abstain_reason is None else AbstainReason(only.abstain_reason)
    if reason is AbstainReason.TOP_CLASS_NOT_SEPARATED and _no_level_certifies(branches):
        reason = AbstainReason.NO_NOISE_LEVEL_CERTIFIES
    return Verdict(Finding(top_class, rounded(radius)), radius, same, reason)


def _no_level_certifies(branches: Sequence[Branch]) -> bool:
    """Whether `auto` found no level that separates a class, under any noise."""
    return all(branch.trials and not any(trial.certifies for trial in branch.trials) for branch in branches)


def _predicted(smoothed: SmoothedPrediction) -> int | None:
    return None if smoothed.abstained else smoothed.top_class


def _votes(branch: PredictedBranch) -> PredictionVotes:
    smoothed = branch.smoothed
    return PredictionVotes(
        noise=branch.kind,
        sigma=branch.noise.sigma,
        statistics_digest=branch.statistics_digest,
        n=smoothed.n,
        counts=[int(count) for count in smoothed.counts],
        top_class=smoothed.top_class,
        runner_up=smoothed.runner_up,
        p_value=smoothed.p_value,
        alpha=smoothed.alpha,
    )


def _about_image(
    task: CertifyTask | PredictTask,
    resident: Resident,
    label: ClassLabel | None,
    base_class: int,
    reason: AbstainReason | None,
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
        "abstain_reason": (reason or AbstainReason.TOP_CLASS_NOT_SEPARATED) if abstained else None,
        "correct": None
        if task.question.resolved.label is None
        else label is not None and label.index == task.question.resolved.label,
    }


def _adaptation(task: CertifyTask | PredictTask, digests: Sequence[str | None]) -> Adaptation:
    known = [digest for digest in digests if digest is not None]
    if not known:
        return Adaptation(used=False, momentum=None, clean_size=None, statistics_digest=None)
    both = hashlib.sha256("".join(known).encode()).hexdigest()
    return Adaptation(
        used=True,
        momentum=task.question.resolved.momentum,
        clean_size=task.question.resolved.clean_size,
        statistics_digest=known[0] if len(known) == 1 else both,
    )


def _class(resident: Resident, index: int) -> ClassLabel:
    return ClassLabel(index=index, name=resident.card.classes[index])


def _compute(classifier: ExecutableClassifier, seconds: float, samples: int) -> Compute:
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
