"""Certifying in this process, by the very code that a worker's engine runs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import certifier
from certifier import Identity, StatisticsHere, Variants
from contract.certificates import Certificate
from contract.keys import pixel_digest
from contract.models import ModelInfo
from contract.tasks import CertifyTask
from evaluation.certificates.cases import Case, question_for
from evaluation.errors import EvaluationError
from evaluation.plan import EvaluationPlan
from smoothing import SmoothingError
from workers.failures import JobFailure
from workers.job.loaded_models import LoadedModels
from workers.settings import WorkerSettings


class OneProcess:
    """Bundles that are loaded here, executed as a worker executes them."""

    def __init__(self, folders: Mapping[str, Path], settings: WorkerSettings) -> None:
        self._models = LoadedModels(folders, settings)
        self._variants = Variants(StatisticsHere(), settings.resident_variants)

    def models(self) -> dict[str, ModelInfo]:
        """Return the bundles as a service would describe them."""
        return {model.name: model for model in self._models.catalogue()}

    def answers(self, plan: EvaluationPlan, cases: Sequence[Case]) -> Iterator[tuple[Case, Certificate]]:
        """Yield one certificate after the other.

        Raises:
            EvaluationError: The bundle cannot be loaded or executed, or a field is refused.
        """
        models = self.models()
        for case in cases:
            task = task_for(plan, case, models[case.setting.bundle], job_id="0" * 32)
            try:
                yield case, self.certify(task, case)
            except (JobFailure, SmoothingError) as error:
                raise EvaluationError(f"'{task.model}': {error}") from error

    def certify(self, task: CertifyTask, case: Case) -> Certificate:
        """Return the certificate of one task."""
        model = self._models.load(task.model)
        found = certifier.certify(model.image(case.image), model, task.question, variants=self._variants)
        return certifier.certificate(found, Identity(task.job_id, task.image_digest, task.upload_digest))


def as_travelling(image: NDArray[np.uint8]) -> bytes:
    """Return an image ``(c, h, w)`` as height × width × channels bytes."""
    return image.transpose(1, 2, 0).tobytes()


def task_for(plan: EvaluationPlan, case: Case, model: ModelInfo, job_id: str) -> CertifyTask:
    """Return the task of a case, as the API would make it.

    Raises:
        EvaluationError: A field is refused.
    """
    channels, height, width = case.image.shape
    digest = pixel_digest(as_travelling(case.image), height, width, channels)
    return CertifyTask(
        question=question_for(plan, case, model),
        job_id=job_id,
        model=model.name,
        model_digest=model.digest,
        image_digest=digest,
        upload_digest=digest,
    )
