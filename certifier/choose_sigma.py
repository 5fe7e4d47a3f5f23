"""Choosing the noise level of one image, as the question says; the votes made here certify nothing."""

from dataclasses import dataclass, replace

from torch import Tensor

from certifier.noise_plan import NoisePlan, Work
from contract.certificates import SigmaTrial
from contract.choices import NoiseLevel, Stage
from contract.limits import AUTO_SAMPLES, OPTIMIZE_RANGE, SIGMA_LATTICE, minimum_samples
from models.backends import ExecutableClassifier
from smoothing import auto_noise, optimize_sigma, round_down
from smoothing.noise_level import SigmaTrial as Tried

_LEAST_TRIAL = 50  # votes at each level, however little time there is
_SHARE_OF_TIME = 0.3  # that choosing may take of what is left


@dataclass(frozen=True)
class SigmaChoice:
    """A noise level and how it was found; ``samples`` noisy copies were classified for it."""

    sigma: float
    trials: tuple[SigmaTrial, ...] = ()
    samples: int = 0


def choose_sigma(plan: NoisePlan, work: Work) -> SigmaChoice:
    """Returns the level for one noise: the one asked for, or the best found for this image."""
    level = work.question.resolved.noise_level
    if level is NoiseLevel.FIXED:
        return SigmaChoice(plan.sigma)
    return _best_of_grid(plan, work) if level is NoiseLevel.AUTO else _climb(plan, work)


def _best_of_grid(plan: NoisePlan, work: Work) -> SigmaChoice:
    grid, executed = work.question.resolved.sigma_grid, work.model.classifier
    least = max(_LEAST_TRIAL, minimum_samples(plan.alpha))  # fewer could show no level to be better
    votes = work.budget.votes(
        AUTO_SAMPLES * len(grid),
        least=least * len(grid),
        rate=executed.votes_per_second,
        share=_SHARE_OF_TIME,
    )
    n = votes // len(grid)
    work.observer.stage(Stage.CHOOSING, total=n * len(grid))
    (chosen,) = auto_noise(
        lambda sigma: _alone(work.variant(plan.at(sigma)).trial),
        work.image.unsqueeze(0),
        plan.noise,
        grid,
        n=n,
        alpha=plan.alpha,
        bound=work.question.asked.bound,
        batch_size=executed.batch_size,
        seed=plan.seed,
        on_batch=lambda completed, _planned: work.observer.advance(completed),
    )
    return SigmaChoice(chosen.sigma, tuple(_stated(trial) for trial in chosen.trials), chosen.samples)


def _climb(plan: NoisePlan, work: Work) -> SigmaChoice:
    work.observer.stage(Stage.CHOOSING, total=0)
    own = work.budget.part(_SHARE_OF_TIME)
    least, largest = OPTIMIZE_RANGE
    (chosen,) = optimize_sigma(
        lambda sigma: work.variant(plan.at(sigma)).differentiable,
        work.image.unsqueeze(0),
        plan.noise,
        plan.sigma,
        bounds=(least * plan.sigma, largest * plan.sigma),
        # Without a lattice every image would have statistics of its own, which could not be shared.
        lattice=SIGMA_LATTICE if work.question.resolved.adapt else None,
        seed=plan.seed,
        on_step=lambda _done, _planned: work.observer.advance(0),
        stop=lambda: own.is_spent,
    )
    sigma = plan.at(chosen.sigma).sigma
    found = _stated(replace(chosen.trials[-1], sigma=sigma, n=chosen.samples))
    return SigmaChoice(sigma, (found,), chosen.samples)


def _alone(classifier: ExecutableClassifier) -> ExecutableClassifier:
    """Keeps PyTorch's threads out of the way of each call, and not of the preparations between them."""

    def call(images: Tensor) -> Tensor:
        with classifier.alone():
            return classifier(images)

    return replace(classifier, call=call)


def _stated(trial: Tried) -> SigmaTrial:
    rounded = replace(trial, proxy_radius=round_down(trial.proxy_radius))
    return SigmaTrial.model_validate(rounded, from_attributes=True)
