"""Confidence bounds on class probabilities, from votes.

Everything here is float64 arithmetic on int64 counts; nothing knows about images, noise or torch. ``alpha``
is always a *failure* probability: the chance, over the votes, that the bound is wrong.

Start at ``sided``: ``two_sided`` is the bound to use, ``one_sided`` the original one. Both rest on
``clopper_pearson``. ``t_certify`` reproduces a published bound.
"""

from collections.abc import Mapping
from types import MappingProxyType

from smoothing.bounds.base import Bound, BoundFunction, Counts
from smoothing.bounds.clopper_pearson import (
    SMALLEST_SPLIT,
    lower_confidence_bound,
    minimum_samples,
    perfect_vote_p_lower,
    require_alpha,
    upper_confidence_bound,
)
from smoothing.bounds.sided import one_sided, split_alpha, two_sided
from smoothing.bounds.t_certify import t_certify

BOUNDS: Mapping[str, BoundFunction] = MappingProxyType(
    {"one_sided": one_sided, "two_sided": two_sided, "t_certify": t_certify}
)
"""Every bound by its public name."""

__all__ = [
    "BOUNDS",
    "SMALLEST_SPLIT",
    "Bound",
    "Counts",
    "lower_confidence_bound",
    "minimum_samples",
    "one_sided",
    "perfect_vote_p_lower",
    "require_alpha",
    "split_alpha",
    "t_certify",
    "two_sided",
    "upper_confidence_bound",
]
