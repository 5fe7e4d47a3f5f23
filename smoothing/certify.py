"""Certify: the class of the smoothed classifier at an image, and radii within which it cannot change."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import fsum, inf

import torch
from torch import Tensor

from smoothing.bounds import BOUNDS, Counts, minimum_samples, split_alpha
from smoothing.certification import Certification, StopReason, Votes
from smoothing.errors import require
from smoothing.noises.base import Noise
from smoothing.polling import Poll, Sample, SmallerBatch, no_votes, require_same_arguments
from smoothing.sampling import BaseClassifier, count_classes, require_image, require_pixel_units
from smoothing.schedule import Look, look_schedule, single_look, target_schedule
from smoothing.stopping import hopeless, out_of_reach, own_radius, share_beta


def certify(
    base_classifier: BaseClassifier,
    image: Tensor,
    noise: Noise,
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
    resume: Votes | None = None,
    stop: Callable[[], bool] | None = None,
    on_batch: Callable[[int, int], None] | None = None,
    on_votes: Callable[[Votes], None] | None = None,
    on_look: Callable[[Certification], bool | None] | None = None,
) -> Certification:
    """Certify that the smoothed classifier answers ``top_class`` everywhere within the radii, or abstain.

    With probability at least 1 − ``alpha`` over the votes, the smoothed classifier g (its most probable
    class under this noise) is constant within each radius around the image. ``n0`` votes choose the class,
    ``n`` fresh ones bound its probability, and the noise turns the bound into radii. With several ``looks``
    the bound is also taken on the way; all of them hold at once, so the largest radius counts, it can only
    grow, and sampling may end after any look for any reason.

    Args:
        base_classifier: f, ``(b, c, h, w)`` in pixel units to logits ``(b, num_classes)``. Each row must
            depend on its own image only (see ``check_batch_invariance``).
        image: ``(c, h, w)``, float32 or float64, in [0, 1].
        noise: The noise of g.
        num_classes: k, at least 2.
        n0: Selection votes.
        n: Estimation votes, at most.
        alpha: Failure probability of the answer, in (0, ½).
        bound: A name in ``BOUNDS``.
        looks: When to bound and at which alpha: rising, ending at ``n``, spending at most ``alpha`` in all.
            Default: the paper's one look at the end; with a target ``target_schedule(n, alpha)``; with
            ``beta`` alone ``look_schedule(n, alpha)``.
        target_radius: Only decide whether this radius can be certified, in the noise's own norm
            ``noise.norms[0]``, pixel units: stop when it is, or when no remaining look could.
        beta: Probability of giving up early an input that more votes might have certified (to
            ``target_radius``, if there is one), in [0, 1); 0 never gives up on statistical grounds. It
            never makes a certificate wrong. Spent at each look but the last, so a single look never does.
        batch_size: Most images in one call of f. Halved for the rest when the device has no memory for it,
            which the segments of the result show.
        seed: 128 bits, fresh for each certificate (``draw_seed``). The votes can be drawn again from it.
        resume: The last record that ``on_votes`` was given by an interrupted call with the same arguments;
            ``batch_size`` may differ. Its votes count, and further ones come from new random streams of the
            same seed, so that none is drawn twice. This is sound as long as what interrupted the call, such
            as a crash, does not depend on the votes, and the last record is taken whatever it says.
        stop: Asked after each batch; a true answer ends sampling, once the first look has been taken, with
            the best certificate of the looks so far. Meant for time budgets: let it depend on time only.
        on_batch: Called with the votes done and the votes planned, selection and estimation together, after
            each batch. It may raise to abandon the work.
        on_votes: Called with all votes so far after each batch, to be stored for ``resume``.
        on_look: Called with the best certificate so far after each look. It is valid already; a true answer
            stops here and returns it.

    Raises:
        InvalidParameter: An argument is out of range, ``n`` votes could not certify anything at ``alpha``,
            or ``resume`` is of other arguments.
        InvalidLogits: f answers in another shape or type, or not finitely.

    Reference:
        Cohen, Rosenfeld & Kolter, "Certified Adversarial Robustness via Randomized Smoothing", ICML 2019,
        Algorithm 2 (CERTIFY), here with a choice of noise, bound and looks. For deciding a target radius:
        Voráček, "Treatment of Statistical Estimation Problems in Randomized Smoothing for Adversarial
        Robustness", NeurIPS 2024.

    >>> import torch
    >>> from smoothing import Gaussian
    >>> def brightest(images: Tensor) -> Tensor:
    ...     return images.flatten(1)
    >>> image = torch.tensor([[[0.9, 0.1, 0.1]]])
    >>> certification = certify(brightest, image, Gaussian(0.25), num_classes=3, n=10_000, seed=1)
    >>> certification.top_class, round(certification.radius.l2, 2)
    (0, 0.49)
    >>> decided = certify(brightest, image, Gaussian(0.25), num_classes=3, target_radius=0.25, seed=1)
    >>> decided.stop_reason, decided.n_drawn
    ('target_reached', 160)
    """
    if looks is None:
        looks = _default_looks(n, alpha, target_radius, beta)
    votes = no_votes(num_classes) if resume is None else resume
    _require_arguments(image, num_classes, n0, n, alpha, bound, looks, target_radius, votes)
    betas = share_beta(looks, beta)
    poll = Poll(
        _sampler(base_classifier, image, noise, num_classes),
        votes,
        n0,
        batch_size=batch_size,
        seed=seed,
        device=image.device,
        stop=stop,
        on_batch=None if on_batch is None else lambda completed: on_batch(completed, n0 + n),
        on_votes=on_votes,
    )

    selection_counts = poll.select()
    top_class = int(selection_counts.argmax())

    def certification_at(counts: Counts, look: Look) -> Certification:
        split = split_alpha(selection_counts, look.alpha)
        bounded = BOUNDS[bound](counts, top_class, look.alpha, alpha_upper=split)
        return Certification(
            radius=noise.radius(bounded.p_lower, bounded.p_upper, dimension=image.numel()),
            bound=bounded,
            bound_name=bound,
            selection_counts=selection_counts,
            counts=counts,
            look_alpha=look.alpha,
            n_drawn=poll.n,
            alpha=alpha,
            stop_reason="stopped",
            target_radius=target_radius,
            selection_segments=poll.selection_segments,
            segments=poll.segments,
        )

    best = None if poll.best_look is None else certification_at(*poll.best_look)
    for place, look in enumerate(looks):
        if look.n <= votes.last_look:
            continue
        counts = poll.estimate(look.n)
        if poll.n < look.n:
            break
        best = _better(best, certification_at(counts, look), noise)
        reason = _stop_reason(best, counts, looks[place + 1 :], betas[place], noise, image, certification_at)
        best = replace(best, stop_reason=reason)
        poll.take_look(best.counts, best.look_alpha)
        enough = on_look is not None and on_look(best)
        if enough or reason != "stopped" or poll.stopped():
            return best
    assert best is not None  # noqa: S101 (nothing stops before the first look)
    return replace(best, n_drawn=poll.n, segments=poll.segments)


def _better(best: Certification | None, latest: Certification, noise: Noise) -> Certification:
    """The one with the larger radius, the later one if equal, with the votes drawn by now."""
    if best is None or own_radius(noise, latest.radius) >= own_radius(noise, best.radius):
        return latest
    return replace(best, n_drawn=latest.n_drawn, segments=latest.segments)


def _stop_reason(
    best: Certification,
    counts: Counts,
    looks_left: Sequence[Look],
    beta: float,
    noise: Noise,
    image: Tensor,
    certification_at: Callable[[Counts, Look], Certification],
) -> StopReason:
    """Why to stop after this look, or ``"stopped"``: only if the caller wants to."""
    target = best.target_radius
    if target is not None and own_radius(noise, best.radius) >= target:
        return "target_reached"
    if not looks_left:
        return "complete"
    if target is None and (beta == 0.0 or not best.abstained):
        return "stopped"

    def radius_at(votes: Counts, look: Look) -> float:
        return own_radius(noise, certification_at(votes, look).radius)

    # Without a third class among the selection votes the bound is one-sided, whatever it is called.
    split = split_alpha(best.selection_counts, best.alpha)
    lost = out_of_reach(counts, best.top_class, looks_left, radius_at=radius_at, target=target or 0.0) or (
        beta > 0.0
        and hopeless(
            counts,
            best.top_class,
            noise=noise,
            dimension=image.numel(),
            beta=beta,
            target=target or 0.0,
            bound="one_sided" if split == 0.0 else best.bound_name,
        )
    )
    if not lost:
        return "stopped"
    return "hopeless" if target is None else "target_out_of_reach"


def _sampler(base_classifier: BaseClassifier, image: Tensor, noise: Noise, num_classes: int) -> Sample:
    """SampleUnderNoise for this image; batches that are too large for the device are the poll's to shrink."""

    def give_up(batch_size: int) -> None:
        raise SmallerBatch(batch_size)

    def sample(n: int, batch_size: int, generator: torch.Generator) -> Counts:
        return count_classes(
            base_classifier,
            image,
            noise,
            n,
            num_classes=num_classes,
            batch_size=batch_size,
            generator=generator,
            on_smaller_batch=give_up,
        )

    return sample


def _default_looks(n: int, alpha: float, target_radius: float | None, beta: float) -> tuple[Look, ...]:
    if target_radius is not None:
        return target_schedule(n, alpha)
    return look_schedule(n, alpha) if beta > 0.0 else single_look(n, alpha)


def _require_arguments(
    image: Tensor,
    num_classes: int,
    n0: int,
    n: int,
    alpha: float,
    bound: str,
    looks: Sequence[Look],
    target_radius: float | None,
    votes: Votes,
) -> None:
    require_image(image)
    require_pixel_units(image)
    require(n0 >= 1, "n0", "be >= 1", n0)
    require(0.0 < alpha < 0.5, "alpha", "be in (0, 0.5)", alpha)
    require(bound in BOUNDS, "bound", f"be one of {', '.join(BOUNDS)}", bound)
    if target_radius is not None:
        positive = 0.0 < target_radius < inf
        require(positive, "target_radius", "be positive and finite", target_radius)
    counts = [look.n for look in looks]
    require(bool(counts) and counts == sorted(set(counts)), "looks", "rise", counts)
    require(counts[-1] == n, "looks", f"end at n = {n}", counts[-1])
    spent = fsum(look.alpha for look in looks)
    require(spent <= alpha, "looks", f"spend at most alpha = {alpha}", spent)
    for look in looks:
        least = minimum_samples(look.alpha)
        require(look.n >= least, "n", f"be >= {least} to certify at alpha = {look.alpha}", look.n)
    require_same_arguments(votes, num_classes, n0, looks)
