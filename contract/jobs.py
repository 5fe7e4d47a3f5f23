"""The state of one request. All fields are always present; fields that do not apply are null."""

from datetime import datetime

from pydantic import Field

from contract import Frozen
from contract.certificates import Certificate, PredictedLabel
from contract.choices import JobKind, JobStatus, Stage
from contract.problems import Problem


class Progress(Frozen):
    """How far a job is. `radius_so_far` is already certified: the final radius is not smaller, unless others'
    certificates enter the memory meanwhile, or another attempt starts the votes anew.
    """

    stage: Stage
    completed: int = Field(default=0, description="Votes made.")
    total: int = Field(default=0, description="Votes planned.")
    radius_so_far: float | None = Field(
        default=None,
        description="Radius certified so far: in ℓ2, or in ℓ1 for `uniform`. Always null for `hybrid`, "
        "whose second noise can still contradict the first.",
    )


class Links(Frozen):
    """Paths of what belongs to the job."""

    self: str
    events: str
    certificate: str | None


class Job(Frozen):
    """A submitted request and its state."""

    id: str
    kind: JobKind
    status: JobStatus
    model: str
    attempt: int = Field(description="Number of the attempt: 1, and one more for each worker that was lost.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    progress: Progress
    certificate: Certificate | None = Field(description="The answer of a `certify` job that succeeded.")
    prediction: PredictedLabel | None = Field(description="The answer of a `predict` job that succeeded.")
    error: Problem | None = Field(description="Why the job failed; null unless it did.")
    links: Links


class Submission(Frozen):
    """The record that a job id was issued: for what, and to which tenant."""

    job_id: str
    tenant: str = ""
    kind: JobKind
    model: str
    created_at: datetime
