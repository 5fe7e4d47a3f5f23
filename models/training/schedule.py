"""The learning rate as a pure function of progress, so that a checkpoint need not hold it."""

import math

WARM_UP = 0.2
START = 0.05


def one_cycle(progress: float) -> float:
    """Return the learning rate as a part of its peak: linear warm-up, then half a cosine down to zero.

    >>> one_cycle(0.2), round(one_cycle(1.0), 12)
    (1.0, 0.0)
    """
    if progress < WARM_UP:
        return START + (1 - START) * progress / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))
