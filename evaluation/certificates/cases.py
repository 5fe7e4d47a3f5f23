"""The certificates that an evaluation needs: a question for each test image under each setting."""

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
from contract.tasks import CertifyQuestion
from evaluation.certificates.tables import Setting, settings
from evaluation.errors import EvaluationError
from evaluation.plan import EvaluationPlan
from models.data import LabelledImages


@dataclass(frozen=True, eq=False)
class Case:
    """One test image under one setting: one certificate.

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
        """The image ``(c, h, w)``; read on demand, since a whole split may not fit into memory."""
        found: NDArray[np.uint8] = self.split.images[self.index]
        return found

    @property
    def pixels(self) -> bytes:
        """The image as a service stores it: height × width × channels bytes."""
        return self.image.transpose(1, 2, 0).tobytes()

    @property
    def digest(self) -> str:
        """Names the image, as a service does."""
        channels, height, width = self.image.shape
        return pixel_digest(self.pixels, height, width, channels)

    @property
    def label(self) -> int:
        """Its class."""
        return int(self.split.labels[self.index])


class Certifier(Protocol):
    """What makes certificates: this process, or the workers of a service."""

    def models(self) -> dict[str, ModelInfo]:
        """Return the models that it has, by name."""

    def answers(self, plan: EvaluationPlan, cases: Sequence[Case]) -> Iterator[tuple[Case, Certificate]]:
        """Yield the certificates in any order."""


def cases(plan: EvaluationPlan, test: LabelledImages) -> Iterator[Case]:
    """Yield the certificates of a plan, in the order of its tables."""
    indices = range(0, len(test), plan.every)[: plan.images]
    for setting in settings(plan):
        for index in indices:
            yield Case(f"{setting.key}/{index}", setting, test, index)


def question_for(plan: EvaluationPlan, case: Case, model: ModelInfo) -> CertifyQuestion:
    """Return the question with every default filled in as the API does. The memory is off: images stay apart.

    Raises:
        EvaluationError: A field is refused; it names the field, the rule and the value.
    """
    setting, asked = case.setting, plan.certify.asked
    own = {"momentum", "clean_size"} if setting.adapt is False else set()
    fields = {
        **asked.model_dump(exclude_unset=True, exclude=own),
        "model": setting.bundle,
        "sigma": setting.sigma,
        "adapt": setting.adapt,
        "memory": NO_MEMORY,
        "label": model.classes[case.label],
        "seed": f"{plan.image_seed(case.index):032x}",
    }
    try:
        request = CertifyRequest.model_validate(fields)
        return CertifyQuestion(asked=request, resolved=resolve(request, model))
    except ValidationError as error:
        faults = (f"'{'.'.join(map(str, fault['loc']))}' {fault['msg']}" for fault in error.errors())
        raise EvaluationError("; ".join(faults)) from error
    except ProblemError as error:
        raise EvaluationError(error.problem.detail) from error
