"""Hybrid: one label from a Gaussian and a uniform smoothed classifier, robust in ℓ2 and in ℓ1.

Both are certified on their own and their answers are combined. The hybrid answers the label on which the
two agree, or the label of the only one that does not abstain, and abstains otherwise.

Reference:
    Nandi, Addepalli, Rangwani & Babu, "Certified Adversarial Robustness Within Multiple Perturbation Bounds",
    2023, §4.1 and Table 1.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor

from smoothing.certification import Certification, Votes
from smoothing.certify import certify
from smoothing.errors import require
from smoothing.noises import NO_RADIUS, Gaussian, Noise, Radii, Uniform
from smoothing.predict import Prediction
from smoothing.randomness import SEED_BITS
from smoothing.sampling import BaseClassifier
from smoothing.schedule import Look

BRANCHES = ("gaussian", "uniform")
"""The two branches, in the order in which they are certified; each is named after its noise."""

HybridAbstainReason = Literal["top_class_not_separated", "branches_disagree"]

_DOMAIN = b"radii/smoothing/hybrid/1\0"


@dataclass(frozen=True, eq=False)
class HybridCertification:
    """The combined answer of two certified branches, with both certificates.

    The two radii say different things. Within ``radius`` *no other class* is output: one branch is constant
    there, so the hybrid answers ``top_class`` or abstains. Within ``same_class_radius`` *this very class* is
    output: both branches are constant there; where it is 0 that is not claimed anywhere, not even at the
    image. All of it holds with probability at least 1 − ``alpha``.

    Attributes:
        gaussian: The Gaussian branch's certificate.
        uniform: The uniform branch's certificate.
        top_class: The class; None where the hybrid abstains.
        radius: No other class is output within it: the larger of the branches' radii, in each norm.
        same_class_radius: This very class is output within it: the smaller of the branches' radii, in each
            norm, and so 0 where one branch abstains.
        abstain_reason: Why there is no class, or None.
    """

    gaussian: Certification
    uniform: Certification
    top_class: int | None
    radius: Radii
    same_class_radius: Radii
    abstain_reason: HybridAbstainReason | None

    @property
    def abstained(self) -> bool:
        """Whether the hybrid gives no class."""
        return self.top_class is None

    @property
    def alpha(self) -> float:
        """Failure probability of the combined answer: of both branches together, by the union bound."""
        return self.gaussian.alpha + self.uniform.alpha


def combine(gaussian: Certification, uniform: Certification) -> HybridCertification:
    """Combine the certificates of the two branches; wrong only if one of them is.

    Equal classes give that class and the larger radius in each norm; where one branch abstains, the other's
    class and radii stand; where both abstain, or the classes differ, the hybrid abstains with radius 0. The
    answer fails with probability at most the sum of the branches' alphas, so a hybrid at alpha takes branches
    at alpha/2.

    Args:
        gaussian: The Gaussian branch's certificate, of the same image as the other.
        uniform: The uniform branch's certificate.

    Raises:
        InvalidParameter: The branches do not have the same number of classes.

    Reference:
        Nandi et al., 2023, Table 1.
    """
    classes = len(gaussian.counts), len(uniform.counts)
    require(classes[0] == classes[1], "uniform", f"have the {classes[0]} classes of 'gaussian'", classes[1])
    top_class = _agreed(_label(gaussian), _label(uniform))
    if top_class is None:
        both = gaussian.abstained and uniform.abstained
        reason: HybridAbstainReason = "top_class_not_separated" if both else "branches_disagree"
        return HybridCertification(gaussian, uniform, None, NO_RADIUS, NO_RADIUS, reason)
    return HybridCertification(
        gaussian,
        uniform,
        top_class,
        radius=_in_each_norm(max, gaussian.radius, uniform.radius),
        same_class_radius=_in_each_norm(min, gaussian.radius, uniform.radius),
        abstain_reason=None,
    )


def combine_predictions(gaussian: Prediction, uniform: Prediction) -> int | None:
    """Combine the labels of the two branches by the same rule; None where the hybrid abstains.

    Wrong with probability at most the sum of the branches' alphas.

    Reference:
        Nandi et al., 2023, Table 1, last column.

    >>> import numpy as np
    >>> from smoothing.predict import decide
    >>> sure, other, unsure = (decide(np.array(votes), 0.001) for votes in ([90, 10], [10, 90], [50, 50]))
    >>> combine_predictions(sure, sure), combine_predictions(unsure, other), combine_predictions(sure, other)
    (0, 1, None)
    """
    return _agreed(_label(gaussian), _label(uniform))


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
    require(isinstance(seed, int) and 0 <= seed < 2**SEED_BITS, "seed", f"be in 0..2**{SEED_BITS} - 1", seed)
    require(branch in BRANCHES, "branch", f"be one of {', '.join(BRANCHES)}", branch)
    digest = hashlib.sha256(_DOMAIN + seed.to_bytes(SEED_BITS // 8, "big") + branch.encode()).digest()
    return int.from_bytes(digest[: SEED_BITS // 8], "big")


def certify_hybrid(
    base_classifiers: Mapping[str, BaseClassifier] | BaseClassifier,
    image: Tensor,
    gaussian: Gaussian,
    uniform: Uniform,
    *,
    num_classes: int,
    n0: int = 100,
    n: int = 100_000,
    alpha: float = 0.001,
    bound: str = "two_sided",
    looks: Sequence[Look] | None = None,
    target_radius: float | None = None,
    beta: float = 0.0,
    batch_size: int = 1000,
    seed: int,
    resume: Mapping[str, Votes] | None = None,
    stop: Callable[[], bool] | None = None,
    on_batch: Callable[[int, int], None] | None = None,
    on_votes: Callable[[str, Votes], None] | None = None,
    on_look: Callable[[str, Certification], bool | None] | None = None,
) -> HybridCertification:
    """Certify both branches, each at half of ``alpha``, and combine them.

    With probability at least 1 − ``alpha`` over the votes, the hybrid classifier outputs no class but
    ``top_class`` within ``radius``, and that very class within ``same_class_radius``; the record tells more.

    Args:
        base_classifiers: f, ``(b, c, h, w)`` in pixel units to logits ``(b, num_classes)``; or one for each
            of ``BRANCHES``, as when it is adapted to each noise.
        image: ``(c, h, w)``, float32 or float64, in [0, 1].
        gaussian: The noise of the Gaussian branch.
        uniform: The noise of the uniform branch; its sigma may be another.
        num_classes: k, at least 2.
        n0: Selection votes of each branch.
        n: Estimation votes of each branch.
        alpha: Failure probability of the answer, in (0, ½).
        bound: A name in ``BOUNDS``.
        looks: The looks of each branch, which spend at most alpha/2, such as ``look_schedule(n, alpha / 2)``.
            Default: as in ``certify``.
        target_radius: Only decide whether each branch can certify this radius in its own norm: ℓ2 for the
            Gaussian branch, ℓ1 for the uniform one.
        beta: Probability of giving up early a branch that more votes might have certified; half for each.
        batch_size: Most images in one call of f.
        seed: 128 bits, fresh for each certificate (``draw_seed``). Each branch takes its ``branch_seed``.
        resume: The last record of each branch that ``on_votes`` was given by an interrupted call with the
            same arguments; a branch that had no votes yet is left out.
        stop: Asked after each batch; a true answer ends sampling once each branch has taken its first look.
        on_batch: Called with the votes done and the votes planned, of both branches together, after each
            batch; votes that a branch ended without count as done. It may raise to abandon the work.
        on_votes: Called with the branch and all its votes so far after each batch, to be stored.
        on_look: Called with the branch and its best certificate so far after each look. A true answer ends
            this branch with it.

    Raises:
        InvalidParameter: An argument is out of range, ``base_classifiers`` lacks a branch, or ``n`` votes
            could not certify anything at alpha/2.
        InvalidLogits: f answers in another shape or type, or not finitely.

    Reference:
        Nandi et al., 2023, §4.1; half of alpha for each branch by the union bound.

    >>> import torch
    >>> def brightest(images: Tensor) -> Tensor:
    ...     return images.flatten(1)
    >>> image = torch.tensor([[[0.9, 0.1, 0.1]]])
    >>> both = certify_hybrid(
    ...     brightest, image, Gaussian(0.25), Uniform(0.5), num_classes=3, n=10_000, seed=1
    ... )
    >>> both.top_class, round(both.radius.l1, 2), round(both.same_class_radius.l1, 2)
    (0, 0.52, 0.47)
    """
    require(0.0 < alpha < 0.5, "alpha", "be in (0, 0.5)", alpha)
    require(0.0 <= beta < 1.0, "beta", "be in [0, 1)", beta)
    classifiers = _for_each_branch(base_classifiers)
    resumed = sorted(resume or {})
    require(set(resumed) <= set(BRANCHES), "resume", f"have keys of {', '.join(BRANCHES)}", resumed)
    noises: dict[str, Noise] = {"gaussian": gaussian, "uniform": uniform}

    def certify_branch(branch: str, votes_before: int) -> Certification:
        planned = len(BRANCHES) * (n0 + n)
        return certify(
            classifiers[branch],
            image,
            noises[branch],
            num_classes=num_classes,
            n0=n0,
            n=n,
            alpha=alpha / len(BRANCHES),
            bound=bound,
            looks=looks,
            target_radius=target_radius,
            beta=beta / len(BRANCHES),
            batch_size=batch_size,
            seed=branch_seed(seed, branch),
            resume=(resume or {}).get(branch),
            stop=stop,
            on_batch=on_batch and (lambda completed, _: on_batch(votes_before + completed, planned)),
            on_votes=on_votes and partial(on_votes, branch),
            on_look=on_look and partial(on_look, branch),
        )

    return combine(certify_branch("gaussian", 0), certify_branch("uniform", n0 + n))


def _for_each_branch(
    base_classifiers: Mapping[str, BaseClassifier] | BaseClassifier,
) -> Mapping[str, BaseClassifier]:
    if not isinstance(base_classifiers, Mapping):
        return dict.fromkeys(BRANCHES, base_classifiers)
    names = sorted(base_classifiers)
    require(names == sorted(BRANCHES), "base_classifiers", f"have the keys {', '.join(BRANCHES)}", names)
    return base_classifiers


def _label(answer: Certification | Prediction) -> int | None:
    return None if answer.abstained else answer.top_class


def _agreed(one: int | None, other: int | None) -> int | None:
    """The label of the hybrid: the common one, or that of the only branch that has one."""
    if one is None or other is None:
        return other if one is None else one
    return one if one == other else None


def _in_each_norm(choose: Callable[[float, float], float], one: Radii, other: Radii) -> Radii:
    return Radii(l2=choose(one.l2, other.l2), l1=choose(one.l1, other.l1), linf=choose(one.linf, other.linf))
