"""A bundle as clients see it, and as defaults are filled in from it."""

from dataclasses import dataclass

import torch

from contract.models import Execution, FitRule, Metric, ModelInfo
from models.backends import ExecutableClassifier
from models.bundles import Card, LoadedBundle
from smoothing import adaptable

_GPU_SAMPLES = 100_000  # votes by default where they cost a second


@dataclass(frozen=True)
class ModelFacts:
    """What stays of a bundle when its weights are forgotten.

    Attributes:
        card: What is known about the model.
        digest: Of everything of it that changes an answer.
        clean_size: Its clean images.
        not_adaptable_because: Why its batch-norm statistics cannot be re-estimated; None: they can.
    """

    card: Card
    digest: str
    clean_size: int
    not_adaptable_because: str | None


def facts_of(bundle: LoadedBundle) -> ModelFacts:
    """Returns what is to be known of a bundle without loading it again."""
    clean_size = 0 if bundle.clean is None else len(bundle.clean)
    why_not = None
    if not adaptable(bundle.base_classifier):
        why_not = "it has no batch-norm layers with running statistics"
    elif clean_size < 2:
        why_not = "its bundle holds no clean images"
    return ModelFacts(bundle.card, bundle.digest, clean_size, why_not)


def model_info(
    facts: ModelFacts,
    *,
    on_gpu: bool,
    fault: str | None = None,
    classifier: ExecutableClassifier | None = None,
) -> ModelInfo:
    """Returns a bundle as clients see it.

    Args:
        facts: What is known of it.
        on_gpu: Whether it is executed on a GPU, where more votes are the default.
        fault: Why it cannot be served; None: it can.
        classifier: How it is executed, if it is loaded.
    """
    card, recommended = facts.card, facts.card.recommended
    return ModelInfo(
        name=card.name,
        digest=facts.digest,
        ready=fault is None,
        reason=fault,
        description=_description(card),
        classes=list(card.classes),
        input_shape=list(card.input_shape),
        fit=FitRule.model_validate(card.fit, from_attributes=True) if card.fit else None,
        recipe=card.recipe,
        sigma=recommended.sigma,
        sigma_grid=list(recommended.sigma_grid),
        n=max(recommended.n, _GPU_SAMPLES) if on_gpu else recommended.n,
        clean_size=facts.clean_size,
        adaptable=facts.not_adaptable_because is None,
        not_adaptable_because=facts.not_adaptable_because,
        metrics=[Metric.model_validate(metric, from_attributes=True) for metric in card.metrics],
        execution=classifier and execution(classifier),
    )


def execution(classifier: ExecutableClassifier) -> Execution:
    """Returns how a classifier is executed, for clients."""
    return Execution(
        backend=classifier.backend,
        device=str(classifier.device),
        dtype=classifier.dtype,
        batch_size=classifier.batch_size,
    )


def runs_on_gpu(device: str) -> bool:
    """Whether models are executed on a GPU where this device is asked for."""
    return device != "cpu" and torch.cuda.is_available()


def _description(card: Card) -> str:
    words = [card.architecture or card.entry_point or ""]
    if card.recipe:
        words.append(
            f"recipe {card.recipe}" + (f" at sigma {card.sigma_train:g}" if card.sigma_train else "")
        )
    if card.training_data:
        words.append(f"trained on {card.training_data.name}")
    return ", ".join(words)
