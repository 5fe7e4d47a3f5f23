"""The votes under one noise, as a certificate states them."""

import numpy as np

from certifier.noise_run import NoiseRun, rounded
from contract.certificates import Look, NoiseEvidence, Segment
from contract.choices import StopReason
from smoothing import BOUNDS, Certification, round_down
from smoothing.bounds import split_alpha
from smoothing.votes import Segments


def noise_evidence(run: NoiseRun, n: int) -> NoiseEvidence:
    """Returns all that is needed to compute one noise's bounds and radii; ``n`` votes were asked for."""
    certification, bound = run.certification, run.certification.bound
    noise, dimension = certification.noise, certification.dimension
    last = run.looks[-1]
    limit = _largest_radius(certification, last.n, last.alpha)
    return NoiseEvidence(
        noise=run.plan.kind,
        sigma=noise.sigma,
        trials=list(run.trials),
        statistics_digest=run.statistics_digest,
        dimension=dimension,
        n0=int(certification.selection_counts.sum()),
        n=certification.n,
        n_drawn=certification.n_drawn,
        n_planned=last.n,
        stop_reason=_stop_reason(certification, limit, cut=last.n < n),
        looks=[Look.model_validate(look, from_attributes=True) for look in run.looks],
        segments=_stated(certification.segments),
        selection_segments=_stated(certification.selection_segments),
        selection_counts=[int(count) for count in certification.selection_counts],
        counts=[int(count) for count in certification.counts],
        top_class=certification.top_class,
        runner_up=bound.runner_up,
        alpha=run.plan.alpha,
        p_lower=bound.p_lower,
        p_upper=bound.p_upper,
        alpha_lower=bound.alpha_lower,
        alpha_upper=bound.alpha_upper,
        radius=rounded(certification.radius),
        radius_limit=round_down(limit),
    )


def _largest_radius(certification: Certification, n: int, alpha: float) -> float:
    """The radius in the noise's own norm if all votes at a look were for the top class."""
    counts = np.zeros_like(certification.counts)
    counts[certification.top_class] = n
    split = split_alpha(certification.selection_counts, alpha)
    most = BOUNDS[certification.bound_name](counts, certification.top_class, alpha, alpha_upper=split)
    noise = certification.noise
    return noise.own_radius(noise.radius(most.p_lower, most.p_upper, dimension=certification.dimension))


def _stop_reason(certification: Certification, limit: float, *, cut: bool) -> StopReason:
    """Why no more votes were made; ``cut``: there was no time to plan as many as were asked for."""
    reason = certification.stop_reason
    if cut and (reason == "complete" or limit < (certification.target_radius or 0.0)):
        reason = "stopped"
    return StopReason.TIME_UP if reason == "stopped" else StopReason(reason)


def _stated(segments: Segments) -> list[Segment]:
    return [Segment.model_validate(segment, from_attributes=True) for segment in segments]
