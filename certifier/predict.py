"""From one image and one loaded model to a label alone."""

import time
from dataclasses import dataclass

from torch import Tensor

import smoothing
from certifier.adaptation import adaptation_law
from certifier.loading import LoadedModel
from certifier.noise_plan import NoisePlan, noise_plans
from certifier.observer import Observer, Reports
from certifier.variants import Variants
from contract.choices import AbstainReason, Stage
from contract.tasks import PredictQuestion
from models.backends import ExecutableClassifier
from smoothing import combine_predictions


@dataclass(frozen=True, eq=False)
class PredictedNoise:
    """What one noise has to say about the label alone."""

    plan: NoisePlan
    smoothed: smoothing.Prediction
    statistics_digest: str | None
    classifier: ExecutableClassifier


@dataclass(frozen=True, eq=False)
class Predictions:
    """All that was found about one image's label.

    Attributes:
        runs: The votes under each noise.
        seconds: Time spent.
    """

    runs: tuple[PredictedNoise, ...]
    seconds: float

    @property
    def label(self) -> int | None:
        """The class that the votes under all noises stand for; None: they abstain."""
        smoothed = [run.smoothed for run in self.runs]
        if len(smoothed) == 2:
            return combine_predictions(*smoothed)
        (only,) = smoothed
        return None if only.abstained else only.top_class

    @property
    def reason(self) -> AbstainReason:
        """Why there is no label, where there is none."""
        if any(run.smoothed.abstained for run in self.runs):
            return AbstainReason.TOP_CLASS_NOT_SEPARATED
        return AbstainReason.BRANCHES_DISAGREE

    @property
    def samples(self) -> int:
        """Votes made."""
        return sum(run.smoothed.n for run in self.runs)


def predict(
    image: Tensor,
    model: LoadedModel,
    question: PredictQuestion,
    *,
    variants: Variants,
    observer: Observer | None = None,
) -> Predictions:
    """Answers a question about one image's label: votes under each noise.

    Args:
        image: ``(c, h, w)``, uint8, of the model's input shape. In float32, noise is not exact.
        model: The loaded model.
        question: What is asked, every default filled in.
        variants: Adapted copies of the model that are kept between calls.
        observer: Hears how far the work is; may raise to abandon it. Default: none.

    Raises:
        SmoothingError: The classifier cannot be sampled, or cannot be adapted as asked.
        BackendError: An adapted copy cannot be executed.
    """
    observer = observer or Observer()
    image = image.to(model.device)
    started = time.perf_counter()
    runs = []
    for plan in noise_plans(question):
        noise = plan.start
        variant = variants.get(model, adaptation_law(question.resolved, noise))
        with observer.span("adapt"):
            classifier = variant.executable
        observer.stage(Stage.SAMPLING, total=question.resolved.n)
        with observer.span("sample"), classifier.alone():
            smoothed = smoothing.predict(
                classifier,
                image,
                noise,
                n=question.resolved.n,
                alpha=plan.alpha,
                batch_size=classifier.batch_size,
                seed=plan.seed,
                observer=Reports(observer),
            )
        runs.append(PredictedNoise(plan, smoothed, variant.digest, classifier))
    return Predictions(tuple(runs), time.perf_counter() - started)
