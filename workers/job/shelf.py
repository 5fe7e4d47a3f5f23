"""The models that an engine holds: every bundle it found, and those it keeps loaded."""

import platform
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import structlog
import torch

from contract.choices import ProblemCode
from contract.models import Execution, FitRule, Metric, ModelInfo
from models.backends import BackendError, ExecutableClassifier, prepare
from models.backends.device_errors import is_out_of_memory
from models.bundles import (
    BundleError,
    Card,
    LoadedBundle,
    bundle_digest,
    inspect_bundle,
    load_bundle,
    look_for_bundles,
)
from models.clean_images import calibration_images
from smoothing import adaptable, check_batch_invariance, generator_for
from smoothing.errors import SmoothingError
from workers.failures import JobFailure
from workers.settings import WorkerSettings

log = structlog.get_logger()

_GPU_SAMPLES = 100_000


@dataclass(frozen=True)
class Resident:
    """A model that is loaded, probed and ready to be sampled.

    Attributes:
        bundle: Card, weights and clean images.
        classifier: How the model itself is executed.
        dtype_asked: The precision that the operator set, or ``auto``.
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


class Shelf:
    """Bundles by name; the most recently used stay loaded."""

    def __init__(self, bundles: Mapping[str, Path], settings: WorkerSettings) -> None:
        self._folders = dict(bundles)
        self._settings = settings
        self._cards: dict[str, Card] = {}
        self._adaptable: dict[str, tuple[int, str | None]] = {}
        self._faults: dict[str, str] = {}
        self._loaded: OrderedDict[str, Resident] = OrderedDict()
        self.loads = 0
        for name, folder in self._folders.items():
            self._verify(name, folder)

    def _verify(self, name: str, folder: Path) -> None:
        try:
            bundle = inspect_bundle(folder)
            self._cards[name] = bundle.card
            self._adaptable[name] = _clean_size(bundle), _why_not_adaptable(bundle)
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
            if is_out_of_memory(error):  # there may be room later: the model is not to blame
                torch.cuda.empty_cache()
                detail = f"the device has no room for '{name}' beside what is loaded"
                raise JobFailure(ProblemCode.OUT_OF_MEMORY, detail) from error
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
            calibration=calibration_images(
                bundle, _levels(bundle.card), generator=generator_for(0, "calibration")
            ),
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
        return Resident(bundle, classifier, self._settings.dtype)

    @property
    def names(self) -> frozenset[str]:
        """Every bundle that was found, also those that cannot be served."""
        return frozenset(self._folders)

    def catalogue(self) -> list[ModelInfo]:
        """Returns every bundle as clients see it, also those that cannot be served, with the reason."""
        return [self._info(name, card) for name, card in sorted(self._cards.items())]

    def _info(self, name: str, card: Card) -> ModelInfo:
        resident = self._loaded.get(name)
        recommended = card.recommended
        clean_size, why_not = self._adaptable[name]
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
            clean_size=clean_size,
            adaptable=why_not is None,
            not_adaptable_because=why_not,
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


def _clean_size(bundle: LoadedBundle) -> int:
    return 0 if bundle.clean is None else len(bundle.clean)


def _why_not_adaptable(bundle: LoadedBundle) -> str | None:
    if not adaptable(bundle.base_classifier):
        return "it has no batch-norm layers with running statistics"
    if _clean_size(bundle) < 2:
        return "its bundle holds no clean images"
    return None


def _levels(card: Card) -> tuple[float, ...]:
    """All recommended noise levels, since the model is used at each."""
    return card.recommended.sigma_grid or (card.recommended.sigma or 0.5,)


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
    """Finds and verifies every bundle: the shipped ones and those in ``settings.models``.

    One that is at fault is told of in the log, and keeps no other from being served.
    """
    found = look_for_bundles(settings.models)
    for folder, fault in found.faults.items():
        log.error("bundle refused", folder=str(folder), reason=str(fault))
    return Shelf(found.folders, settings)
