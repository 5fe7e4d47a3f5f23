"""What the API puts on the queue: every default already filled in, so that a worker decides nothing."""

import hashlib
from typing import Final

from pydantic import BaseModel, ConfigDict

from contract.choices import BoundKind, NoiseKind, NoiseLevel

PAYLOAD_VERSION: Final = 4


_ABOUT_THIS_JOB: Final = {
    "version", "job_id", "image_digest", "upload_digest", "label", "memory", "seed", "fresh",
    "request_id", "traceparent",
}  # fmt: skip


class _Task(BaseModel):
    """What every task says.

    ``request_id`` is that of the HTTP request, for logs; ``traceparent`` (W3C) is that of its span.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = PAYLOAD_VERSION
    job_id: str
    model: str
    model_digest: str
    image_digest: str
    upload_digest: str
    noise: NoiseKind
    sigma: float
    sigma_uniform: float
    adapt: bool
    momentum: float
    clean_size: int
    n: int
    alpha: float
    label: int | None
    memory: str | None
    seed: str
    request_id: str = ""
    traceparent: str | None = None


class CertifyTask(_Task):
    """One certification. ``label`` is the index of the true class; ``seed`` 128 bits in hexadecimal.

    ``memory`` is a namespace or None; ``sigma`` is the level, or the start of ``optimize``; ``sigma_grid`` is
    for ``auto``.
    """

    noise_level: NoiseLevel
    sigma_grid: list[float]
    n0: int
    bound: BoundKind
    target_radius: float | None
    max_seconds: float | None
    fresh: bool

    @property
    def question(self) -> str:
        """SHA-256 of what is asked about the image: equal for jobs whose certificates answer each other."""
        asked = self.model_dump_json(exclude=_ABOUT_THIS_JOB)
        return hashlib.sha256(asked.encode()).hexdigest()


class PredictTask(_Task):
    """One prediction by the smoothed classifier."""
