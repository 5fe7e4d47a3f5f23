"""The class and the radii that the votes under all noises stand for together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from certifier.noise_run import NoiseRun, rounded
from contract.certificates import Memory, Radius
from contract.choices import AbstainReason, MemoryOutcome
from smoothing import Radii, combine

NO_RADIUS = Radius(l2=0, l1=0, linf=0)
NO_MEMORY = Memory(
    namespace=None, epoch=None, outcome=MemoryOutcome.OFF, index=None, neighbours=[], inherited=None
)


@dataclass(frozen=True)
class Statement:
    """What an answer may state.

    Attributes:
        label: The class; None where nothing is claimed.
        radius: Round the image, within which the class holds.
        memory: What the memory of certified regions had to do with it. Default: none was asked.
    """

    label: int | None
    radius: Radius
    memory: Memory = NO_MEMORY


@dataclass(frozen=True)
class Verdict:
    """What the votes under all noises stand for; radii are rounded down.

    Attributes:
        finding: The class, or None, and its radii: what may be stated when no memory was asked.
        unrounded: The radii before they were rounded.
        same_class_radius: For a hybrid: within it the class cannot be lost to abstention.
        reason: Why there is no class, or None.
    """

    finding: Statement
    unrounded: Radii
    same_class_radius: Radius | None
    reason: AbstainReason | None


def verdict(runs: Sequence[NoiseRun]) -> Verdict:
    """Returns the verdict of one noise, or of both by the rule of the hybrid."""
    certifications = [run.certification for run in runs]
    if len(certifications) == 2:
        both = combine(*certifications)
        top_class, radius, same = both.top_class, both.radius, rounded(both.same_class_radius)
        reason = None if both.abstain_reason is None else AbstainReason(both.abstain_reason)
    else:
        (only,) = certifications
        radius, same = only.radius, None
        top_class = None if only.abstained else only.top_class
        reason = AbstainReason.TOP_CLASS_NOT_SEPARATED if only.abstained else None
    if reason is AbstainReason.TOP_CLASS_NOT_SEPARATED and _no_level_certifies(runs):
        reason = AbstainReason.NO_NOISE_LEVEL_CERTIFIES
    return Verdict(Statement(top_class, rounded(radius)), radius, same, reason)


def in_each_norm(choose: Callable[[float, float], float], one: Radius, other: Radius) -> Radius:
    """Returns the smaller, or the larger, of two radii in each norm."""
    return Radius(l2=choose(one.l2, other.l2), l1=choose(one.l1, other.l1), linf=choose(one.linf, other.linf))


def _no_level_certifies(runs: Sequence[NoiseRun]) -> bool:
    """Whether `auto` found no level that separates a class, under any noise."""
    return all(run.trials and not any(trial.certifies for trial in run.trials) for run in runs)
