"""A model as it is sampled: itself, or with batch-norm statistics for one noise."""

import time
from collections import OrderedDict
from dataclasses import replace
from functools import cached_property

import structlog
import torch
from redis import Redis
from torch import Tensor, nn

from contract.metrics import ADAPTATIONS, BATCHES_HALVED
from models.backends import BackendError, ExecutableClassifier, prepare
from models.clean_images import CALIBRATION_SIZE, clean_images
from smoothing import Statistics, check_batch_invariance, generator_for, with_statistics
from workers.job.shelf import Resident
from workers.job.statistics import AdaptationLaw, estimate, shared_statistics
from workers.metrics import WorkerMetrics

log = structlog.get_logger()

_CONFIRM_SECONDS = 60.0


class Variant:
    """One function that can be smoothed, executed in the way that its use asks for."""

    def __init__(
        self, resident: Resident, law: AdaptationLaw | None, redis: Redis, metrics: WorkerMetrics
    ) -> None:
        self._resident = resident
        self._law = law
        self._metrics = metrics
        self.module: nn.Module = resident.bundle.base_classifier
        self.digest: str | None = None
        self._redis = redis
        self._statistics: Statistics | None = None
        self._confirmed = time.monotonic()
        if law is not None:
            source = "shared"

            def estimate_here() -> Statistics:
                nonlocal source
                source = "estimated"
                return estimate(resident.bundle, law, resident.device)

            statistics = shared_statistics(redis, resident.digest, law, estimate_here)
            metrics.add(ADAPTATIONS, source)
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
        shared = shared_statistics(self._redis, self._resident.digest, law, lambda: own)
        self._confirmed = time.monotonic()
        return shared.digest == own.digest

    @cached_property
    def executable(self) -> ExecutableClassifier:
        """The fastest way, for many votes; a second or two to prepare."""
        if self._law is None:
            return self._resident.classifier
        classifier = self._prepare()
        check_batch_invariance(
            classifier,
            self._resident.card.input_shape,
            num_classes=self._resident.num_classes,
            generator=generator_for(0, "probe"),
            device=classifier.device,
        )
        log.info(
            "model adapted",
            model=self._resident.card.name,
            law=self._law.name,
            backend=classifier.backend,
            dtype=classifier.dtype,
        )
        return classifier

    def shrink(self, batch_size: int) -> None:
        """Starts with this many images a call from now on: the device had no memory for more."""
        self._metrics.add(BATCHES_HALVED)
        log.warning("batch halved", model=self._resident.card.name, batch_size=batch_size)
        self.executable = replace(self.executable, batch_size=batch_size)

    @cached_property
    def trial(self) -> ExecutableClassifier:
        """The quickest to prepare, for the few votes that only choose a noise level."""
        if self._law is None:
            return self._resident.classifier
        return prepare(
            self.module,
            input_shape=self._resident.card.input_shape,
            num_classes=self._resident.num_classes,
            like=self._resident.eager,
        )

    @cached_property
    def differentiable(self) -> nn.Module:
        """In float32 by PyTorch, for gradients with respect to its input."""
        return self.module.to(self._resident.device).eval()

    def _prepare(self) -> ExecutableClassifier:
        resident = self._resident
        shape, classes = resident.card.input_shape, resident.num_classes
        calibration = self._calibration() if resident.classifier.dtype == "int8" else None
        try:
            return prepare(
                self.module,
                input_shape=shape,
                num_classes=classes,
                like=resident.classifier,
                calibration=calibration,
            )
        except BackendError as error:
            if resident.dtype_asked == resident.classifier.dtype:
                raise  # the operator insists on this precision
            log.warning("adapted model prepared anew", model=resident.card.name, reason=str(error))
            device = str(resident.device)
            return prepare(self.module, input_shape=shape, num_classes=classes, device=device)

    def _calibration(self) -> Tensor:
        """Clean images under the very noise that the model is adapted to."""
        assert self._law is not None  # noqa: S101 (a model that is not adapted was prepared when it was loaded)
        clean = clean_images(self._resident.bundle, CALIBRATION_SIZE)
        generator = generator_for(0, f"calibration/{self._law.name}")
        return clean + self._law.noise.sample(clean.shape, generator=generator)


class Variants:
    """The variants that were used last; each holds a copy of the weights."""

    def __init__(self, redis: Redis, capacity: int, metrics: WorkerMetrics | None = None) -> None:
        self._redis = redis
        self._capacity = capacity
        self._metrics = metrics or WorkerMetrics()
        self._kept: OrderedDict[tuple[str, str], Variant] = OrderedDict()

    def get(self, resident: Resident, law: AdaptationLaw | None) -> Variant:
        """Returns a variant, from memory when it is there; no law means the model as it is."""
        key = (resident.digest, "" if law is None else law.name)
        if key in self._kept and not self._kept[key].is_shared():
            log.warning("statistics replaced", model=resident.card.name, law=key[1])
            del self._kept[key]
        if key not in self._kept:
            with torch.inference_mode(mode=False):
                self._kept[key] = Variant(resident, law, self._redis, self._metrics)
        elif law is not None:
            self._metrics.add(ADAPTATIONS, "resident")
        self._kept.move_to_end(key)
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        return self._kept[key]
