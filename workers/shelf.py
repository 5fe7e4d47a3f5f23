"""The models that an engine holds: every bundle it found, and those it keeps loaded."""

import platform
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
import torch

from contract.choices import ProblemCode
from contract.models import Execution, FitRule, Metric, ModelInfo
from models.backends import BackendError, ExecutableClassifier, prepare
from models.bundles import BundleError, Card, bundle_digest, find_bundles, load_bundle, verify_bundle
from smoothing import check_batch_invariance, generator_for
from smoothing.errors import SmoothingError
from workers.failures import JobFailure
from workers.settings import WorkerSettings

log = structlog.get_logger()

_GPU_SAMPLES = 100_000


@dataclass(frozen=True)
class Resident:
    """A model that is loaded, probed and ready to be sampled."""

    card: Card
    digest: str
    classifier: ExecutableClassifier


class Shelf:
    """Bundles by name; the most recently used stay loaded."""

    def __init__(self, bundles: Mapping[str, Path], settings: WorkerSettings) -> None:
        self._folders = dict(bundles)
        self._settings = settings
        self._cards: dict[str, Card] = {}
        self._faults: dict[str, str] = {}
        self._loaded: OrderedDict[str, Resident] = OrderedDict()
        self.loads = 0
        for name, folder in self._folders.items():
            self._verify(name, folder)

    def _verify(self, name: str, folder: Path) -> None:
        try:
            self._cards[name] = verify_bundle(folder)
        except BundleError as error:
            self._faults[name] = str(error)
            log.error("bundle refused", model=name, reason=str(error))

    def load(self, name: str) -> Resident:
        """Returns a loaded model, from memory when it is there.

        Raises:
            JobFailure: No such model, or it cannot be loaded, or its votes would certify nothing.
        """
        if name in self._loaded:
            self._loaded.move_to_end(name)
            return self._loaded[name]
        if name in self._faults:
            raise JobFailure(ProblemCode.MODEL_LOAD_FAILED, f"'{name}': {self._faults[name]}")
        if name not in self._cards:
            raise JobFailure(ProblemCode.UNKNOWN_MODEL, f"no bundle is called '{name}'")
        try:
            resident = self._read(name)
        except (BackendError, BundleError, SmoothingError) as error:
            self._faults[name] = str(error)
            log.error("model refused", model=name, reason=str(error))
            raise JobFailure(ProblemCode.MODEL_LOAD_FAILED, f"'{name}': {error}") from error
        self._loaded[name] = resident
        while len(self._loaded) > self._settings.resident_models:
            self._loaded.popitem(last=False)
        return resident

    def _read(self, name: str) -> Resident:
        self.loads += 1
        bundle = load_bundle(self._folders[name])
        classifier = prepare(
            bundle.base_classifier,
            backend=self._settings.backend,
            device=self._settings.device,
            dtype=self._settings.dtype,
            input_shape=bundle.card.input_shape,
            num_classes=len(bundle.card.classes),
        )
        check_batch_invariance(
            classifier,
            bundle.card.input_shape,
            num_classes=len(bundle.card.classes),
            generator=generator_for(0, "probe"),
            device=classifier.device,
        )
        log.info(
            "model loaded",
            model=name,
            backend=classifier.backend,
            device=str(classifier.device),
            dtype=classifier.dtype,
            batch_size=classifier.batch_size,
        )
        return Resident(bundle.card, bundle.digest, classifier)

    def catalogue(self) -> list[ModelInfo]:
        """Returns every bundle as clients see it, also those that cannot be served, with the reason."""
        return [self._info(name, card) for name, card in sorted(self._cards.items())]

    def _info(self, name: str, card: Card) -> ModelInfo:
        resident = self._loaded.get(name)
        recommended = card.recommended
        return ModelInfo(
            name=name,
            digest=bundle_digest(card),
            ready=name not in self._faults,
            reason=self._faults.get(name),
            description=_description(card),
            classes=list(card.classes),
            input_shape=list(card.input_shape),
            fit=FitRule.model_validate(card.fit, from_attributes=True) if card.fit else None,
            recipe=card.recipe,
            sigma=recommended.sigma,
            sigma_grid=list(recommended.sigma_grid),
            n=max(recommended.n, _GPU_SAMPLES) if self.on_gpu else recommended.n,
            metrics=[Metric.model_validate(metric, from_attributes=True) for metric in card.metrics],
            execution=resident and execution(resident.classifier),
        )

    @property
    def on_gpu(self) -> bool:
        """Whether models are executed on a GPU."""
        return self._settings.device != "cpu" and torch.cuda.is_available()

    @property
    def device_name(self) -> str:
        """The device in words."""
        if self.on_gpu:
            return torch.cuda.get_device_name()
        return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def _description(card: Card) -> str:
    words = [card.architecture or card.entry_point or ""]
    if card.recipe:
        words.append(
            f"recipe {card.recipe}" + (f" at sigma {card.sigma_train:g}" if card.sigma_train else "")
        )
    if card.training_data:
        words.append(f"trained on {card.training_data.name}")
    return ", ".join(words)


def execution(classifier: ExecutableClassifier) -> Execution:
    """Returns how a classifier is executed, for clients."""
    return Execution(
        backend=classifier.backend,
        device=str(classifier.device),
        dtype=classifier.dtype,
        batch_size=classifier.batch_size,
    )


def open_shelf(settings: WorkerSettings) -> Shelf:
    """Finds and verifies every bundle: the shipped ones and those in ``settings.models``."""
    return Shelf(find_bundles(settings.models), settings)
