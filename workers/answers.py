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
)
from contract.choices import AbstainReason, MemoryOutcome, NoiseKind
from contract.tasks import CertifyTask, PredictTask
from models.backends import ExecutableClassifier
from smoothing import Certification, Noise, Radii, combine, combine_predictions
from smoothing import Prediction as SmoothedPrediction
from workers.branch import Branch
from workers.evidence import noise_evidence, rounded
from workers.shelf import Resident
from workers.words import claim

_NO_MEMORY = Memory(namespace=None, epoch=None, outcome=MemoryOutcome.OFF, index=None, neighbours=[])


@dataclass(frozen=True, eq=False)
class PredictedBranch:
    """What one noise has to say about the label alone."""

    kind: NoiseKind
    noise: Noise
    smoothed: SmoothedPrediction
    statistics_digest: str | None
    classifier: ExecutableClassifier


@dataclass(frozen=True)
class _Verdict:
    """The class and the radii that all noises together stand for."""

    top_class: int | None
    radius: Radii
    same_class_radius: Radii | None
    reason: AbstainReason | None


def certificate(
    task: CertifyTask, resident: Resident, branches: Sequence[Branch], base_class: int, seconds: float
) -> Certificate:
    """Returns the certificate of a finished certification; ``seconds`` is the time spent on it."""
    verdict = _verdict([branch.certification for branch in branches])
    label = None if verdict.top_class is None else _class(resident, verdict.top_class)
    evidence = [noise_evidence(branch, resident.card.input_shape) for branch in branches]
    reason = verdict.reason
    if reason is AbstainReason.TOP_CLASS_NOT_SEPARATED and _no_level_certifies(branches):
        reason = AbstainReason.NO_NOISE_LEVEL_CERTIFIES
    own = verdict.radius.l1 if task.noise is NoiseKind.UNIFORM else verdict.radius.l2
    radius = rounded(verdict.radius)
    return Certificate(
        **_about_image(task, resident, label, base_class, reason),
        radius=radius,
        same_class_radius=verdict.same_class_radius and rounded(verdict.same_class_radius),
        target_radius=task.target_radius,
        target_certified=None if task.target_radius is None else own >= task.target_radius,
        claim=claim(task, label, radius, evidence),
        sigma=branches[0].noise.sigma,
        sigma_policy=task.noise_level,
        bound=task.bound,
        alpha=task.alpha,
        alpha_spent=sum(branch.plan.alpha for branch in branches),
        noise=evidence,
        adaptation=_adaptation(task, [branch.statistics_digest for branch in branches]),
        memory=_NO_MEMORY,
        seed=task.seed,
        compute=_compute(branches[0].classifier, seconds, sum(branch.samples for branch in branches)),
        created_at=datetime.now(UTC),
    )


def prediction(
    task: PredictTask,
    resident: Resident,
    branches: Sequence[PredictedBranch],
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
        alpha=task.alpha,
        seed=task.seed,
        compute=_compute(branches[0].classifier, seconds, sum(one.n for one in smoothed)),
        created_at=datetime.now(UTC),
    )


def _verdict(certifications: Sequence[Certification]) -> _Verdict:
    if len(certifications) == 2:
        both = combine(*certifications)
        reason = None if both.abstain_reason is None else AbstainReason(both.abstain_reason)
        return _Verdict(both.top_class, both.radius, both.same_class_radius, reason)
    (only,) = certifications
    if only.abstain_reason is not None:
        return _Verdict(None, only.radius, None, AbstainReason(only.abstain_reason))
    return _Verdict(only.top_class, only.radius, None, None)


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
        "abstain_reason": reason if abstained else None,
        "correct": None if task.label is None else label is not None and label.index == task.label,
    }


def _adaptation(task: CertifyTask | PredictTask, digests: Sequence[str | None]) -> Adaptation:
    known = [digest for digest in digests if digest is not None]
    if not known:
        return Adaptation(used=False, momentum=None, clean_size=None, statistics_digest=None)
    both = hashlib.sha256("".join(known).encode()).hexdigest()
    return Adaptation(
        used=True,
        momentum=task.momentum,
        clean_size=task.clean_size,
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
