"""A model as it is sampled: itself, or with batch-norm statistics for one noise."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import structlog
import torch
from cachetools import LRUCache
from torch import Tensor, nn

from certifier.adaptation import AdaptationLaw, StatisticsStore, estimate, shared_statistics
from certifier.loading import LoadedModel, probe
from contract.metrics import ADAPTATIONS, BATCHES_HALVED
from models.backends import BackendError, ExecutableClassifier, prepare
from models.clean_images import CALIBRATION_SIZE, clean_images
from smoothing import Statistics, generator_for, with_statistics

log = structlog.get_logger()

_CONFIRM_SECONDS = 60.0


Count = Callable[..., None]
"""Adds one to a counter: called with its family of metrics and its labels."""


class Variant:
    """One function that can be smoothed, executed in the way that its use asks for.

    Attributes:
        module: The network, adapted if there is a law.
        digest: Of its statistics; None: those it was trained with.
    """

    def __init__(
        self, model: LoadedModel, law: AdaptationLaw | None, store: StatisticsStore, count: Count
    ) -> None:
        self._model = model
        self._law = law
        self._store = store
        self._count = count
        self.module: nn.Module = model.bundle.base_classifier
        self.digest: str | None = None
        self._statistics: Statistics | None = None
        self._confirmed = time.monotonic()
        if law is not None:
            self._adapt(law)

    def _adapt(self, law: AdaptationLaw) -> None:
        source = "shared"

        def estimate_here() -> Statistics:
            nonlocal source
            source = "estimated"
            return estimate(self._model.bundle, law, self._model.device)

        statistics = shared_statistics(self._store, self._model.digest, law, estimate_here)
        self._count(ADAPTATIONS, source)
        self.digest = statistics.digest
        self._statistics = statistics
        self.module = with_statistics(self.module, statistics)

    def is_shared(self) -> bool:
        """Whether all workers use these statistics; asked of the store at most every `_CONFIRM_SECONDS`.

        Keeps them there while they are in use, and puts them back where the store has lost them.
        """
        law, own = self._law, self._statistics
        if law is None or own is None or time.monotonic() - self._confirmed < _CONFIRM_SECONDS:
            return True
        shared = shared_statistics(self._store, self._model.digest, law, lambda: own)
        self._confirmed = time.monotonic()
        return shared.digest == own.digest

    @property
    def is_prepared(self) -> bool:
        """Whether `executable` is there without waiting."""
        return self._law is None or "executable" in vars(self)

    @cached_property
    def executable(self) -> ExecutableClassifier:
        """The fastest way, for many votes; a second or two to prepare."""
        if self._law is None:
            return self._model.classifier
        classifier = self._prepare()
        probe(self._model, classifier)
        log.info(
            "model adapted",
            model=self._model.card.name,
            law=self._law.name,
            backend=classifier.backend,
            dtype=classifier.dtype,
        )
        return classifier

    def shrink(self, batch_size: int) -> None:
        """Starts with this many images a call from now on: the device had no memory for more."""
        self._count(BATCHES_HALVED)
        log.warning("batch halved", model=self._model.card.name, batch_size=batch_size)
        self.executable = replace(self.executable, batch_size=batch_size)

    @cached_property
    def trial(self) -> ExecutableClassifier:
        """The quickest to prepare, for the few votes that only choose a noise level."""
        if self._law is None:
            return self._model.classifier
        return prepare(
            self.module,
            input_shape=self._model.card.input_shape,
            num_classes=self._model.num_classes,
            like=self._model.eager,
        )

    @cached_property
    def differentiable(self) -> nn.Module:
        """In float32 by PyTorch, for gradients with respect to its input."""
        return self.module.to(self._model.device).eval()

    def _prepare(self) -> ExecutableClassifier:
        model = self._model
        shape, classes = model.card.input_shape, model.num_classes
        calibration = self._calibration() if model.classifier.dtype == "int8" else None
        try:
            return prepare(
                self.module,
                input_shape=shape,
                num_classes=classes,
                like=model.classifier,
                calibration=calibration,
            )
        except BackendError as error:
            if model.dtype_asked == model.classifier.dtype:
                raise  # the operator insists on this precision
            log.warning("adapted model prepared anew", model=model.card.name, reason=str(error))
            return prepare(self.module, input_shape=shape, num_classes=classes, device=str(model.device))

    def _calibration(self) -> Tensor:
        """Clean images under the very noise that the model is adapted to."""
        assert self._law is not None  # noqa: S101 (a model that is not adapted was prepared when it was loaded)
        clean = clean_images(self._model.bundle, CALIBRATION_SIZE)
        generator = generator_for(0, f"calibration/{self._law.name}")
        return clean + self._law.noise.sample(clean.shape, generator=generator)


class Variants:
    """The variants that were used last; each holds a copy of the weights.

    Args:
        statistics: Where statistics are shared.
        capacity: Variants kept.
        count: Counts adaptations and halved batches. Default: nothing does.
    """

    def __init__(self, statistics: StatisticsStore, capacity: int, count: Count = lambda *_: None) -> None:
        self._statistics = statistics
        self._count = count
        self._kept: LRUCache[tuple[str, str], Variant] = LRUCache(capacity)

    def get(self, model: LoadedModel, law: AdaptationLaw | None) -> Variant:
        """Returns a variant, from memory when it is there; no law means the model as it is."""
        key = (model.digest, "" if law is None else law.name)
        variant = self._kept.get(key)
        if variant is not None and not variant.is_shared():
            log.warning("statistics replaced", model=model.card.name, law=key[1])
            del self._kept[key]  # before the replacement is made: that may fail
            variant = None
        if variant is None:
            with torch.inference_mode(mode=False):
                variant = Variant(model, law, self._statistics, self._count)
            self._kept[key] = variant
        elif law is not None:
            self._count(ADAPTATIONS, "resident")
        return variant
