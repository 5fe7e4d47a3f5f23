"""The votes under one noise, as a certificate states them."""

from math import prod

from contract.certificates import Look, NoiseEvidence, Radius, Segment
from contract.choices import StopReason
from smoothing import Radii, perfect_vote_p_lower, round_down
from smoothing import Segment as DrawnSegment
from workers.job.branch import Branch

_STOPPED = "stopped"  # the only reason that a caller of `certify` gives: here, time


def rounded(radii: Radii) -> Radius:
    """Returns radii as they are stated: rounded down."""
    down = radii.rounded_down()
    return Radius(l2=down.l2, l1=down.l1, linf=down.linf)


def noise_evidence(branch: Branch, input_shape: tuple[int, int, int]) -> NoiseEvidence:
    """Returns all that is needed to compute one noise's bounds and radii again."""
    certification, bound = branch.certification, branch.certification.bound
    dimension = prod(input_shape)
    n_planned = branch.looks[-1].n
    best = perfect_vote_p_lower(n_planned, branch.plan.alpha)
    limit = branch.noise.radius(best, 1.0 - best, dimension=dimension)
    reason = certification.stop_reason
    return NoiseEvidence(
        noise=branch.plan.kind,
        sigma=branch.noise.sigma,
        trials=list(branch.trials),
        statistics_digest=branch.statistics_digest,
        dimension=dimension,
        n0=int(certification.selection_counts.sum()),
        n=certification.n,
        n_drawn=certification.n_drawn,
        n_planned=n_planned,
        stop_reason=StopReason.TIME_UP if reason == _STOPPED else StopReason(reason),
        looks=[Look(n=look.n, alpha=look.alpha) for look in branch.looks],
        segments=[_segment(segment) for segment in certification.segments],
        selection_segments=[_segment(segment) for segment in certification.selection_segments],
        selection_counts=[int(count) for count in certification.selection_counts],
        counts=[int(count) for count in certification.counts],
        top_class=certification.top_class,
        runner_up=bound.runner_up,
        alpha=branch.plan.alpha,
        p_lower=bound.p_lower,
        p_upper=bound.p_upper,
        alpha_lower=bound.alpha_lower,
        alpha_upper=bound.alpha_upper,
        radius=rounded(certification.radius),
        radius_limit=round_down(branch.noise.own_radius(limit)),
    )


def _segment(segment: DrawnSegment) -> Segment:
    return Segment(stream=segment.stream, n=segment.n, batch_size=segment.batch_size)
