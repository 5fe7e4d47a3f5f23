"""The memory of certified regions: what one entry of its log says, and how clients read it."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from contract.certificates import ClassLabel
from contract.choices import MemoryOutcome


class StoredRegion(BaseModel):
    """One entry of the log, as JSON: the union of an ℓ2 ball and an ℓ1 ball round one image.

    Radii are in pixel units; 0 means that this ball is the image alone. ``question`` says what the
    certificate was asked (`CertifyTask.question_digest`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    certificate_id: str
    image_digest: str
    label: int
    l2: float
    l1: float
    outcome: MemoryOutcome
    question: str
    created_at: datetime


class Region(BaseModel):
    """A certified region: everything in either ball round the image has the label."""

    model_config = ConfigDict(frozen=True)

    index: int = Field(description="Its place in the memory.")
    certificate_id: str = Field(description="The certificate that it comes from, which is kept for 30 days.")
    image_digest: str = Field(description="SHA-256 of the pixels at its centre.")
    label: ClassLabel
    l2: float = Field(description="Radius of its ℓ2 ball, pixels being in [0, 1]; 0: the image alone.")
    l1: float = Field(description="Radius of its ℓ1 ball; 0: the image alone.")
    outcome: MemoryOutcome
    created_at: datetime


class RegionPage(BaseModel):
    """Regions of one memory, in the order in which they were committed."""

    model_config = ConfigDict(frozen=True)

    model: str
    model_digest: str
    memory: str = Field(
        description="The namespace, with the tenant before it if there is one, as certificates name it."
    )
    epoch: str | None = Field(description="Null when nothing was ever stored.")
    total: int = Field(description="Regions in the memory.")
    regions: list[Region]
    next: int | None = Field(description="What to send as `start` for the next page; null: this is the last.")
