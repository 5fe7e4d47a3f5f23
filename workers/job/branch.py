"""One noise's part of a certification: level, adaptation, votes, bounds. A hybrid has two."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from contract.certificates import SigmaTrial
from contract.choices import NoiseKind, Stage
from contract.limits import GIVE_UP_PROBABILITY, minimum_samples
from contract.tasks import CertifyTask, PredictTask
from models.backends import ExecutableClassifier
from smoothing import (
    NOISES,
    Certification,
    Look,
    Looks,
    Noise,
    Observer,
    Target,
    Votes,
    branch_seed,
    certify,
    look_schedule,
    round_down,
    target_schedule,
)
from smoothing import Deadline as StopAt
from workers.job.checkpoint import Checkpoint, Record, Setting
from workers.job.deadline import Deadline
from workers.job.levels import Level, choose_level
from workers.job.progress import Watch
from workers.job.shelf import Resident
from workers.job.statistics import AdaptationLaw
from workers.job.variants import Variant, Variants
from workers.tracing import span

_LEAST_SELECTION = 100  # votes, if so many are wanted, however little time there is
_SHARE_OF_SELECTION = 0.2  # that the selection votes may take of a noise's time


@dataclass(frozen=True)
class BranchPlan:
    """Which noise, where to start, how much failure probability, and which randomness."""

    kind: NoiseKind
    sigma: float
    alpha: float
    seed: int

    @property
    def noise(self) -> type[Noise]:
        """The kind of noise."""
        return NOISES[self.kind.value]


@dataclass(frozen=True, eq=False)
class Branch:
    """What one noise has to say about the image."""

    plan: BranchPlan
    noise: Noise
    certification: Certification
    looks: Sequence[Look]
    trials: tuple[SigmaTrial, ...]
    statistics_digest: str | None
    classifier: ExecutableClassifier
    samples: int


def plans(task: CertifyTask | PredictTask) -> list[BranchPlan]:
    """Returns the noises of a task; a hybrid spends half its failure probability on each."""
    seed = int(task.question.resolved.seed, 16)
    if task.question.asked.noise is not NoiseKind.HYBRID:
        return [
            BranchPlan(
                task.question.asked.noise, task.question.resolved.sigma, task.question.asked.alpha, seed
            )
        ]
    return [
        BranchPlan(kind, sigma, task.question.asked.alpha / 2, branch_seed(seed, kind.value))
        for kind, sigma in (
            (NoiseKind.GAUSSIAN, task.question.resolved.sigma),
            (NoiseKind.UNIFORM, task.question.resolved.sigma_uniform),
        )
    ]


class BranchRun:
    """Everything that the branches of one job share."""

    def __init__(
        self,
        task: CertifyTask,
        resident: Resident,
        image: Tensor,
        variants: Variants,
        watch: Watch,
        checkpoint: Checkpoint,
    ) -> None:
        self._task = task
        self._resident = resident
        self._image = image
        self._variants = variants
        self._watch = watch
        self._checkpoint = checkpoint
        self._deadline = Deadline(task.question.asked.max_seconds, spent=checkpoint.seconds)

    def run(self, plan: BranchPlan, *, branches_left: int) -> Branch:
        """Returns one noise's certification; from the votes of an earlier attempt, if any."""
        earlier = self._checkpoint.read(plan.kind.value)
        with span("choose"):
            level = self._level(plan) if earlier is None else _as_before(earlier)
        noise = plan.noise(level.sigma)
        with span("adapt"):
            variant = self._variant(noise)
            if self._task.question.resolved.adapt and "executable" not in vars(variant):
                self._watch.stage(Stage.ADAPTING, total=0)
            classifier = variant.executable
        n0, n = self._votes(plan, classifier, branches_left)
        setting = Setting(
            sigma=noise.sigma,
            n0_planned=n0,
            n_planned=n,
            statistics_digest=variant.digest,
            backend=classifier.backend,
            device=classifier.device.type,
            dtype=classifier.dtype,
        )
        votes = None
        if earlier is not None and _same_function(earlier.setting, setting):
            setting, votes = earlier.setting, earlier.votes
        record = Record(setting, level.trials, votes)
        self._checkpoint.write(plan.kind.value, record, now=True)
        looks = _looks(self._task, setting.n_planned, plan.alpha)
        certification = self._certify(plan, noise, classifier, looks, record)
        if (batch_size := certification.segments[-1].batch_size) < classifier.batch_size:
            variant.shrink(batch_size)
        drawn = setting.n0_planned + certification.n_drawn - _votes_kept(votes, setting.n0_planned)
        return Branch(
            plan=plan,
            noise=noise,
            certification=certification,
            looks=looks,
            trials=level.trials,
            statistics_digest=variant.digest,
            classifier=classifier,
            samples=level.samples + drawn,
        )

    def _level(self, plan: BranchPlan) -> Level:
        return choose_level(
            self._task,
            plan.noise,
            plan.sigma,
            plan.alpha,
            plan.seed,
            image=self._image,
            resident=self._resident,
            variant_for=lambda sigma: self._variant(plan.noise(sigma)),
            watch=self._watch,
            deadline=self._deadline,
        )

    def _variant(self, noise: Noise) -> Variant:
        law = (
            AdaptationLaw(
                noise, self._task.question.resolved.momentum, self._task.question.resolved.clean_size
            )
            if self._task.question.resolved.adapt
            else None
        )
        return self._variants.get(self._resident, law)

    def _votes(
        self, plan: BranchPlan, classifier: ExecutableClassifier, branches_left: int
    ) -> tuple[int, int]:
        """Selection and estimation votes that fit until the deadline; the former are made in any case."""
        rate, share = classifier.votes_per_second, 1 / branches_left
        n0 = self._deadline.votes(
            self._task.question.asked.n0, least=_LEAST_SELECTION, rate=rate, share=share * _SHARE_OF_SELECTION
        )
        least = n0 + minimum_samples(plan.alpha)
        return n0, self._deadline.votes(
            n0 + self._task.question.resolved.n, least=least, rate=rate, share=share
        ) - n0

    def _certify(
        self,
        plan: BranchPlan,
        noise: Noise,
        classifier: ExecutableClassifier,
        looks: Sequence[Look],
        record: Record,
    ) -> Certification:
        task, watch, setting = self._task, self._watch, record.setting
        n0, planned = setting.n0_planned, setting.n_planned
        watch.stage(Stage.SAMPLING, total=n0 + planned)

        checkpoint = self._checkpoint

        class Reporting(Observer):
            def on_progress(self, completed: int, planned: int) -> None:
                del planned
                watch.advance(completed)

            def on_look(self, best: Certification) -> None:
                # The other noise may still contradict this one: then there is no radius.
                grown = None if task.question.asked.noise is NoiseKind.HYBRID else round_down(best.own_radius)
                watch.advance(n0 + best.n_drawn, radius=grown)

            def on_votes(self, votes: Votes) -> None:
                checkpoint.write(plan.kind.value, replace(record, votes=votes))

        target = (
            ()
            if task.question.asked.target_radius is None
            else (Target(task.question.asked.target_radius, GIVE_UP_PROBABILITY),)
        )
        growing = Looks(tuple(looks), GIVE_UP_PROBABILITY)

        with span("sample"), classifier.alone():
            return certify(
                classifier,
                self._image,
                noise,
                n0=n0,
                n=planned,
                alpha=plan.alpha,
                bound=task.question.asked.bound,
                stop=(growing, *target, StopAt(lambda: self._deadline.passed)),
                batch_size=classifier.batch_size,
                seed=plan.seed,
                resume=record.votes,
                observer=Reporting(),
            )


def _same_function(one: Setting, other: Setting) -> bool:
    """Whether votes of both are about one function, however many of them were planned."""
    return replace(one, n0_planned=0, n_planned=0) == replace(other, n0_planned=0, n_planned=0)


def _votes_kept(votes: Votes | None, n0: int) -> int:
    """Votes of an earlier attempt that are not made again; selection votes are, if some are missing."""
    if votes is None:
        return 0
    return int(votes.counts.sum()) + (n0 if int(votes.selection_counts.sum()) == n0 else 0)


def _looks(task: CertifyTask, n: int, alpha: float) -> tuple[Look, ...]:
    return look_schedule(n, alpha) if task.question.asked.target_radius is None else target_schedule(n, alpha)


def _as_before(earlier: Record) -> Level:
    """The level that an earlier attempt chose; its trials were paid for by then."""
    return Level(earlier.setting.sigma, earlier.trials, 0)
