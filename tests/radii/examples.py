"""Certificates to print."""

from datetime import UTC, datetime

from contract.certificates import (
    Adaptation,
    Certificate,
    ClassLabel,
    Compute,
    Look,
    Memory,
    NoiseEvidence,
    Radius,
)
from contract.choices import AbstainReason, BoundKind, MemoryOutcome, NoiseKind, NoiseLevel


def certificate() -> Certificate:
    """One that claims something."""
    boot = ClassLabel(index=0, name="boot")
    return Certificate(
        id="d" * 32,
        model="toy",
        model_digest="1" * 64,
        image_digest="2" * 64,
        upload_digest="3" * 64,
        prediction=boot,
        label=boot,
        agrees=True,
        abstained=False,
        abstain_reason=None,
        correct=None,
        radius=Radius(l2=0.812399, l1=0.812399, linf=0.029014),
        same_class_radius=None,
        claim="…",
        sigma=0.5,
        sigma_policy=NoiseLevel.FIXED,
        bound=BoundKind.TWO_SIDED,
        alpha=0.001,
        alpha_spent=0.001,
        noise=[
            NoiseEvidence(
                noise=NoiseKind.GAUSSIAN, sigma=0.5, dimension=784, n0=100, n=1000, n_planned=1000, looks=[Look(n=1000, alpha=0.001)],
                selection_counts=[99, 1, 0], counts=[990, 6, 4], top_class=0, runner_up=1,
                p_lower=0.976, p_upper=0.02, alpha_lower=0.0009, alpha_upper=0.0001, radius_limit=1.2,
            )
        ],
        adaptation=Adaptation(used=False, momentum=None, statistics_digest=None),
        memory=Memory(namespace=None, epoch=None, outcome=MemoryOutcome.OFF, index=None, neighbours=[]),
        seed="0",
        compute=Compute(
            device="cpu", backend="eager", dtype="float32", torch="2", batch_size=64, seconds=0.1, samples=1100,
            samples_per_second=11000,
        ),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def abstention() -> Certificate:
    """One that claims nothing."""
    return certificate().model_copy(
        update={
            "label": None,
            "agrees": None,
            "abstained": True,
            "abstain_reason": AbstainReason.TOP_CLASS_NOT_SEPARATED,
            "radius": Radius(l2=0, l1=0, linf=0),
        }
    )
