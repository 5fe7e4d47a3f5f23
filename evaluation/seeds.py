"""Where the votes on each image get their randomness from."""

import hashlib
from typing import Final

from evaluation.plan import EvaluationPlan

_DOMAIN: Final = b"radii/evaluation/seed/1\0"


def image_seed(plan: EvaluationPlan, index: int) -> int:
    """Return the seed, of 128 bits, of all votes on one image of the plan's test split.

    Schemes that are compared so meet the same noise, and nothing depends on the order of images; evaluations
    of two seeds share no votes.

    >>> f"{image_seed(EvaluationPlan(bundles={}, suites=()), 7):032x}"
    'd1e5d9db5732b6becadeb709a3baccf3'
    """
    seed = plan.seed.to_bytes(16, "big")
    digest = hashlib.sha256(_DOMAIN + seed + f"{plan.dataset}:{index}".encode()).digest()
    return int.from_bytes(digest[:16], "big")
