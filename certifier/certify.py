"""From one image and one loaded model to a verdict."""

import time
from dataclasses import dataclass

from torch import Tensor

from certifier.loading import LoadedModel
from certifier.noise_plan import Work, noise_plans
from certifier.noise_run import NoiseRun, certify_noise
from certifier.observer import Observer
from certifier.time_budget import TimeBudget
from certifier.variants import Variants
from certifier.verdict import Verdict, verdict
from certifier.vote_keeper import VoteKeeper
from contract.tasks import CertifyQuestion


@dataclass(frozen=True, eq=False)
class Findings:
    """All that was found about one image.

    Attributes:
        question: What was asked.
        model: Of which model.
        base_class: The original classifier's own answer, without noise.
        runs: The votes and bounds under each noise.
        verdict: The class and the radii that they stand for together.
        seconds: Time spent.
    """

    question: CertifyQuestion
    model: LoadedModel
    base_class: int
    runs: tuple[NoiseRun, ...]
    verdict: Verdict
    seconds: float


def certify(
    image: Tensor,
    model: LoadedModel,
    question: CertifyQuestion,
    *,
    variants: Variants,
    observer: Observer | None = None,
    keeper: VoteKeeper | None = None,
) -> Findings:
    """Answers a question about one image: chooses σ, adapts, votes and bounds under each noise, and combines.

    Args:
        image: ``(c, h, w)``, uint8, of the model's input shape. In float32, noise is not exact.
        model: The loaded model.
        question: What is asked, every default filled in.
        variants: Adapted copies of the model that are kept between calls.
        observer: Hears how far the work is; may raise to abandon it. Default: none.
        keeper: Keeps the votes for another attempt. Default: none.

    Raises:
        SmoothingError: The classifier cannot be certified, or cannot be adapted as asked.
        BackendError: An adapted copy cannot be executed.
    """
    observer, keeper = observer or Observer(), keeper or VoteKeeper()
    image = image.to(model.device)
    budget = TimeBudget(question.asked.max_seconds, spent=keeper.seconds)
    work = Work(image, model, question, variants, observer, keeper, budget)
    started = time.perf_counter()
    plans = noise_plans(question)
    runs = tuple(certify_noise(plan, work, 1 / (len(plans) - done)) for done, plan in enumerate(plans))
    seconds = time.perf_counter() - started
    return Findings(question, model, model.original_class(image), runs, verdict(runs), seconds)
