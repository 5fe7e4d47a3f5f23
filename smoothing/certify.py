"""Certify: the class of the smoothed classifier at an image, and radii within which it cannot change."""

from dataclasses import replace

from torch import Tensor

from smoothing.bounds import BOUNDS, Counts, require_alpha, split_alpha
from smoothing.certification import Certification
from smoothing.copies import is_exact, require_image, require_pixel_units
from smoothing.errors import require, require_count
from smoothing.noises.base import Noise, require_noise
from smoothing.observer import Observer
from smoothing.polling import Poll
from smoothing.sampling import BaseClassifier
from smoothing.stopping import Look, Stop, stop_rules
from smoothing.votes import Votes


def certify(
    base_classifier: BaseClassifier,
    image: Tensor,
    noise: Noise,
    *,
    n0: int = 100,
    n: int = 100_000,
    alpha: float = 0.001,
    bound: str = "two_sided",
    stop: Stop | tuple[Stop, ...] | None = None,
    batch_size: int = 1000,
    seed: int | None = None,
    resume: Votes | None = None,
    observer: Observer | None = None,
) -> Certification:
    """Certify that the smoothed classifier answers ``top_class`` everywhere within the radii, or abstain.

    Fails with probability at most ``alpha`` over the votes. All looks hold at once: the largest radius of any
    look counts, and sampling may end after each.

    Args:
        base_classifier: f, ``(b, c, h, w)`` in pixel units to logits ``(b, k)``, each row about its own image
            alone (see ``check_batch_invariance``).
        image: ``(c, h, w)``: uint8, for exact noise; or float32 or float64, in [0, 1], for noise in floating
            point, which keeps low bits of the image: the certificate is then false of an f that reads them.
        noise: The noise of the smoothed classifier; for an image of bytes, the nearest that is exact.
        n0: Selection votes, which choose the class.
        n: Estimation votes, at most, which bound its probability.
        alpha: Failure probability of the answer, in (0, ½).
        bound: A name in ``BOUNDS``.
        stop: ``Looks``, ``Target``, ``Deadline``, or a tuple of them. Default: one look, at ``n``.
        batch_size: Most images in one call of f; halved where the device has no memory for it.
        seed: 128 bits, fresh for each certificate. Default: drawn. The result keeps it.
        resume: What an interrupted call with the same arguments last reported to its observer.
        observer: Hears of votes, progress and looks; may raise to abandon the work.

    Raises:
        InvalidParameter: An argument is out of range, or ``n`` votes could not certify at ``alpha``.
        UnusableClassifier: f is in training mode, or answers in another shape or type, or not finitely.

    Reference:
        Cohen, Rosenfeld & Kolter, ICML 2019, Algorithm 2, here with a choice of noise, bound and looks.
    """
    _require_arguments(image, noise, n0, n, alpha, bound)
    rules = stop_rules(stop, n, alpha)
    exact = is_exact(image)
    noise = noise.on_lattice() if exact else noise
    error = noise.lattice_error(image.numel()) if exact else 0.0
    poll = Poll(base_classifier, image, noise, n0, rules, batch_size, seed, resume, observer)

    selection_counts = poll.select()  # counts0 ← SampleUnderNoise(f, x, n0, σ)
    top_class = int(selection_counts.argmax())  # ĉA ← top index in counts0

    def certify_votes(counts: Counts, look: Look) -> Certification:
        # pA ← LowerConfBound(counts[ĉA], n, 1 − α); the radius is 0, an abstention, where it is too small
        split = split_alpha(selection_counts, look.alpha)
        bounded = BOUNDS[bound](counts, top_class, look.alpha, alpha_upper=split)
        bounded = bounded.widened(error) if exact else bounded
        radius = noise.radius(bounded.p_lower, bounded.p_upper, dimension=image.numel())
        return Certification(
            radius, bounded, bound, counts, look.alpha, alpha, rules.target, noise, image.numel(),
            poll.seed, selection_counts, poll.n, poll.selection_segments, poll.segments, exact=exact,
        )  # fmt: skip

    best = None if poll.best_look is None else certify_votes(*poll.best_look)
    for look in rules.looks_after(poll.last_look):
        counts = poll.estimate(look.n)  # counts ← SampleUnderNoise(f, x, n, σ)
        if poll.n < look.n:  # the time is up
            break
        best = _better(best, certify_votes(counts, look))
        best = replace(best, stop_reason=rules.reason(best, counts, look, certify_votes))
        poll.take_look(best)
        if best.stop_reason != "stopped" or rules.stopped:
            return best
    assert best is not None  # noqa: S101 (nothing stops before the first look)
    return replace(best, n_drawn=poll.n, segments=poll.segments)


def _better(best: Certification | None, latest: Certification) -> Certification:
    """The one with the larger radius, the later one if equal, with the votes drawn by now."""
    if best is None or latest.own_radius >= best.own_radius:
        return latest
    return replace(best, n_drawn=latest.n_drawn, segments=latest.segments)


def _require_arguments(image: Tensor, noise: Noise, n0: int, n: int, alpha: float, bound: str) -> None:
    require_image(image)
    require_noise(noise)
    require_pixel_units(image)
    require_count(n0, "n0")
    require_count(n, "n")
    require_alpha(alpha, 0.5)
    require(bound in tuple(BOUNDS), "bound", f"be one of {', '.join(BOUNDS)}", bound)
