"""The answers: immutable, and with enough in them to be checked again without us."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from contract.choices import AbstainReason, BoundKind, MemoryOutcome, NoiseKind, NoiseLevel, StopReason


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class ClassLabel(_Answer):
    """A class of the model."""

    index: int
    name: str


class Radius(_Answer):
    """Certified radii per norm, pixels being in [0, 1]; rounded down. Zero means that nothing is claimed."""

    l2: float
    l1: float
    linf: float

    def of(self, noise: NoiseKind) -> float:
        """Returns the radius in the norm that a noise certifies directly."""
        return self.l1 if noise.norm == "l1" else self.l2


class Look(_Answer):
    """One of the moments, fixed in advance, at which the votes are bounded."""

    n: int = Field(description="Estimation votes made by then.")
    alpha: float = Field(description="Failure probability that this look may spend.")


class Segment(_Answer):
    """Votes that were drawn in one go. A job that was interrupted has several, each of another stream."""

    stream: str = Field(description="Name of the random stream of the seed.")
    n: int = Field(description="Votes drawn from it.")
    batch_size: int = Field(description="Votes made at a time; with seed and stream, it decides every vote.")


class SigmaTrial(_Answer):
    """A noise level that was tried while one was chosen. Nothing here is certified."""

    sigma: float
    certifies: bool = Field(description="Whether its votes separated a class.")
    proxy_radius: float = Field(description="The radius that its votes suggest; not certified.")
    n: int = Field(description="Votes made; none of them counts for the certificate.")


class NoiseEvidence(_Answer):
    """The votes under one noise, and the bounds and radii that follow from them."""

    noise: NoiseKind
    sigma: float
    trials: list[SigmaTrial] = Field(description="Levels tried by `auto`, or the one found by `optimize`.")
    statistics_digest: str | None = Field(
        description="SHA-256 of the batch-norm statistics that the votes were made with; null: the model's."
    )
    dimension: int = Field(description="Channels times height times width.")
    n0: int = Field(description="Selection votes.")
    n: int = Field(description="Estimation votes behind the bounds.")
    n_drawn: int = Field(description="Estimation votes made in all.")
    n_planned: int = Field(description="Estimation votes that would have been made without an early stop.")
    stop_reason: StopReason
    looks: list[Look] = Field(
        description="All of them hold at once, since their alphas add up to `alpha` at most; "
        "the bounds are those of the look at `n` votes."
    )
    segments: list[Segment] = Field(description="How the estimation votes were drawn, in order.")
    selection_segments: list[Segment] = Field(description="How the selection votes were drawn.")
    selection_counts: list[int] = Field(description="Selection votes per class; they chose `top_class`.")
    counts: list[int] = Field(description="Estimation votes per class.")
    top_class: int
    runner_up: int | None = Field(description="The other class with most estimation votes, if any had one.")
    alpha: float = Field(description="Failure probability of this noise's bounds, all looks together.")
    p_lower: float = Field(description="Lower bound of the top class's probability under noise.")
    p_upper: float = Field(description="Upper bound of every other class's probability under noise.")
    alpha_lower: float = Field(description="Failure probability spent on `p_lower`.")
    alpha_upper: float = Field(description="Failure probability spent on `p_upper`.")
    radius: Radius = Field(
        description="What these bounds prove under this noise; zero: no class is separated."
    )
    radius_limit: float = Field(
        description="The radius, in the noise's own norm, had all `n_planned` votes been equal; rounded down."
    )


class Adaptation(_Answer):
    """Whether batch-norm statistics were re-estimated under the noise, and which were used."""

    used: bool
    momentum: float | None = Field(description="Weight of the new statistics against the trained ones.")
    clean_size: int | None = Field(description="Clean images that they were estimated from.")
    statistics_digest: str | None = Field(
        description="SHA-256 of the statistics; under `hybrid`, of both noises' digests, one after the other."
    )


class Memory(_Answer):
    """What the memory of certified regions did. Its claim: every later answer of this deployment, in this
    namespace and epoch, inside a stored region has that region's label.
    """

    namespace: str | None = Field(
        description="The namespace, with the tenant before it if there is one: `tenant/namespace`. "
        "Null when no memory was asked for."
    )
    epoch: str | None = Field(
        description="Changes when a memory was wiped or lost: what an earlier epoch promised holds no more."
    )
    outcome: MemoryOutcome
    index: int | None = Field(description="Place of this answer's region in the memory; null: none stored.")
    neighbours: list[int] = Field(description="Places of the regions that decided label or radius.")
    inherited: Radius | None = Field(
        description="What regions that hold this image promise round it for its label; `radius` may rest on "
        "this and not on the votes. Null: the votes' radius is no smaller, or no region holds the image."
    )


class Compute(_Answer):
    """Where and how fast the votes were made. `dtype` is part of the base classifier that is certified."""

    device: str
    backend: str
    dtype: str
    torch: str
    batch_size: int = Field(description="Votes made at a time.")
    seconds: float = Field(description="Time spent sampling in this attempt, choosing the level included.")
    samples: int = Field(description="Noisy copies classified in this attempt, by choosing the level, too.")
    samples_per_second: float


class _AboutImage(_Answer):
    """What every answer says of the image, the model and the label."""

    id: str
    model: str
    model_digest: str = Field(description="SHA-256 over everything of the model that changes an answer.")
    image_digest: str = Field(description="SHA-256 of the pixels that were certified.")
    upload_digest: str = Field(description="SHA-256 of the file that was sent.")
    prediction: ClassLabel = Field(description="The base classifier's own answer, without noise.")
    label: ClassLabel | None = Field(description="The smoothed classifier's answer; null when it abstains.")
    agrees: bool | None = Field(description="Whether both are the same; null when it abstains.")
    abstained: bool
    abstain_reason: AbstainReason | None
    correct: bool | None = Field(description="Whether `label` is the true class; null when none was given.")


class Certificate(_AboutImage):
    """A label, a radius, and the evidence for them."""

    radius: Radius = Field(
        description="No perturbation smaller than this changes the label. Under `hybrid`: none makes it "
        "another class, though beyond `same_class_radius` it may be lost to abstention."
    )
    same_class_radius: Radius | None = Field(
        description="For `hybrid`: within it the label cannot be lost to abstention."
    )
    target_radius: float | None = Field(description="The radius that was asked about.")
    target_certified: bool | None = Field(
        description="Whether it is certified: in ℓ2, or in ℓ1 under `uniform`; null when none was asked."
    )
    claim: str = Field(description="What is guaranteed, in words.")
    sigma: float
    sigma_policy: NoiseLevel
    bound: BoundKind
    alpha: float = Field(description="The failure probability asked for.")
    alpha_spent: float = Field(description="The failure probability used, never above `alpha`.")
    noise: list[NoiseEvidence]
    adaptation: Adaptation
    memory: Memory
    seed: str
    compute: Compute
    created_at: datetime

    @property
    def noise_kind(self) -> NoiseKind:
        """The noise that was asked for."""
        kinds = [evidence.noise for evidence in self.noise]
        return kinds[0] if len(kinds) == 1 else NoiseKind.HYBRID


class PredictionVotes(_Answer):
    """The votes under one noise, and the test of them."""

    noise: NoiseKind
    sigma: float
    statistics_digest: str | None = Field(
        description="SHA-256 of the batch-norm statistics that the votes were made with; null: the model's."
    )
    n: int
    counts: list[int] = Field(description="Votes per class.")
    top_class: int
    runner_up: int | None
    p_value: float = Field(description="Of the test that the two leading classes are equally likely.")
    alpha: float = Field(description="Failure probability of this noise's test.")


class Prediction(_AboutImage):
    """The smoothed classifier's label, or an abstention; no radius."""

    sigma: float
    noise: list[PredictionVotes] = Field(description="Empty when the memory answered.")
    adaptation: Adaptation
    memory: Memory
    alpha: float
    seed: str
    compute: Compute
    created_at: datetime


class Check(_Answer):
    """One thing that was recomputed."""

    name: str
    passed: bool
    message: str


class Verification(_Answer):
    """A certificate's bound and radius, recomputed from the counts it states."""

    certificate_id: str
    valid: bool
    checks: list[Check]
