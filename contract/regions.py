"""The memory of certified regions: one entry of its log, and the form in which clients read it."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from contract import Frozen
from contract.certificates import ClassLabel
from contract.choices import MemoryOutcome


class StoredRegion(BaseModel):
    """One entry of the log, as JSON: the union of an ℓ2 ball and an ℓ1 ball around one image.

    Radii are in pixel units; a radius of 0 is the image alone. ``question`` is the digest of what the request
    asked (`CertifyTask.question_digest`).
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


class Region(Frozen):
    """A certified region: every image in one of the two balls around its centre has the label."""

    index: int = Field(description="Its index in the memory.")
    certificate_id: str = Field(description="The certificate it comes from, which is stored for 30 days.")
    image_digest: str = Field(description="SHA-256 of the pixels of its centre.")
    label: ClassLabel
    l2: float = Field(description="Radius of its ℓ2 ball, for pixels in [0, 1]; 0 for the centre only.")
    l1: float = Field(description="Radius of its ℓ1 ball; 0 for the centre only.")
    outcome: MemoryOutcome
    created_at: datetime


class RegionPage(Frozen):
    """Regions of one memory, in the order they were committed."""

    model: str
    model_digest: str
    memory: str = Field(
        description="The namespace, prefixed by the tenant if there is one, as in certificates."
    )
    epoch: str | None = Field(description="Null if nothing was ever stored.")
    total: int = Field(description="Number of regions in the memory.")
    regions: list[Region]
    next: int | None = Field(description="Value of `start` for the next page; null on the last page.")
