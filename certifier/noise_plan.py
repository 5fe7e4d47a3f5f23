"""Which noises a question is answered under: one, or for a hybrid both."""

from dataclasses import dataclass

from torch import Tensor

from certifier.adaptation import adaptation_law
from certifier.loading import LoadedModel
from certifier.observer import Observer
from certifier.time_budget import TimeBudget
from certifier.variants import Variant, Variants
from certifier.vote_keeper import VoteKeeper
from contract.choices import NoiseKind
from contract.tasks import CertifyQuestion, Question
from smoothing import NOISES, Noise, branch_seed


@dataclass(frozen=True)
class NoisePlan:
    """Which noise, where to start, how much failure probability, and which randomness."""

    kind: NoiseKind
    sigma: float
    alpha: float
    seed: int

    @property
    def noise(self) -> type[Noise]:
        """The kind of noise."""
        return NOISES[self.kind.value]

    @property
    def start(self) -> Noise:
        """The noise that is asked for, where no level is to be chosen."""
        return self.at(self.sigma)

    def at(self, sigma: float) -> Noise:
        """The noise at a level, or at the nearest that images of bytes can have exactly."""
        return self.noise(sigma).on_lattice()


def noise_plans(question: Question) -> list[NoisePlan]:
    """Returns the noises of a question; a hybrid spends half of alpha on each (union bound)."""
    asked, resolved = question.asked, question.resolved
    seed = int(resolved.seed, 16)
    if asked.noise is not NoiseKind.HYBRID:
        return [NoisePlan(asked.noise, resolved.sigma, asked.alpha, seed)]
    return [
        NoisePlan(kind, sigma, asked.branch_alpha, branch_seed(seed, kind.value))
        for kind, sigma in (
            (NoiseKind.GAUSSIAN, resolved.sigma),
            (NoiseKind.UNIFORM, resolved.sigma_uniform),
        )
    ]


@dataclass(frozen=True, eq=False)
class Work:
    """Everything that the noises of one certification share."""

    image: Tensor
    model: LoadedModel
    question: CertifyQuestion
    variants: Variants
    observer: Observer
    keeper: VoteKeeper
    budget: TimeBudget

    def variant(self, noise: Noise) -> Variant:
        """Returns the model as it is smoothed under this noise."""
        return self.variants.get(self.model, adaptation_law(self.question.resolved, noise))
