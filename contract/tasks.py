"""Tasks: what the API puts on the queue. A task holds the request with every default filled in.

A worker decides nothing: the question contains everything that the answer depends on.
"""

import hashlib
import json
from typing import Any, ClassVar, Final

from pydantic import ConfigDict

from contract import Frozen
from contract.choices import JobKind, NoiseLevel
from contract.requests import CertifyRequest, PredictRequest

PAYLOAD_VERSION: Final = 5
# Fields that do not change the answer to the question.
_NOT_ASKED: Final = {"model", "fit", "label", "memory", "seed", "fresh"}


class _Strict(Frozen):
    model_config = ConfigDict(extra="forbid")


class Resolved(_Strict):
    """The fields that depend on the model or on the service, with every default filled in.

    Fields that only pass through are not repeated here: they are in the request.

    Attributes:
        noise_level: How the noise level is chosen.
        sigma: The noise level, or where `optimize` starts.
        sigma_uniform: The same for the uniform branch of a hybrid.
        sigma_grid: The levels that `auto` tries.
        adapt: Whether batch-norm statistics are re-estimated under the noise.
        momentum: Weight of the re-estimated statistics.
        clean_size: Clean images that they are estimated from.
        n: Estimation votes of each noise.
        label: Index of the true class.
        memory: Name of the memory of certified regions in the whole deployment; None: no memory.
        seed: 128 bits in hexadecimal.
    """

    noise_level: NoiseLevel
    sigma: float
    sigma_uniform: float
    sigma_grid: list[float]
    adapt: bool
    momentum: float
    clean_size: int
    n: int
    label: int | None
    memory: str | None
    seed: str


class _Question(_Strict):
    resolved: Resolved


class CertifyQuestion(_Question):
    """Asks for a label and a radius."""

    asked: CertifyRequest

    @property
    def content(self) -> dict[str, Any]:
        """The fields that decide the answer, as JSON values.

        Equal questions have equal content, whether a value was sent or a default. Request fields at their
        default are omitted, so that a release with a new field does not change the content of questions that
        do not use it.
        """
        asked = self.asked.model_dump(mode="json", exclude=_NOT_ASKED, exclude_defaults=True)
        return asked | self.resolved.model_dump(mode="json", exclude=_NOT_ASKED)


class PredictQuestion(_Question):
    """Asks for a label only."""

    asked: PredictRequest


Question = CertifyQuestion | PredictQuestion


class _Task(_Strict):
    """The fields of every task.

    ``request_id`` is the id of the HTTP request, for logs; ``traceparent`` (W3C) names its span, for traces.
    """

    version: int = PAYLOAD_VERSION
    job_id: str
    model: str
    model_digest: str
    image_digest: str
    upload_digest: str
    request_id: str = ""
    traceparent: str | None = None


class CertifyTask(_Task):
    """One certification."""

    kind: ClassVar[JobKind] = JobKind.CERTIFY

    question: CertifyQuestion

    @property
    def question_digest(self) -> str:
        """SHA-256 of the question. Jobs with equal digests can share one certificate."""
        asked = {"model": self.model, "model_digest": self.model_digest, **self.question.content}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


class PredictTask(_Task):
    """One prediction by the smoothed classifier."""

    kind: ClassVar[JobKind] = JobKind.PREDICT

    question: PredictQuestion


Task = CertifyTask | PredictTask


def make_task(asked: CertifyRequest | PredictRequest, resolved: Resolved, **about_job: Any) -> Task:
    """Returns the task of a request; ``about_job`` has the fields of every task."""
    # Routes pass subclasses with the image as a field; the task carries only its digest.
    fields = asked.model_dump(exclude={"image"})
    if isinstance(asked, CertifyRequest):
        certify = CertifyQuestion(asked=CertifyRequest.model_validate(fields), resolved=resolved)
        return CertifyTask(question=certify, **about_job)
    predict = PredictQuestion(asked=PredictRequest.model_validate(fields), resolved=resolved)
    return PredictTask(question=predict, **about_job)
