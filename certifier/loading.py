"""Loading one bundle for sampling: read, made executable, and probed."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.backends import ExecutableClassifier, prepare
from models.bundles import Card, LoadedBundle
from models.clean_images import calibration_images
from smoothing import check_batch_invariance, generator_for
from smoothing.copies import in_pixel_units

log = structlog.get_logger()


@dataclass(frozen=True)
class LoadedModel:
    """A model that is loaded, probed and ready to be sampled.

    Attributes:
        bundle: Card, weights and clean images.
        classifier: How the model itself is executed.
        dtype_asked: The precision that was asked for, or ``auto``.
    """

    bundle: LoadedBundle
    classifier: ExecutableClassifier
    dtype_asked: str

    @property
    def card(self) -> Card:
        """What is known about the model."""
        return self.bundle.card

    @property
    def digest(self) -> str:
        """Of everything of the model that changes an answer."""
        return self.bundle.digest

    @property
    def device(self) -> torch.device:
        """Where images have to be."""
        return self.classifier.device

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.card.classes)

    def image(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Returns pixels ``(c, h, w)`` as bytes on the model's device."""
        return torch.tensor(pixels, device=self.device)

    def original_class(self, image: Tensor) -> int:
        """Returns the original classifier's own answer about ``(c, h, w)``, without noise."""
        with torch.inference_mode():
            return int(self.classifier(in_pixel_units(image).unsqueeze(0)).argmax(dim=1).item())

    @cached_property
    def eager(self) -> ExecutableClassifier:
        """The model in PyTorch, whose adapted copies need no compilation."""
        if self.classifier.backend == "eager":
            return self.classifier
        return prepare(
            self.bundle.base_classifier,
            backend="eager",
            device=str(self.device),
            input_shape=self.card.input_shape,
            num_classes=self.num_classes,
        )


def load_model(
    bundle: LoadedBundle, *, backend: str = "auto", device: str = "auto", dtype: str = "auto"
) -> LoadedModel:
    """Makes a bundle executable and probes it: votes that depend on their batch certify nothing.

    Args:
        bundle: What `models.bundles.load_bundle` read.
        backend: A name in `models.backends.BACKENDS`, or ``auto``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        dtype: A precision of the backend, or ``auto``.

    Raises:
        BackendError: The model cannot be executed so.
        SmoothingError: Its answer about an image depends on the others in the batch, or on chance.
    """
    card = bundle.card
    classifier = prepare(
        bundle.base_classifier,
        backend=backend,
        device=device,
        dtype=dtype,
        input_shape=card.input_shape,
        num_classes=len(card.classes),
        calibration=calibration_images(bundle, _sigmas(card), generator=generator_for(0, "calibration")),
    )
    model = LoadedModel(bundle, classifier, dtype)
    probe(model, classifier)
    log.info(
        "model loaded",
        model=card.name,
        backend=classifier.backend,
        device=str(classifier.device),
        dtype=classifier.dtype,
        batch_size=classifier.batch_size,
    )
    return model


def probe(model: LoadedModel, classifier: ExecutableClassifier) -> None:
    """Refuses a model, or an adapted copy of it, whose logits depend on more than their image.

    Raises:
        BatchDependentClassifier: They do.
        InvalidLogits: They are of another shape or type, or not finite.
    """
    check_batch_invariance(
        classifier,
        model.card.input_shape,
        num_classes=model.num_classes,
        generator=generator_for(0, "probe"),
        device=classifier.device,
    )


def _sigmas(card: Card) -> tuple[float, ...]:
    """All recommended noise levels, since the model is used at each."""
    return card.recommended.sigma_grid or (card.recommended.sigma or 0.5,)
