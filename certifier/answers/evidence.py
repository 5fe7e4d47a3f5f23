"""The votes under one noise, as a certificate states them."""

from certifier.noise_run import NoiseRun
from certifier.verdict import rounded
from contract.certificates import Look, NoiseEvidence, Segment
from contract.choices import StopReason
from smoothing import perfect_vote_p_lower, round_down
from smoothing.votes import Segments


def noise_evidence(run: NoiseRun) -> NoiseEvidence:
    """Returns all that is needed to compute one noise's bounds and radii again."""
    certification, bound = run.certification, run.certification.bound
    noise, dimension = certification.noise, certification.dimension
    n_planned = run.looks[-1].n
    best = perfect_vote_p_lower(n_planned, run.plan.alpha)
    limit = noise.radius(best, 1.0 - best, dimension=dimension)
    reason = certification.stop_reason
    return NoiseEvidence(
        noise=run.plan.kind,
        sigma=noise.sigma,
        trials=list(run.trials),
        statistics_digest=run.statistics_digest,
        dimension=dimension,
        n0=int(certification.selection_counts.sum()),
        n=certification.n,
        n_drawn=certification.n_drawn,
        n_planned=n_planned,
        stop_reason=StopReason.TIME_UP if reason == "stopped" else StopReason(reason),
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
        radius_limit=round_down(noise.own_radius(limit)),
    )


def _stated(segments: Segments) -> list[Segment]:
    return [Segment.model_validate(segment, from_attributes=True) for segment in segments]
