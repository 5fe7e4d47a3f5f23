"""The answers: immutable, and complete enough for anyone to check them without this service."""

from datetime import datetime
from typing import Any

from pydantic import Field

from contract import Frozen
from contract.choices import (
    AbstainReason,
    Arithmetic,
    BoundKind,
    MemoryOutcome,
    NoiseKind,
    NoiseLevel,
    SeedSource,
    StopReason,
)


class ClassLabel(Frozen):
    """A class of the model."""

    index: int = Field(description="Position among the model's classes, from 0.")
    name: str = Field(description="Name in the model's list of classes.")


class Radius(Frozen):
    """Certified radii per norm, for pixels in [0, 1], rounded down. Zero means that nothing is claimed."""

    l2: float
    l1: float
    linf: float

    def of(self, noise: NoiseKind) -> float:
        """Returns the radius in the norm that a noise certifies directly."""
        return self.l1 if noise.norm == "l1" else self.l2


class Look(Frozen):
    """A point, fixed in advance, at which bounds are computed from the votes so far."""

    n: int = Field(description="Number of estimation votes at this look.")
    alpha: float = Field(description="Failure probability that this look may spend.")


class Segment(Frozen):
    """Votes of one random stream. With exact noise there is one, which a job continues after an interruption;
    in floating point, an interrupted job has several segments, each from another stream.
    """

    stream: str = Field(description="Name of the random stream derived from the seed.")
    n: int = Field(description="Votes drawn from the stream.")
    batch_size: int = Field(
        description="Votes made at a time, last. With exact noise, seed and stream determine every vote; in "
        "floating point, the batch size does so, too."
    )


class SigmaTrial(Frozen):
    """A noise level tried while choosing one. Nothing here is certified."""

    sigma: float
    certifies: bool = Field(description="Whether its votes separate a class.")
    proxy_radius: float = Field(description="The radius its votes suggest; not certified.")
    n: int = Field(description="Votes made; the certificate uses none of them.")


class NoiseEvidence(Frozen):
    """The votes under one noise, and the bounds and radii that follow from them."""

    noise: NoiseKind
    sigma: float
    trials: list[SigmaTrial] = Field(description="Levels tried by `auto`, or the one found by `optimize`.")
    statistics_digest: str | None = Field(
        description="SHA-256 of the batch-norm statistics used for the votes; null for the model's own."
    )
    dimension: int = Field(description="Number of pixel values: channels × height × width.")
    n0: int = Field(description="Selection votes.")
    n: int = Field(description="Estimation votes behind the bounds.")
    n_drawn: int = Field(description="Estimation votes made in total.")
    n_planned: int = Field(description="Estimation votes planned; fewer are made when it stops early.")
    stop_reason: StopReason
    looks: list[Look] = Field(
        description="Bounds at all looks hold together, since their alphas add up to at most `alpha`; "
        "the stated bounds are those of the look at `n` votes."
    )
    segments: list[Segment] = Field(description="How the estimation votes were drawn, in order.")
    selection_segments: list[Segment] = Field(description="How the selection votes were drawn.")
    selection_counts: list[int] = Field(
        description="Selection votes per class, from which `top_class` was chosen."
    )
    counts: list[int] = Field(description="Estimation votes per class.")
    top_class: int = Field(description="Index of the class with the most selection votes.")
    runner_up: int | None = Field(
        description="The class with the most estimation votes after `top_class`; null if there are none."
    )
    alpha: float = Field(description="Failure probability of this noise's bounds, over all looks.")
    p_lower: float = Field(description="Lower bound of the probability of the top class under noise.")
    p_upper: float = Field(description="Upper bound of the probability of every other class under noise.")
    alpha_lower: float = Field(description="Failure probability spent on `p_lower`.")
    alpha_upper: float = Field(description="Failure probability spent on `p_upper`.")
    radius: Radius = Field(description="The radii that these bounds prove; zero if no class is separated.")
    radius_limit: float = Field(
        description="The largest possible radius in the noise's own norm: that of `n_planned` equal votes."
    )


class Adaptation(Frozen):
    """Whether batch-norm statistics were re-estimated under the noise, and from what."""

    used: bool
    momentum: float | None = Field(
        description="Weight of the re-estimated statistics against the trained ones."
    )
    clean_size: int | None = Field(description="Number of clean images they were estimated from.")
    statistics_digest: str | None = Field(
        description="SHA-256 of the statistics; for `hybrid`, of the two noises' digests, concatenated."
    )


class Memory(Frozen):
    """What the memory of certified regions did. It guarantees that every later result of this deployment, in
    this namespace and epoch, inside a stored region has that region's label.
    """

    namespace: str | None = Field(
        description="The namespace, prefixed by the tenant if there is one: `tenant/namespace`. "
        "Null if the request uses no memory."
    )
    epoch: str | None = Field(
        description="Changes when the memory is wiped or lost; guarantees of an earlier epoch no longer hold."
    )
    outcome: MemoryOutcome
    index: int | None = Field(
        description="Index of this result's region in the memory; null if none was stored."
    )
    neighbours: list[int] = Field(description="Indices of the regions that decided the label or the radius.")
    inherited: Radius | None = Field(
        description="Radius around this image that stored regions guarantee for its label; `radius` may come "
        "from it instead of the votes. Null if the votes prove as much, or no region contains the image."
    )


class Compute(Frozen):
    """Where and how fast the votes were made. `dtype` is part of the certified base classifier."""

    arithmetic: Arithmetic = Field(
        default=Arithmetic.FLOAT,
        description="`exact`: noise is a whole number of steps between grey levels, drawn by integers, and "
        "the theorem holds without reservation. `float`: noise in floating point keeps low bits of the "
        "image, and the theorem holds for classifiers that do not read them.",
    )
    device: str
    backend: str
    dtype: str
    torch: str
    batch_size: int = Field(description="Votes made at a time.")
    seconds: float = Field(
        description="Seconds spent sampling in this attempt, including the choice of the noise level."
    )
    samples: int = Field(
        description="Noisy images classified in this attempt, including those for choosing the noise level."
    )
    samples_per_second: float


class _AboutImage(Frozen):
    """The fields of every answer about the image, the model and the label."""

    id: str
    model: str
    model_digest: str = Field(description="SHA-256 over everything in the model that can change a result.")
    image_digest: str = Field(description="SHA-256 of the certified pixels.")
    upload_digest: str = Field(description="SHA-256 of the uploaded file.")
    prediction: ClassLabel = Field(description="Label by the base classifier, without noise.")
    label: ClassLabel | None = Field(description="Label by the smoothed classifier; null if it abstains.")
    agrees: bool | None = Field(
        description="Whether `prediction` and `label` are equal; null if it abstains."
    )
    abstained: bool = Field(description="Whether there is no label, so that nothing is claimed.")
    abstain_reason: AbstainReason | None = Field(description="Why it abstains; null if it does not.")
    correct: bool | None = Field(
        description="Whether `label` is the true class; null if the request names none."
    )


_SEED_SOURCE: Any = Field(
    default=None,
    description="`service`: the seed follows from a secret of the deployment, the model and the image, so "
    "nobody could choose the votes. `client`: the votes prove something only if the seed was drawn at "
    "random, before the image was chosen. Null in answers of earlier releases.",
)


class Certificate(_AboutImage):
    """A label, a radius, and the evidence for them."""

    radius: Radius = Field(
        description="No perturbation smaller than this changes the label. For `hybrid`: none changes it to "
        "another class; beyond `same_class_radius` the classifier may abstain."
    )
    same_class_radius: Radius | None = Field(
        description="For `hybrid`: within it the smoothed classifiers of both noises have this label."
    )
    target_radius: float | None = Field(description="The radius that the request asks about.")
    target_certified: bool | None = Field(
        description="Whether `target_radius` is certified: in ℓ2, or in ℓ1 for `uniform`; null without one."
    )
    claim: str = Field(description="The guarantee, in words.")
    sigma: float
    sigma_policy: NoiseLevel
    bound: BoundKind
    alpha: float = Field(description="The requested failure probability.")
    alpha_spent: float = Field(description="The failure probability spent, at most `alpha`.")
    noise: list[NoiseEvidence]
    adaptation: Adaptation
    memory: Memory
    seed: str
    seed_source: SeedSource | None = _SEED_SOURCE
    compute: Compute
    created_at: datetime

    @property
    def noise_kind(self) -> NoiseKind:
        """The noise of the request."""
        kinds = [evidence.noise for evidence in self.noise]
        return kinds[0] if len(kinds) == 1 else NoiseKind.HYBRID


class PredictionVotes(Frozen):
    """The votes under one noise, and their test."""

    noise: NoiseKind
    sigma: float
    statistics_digest: str | None = Field(
        description="SHA-256 of the batch-norm statistics used for the votes; null for the model's own."
    )
    n: int
    counts: list[int] = Field(description="Votes per class.")
    top_class: int = Field(description="Index of the class with the most votes.")
    runner_up: int | None = Field(description="Index of the class with the second most votes; null if none.")
    p_value: float = Field(description="p-value of the test that the two leading classes are equally likely.")
    alpha: float = Field(description="Failure probability of this noise's test.")


# Not `Prediction`: generators make one variable of a class and one of each field, and a field is `prediction`
class PredictedLabel(_AboutImage):
    """The smoothed classifier's label, or an abstention; no radius."""

    sigma: float
    noise: list[PredictionVotes] = Field(description="Empty if the result comes from the memory.")
    adaptation: Adaptation
    memory: Memory
    alpha: float
    seed: str
    seed_source: SeedSource | None = _SEED_SOURCE
    compute: Compute
    created_at: datetime


class Check(Frozen):
    """One recomputed part of a certificate."""

    name: str
    passed: bool
    message: str


class Verification(Frozen):
    """A certificate's bounds and radius, recomputed from the votes it states."""

    certificate_id: str
    valid: bool
    checks: list[Check]
