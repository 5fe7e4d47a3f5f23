"""Certificates made in this process, by the code that a worker's engine runs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from certifier import (
    Identity,
    LoadedModel,
    StatisticsHere,
    Variants,
    certificate,
    certify,
    load_model,
    model_info,
    runs_on_gpu,
)
from contract.certificates import Certificate
from contract.models import ModelInfo
from contract.settings import ExecutionSettings
from evaluation.certificates.cases import Case, question_for
from evaluation.errors import EvaluationError
from evaluation.plan import EvaluationPlan
from models.backends import BackendError
from models.bundles import BundleError, inspect_bundle, load_bundle
from smoothing import SmoothingError

_RESIDENT: Final = 16  # adapted copies that are kept; the levels of a usual grid fit
_NO_JOB: Final = "0" * 32


class OneProcess:
    """Bundles that are loaded here, executed as a worker executes them."""

    def __init__(self, folders: Mapping[str, Path], settings: ExecutionSettings) -> None:
        self._folders = folders
        self._settings = settings
        self._variants = Variants(StatisticsHere(), _RESIDENT)
        self._loaded: LoadedModel | None = None

    def models(self) -> dict[str, ModelInfo]:
        """Return the bundles as a service would describe them."""
        on_gpu = runs_on_gpu(self._settings.device)
        return {
            name: model_info(inspect_bundle(folder), on_gpu=on_gpu) for name, folder in self._folders.items()
        }

    def answers(self, plan: EvaluationPlan, cases: Sequence[Case]) -> Iterator[tuple[Case, Certificate]]:
        """Yield one certificate after the other.

        Raises:
            EvaluationError: The bundle cannot be loaded or executed, or a field is refused.
        """
        models = self.models()
        for case in cases:
            bundle = case.setting.bundle
            question = question_for(plan, case, models[bundle])
            try:
                model = self._load(bundle)
                found = certify(model.image(case.image), model, question, variants=self._variants)
            except (BackendError, BundleError, SmoothingError) as error:
                raise EvaluationError(f"'{bundle}': {error}") from error
            yield case, certificate(found, Identity(_NO_JOB, case.digest, case.digest))

    def _load(self, name: str) -> LoadedModel:
        """Load a bundle, unless it is the one that was used last: cases come bundle by bundle."""
        if self._loaded is None or self._loaded.card.name != name:
            how = self._settings
            self._loaded = load_model(
                load_bundle(self._folders[name]), backend=how.backend, device=how.device, dtype=how.dtype
            )
        return self._loaded
