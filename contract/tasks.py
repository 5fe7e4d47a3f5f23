"""What the API puts on the queue: a question with every default filled in; a worker decides nothing."""

import hashlib
import json
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from contract.choices import JobKind
from contract.questions import CertifyQuestion, PredictQuestion, Resolved
from contract.requests import CertifyRequest, PredictRequest

PAYLOAD_VERSION: Final = 5


class _Task(BaseModel):
    """What every task says.

    ``request_id`` is that of the HTTP request, for logs; ``traceparent`` (W3C) is that of its span.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

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

    question: CertifyQuestion

    @property
    def kind(self) -> JobKind:
        """What the job computes."""
        return JobKind.CERTIFY

    @property
    def question_digest(self) -> str:
        """SHA-256 of what is asked about the image: equal for jobs whose certificates answer each other."""
        asked = {"model": self.model, "model_digest": self.model_digest, **self.question.content}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


class PredictTask(_Task):
    """One prediction by the smoothed classifier."""

    question: PredictQuestion

    @property
    def kind(self) -> JobKind:
        """What the job computes."""
        return JobKind.PREDICT


Task = CertifyTask | PredictTask


def make_task(asked: CertifyRequest | PredictRequest, resolved: Resolved, **about_job: Any) -> Task:
    """Returns the task of a request; ``about_job`` are the fields that every task has."""
    # Routes take subclasses, which have the image as a field.
    fields = asked.model_dump(exclude={"image"})
    if isinstance(asked, CertifyRequest):
        certify = CertifyQuestion(asked=CertifyRequest.model_validate(fields), resolved=resolved)
        return CertifyTask(question=certify, **about_job)
    predict = PredictQuestion(asked=PredictRequest.model_validate(fields), resolved=resolved)
    return PredictTask(question=predict, **about_job)
