"""The names of Redis keys. RQ owns ``rq:*``; all other keys begin with ``radii:``."""

import hashlib
from typing import Final

from contract.choices import JobKind

QUEUE: Final = "radii"
ENGINES: Final = "radii:engines"  # sorted set: engine ids, scored by the Redis time of the last heartbeat
METRICS: Final = "radii:measures"  # hash: the metrics of all workers (`contract.metrics`)
CERTIFY_TASK: Final = "workers.tasks.certify"
PREDICT_TASK: Final = "workers.tasks.predict"
SECRET: Final = "radii:secret"  # noqa: S105 (a name) the deployment's, from which seeds follow; made once
PROBE: Final = "radii:probe"  # written to check that Redis accepts writes
REAPER: Final = "radii:reaper"  # lock: its holder alone searches for lost jobs, until the next search
TAKEN: Final = "radii:reaper:taken"  # sorted set: jobs taken but not begun, scored by when first seen so
SILENT: Final = "radii:reaper:silent"  # sorted set: attempts whose worker is silent, scored likewise
TASK_NAMES: Final = {JobKind.CERTIFY: CERTIFY_TASK, JobKind.PREDICT: PREDICT_TASK}
TASKS: Final = frozenset(TASK_NAMES.values())


def pixel_digest(pixels: bytes, height: int, width: int, channels: int) -> str:
    """Returns the SHA-256 (hexadecimal) of an image's pixels and shape: the name of the certified point."""
    header = f"radii:image:v1:{height}x{width}x{channels}:".encode()
    return hashlib.sha256(header + pixels).hexdigest()


def image(digest: str) -> str:
    """The pixels of an image, under their digest."""
    return f"radii:image:{digest}"


def submission(job_id: str) -> str:
    """What was requested and when. It exists exactly if the job id was issued."""
    return f"radii:job:{job_id}:submission"


def owner(job_id: str) -> str:
    """The tenant that owns the job and its certificate; outlives both. Missing means the unnamed tenant."""
    return f"radii:job:{job_id}:owner"


def events(job_id: str) -> str:
    """Capped stream of the job's progress; long-poll and server-sent events read it."""
    return f"radii:job:{job_id}:events"


def cancel(job_id: str) -> str:
    """Flag: the client cancelled the job. The commit refuses if it is set."""
    return f"radii:job:{job_id}:cancel"


def attempt(job_id: str) -> str:
    """Number of the latest attempt; no earlier one may commit."""
    return f"radii:job:{job_id}:attempt"


def problem(job_id: str) -> str:
    """Why the job failed. Once this exists the failure is final: the commit refuses."""
    return f"radii:job:{job_id}:problem"


def votes(job_id: str) -> str:
    """The votes of a job so far; after a crash, the next attempt continues from them."""
    return f"radii:job:{job_id}:votes"


def idempotency(digest: str) -> str:
    """The job of an idempotency key, and the fingerprint of its request."""
    return f"radii:idempotency:{digest}"


def waiting(account: str) -> str:
    """Set of the waiting jobs of one caller, as of the last check."""
    return f"radii:waiting:{account}"


def statistics(model_digest: str, law: str) -> str:
    """Batch-norm statistics of a model under one noise, as the first worker estimated them."""
    return f"radii:statistics:{model_digest}:{law}"


def memory_name(tenant: str, namespace: str) -> str:
    """The name of a tenant's memory in the deployment. It is unique, since no namespace contains a slash.

    >>> memory_name("acme", "default"), memory_name("", "default")
    ('acme/default', 'default')
    """
    return f"{tenant}/{namespace}" if tenant else namespace


def memory_head(model_digest: str, namespace: str) -> str:
    """Hash of a memory of certified regions: its ``epoch``, and the ``head`` of the hash chain over its log.

    The braces are a hash tag: a Redis cluster keeps all keys of one memory on one node.
    """
    return f"radii:memory:{{{model_digest}:{namespace}}}:head"


def memory_log(model_digest: str, namespace: str) -> str:
    """List of the certified regions, in the order in which they were committed."""
    return f"radii:memory:{{{model_digest}:{namespace}}}:log"


def memory_centers(model_digest: str, namespace: str) -> str:
    """Hash of the regions' centres: digest to pixels."""
    return f"radii:memory:{{{model_digest}:{namespace}}}:centers"


def certificate(certificate_id: str) -> str:
    """An immutable certificate. Its id is the id of the job that made it."""
    return f"radii:certificate:{certificate_id}"


def prediction(job_id: str) -> str:
    """An immutable prediction."""
    return f"radii:prediction:{job_id}"


def engine(engine_id: str) -> str:
    """The last heartbeat of an engine, with its models (`contract.models.EngineStatus`)."""
    return f"radii:engine:{engine_id}"
