"""The fixed numbers of the service: sizes, lifetimes and timeouts, each with its reason.

They are the same in every deployment. Numbers that an operator may change are in `service/settings.py` and
`workers/settings.py`.
"""

import math
from typing import Final

# Limits on requests.
MAX_BODY_BYTES: Final = 12 * 1024 * 1024
MAX_IMAGE_PIXELS: Final = 16_000_000
IMAGE_FORMATS: Final = ("PNG", "JPEG", "WEBP", "BMP")
MAX_SAMPLES: Final = 10_000_000
MAX_WAIT_SECONDS: Final = 30  # below every proxy's 60
MAX_HEADER_BYTES: Final = 32 * 1024
MAX_IDEMPOTENCY_KEY: Final = 255
MAX_RETRY_AFTER: Final = 3_600  # for a full queue; no job waits longer (`QUEUED_TTL`)

# Sampling.
MIN_ALPHA: Final = 1e-50  # far below any use, and far above where float64 makes the bounds unreliable
SIGMA_GRID: Final = (0.12, 0.25, 0.37, 0.5, 0.67, 0.75, 0.87, 1.0)  # levels of `auto` by default
AUTO_SAMPLES: Final = 1_000  # votes of `auto` at one level at most; they do not count for the certificate
GIVE_UP_PROBABILITY: Final = 0.001  # chance that an image given up early would have been certified
SIGMA_LATTICE: Final = 0.005  # under adaptation `optimize` rounds to it, so that workers share statistics
OPTIMIZE_RANGE: Final = (0.25, 2.0)  # lowest and highest result of `optimize`, as multiples of its start
CLEAN_SIZE: Final = 512  # clean images for adaptation if the request names no number
CHECKPOINT_INTERVAL: Final = 0.5  # seconds between two checkpoints of the votes

# The memory of certified regions.
DEFAULT_MEMORY: Final = "default"  # namespace of requests that name none
NO_MEMORY: Final = "off"
REGIONS_PAGE: Final = 1_000  # most regions in one answer

# Lifetimes, in seconds.
QUEUED_TTL: Final = 3_600  # a job that no worker took within this time is `expired`
JOB_TIMEOUT: Final = 3_600  # of computation; then RQ kills the relay, and the engine abandons the job
RESULT_TTL: Final = 86_400  # RQ's record of a finished job, and its events
FAILURE_TTL: Final = 604_800  # RQ's record of a failed job, and its problem (RQ's own default is a year)
SUBMISSION_TTL: Final = 604_800  # a job id is known for this long; after that, 404
STATISTICS_TTL: Final = 2_592_000  # 30 days since their last use; they can be estimated again
VOTES_TTL: Final = 3 * JOB_TIMEOUT  # outlives every attempt of a job
CERTIFICATE_TTL: Final = 2_592_000  # 30 days; a saved certificate can be verified offline forever
OWNER_TTL: Final = CERTIFICATE_TTL + SUBMISSION_TTL  # outlives the certificate, however late that is made
IDEMPOTENCY_TTL: Final = 86_400  # shorter than `SUBMISSION_TTL`, so that a replay always finds its job
IMAGE_TTL: Final = QUEUED_TTL + 3 * JOB_TIMEOUT  # outlives the queue and every attempt

# Retries by RQ, at once and only after a lost worker or engine: any other failure would repeat.
RETRIES: Final = 2

# Progress: one capped stream per job.
EVENTS_KEPT: Final = 256
PROGRESS_INTERVAL: Final = 0.25


_BOUND_SLACK: Final = 1e-12  # `smoothing.bounds.clopper_pearson.SLACK`, which a test compares


def minimum_samples(alpha: float) -> int:
    """Returns the least ``n`` for which equal votes certify anything at failure probability ``alpha``.

    ``n`` equal votes bound the probability from below by ``alpha ** (1 / n)``. This must exceed ½ even after
    the workers' rounding, so that no request is accepted here that they would refuse.

    >>> minimum_samples(0.001), minimum_samples(2.0**-10)
    (10, 11)
    """
    mantissa, exponent = math.frexp(alpha)  # alpha = mantissa · 2^exponent exactly, ½ <= mantissa < 1
    n = 2 - exponent if mantissa == 0.5 else 1 - exponent
    return n if alpha ** (1 / n) * (1 - _BOUND_SLACK) > 0.5 else n + 1


def minimum_prediction_samples(alpha: float) -> int:
    """Returns the least ``n`` for which equal votes give a prediction at failure probability ``alpha``.

    The two-sided test of ``n`` equal votes has the p-value ``2 ** (1 - n)``, which must not exceed ``alpha``.

    >>> minimum_prediction_samples(0.001)
    11
    """
    n = max(2, math.floor(1 - math.log2(alpha)))
    return n if 2.0 ** (1 - n) <= alpha else n + 1
