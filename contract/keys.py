"""The names of Redis keys. RQ owns ``rq:*``; everything of ours begins with ``radii:``."""

import hashlib
from typing import Final

from contract.choices import JobKind

QUEUE: Final = "radii"
ENGINES: Final = "radii:engines"  # sorted set: engine id by the server's time of its last heartbeat
METRICS: Final = "radii:measures"  # hash of the counts of all workers: `contract.metrics`
CERTIFY_TASK: Final = "workers.tasks.certify"
PREDICT_TASK: Final = "workers.tasks.predict"
PROBE: Final = "radii:probe"  # written to see whether Redis accepts writes
REAPER: Final = "radii:reaper"  # lock: of the worker that searches for lost jobs, until the next search
TAKEN: Final = "radii:reaper:taken"  # sorted set: jobs taken and not begun, by when they were seen first
SILENT: Final = "radii:reaper:silent"  # sorted set: attempts that their worker does not report, likewise
TASK_NAMES: Final = {JobKind.CERTIFY: CERTIFY_TASK, JobKind.PREDICT: PREDICT_TASK}
TASKS: Final = frozenset(TASK_NAMES.values())


def pixel_digest(pixels: bytes, height: int, width: int, channels: int) -> str:
    """Returns the SHA-256 (hexadecimal) of an image's pixels and shape: the name of the certified point."""
    header = f"radii:image:v1:{height}x{width}x{channels}:".encode()
    return hashlib.sha256(header + pixels).hexdigest()


def image(digest: str) -> str:
    """Pixels that were sent, under their own digest."""
    return f"radii:image:{digest}"


def submission(job_id: str) -> str:
    """What was asked and when; its presence says that the job id was given out."""
    return f"radii:job:{job_id}:submission"


def owner(job_id: str) -> str:
    """The tenant whose job and certificate this is; outlives both. Absent is as good as empty."""
    return f"radii:job:{job_id}:owner"


def events(job_id: str) -> str:
    """Capped stream of the job's progress; long-poll and server-sent events read it."""
    return f"radii:job:{job_id}:events"


def cancel(job_id: str) -> str:
    """Flag: the client gave the job up. The commit refuses when it is set."""
    return f"radii:job:{job_id}:cancel"


def attempt(job_id: str) -> str:
    """Number of the attempt that was begun last; no earlier one may commit."""
    return f"radii:job:{job_id}:attempt"


def problem(job_id: str) -> str:
    """Why the job failed. Once it is there, the job has failed for good: the commit refuses."""
    return f"radii:job:{job_id}:problem"


def votes(job_id: str) -> str:
    """The votes that a job has made so far; an attempt after a crash goes on from them."""
    return f"radii:job:{job_id}:votes"


def idempotency(digest: str) -> str:
    """Which job an idempotency key stands for, and the fingerprint of the request that it came with."""
    return f"radii:idempotency:{digest}"


def waiting(account: str) -> str:
    """Set of the jobs of one caller that wait, or did when last looked at."""
    return f"radii:waiting:{account}"


def statistics(model_digest: str, law: str) -> str:
    """Batch-norm statistics of a model under one noise, as the first worker estimated them."""
    return f"radii:statistics:{model_digest}:{law}"


def memory_name(tenant: str, namespace: str) -> str:
    """The name of a tenant's memory in the whole deployment. No namespace has a slash, so none is another's.

    >>> memory_name("acme", "default"), memory_name("", "default")
    ('acme/default', 'default')
    """
    return f"{tenant}/{namespace}" if tenant else namespace


def memory_head(model_digest: str, namespace: str) -> str:
    """Hash of a memory of certified regions: its ``epoch``, and the ``head`` of the chain over its log.

    The braces make a Redis cluster keep all keys of one memory together.
    """
    return f"radii:memory:{{{model_digest}:{namespace}}}:head"


def memory_log(model_digest: str, namespace: str) -> str:
    """List of the certified regions, in the order in which they were committed."""
    return f"radii:memory:{{{model_digest}:{namespace}}}:log"


def memory_centers(model_digest: str, namespace: str) -> str:
    """Hash of the regions' centres: pixels by their digest."""
    return f"radii:memory:{{{model_digest}:{namespace}}}:centers"


def certificate(certificate_id: str) -> str:
    """An immutable certificate. Its id is the id of the job that made it."""
    return f"radii:certificate:{certificate_id}"


def prediction(job_id: str) -> str:
    """An immutable prediction."""
    return f"radii:prediction:{job_id}"


def probe(name: str) -> str:
    """A key that `radii doctor` writes to see that it can; gone after ten seconds."""
    return f"radii:probe:{name}"


def engine(engine_id: str) -> str:
    """What an engine says of itself and of its models."""
    return f"radii:engine:{engine_id}"
