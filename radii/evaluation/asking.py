"""What an evaluation asks of a service for each image; the same task, whoever answers it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from contract.certificates import Certificate
from contract.defaults import resolve
from contract.keys import pixel_digest
from contract.limits import NO_MEMORY
from contract.models import ModelInfo
from contract.problems import ProblemError
from contract.requests import CertifyRequest
from contract.tasks import CertifyQuestion, CertifyTask
from evaluation.certificates.tables import Setting
from evaluation.errors import EvaluationError
from evaluation.plan import EvaluationPlan
from evaluation.seeds import image_seed
from models.data import LabelledImages


@dataclass(frozen=True, eq=False)
class Question:
    """One certificate that is wanted.

    Attributes:
        key: Names it in the journal.
        setting: Classifier, level and adaptation.
        split: Where the image is from.
        index: Its position there.
    """

    key: str
    setting: Setting
    split: LabelledImages
    index: int

    @property
    def image(self) -> NDArray[np.uint8]:
        """The image ``(c, h, w)``; read when it is asked for, since a whole split may not fit the memory."""
        found: NDArray[np.uint8] = self.split.images[self.index]
        return found

    @property
    def label(self) -> int:
        """Its class."""
        return int(self.split.labels[self.index])

    @property
    def pixels(self) -> bytes:
        """The image as it travels."""
        return as_travelling(self.image)


class Certifier(Protocol):
    """Whoever answers questions: this process, or the workers of a service."""

    def models(self) -> dict[str, ModelInfo]:
        """Return what can be asked about."""

    def answers(
        self, plan: EvaluationPlan, questions: Sequence[Question]
    ) -> Iterator[tuple[Question, Certificate]]:
        """Yield the certificates in whatever order they come."""


def as_travelling(image: NDArray[np.uint8]) -> bytes:
    """Return an image ``(c, h, w)`` as height × width × channels bytes."""
    return image.transpose(1, 2, 0).tobytes()


def task_for(plan: EvaluationPlan, question: Question, model: ModelInfo, job_id: str) -> CertifyTask:
    """Fill in every default as the API does, and return the task. The memory is off: images stay apart.

    Raises:
        EvaluationError: A field is refused; it says which and why.
    """
    asked, setting = plan.certify, question.setting
    image = question.image
    channels, height, width = image.shape
    try:
        request = CertifyRequest.model_validate(
            {
                "model": setting.bundle,
                "noise": asked.noise,
                "noise_level": asked.noise_level,
                "sigma": setting.sigma,
                "sigma_uniform": asked.sigma_uniform,
                "sigma_grid": asked.sigma_grid,
                "adapt": setting.adapt,
                "momentum": None if setting.adapt is False else asked.momentum,
                "clean_size": None if setting.adapt is False else asked.clean_size,
                "n0": asked.n0,
                "n": asked.n,
                "alpha": asked.alpha,
                "bound": asked.bound,
                "memory": NO_MEMORY,
                "label": model.classes[question.label],
                "seed": f"{image_seed(plan, question.index):032x}",
            }
        )
        resolved = resolve(request, model)
    except ValidationError as error:
        faults = (f"'{'.'.join(map(str, fault['loc']))}' {fault['msg']}" for fault in error.errors())
        raise EvaluationError("; ".join(faults)) from error
    except ProblemError as error:
        raise EvaluationError(error.problem.detail) from error
    digest = pixel_digest(as_travelling(image), height, width, channels)
    return CertifyTask(
        question=CertifyQuestion(asked=request, resolved=resolved),
        job_id=job_id,
        model=model.name,
        model_digest=model.digest,
        image_digest=digest,
        upload_digest=digest,
    )
