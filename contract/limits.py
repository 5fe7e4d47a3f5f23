"""The fixed numbers of the service: sizes, lifetimes and timeouts, each with its reason.

A deployment can rely on them; what a deployment may change is in the settings of `service` and `workers`.
"""

import math
from typing import Final

# What a client may send.
MAX_BODY_BYTES: Final = 12 * 1024 * 1024
MAX_IMAGE_PIXELS: Final = 16_000_000
IMAGE_FORMATS: Final = ("PNG", "JPEG", "WEBP", "BMP")
MAX_SAMPLES: Final = 10_000_000
MAX_WAIT_SECONDS: Final = 30  # below every proxy's 60
MAX_HEADER_BYTES: Final = 32 * 1024
MAX_IDEMPOTENCY_KEY: Final = 255
MAX_RETRY_AFTER: Final = 3_600  # of a full queue; nothing waits longer (`QUEUED_TTL`)

# Sampling.
MIN_ALPHA: Final = 1e-50  # far below any use, and far above where floats would spoil the bounds
SIGMA_GRID: Final = (0.12, 0.25, 0.37, 0.5, 0.67, 0.75, 0.87, 1.0)  # of `auto`, failing others
AUTO_SAMPLES: Final = 1_000  # most votes that `auto` makes at a noise level, none of them for the certificate
GIVE_UP_PROBABILITY: Final = 0.001  # that a hopeless-looking image, given up early, would have been certified
SIGMA_LATTICE: Final = 0.005  # levels of `optimize` under adaptation, so that statistics can be shared
OPTIMIZE_RANGE: Final = (0.25, 2.0)  # least and largest level that `optimize` may find, over its start
CLEAN_SIZE: Final = 512  # clean images that adaptation uses unless a request names a number
CHECKPOINT_INTERVAL: Final = 0.5  # seconds between two records of the votes made

# The memory of certified regions.
DEFAULT_MEMORY: Final = "default"  # the namespace of requests that name none
NO_MEMORY: Final = "off"
REGIONS_PAGE: Final = 1_000  # regions in one answer at most

# Lifetimes, in seconds.
QUEUED_TTL: Final = 3_600  # a job that no worker took by then is `expired`
JOB_TIMEOUT: Final = 3_600  # of computation; the relay is killed, the engine abandons
RESULT_TTL: Final = 86_400  # RQ's record of a finished job, and its events
FAILURE_TTL: Final = 604_800  # RQ's record of a failed job, and its problem (RQ's own default is a year)
SUBMISSION_TTL: Final = 604_800  # how long a job id is known at all: after that, 404
STATISTICS_TTL: Final = 2_592_000  # 30 days since they were last used; they can be estimated again
VOTES_TTL: Final = 3 * JOB_TIMEOUT  # outlives every attempt of a job
CERTIFICATE_TTL: Final = 2_592_000  # 30 days; a certificate can be verified offline at any time
OWNER_TTL: Final = CERTIFICATE_TTL + SUBMISSION_TTL  # outlives the certificate, however late that is made
IDEMPOTENCY_TTL: Final = 86_400  # less than a job id is known, so that a replay always finds its job
IMAGE_TTL: Final = QUEUED_TTL + 3 * JOB_TIMEOUT  # outlives the queue and every attempt

# Attempts. RQ retries at once; only a lost worker or engine is retried, never a failure that would repeat.
RETRIES: Final = 2

# Progress: one capped stream per job.
EVENTS_KEPT: Final = 256
PROGRESS_INTERVAL: Final = 0.25


_BOUND_SLACK: Final = 1e-12  # `smoothing.bounds.SLACK`, which a test compares


def minimum_samples(alpha: float) -> int:
    """Returns the least ``n`` for which perfect votes certify anything at failure probability ``alpha``.

    All ``n`` votes right bound the probability from below by ``alpha ** (1 / n)``, which must exceed ½ even
    when it is rounded down as the workers' bounds are: nothing is let in here that they would refuse.

    >>> minimum_samples(0.001), minimum_samples(2.0**-10)
    (10, 11)
    """
    mantissa, exponent = math.frexp(alpha)  # alpha = mantissa · 2^exponent exactly, ½ <= mantissa < 1
    n = 2 - exponent if mantissa == 0.5 else 1 - exponent
    return n if alpha ** (1 / n) * (1 - _BOUND_SLACK) > 0.5 else n + 1


def minimum_prediction_samples(alpha: float) -> int:
    """Returns the least ``n`` for which perfect votes give a prediction at failure probability ``alpha``.

    The two-sided test of ``n`` equal votes has the p-value ``2 ** (1 - n)``, which must not exceed ``alpha``.

    >>> minimum_prediction_samples(0.001)
    11
    """
    n = max(2, math.floor(1 - math.log2(alpha)))
    return n if 2.0 ** (1 - n) <= alpha else n + 1
