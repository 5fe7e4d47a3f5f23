"""A bundle as clients see it, and as defaults are filled in from it."""

import torch

from contract.models import Execution, FitRule, Metric, ModelInfo
from models.backends import ExecutableClassifier
from models.bundles import Card, LoadedBundle
from smoothing import adaptable

_GPU_SAMPLES = 100_000  # votes by default where they cost a second


def model_info(bundle: LoadedBundle, *, on_gpu: bool) -> ModelInfo:
    """Returns a bundle as clients see it; it is ready, and not yet loaded.

    Args:
        bundle: What was read.
        on_gpu: Whether it will be executed on a GPU, where more votes are the default.
    """
    card, recommended = bundle.card, bundle.card.recommended
    why_not = _why_not_adaptable(bundle)
    return ModelInfo(
        name=card.name,
        digest=bundle.digest,
        ready=True,
        reason=None,
        description=_description(card),
        classes=list(card.classes),
        input_shape=list(card.input_shape),
        fit=FitRule.model_validate(card.fit, from_attributes=True) if card.fit else None,
        recipe=card.recipe,
        sigma=recommended.sigma,
        sigma_grid=list(recommended.sigma_grid),
        n=max(recommended.n, _GPU_SAMPLES) if on_gpu else recommended.n,
        clean_size=_clean_size(bundle),
        adaptable=why_not is None,
        not_adaptable_because=why_not,
        metrics=[Metric.model_validate(metric, from_attributes=True) for metric in card.metrics],
        execution=None,
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


def _clean_size(bundle: LoadedBundle) -> int:
    return 0 if bundle.clean is None else len(bundle.clean)


def _why_not_adaptable(bundle: LoadedBundle) -> str | None:
    if not adaptable(bundle.base_classifier):
        return "it has no batch-norm layers with running statistics"
    return "its bundle holds no clean images" if _clean_size(bundle) < 2 else None


def _description(card: Card) -> str:
    words = [card.architecture or card.entry_point or ""]
    if card.recipe:
        words.append(
            f"recipe {card.recipe}" + (f" at sigma {card.sigma_train:g}" if card.sigma_train else "")
        )
    if card.training_data:
        words.append(f"trained on {card.training_data.name}")
    return ", ".join(words)
