"""Certifying in this process, by the very code that a worker's engine runs."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from redis import Redis
from torch import Tensor

from contract.certificates import Certificate
from contract.choices import Stage
from contract.keys import pixel_digest
from contract.models import ModelInfo
from contract.tasks import CertifyTask
from evaluation.certificates.cases import Case, question_for
from evaluation.errors import EvaluationError
from evaluation.plan import EvaluationPlan
from smoothing import SmoothingError
from workers.failures import JobFailure
from workers.job import answers
from workers.job.branch import BranchRun, plans
from workers.job.checkpoint import Checkpoint, Record
from workers.job.progress import Watch
from workers.job.shelf import Resident, Shelf
from workers.job.variants import Variants
from workers.memory.placing import unremembered
from workers.settings import WorkerSettings


class OneProcess:
    """Bundles that are loaded here, executed as a worker executes them."""

    def __init__(self, folders: Mapping[str, Path], settings: WorkerSettings) -> None:
        self._shelf = Shelf(folders, settings)
        self._variants = Variants(cast("Redis", _Statistics()), settings.resident_variants)

    def models(self) -> dict[str, ModelInfo]:
        """Return the bundles as a service would describe them."""
        return {model.name: model for model in self._shelf.catalogue()}

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
        resident = self._shelf.load(task.model)
        image = _as_image(case, resident)
        with torch.inference_mode():
            base_class = int(resident.classifier(image.unsqueeze(0)).argmax(dim=1).item())
        run = BranchRun(task, resident, image, self._variants, _Unwatched(), _NoCheckpoint())
        started = time.perf_counter()
        wanted = plans(task)
        branches = [run.run(plan, branches_left=len(wanted) - done) for done, plan in enumerate(wanted)]
        seconds = time.perf_counter() - started
        verdict = answers.verdict(branches)
        placed = unremembered(verdict.finding)
        return answers.certificate(task, resident, branches, verdict, placed, base_class, seconds)


def _as_image(case: Case, resident: Resident) -> Tensor:
    pixels = case.image.astype(np.float32) / np.float32(255)
    return torch.from_numpy(pixels).to(resident.classifier.device)


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


class _Unwatched(Watch):
    """Nobody waits for a single certificate, and none can be cancelled."""

    def __init__(self) -> None:
        pass

    def stage(self, stage: Stage, total: int) -> None:
        pass

    def advance(self, completed: int, radius: float | None = None) -> None:
        pass


class _NoCheckpoint(Checkpoint):
    """A certificate that is interrupted is made again from its first vote."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def read(self, branch: str) -> Record | None:
        del branch
        return None

    def write(self, branch: str, record: Record, *, now: bool = False) -> None:
        pass


class _Statistics:
    """What `workers.job.statistics` asks of Redis: the first value of a key stays."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self._kept.get(key)

    def set(self, key: str, value: bytes, *, nx: bool, ex: int) -> None:
        del nx, ex
        self._kept.setdefault(key, value)

    def expire(self, key: str, seconds: int) -> None:
        pass
