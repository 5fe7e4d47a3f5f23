"""The enums of the HTTP API. Each is a named component of the OpenAPI document."""

from enum import StrEnum
from typing import Any, Literal, Self


class NoiseKind(StrEnum):
    """The smoothing noise, which decides the norm that is certified."""

    GAUSSIAN = "gaussian"
    UNIFORM = "uniform"
    HYBRID = "hybrid"

    @property
    def norm(self) -> Literal["l1", "l2"]:
        """The norm that the noise certifies directly; for ``hybrid``, the norm of `target_radius`."""
        return "l1" if self is NoiseKind.UNIFORM else "l2"


class NoiseLevel(StrEnum):
    """How the noise level σ is chosen."""

    FIXED = "fixed"
    AUTO = "auto"
    OPTIMIZE = "optimize"


class BoundKind(StrEnum):
    """How votes become bounds on probabilities."""

    ONE_SIDED = "one_sided"
    TWO_SIDED = "two_sided"


class Fit(StrEnum):
    """What to do with an image of another size than the model's."""

    EXACT = "exact"
    RESIZE = "resize"


class JobKind(StrEnum):
    """What a job computes."""

    CERTIFY = "certify"
    PREDICT = "predict"


class JobStatus(StrEnum):
    """State of a job. The last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def final(self) -> bool:
        """Whether the state can no longer change."""
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


class Stage(StrEnum):
    """What a worker is doing for a job."""

    QUEUED = "queued"
    LOADING = "loading"
    CHOOSING = "choosing"
    ADAPTING = "adapting"
    SAMPLING = "sampling"
    REMEMBERING = "remembering"
    DONE = "done"


class Arithmetic(StrEnum):
    """How noise is added to an image."""

    EXACT = "exact"  # whole steps of the pixel lattice, of a known law
    FLOAT = "float"  # in floating point, which keeps low bits of the image


class SeedSource(StrEnum):
    """Who chose the seed of the votes."""

    SERVICE = "service"  # a function of the deployment's secret, the model and the image
    CLIENT = "client"  # the votes prove something only if it was drawn before the image was chosen


class AbstainReason(StrEnum):
    """Why a result makes no claim."""

    TOP_CLASS_NOT_SEPARATED = "top_class_not_separated"
    NO_NOISE_LEVEL_CERTIFIES = "no_noise_level_certifies"
    BRANCHES_DISAGREE = "branches_disagree"


class StopReason(StrEnum):
    """Why sampling stopped."""

    COMPLETE = "complete"
    TARGET_REACHED = "target_reached"
    TARGET_OUT_OF_REACH = "target_out_of_reach"
    HOPELESS = "hopeless"
    TIME_UP = "time_up"


class MemoryOutcome(StrEnum):
    """What the memory of certified regions did to a result.

    `off`: it was not used. `none`: it had no region around the image, and stored none. `added`: the region
    was stored. `clipped`: the region was stored with a smaller radius, so that it touches no region of
    another label. `relabelled`: the image lies in a stored region, and the votes gave another label or none;
    the label is the region's. `repeated`: the result was stored before, and no votes were made.
    """

    OFF = "off"
    NONE = "none"
    ADDED = "added"
    CLIPPED = "clipped"
    RELABELLED = "relabelled"
    REPEATED = "repeated"


class ProblemCode(StrEnum):
    """Kinds of problems, stable across releases."""

    status: int  # for a problem of a job, the one that a synchronous response would have
    heading: str  # `title` is a method of every string

    def __new__(cls, value: str, *about: Any) -> Self:
        """Makes a member of its value, status and heading; the value alone finds it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.status, member.heading = about
        return member

    UNAUTHENTICATED = "unauthenticated", 401, "Authentication required"
    FORBIDDEN = "forbidden", 403, "Permission denied"
    MALFORMED_BODY = "malformed_body", 400, "Malformed request body"
    INVALID_FIELD = "invalid_field", 422, "Invalid field"
    TOO_FEW_SAMPLES = "too_few_samples", 422, "Too few samples"
    UNKNOWN_MODEL = "unknown_model", 422, "Unknown model"
    NOT_ADAPTABLE = "not_adaptable", 422, "Model cannot be adapted"
    UNSUPPORTED_IMAGE_TYPE = "unsupported_image_type", 415, "Unsupported image type"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", 415, "Unsupported media type"
    UNDECODABLE_IMAGE = "undecodable_image", 422, "Image cannot be decoded"
    IMAGE_SIZE_MISMATCH = "image_size_mismatch", 422, "Image does not fit the model"
    IMAGE_TOO_LARGE = "image_too_large", 413, "Image has too many pixels"
    BODY_TOO_LARGE = "body_too_large", 413, "Request body too large"
    NOT_FOUND = "not_found", 404, "Not found"
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, "Method not allowed"
    JOB_FINISHED = "job_finished", 409, "Job already finished"
    BODY_TIMEOUT = "body_timeout", 408, "Request timeout"
    HEADERS_TOO_LARGE = "headers_too_large", 431, "Request headers too large"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused", 422, "Idempotency key already used"
    RATE_LIMITED = "rate_limited", 429, "Too many requests"
    TOO_MANY_QUEUED = "too_many_queued", 429, "Too many queued jobs"
    QUEUE_FULL = "queue_full", 503, "Queue full"
    TOO_MANY_STREAMS = "too_many_streams", 503, "Too many event streams"
    TOO_MANY_CONNECTIONS = "too_many_connections", 503, "Too many connections"
    NO_WORKERS = "no_workers", 503, "No worker available"
    STORE_UNAVAILABLE = "store_unavailable", 503, "Store unavailable"
    INTERNAL_ERROR = "internal_error", 500, "Internal server error"
    # Problems of jobs, found after the request was accepted.
    WORKER_LOST = "worker_lost", 500, "Worker lost"
    TIMEOUT = "timeout", 504, "Job timed out"
    IMAGE_EXPIRED = "image_expired", 410, "Image expired"
    MODEL_CHANGED = "model_changed", 409, "Model changed"
    MODEL_LOAD_FAILED = "model_load_failed", 500, "Model failed to load"
    UNUSABLE_CLASSIFIER = "unusable_classifier", 500, "Unusable classifier"
    OUT_OF_MEMORY = "out_of_memory", 500, "Out of memory"
    MEMORY_DAMAGED = "memory_damaged", 500, "Region memory damaged"
    VOLATILE_STORE = "volatile_store", 503, "Store not durable"
    STOPPING = "stopping", 503, "Server stopping"
