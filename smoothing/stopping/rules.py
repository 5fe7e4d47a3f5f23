"""The rules by which ``certify`` ends before all votes are drawn: ``Looks``, ``Target`` and ``Deadline``."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import fsum, inf

from smoothing.bounds import Counts, minimum_samples, split_alpha
from smoothing.certification import Certification, StopReason
from smoothing.errors import require, require_number
from smoothing.stopping.giving_up import hopeless, out_of_reach, share_beta
from smoothing.stopping.schedule import Look, look_schedule, target_schedule

CertifyVotes = Callable[[Counts, Look], Certification]
"""Estimation votes ``(k,)`` and a look to the certificate that they give at this look."""


@dataclass(frozen=True)
class Looks:
    """Take the bound several times, so that the radius is known early and grows.

    Attributes:
        schedule: When to bound and at which alpha: rising, ending at ``n``, spending at most ``alpha``.
            Default: ``look_schedule(n, alpha)``.
        give_up: Probability of stopping early at an input that more votes might have certified, in [0, 1). It
            never makes a certificate wrong. It is spent at each look but the last, so never at a single one.
    """

    schedule: tuple[Look, ...] | None = None
    give_up: float = 0.0

    def __post_init__(self) -> None:
        require_number(self.give_up, "give_up")
        require(0.0 <= self.give_up < 1.0, "give_up", "be in [0, 1)", self.give_up)


@dataclass(frozen=True)
class Target:
    """Only decide whether a radius can be certified: stop when it is, or when no remaining look could.

    The looks are ``target_schedule(n, alpha)`` unless ``Looks`` are given beside it.

    Attributes:
        radius: In the noise's own norm ``noise.norms[0]``, pixel units, positive.
        give_up: Probability of stopping early although more votes might have certified it, in [0, 1).

    >>> import torch
    >>> from smoothing import Gaussian, certify
    >>> image = torch.tensor([[[0.9, 0.1, 0.1]]])
    >>> found = certify(lambda x: x.flatten(1), image, Gaussian(0.25), stop=Target(0.25), seed=1)
    >>> found.stop_reason, found.n_drawn
    ('target_reached', 160)
    """

    radius: float
    give_up: float = 0.0

    def __post_init__(self) -> None:
        require_number(self.radius, "radius")
        require(0.0 < self.radius < inf, "radius", "be positive and finite", self.radius)
        require_number(self.give_up, "give_up")
        require(0.0 <= self.give_up < 1.0, "give_up", "be in [0, 1)", self.give_up)


@dataclass(frozen=True)
class Deadline:
    """Stop at a time, with the best certificate so far; the first look is always taken.

    Attributes:
        seconds: From the beginning of the call; or a function, asked after each batch, whose true answer
            stops sampling. To keep the bounds valid it must not depend on votes that no look has seen.
    """

    seconds: float | Callable[[], bool]

    def __post_init__(self) -> None:
        if not callable(self.seconds):
            require_number(self.seconds, "seconds")
            require(0.0 < self.seconds < inf, "seconds", "be positive and finite", self.seconds)

    def start(self) -> Callable[[], bool]:
        """Start the clock; returns a function that says whether the time is up."""
        if callable(self.seconds):
            return self.seconds
        moment = time.monotonic() + self.seconds
        return lambda: time.monotonic() >= moment


Stop = Looks | Target | Deadline


@dataclass(frozen=True)
class StopRules:
    """What the given ``Stop`` objects come to, for one certificate.

    Attributes:
        looks: When to bound, and at which alpha.
        betas: For each look, the probability of giving up wrongly at it.
        target: The radius to decide on, or None.
        time_is_up: Whether the deadline has passed; None without one.
    """

    looks: tuple[Look, ...]
    betas: tuple[float, ...]
    target: float | None = None
    time_is_up: Callable[[], bool] | None = None

    @property
    def stopped(self) -> bool:
        """Whether the deadline has passed."""
        return self.time_is_up is not None and self.time_is_up()

    def looks_after(self, n: int) -> Iterator[Look]:
        """The looks not yet taken, where the last one was at ``n`` votes."""
        return (look for look in self.looks if look.n > n)

    def reason(
        self, best: Certification, counts: Counts, look: Look, certify_votes: CertifyVotes
    ) -> StopReason:
        """Why to stop after this look, or ``"stopped"``: only if the caller wants to.

        Args:
            best: The best certificate so far.
            counts: All estimation votes ``(k,)`` at this look.
            look: The one that was just taken.
            certify_votes: Estimation votes and a look to what they certify.
        """
        if self.target is not None and best.own_radius >= self.target:
            return "target_reached"
        looks_left = tuple(self.looks_after(look.n))
        if not looks_left:
            return "complete"
        beta = self.betas[self.looks.index(look)]
        if self.target is None and (beta == 0.0 or not best.abstained):
            return "stopped"
        lost = out_of_reach(
            counts,
            best.top_class,
            looks_left,
            radius_at=lambda votes, at: certify_votes(votes, at).own_radius,
            target=self.target or 0.0,
        )
        if not (lost or (beta > 0.0 and self._hopeless(best, counts, beta))):
            return "stopped"
        return "hopeless" if self.target is None else "target_out_of_reach"

    def _hopeless(self, best: Certification, counts: Counts, beta: float) -> bool:
        # Without a third class among the selection votes every bound spends all of alpha from below.
        split = split_alpha(best.selection_counts, best.alpha)
        return hopeless(
            counts,
            best.top_class,
            noise=best.noise,
            dimension=best.dimension,
            beta=beta,
            target=self.target or 0.0,
            bound="one_sided" if split == 0.0 else best.bound_name,
        )


def stop_rules(stop: Stop | tuple[Stop, ...] | None, n: int, alpha: float) -> StopRules:
    """Read the ``stop`` argument of ``certify``; starts the clock of a deadline.

    Without ``Looks`` a target is looked for at ``target_schedule(n, alpha)``, a deadline comes with
    ``look_schedule(n, alpha)``, and nothing at all means the paper's one look at the end.

    Args:
        stop: One rule or several of different kinds.
        n: Estimation votes, at most.
        alpha: Failure probability of all looks together.

    Raises:
        InvalidParameter: A rule is out of range, two are of one kind, or the looks could not certify.
    """
    given = stop if isinstance(stop, tuple) else () if stop is None else (stop,)
    looks, target, deadline = None, None, None
    for one in given:
        match one:
            case Looks() if looks is None:
                looks = one
            case Target() if target is None:
                target = one
            case Deadline() if deadline is None:
                deadline = one
            case _:
                require(False, "stop", "be Looks, Target and Deadline, one of each at most", given)
    give_up = max((one.give_up for one in (looks, target) if one is not None), default=0.0)
    schedule = _schedule(looks, target, deadline, n, alpha)
    _require_schedule(schedule, n, alpha)
    return StopRules(
        looks=schedule,
        betas=share_beta(schedule, give_up),
        target=None if target is None else target.radius,
        time_is_up=None if deadline is None else deadline.start(),
    )


def _schedule(
    looks: Looks | None, target: Target | None, deadline: Deadline | None, n: int, alpha: float
) -> tuple[Look, ...]:
    if looks is not None and looks.schedule is not None:
        return looks.schedule
    if target is not None:
        return target_schedule(n, alpha)
    if looks is not None or deadline is not None:
        return look_schedule(n, alpha)
    return (Look(n, alpha),)  # Cohen et al., Algorithm 2: one look, at the end, with all of alpha


def _require_schedule(looks: tuple[Look, ...], n: int, alpha: float) -> None:
    counts = [look.n for look in looks]
    require(bool(counts) and counts == sorted(set(counts)), "looks", "rise", counts)
    require(counts[-1] == n, "looks", f"end at n = {n}", counts[-1])
    spent = fsum(look.alpha for look in looks)
    require(spent <= alpha, "looks", f"spend at most alpha = {alpha}", spent)
    for look in looks:
        least = minimum_samples(look.alpha)
        require(look.n >= least, "n", f"be >= {least} to certify at alpha = {look.alpha}", look.n)
