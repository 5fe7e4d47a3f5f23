"""One noise's part of a certification: level, adaptation, votes, bounds. A hybrid has two."""

from dataclasses import dataclass, replace

import smoothing
from certifier.choose_sigma import SigmaChoice, choose_sigma
from certifier.noise_plan import NoisePlan, Work
from certifier.observer import Reports
from certifier.vote_keeper import Record, VoteSetting
from contract.certificates import Radius, SigmaTrial
from contract.choices import NoiseKind, Stage
from contract.limits import GIVE_UP_PROBABILITY, minimum_samples
from models.backends import ExecutableClassifier
from smoothing import (
    Certification,
    Deadline,
    Look,
    Looks,
    Radii,
    Target,
    Votes,
    look_schedule,
    target_schedule,
)

_LEAST_SELECTION = 100  # votes (or all, if fewer are asked for), however little time is left
_SHARE_OF_SELECTION = 0.2  # that the selection votes may take of a noise's time


@dataclass(frozen=True, eq=False)
class NoiseRun:
    """What one noise has to say about the image.

    Attributes:
        plan: What was wanted.
        certification: Class, radii, bounds and votes.
        looks: At which numbers of votes the bound was to be taken.
        trials: How the noise level was chosen.
        statistics_digest: Of the batch-norm statistics; None: those of training.
        classifier: How the votes were executed.
        samples: Noisy copies classified here and now, by choosing the level too.
    """

    plan: NoisePlan
    certification: Certification
    looks: tuple[Look, ...]
    trials: tuple[SigmaTrial, ...]
    statistics_digest: str | None
    classifier: ExecutableClassifier
    samples: int


def certify_noise(plan: NoisePlan, work: Work, share: float) -> NoiseRun:
    """Returns one noise's certification; continues from the votes of an earlier attempt, if any.

    Args:
        plan: The noise.
        work: What is certified.
        share: Of the time that is left.
    """
    observer, keeper = work.observer, work.keeper
    earlier = keeper.read(plan.kind.value)
    with observer.span("choose"):
        # An earlier attempt has paid for its trials.
        choice = SigmaChoice(earlier.setting.sigma, earlier.trials) if earlier else choose_sigma(plan, work)
    noise = plan.at(choice.sigma)
    with observer.span("adapt"):
        variant = work.variant(noise)
        if not variant.is_prepared:
            observer.stage(Stage.ADAPTING, total=0)
        classifier = variant.executable
    n0, n = _votes_in_time(plan, work, classifier, share)
    setting = VoteSetting(
        sigma=noise.sigma,
        n0_planned=n0,
        n_planned=n,
        statistics_digest=variant.digest,
        backend=classifier.backend,
        device=classifier.device.type,
        dtype=classifier.dtype,
    )
    record = _continued(earlier, Record(setting, choice.trials, votes=None))
    keeper.write(plan.kind.value, record, now=True)
    certification, looks = _sample(plan, work, classifier, record)
    if (batch_size := certification.segments[-1].batch_size) < classifier.batch_size:
        variant.shrink(batch_size)
    drawn = record.setting.n0_planned + certification.n_drawn - _votes_kept(record)
    return NoiseRun(
        plan=plan,
        certification=certification,
        looks=looks,
        trials=choice.trials,
        statistics_digest=variant.digest,
        classifier=classifier,
        samples=choice.samples + drawn,
    )


def _sample(
    plan: NoisePlan, work: Work, classifier: ExecutableClassifier, record: Record
) -> tuple[Certification, tuple[Look, ...]]:
    asked, setting = work.question.asked, record.setting
    n0, n, radius = setting.n0_planned, setting.n_planned, asked.target_radius
    looks = (look_schedule if radius is None else target_schedule)(n, plan.alpha)
    target = () if radius is None else (Target(radius, GIVE_UP_PROBABILITY),)
    work.observer.stage(Stage.SAMPLING, total=n0 + n)
    with work.observer.span("sample"), classifier.alone():
        certification = smoothing.certify(
            classifier,
            work.image,
            plan.at(setting.sigma),
            n0=n0,
            n=n,
            alpha=plan.alpha,
            bound=asked.bound,
            stop=(Looks(looks, GIVE_UP_PROBABILITY), *target, Deadline(lambda: work.budget.is_spent)),
            batch_size=classifier.batch_size,
            seed=plan.seed,
            resume=record.votes,
            observer=_VoteReports(plan, work, record),
        )
    return certification, looks


def rounded(radii: Radii) -> Radius:
    """Returns radii as they are stated: rounded down."""
    return Radius.model_validate(radii.rounded_down(), from_attributes=True)


class _VoteReports(Reports):
    """Reports the radius as well, and keeps the votes."""

    def __init__(self, plan: NoisePlan, work: Work, record: Record) -> None:
        super().__init__(work.observer)
        self._plan, self._work, self._record = plan, work, record

    def on_look(self, best: Certification) -> None:
        completed = self._record.setting.n0_planned + best.n_drawn
        # Under a hybrid the other noise may still contradict this one: then there is no radius.
        if best.abstained or self._work.question.asked.noise is NoiseKind.HYBRID:
            self._work.observer.advance(completed)
        else:
            self._work.observer.look(completed, best.top_class, rounded(best.radius))

    def on_votes(self, votes: Votes) -> None:
        self._work.keeper.write(self._plan.kind.value, replace(self._record, votes=votes))


def _votes_in_time(
    plan: NoisePlan, work: Work, classifier: ExecutableClassifier, share: float
) -> tuple[int, int]:
    """Selection and estimation votes that fit into the time; a least number of each is planned anyway."""
    rate, budget = classifier.votes_per_second, work.budget
    n0 = budget.votes(
        work.question.asked.n0, least=_LEAST_SELECTION, rate=rate, share=share * _SHARE_OF_SELECTION
    )
    least = n0 + minimum_samples(plan.alpha)
    return n0, budget.votes(n0 + work.question.resolved.n, least=least, rate=rate, share=share) - n0


def _continued(earlier: Record | None, record: Record) -> Record:
    """The earlier record if its votes are about the same function, however many of them were planned."""
    if earlier is None:
        return record
    one, other = (replace(each.setting, n0_planned=0, n_planned=0) for each in (earlier, record))
    return earlier if one == other else record


def _votes_kept(record: Record) -> int:
    """Votes of an earlier attempt that are not made again; selection votes are, if some are missing."""
    votes, n0 = record.votes, record.setting.n0_planned
    if votes is None:
        return 0
    return int(votes.counts.sum()) + (n0 if int(votes.selection_counts.sum()) == n0 else 0)
