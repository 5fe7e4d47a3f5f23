"""The models that an engine holds: every bundle it found, and those it keeps loaded."""

import platform
from collections.abc import Mapping
from pathlib import Path

import structlog
import torch
from cachetools import LRUCache

from certifier import LoadedModel, execution, load_model, model_info, runs_on_gpu
from contract.choices import ProblemCode
from contract.models import Execution, ModelInfo
from models.backends import BackendError
from models.backends.device_errors import is_out_of_memory
from models.bundles import BundleError, inspect_bundle, load_bundle, look_for_bundles
from smoothing import SmoothingError
from workers.failures import JobFailure
from workers.settings import WorkerSettings

log = structlog.get_logger()


class LoadedModels:
    """Bundles by name; the most recently used stay loaded."""

    def __init__(self, bundles: Mapping[str, Path], settings: WorkerSettings) -> None:
        self._folders = dict(bundles)
        self._settings = settings
        self._known: dict[str, ModelInfo] = {}
        self._faults: dict[str, str] = {}
        self._loaded: LRUCache[str, LoadedModel] = LRUCache(settings.resident_models)
        # Of those loaded. The heartbeat's thread reads it, so it is replaced and never changed.
        self._executions: Mapping[str, Execution] = {}
        self.loads = 0
        for name, folder in self._folders.items():
            self._verify(name, folder)

    def _verify(self, name: str, folder: Path) -> None:
        try:
            self._known[name] = model_info(inspect_bundle(folder), on_gpu=self.on_gpu)
        except BundleError as error:
            self._faults[name] = str(error)
            log.error("bundle refused", model=name, reason=str(error))

    def load(self, name: str) -> LoadedModel:
        """Returns a loaded model, from memory when it is there.

        Raises:
            JobFailure: No such model, or it cannot be loaded, or its votes would certify nothing.
        """
        model = self._loaded.get(name)
        if model is not None:
            return model
        if name in self._faults:
            raise JobFailure(ProblemCode.MODEL_LOAD_FAILED, f"'{name}': {self._faults[name]}")
        if name not in self._known:
            raise JobFailure(ProblemCode.UNKNOWN_MODEL, f"no bundle is called '{name}'")
        self._loaded[name] = model = self._read(name)
        known = {**self._executions, name: execution(model.classifier)}
        self._executions = {name: known[name] for name in self._loaded}
        return model

    def _read(self, name: str) -> LoadedModel:
        self.loads += 1
        try:
            return load_model(
                load_bundle(self._folders[name]),
                backend=self._settings.backend,
                device=self._settings.device,
                dtype=self._settings.dtype,
            )
        except (BackendError, BundleError, SmoothingError) as error:
            if is_out_of_memory(error):  # there may be room later: the model is not to blame
                torch.cuda.empty_cache()
                detail = f"the device has no room for '{name}' beside what is loaded"
                raise JobFailure(ProblemCode.OUT_OF_MEMORY, detail) from error
            self._faults[name] = str(error)
            log.error("model refused", model=name, reason=str(error))
            raise JobFailure(ProblemCode.MODEL_LOAD_FAILED, f"'{name}': {error}") from error

    @property
    def names(self) -> frozenset[str]:
        """Every bundle that was found, also those that cannot be served."""
        return frozenset(self._folders)

    def catalogue(self) -> list[ModelInfo]:
        """Returns every bundle as clients see it, also those that cannot be served, with the reason."""
        return [self._now(name, model) for name, model in sorted(self._known.items())]

    def _now(self, name: str, model: ModelInfo) -> ModelInfo:
        reason, executed = self._faults.get(name), self._executions.get(name)
        return model.model_copy(update={"ready": reason is None, "reason": reason, "execution": executed})

    @property
    def on_gpu(self) -> bool:
        """Whether models are executed on a GPU."""
        return runs_on_gpu(self._settings.device)

    @property
    def device_name(self) -> str:
        """The device in words."""
        if self.on_gpu:
            return torch.cuda.get_device_name()
        return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def find_models(settings: WorkerSettings) -> LoadedModels:
    """Finds and verifies every bundle: the shipped ones and those in ``settings.models``.

    A faulty bundle is logged; the others are still served.
    """
    found = look_for_bundles(settings.models)
    for folder, fault in found.faults.items():
        log.error("bundle refused", folder=str(folder), reason=str(fault))
    return LoadedModels(found.folders, settings)
