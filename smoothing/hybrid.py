"""Hybrid: one label from a Gaussian and a uniform smoothed classifier, robust in ℓ2 and in ℓ1.

H(x) is the class that both smoothed classifiers have at x, and nothing where they differ. A prediction names
a class only if the votes of both show it. A certificate needs one of them: where that one is constant, H has
its class or none.

The paper's hybrid (Table 1) answers, where the votes of one branch do not decide, what the other says. Near
the edge of a branch's ball its votes do not decide, though it is constant there: the paper's hybrid then
names the other branch's class inside a certified ball. This one abstains.

Reference:
    Nandi, Addepalli, Rangwani & Babu, "Certified Adversarial Robustness Within Multiple Perturbation Bounds",
    2023, §4.1 and Table 1.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from smoothing.certification import Certification
from smoothing.errors import require
from smoothing.noises import NO_RADIUS, Radii
from smoothing.predict import Prediction
from smoothing.randomness import SEED_BITS, require_seed

BRANCHES = ("gaussian", "uniform")
"""The two branches, in the order in which they are certified; each is named after its noise."""

HybridAbstainReason = Literal["top_class_not_separated", "branches_disagree"]

_DOMAIN = b"radii/smoothing/hybrid/1\0"


@dataclass(frozen=True, eq=False)
class HybridCertification:
    """The combined answer of two certified branches.

    The two radii say different things. Within ``radius``, H is ``top_class`` or nothing: one smoothed
    classifier is constant there. Within ``same_class_radius``, both smoothed classifiers have this class, and
    so has H; where it is 0 that is not claimed anywhere, not even at the image. A *prediction* there may
    still abstain, as its votes may not show it. All of it holds with probability at least 1 − ``alpha``.

    Attributes:
        top_class: The class; None where nothing is certified.
        radius: H has no other class within it: the larger of the branches' radii, in each norm.
        same_class_radius: Both smoothed classifiers have this class within it: the smaller of the branches'
            radii, in each norm, and so 0 where one branch abstains.
        abstain_reason: Why there is no class, or None.
        alpha: Failure probability: of both branches together, by the union bound.
    """

    top_class: int | None
    radius: Radii
    same_class_radius: Radii
    abstain_reason: HybridAbstainReason | None
    alpha: float

    @property
    def abstained(self) -> bool:
        """Whether the hybrid gives no class."""
        return self.top_class is None


def combine(gaussian: Certification, uniform: Certification) -> HybridCertification:
    """Combine the certificates of the two branches; wrong only if one of them is.

    Equal classes give that class and the larger radius in each norm; where one branch abstains, the other's
    class and radii stand, since H is this class or nothing there; where both abstain, or the classes differ,
    nothing is certified. The answer fails with probability at most the sum of the branches' alphas (union
    bound), so for a hybrid at alpha certify each branch at alpha/2, with a seed of its own (``branch_seed``).

    Args:
        gaussian: The Gaussian branch's certificate, of the same image as the other.
        uniform: The uniform branch's certificate.

    Raises:
        InvalidParameter: The branches do not have the same number of classes.

    Reference:
        Nandi et al., 2023, Table 1.

    >>> import torch
    >>> from smoothing import Gaussian, Uniform, certify
    >>> image, brightest = torch.tensor([[[0.9, 0.1, 0.1]]]), lambda images: images.flatten(1)
    >>> both = combine(*(
    ...     certify(brightest, image, noise, n=10_000, alpha=0.001 / 2, seed=branch_seed(1, noise.name))
    ...     for noise in (Gaussian(0.25), Uniform(0.5))
    ... ))
    >>> both.top_class, round(both.radius.l1, 2), round(both.same_class_radius.l1, 2)
    (0, 0.52, 0.47)
    """
    classes = len(gaussian.counts), len(uniform.counts)
    require(classes[0] == classes[1], "uniform", f"have the {classes[0]} classes of 'gaussian'", classes[1])
    top_class, alpha = _agreed(_label(gaussian), _label(uniform)), gaussian.alpha + uniform.alpha
    if top_class is None:
        both = gaussian.abstained and uniform.abstained
        reason: HybridAbstainReason = "top_class_not_separated" if both else "branches_disagree"
        return HybridCertification(None, NO_RADIUS, NO_RADIUS, reason, alpha)
    return HybridCertification(
        top_class,
        radius=_in_each_norm(max, gaussian.radius, uniform.radius),
        same_class_radius=_in_each_norm(min, gaussian.radius, uniform.radius),
        abstain_reason=None,
        alpha=alpha,
    )


def combine_predictions(gaussian: Prediction, uniform: Prediction) -> int | None:
    """Return the class that the votes of both branches show; None where one abstains, or they differ.

    Wrong with probability at most the sum of the branches' alphas. Inside a certified ``radius`` no other
    class than the certificate's is named, as the branch that is constant there would have to be wrong.

    >>> import numpy as np
    >>> from smoothing.predict import decide
    >>> sure, other, unsure = (decide(np.array(votes), 0.001) for votes in ([90, 10], [10, 90], [50, 50]))
    >>> combine_predictions(sure, sure), combine_predictions(unsure, other), combine_predictions(sure, other)
    (0, None, None)
    """
    one, other = _label(gaussian), _label(uniform)
    return one if one == other else None


def branch_seed(seed: int, branch: str) -> int:
    """The seed of one branch: 128 bits of SHA-256 over a fixed domain, the hybrid's seed and the branch.

    Votes of the branches are so unrelated to each other, and to those of a certificate with the hybrid's own
    seed. Anyone who knows ``seed`` can draw them again.

    Args:
        seed: A 128-bit non-negative integer, such as ``draw_seed()`` gives.
        branch: One of ``BRANCHES``.

    Raises:
        InvalidParameter: ``seed`` is no 128-bit integer, or there is no such branch.

    >>> f"{branch_seed(7, 'gaussian'):032x}"
    '710e9f90bfe82566195f63be9021b5c9'
    >>> f"{branch_seed(7, 'uniform'):032x}"
    '175b12d888913c006d3e5722cdc883b2'
    """
    require_seed(seed)
    require(branch in BRANCHES, "branch", f"be one of {', '.join(BRANCHES)}", branch)
    digest = hashlib.sha256(_DOMAIN + seed.to_bytes(SEED_BITS // 8, "big") + branch.encode()).digest()
    return int.from_bytes(digest[: SEED_BITS // 8], "big")


def _label(answer: Certification | Prediction) -> int | None:
    return None if answer.abstained else answer.top_class


def _agreed(one: int | None, other: int | None) -> int | None:
    """The label that is certified: the common one, or that of the only branch that has one."""
    if one is None or other is None:
        return other if one is None else one
    return one if one == other else None


def _in_each_norm(choose: Callable[[float, float], float], one: Radii, other: Radii) -> Radii:
    return Radii(l2=choose(one.l2, other.l2), l1=choose(one.l1, other.l1), linf=choose(one.linf, other.linf))
