"""The metrics that workers count and the API exports: names, labels and buckets, and their fields in Redis.

Workers have no port of their own. They add to fields of one Redis hash, so that a count survives its engine,
and every API process exports the same value. Every label has few values: models, kinds, reasons.
"""

import json
from dataclasses import dataclass
from typing import Final

_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


@dataclass(frozen=True)
class Family:
    """A counter, or a histogram if it has buckets.

    Attributes:
        name: The name in Prometheus, without the suffixes that it adds.
        help: What is counted.
        labels: Names of its labels.
        buckets: Upper bounds, without infinity.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()

    def field(self, *values: str) -> str:
        """Returns the field of a counter with these labels, in `contract.keys.METRICS`."""
        return json.dumps([self.name, *values])

    def fields(self, observed: float, *values: str) -> dict[str, float]:
        """Returns what one observation adds to a histogram: 1 to its bucket, itself to the sum."""
        bucket = next((str(bound) for bound in self.buckets if observed <= bound), "+Inf")
        return {self.field(*values, bucket): 1, self.field(*values, "sum"): observed}


JOBS: Final = Family(
    "radii_jobs",
    "Jobs that ended. abandoned: cancelled by the client; code: why a job failed.",
    ("kind", "model", "outcome", "code"),
)
RETRIES: Final = Family(
    "radii_job_retries", "Attempts after the first; each follows a lost worker.", ("model",)
)
QUEUE_SECONDS: Final = Family(
    "radii_job_queue_seconds",
    "Time from a job's submission until an engine first took it.",
    ("model",),
    _SECONDS,
)
COMPUTE_SECONDS: Final = Family(
    "radii_job_compute_seconds", "Time that an engine spent on an answered job.", ("model",), _SECONDS
)
VOTES: Final = Family("radii_votes", "Noisy copies classified for answers.", ("model",))
CERTIFICATES: Final = Family(
    "radii_certificates",
    "Certificates, by outcome and by what the memory of certified regions did to them.",
    ("model", "outcome", "memory"),
)
COMMIT_CONFLICTS: Final = Family(
    "radii_commit_conflicts", "Commits repeated because another worker had committed first.", ("model",)
)
ADAPTATIONS: Final = Family(
    "radii_adaptations",
    "Adapted models that jobs needed, by source: resident, shared statistics, newly estimated.",
    ("source",),
)
BATCHES_HALVED: Final = Family(
    "radii_batches_halved",
    "Batches halved because the device ran out of memory.",
    (),
)
RESTARTS: Final = Family("radii_worker_restarts", "Restarts of worker processes.", ("process", "reason"))
FAMILIES: Final = {one.name: one for one in list(vars().values()) if isinstance(one, Family)}


def read_field(field: str) -> tuple[Family, tuple[str, ...]] | None:
    """Returns family and labels of a field (bucket or ``sum`` last); None for a field of another release.

    >>> read_field(VOTES.field("toy"))[1]
    ('toy',)
    """
    name, *values = json.loads(field)
    family = FAMILIES.get(name)
    if family is None or len(values) != len(family.labels) + bool(family.buckets):
        return None
    return family, tuple(values)
