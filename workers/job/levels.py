"""Choosing the noise level of one image, as the task says."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from contract.certificates import SigmaTrial
from contract.choices import NoiseLevel, Stage
from contract.limits import AUTO_SAMPLES, OPTIMIZE_RANGE, SIGMA_LATTICE, minimum_samples
from contract.tasks import CertifyTask
from models.backends import ExecutableClassifier
from smoothing import Noise, auto_noise, optimize_sigma, round_down
from smoothing.noise_level import SigmaTrial as FoundTrial
from workers.job.deadline import Deadline
from workers.job.progress import Watch
from workers.job.shelf import Resident
from workers.job.variants import Variant

VariantFor = Callable[[float], Variant]
"""A noise level to the model as it is smoothed at that level."""

_LEAST_TRIAL = 50  # votes at each level, however little time there is
_SHARE_OF_TIME = 0.3  # that choosing may take of what is left until a deadline


@dataclass(frozen=True)
class Level:
    """A noise level and how it was found; ``samples`` noisy copies were classified for it."""

    sigma: float
    trials: tuple[SigmaTrial, ...]
    samples: int


def choose_level(
    task: CertifyTask,
    noise: type[Noise],
    sigma: float,
    alpha: float,
    seed: int,
    *,
    image: Tensor,
    resident: Resident,
    variant_for: VariantFor,
    watch: Watch,
    deadline: Deadline,
) -> Level:
    """Returns the level for one noise; its votes are not those that certify."""
    match task.question.resolved.noise_level:
        case NoiseLevel.FIXED:
            return Level(sigma, (), 0)
        case NoiseLevel.AUTO:
            rate = resident.classifier.votes_per_second
            least = max(_LEAST_TRIAL, minimum_samples(alpha))  # fewer could show no level to be better
            votes = deadline.votes(
                AUTO_SAMPLES * len(task.question.resolved.sigma_grid),
                least=least * len(task.question.resolved.sigma_grid),
                rate=rate,
                share=_SHARE_OF_TIME,
            )
            n = votes // len(task.question.resolved.sigma_grid)
            watch.stage(Stage.CHOOSING, total=n * len(task.question.resolved.sigma_grid))
            (level,) = auto_noise(
                _Alone(variant_for),
                image.unsqueeze(0),
                noise,
                task.question.resolved.sigma_grid,
                n=n,
                alpha=alpha,
                bound=task.question.asked.bound,
                batch_size=resident.classifier.batch_size,
                seed=seed,
                on_batch=lambda completed, _total: watch.advance(completed),
            )
            return Level(level.sigma, tuple(_stated(trial) for trial in level.trials), level.samples)
        case NoiseLevel.OPTIMIZE:
            watch.stage(Stage.CHOOSING, total=0)
            own = deadline.part(_SHARE_OF_TIME)
            (level,) = optimize_sigma(
                lambda sigma: variant_for(sigma).differentiable,
                image.unsqueeze(0),
                noise,
                sigma,
                bounds=(OPTIMIZE_RANGE[0] * sigma, OPTIMIZE_RANGE[1] * sigma),
                lattice=SIGMA_LATTICE if task.question.resolved.adapt else None,
                seed=seed,
                on_step=lambda _done, _total: watch.advance(0),
                stop=lambda: own.passed,
            )
            found = SigmaTrial(
                sigma=level.sigma,
                certifies=level.certifies,
                proxy_radius=round_down(level.proxy_radius),
                n=level.samples,
            )
            return Level(level.sigma, (found,), level.samples)


class _Alone:
    """The classifier of each trial, with PyTorch's threads as it wants them."""

    def __init__(self, variant_for: VariantFor) -> None:
        self._variant_for = variant_for

    def __call__(self, sigma: float) -> Callable[[Tensor], Tensor]:
        classifier: ExecutableClassifier = self._variant_for(sigma).trial

        def classify(images: Tensor) -> Tensor:
            with classifier.alone():
                return classifier(images)

        return classify


def _stated(trial: FoundTrial) -> SigmaTrial:
    return SigmaTrial(
        sigma=trial.sigma,
        certifies=trial.certifies,
        proxy_radius=round_down(trial.proxy_radius),
        n=trial.n,
    )
