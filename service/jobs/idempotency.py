"""`Idempotency-Key`: a request that is retried, because its response was lost, makes no second job."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Header, Request
from redis import Redis

from contract import keys
from contract.choices import ProblemCode
from contract.limits import IDEMPOTENCY_TTL, MAX_IDEMPOTENCY_KEY
from contract.problems import refusal
from contract.requests import CertifyRequest, PredictRequest
from service.edge.callers import Caller

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
_VISIBLE: Final = re.compile(rf"[\x21-\x7e]{{1,{MAX_IDEMPOTENCY_KEY}}}")


@dataclass(frozen=True)
class Idempotency:
    """A client's key for its request.

    Attributes:
        redis_key: Made from tenant, route and the client's key.
        fingerprint: SHA-256 of the fields and the image.
    """

    redis_key: str
    fingerprint: str

    def require_same(self, known: bytes) -> str:
        """Returns the job that was made with the key.

        Raises:
            ProblemError: The key was used for another request.
        """
        job_id, _, fingerprint = known.decode().partition(":")
        if fingerprint == self.fingerprint:
            return job_id
        detail = (
            f"'{HEADER}' must be new for each request; this one was used with other fields or another image "
            f"within the last {IDEMPOTENCY_TTL // 3600} hours"
        )
        raise refusal(ProblemCode.IDEMPOTENCY_KEY_REUSED, detail, pointer=f"/{HEADER}")

    def find(self, redis: Redis) -> str | None:
        """Returns the job that was made with the key, or None if there is none or it has expired.

        Raises:
            ProblemError: The key was used for another request.
        """
        known = redis.get(self.redis_key)
        if not isinstance(known, bytes):
            return None
        job_id = self.require_same(known)
        return job_id if redis.exists(keys.submission(job_id)) else None


def idempotency_key(
    request: Request,
    sent: Annotated[
        str | None,
        Header(
            alias=HEADER,
            description="A name of your choice for this request, at most 255 visible ASCII characters. The "
            "same request with the same key within 24 hours returns the same job; another one is refused.",
        ),
    ] = None,
) -> str | None:
    """Dependency: the client's key for its request.

    Raises:
        ProblemError: It does not have the required form.
    """
    if sent is None:
        return None
    if not _VISIBLE.fullmatch(sent) or len(request.headers.getlist(HEADER)) > 1:
        rule = f"must be one text of 1 to {MAX_IDEMPOTENCY_KEY} visible ASCII characters"
        detail = f"'{HEADER}' {rule}, got {sent[:40]!r}"
        raise refusal(ProblemCode.INVALID_FIELD, detail, pointer=f"/{HEADER}")
    return sent


SentKey = Annotated[str | None, Depends(idempotency_key)]


def make_idempotency(
    key: str | None, caller: Caller, route: str, asked: CertifyRequest | PredictRequest, upload: bytes
) -> Idempotency | None:
    """Binds a client's key to its tenant, the route, and the fields and image it was sent with."""
    if key is None:
        return None
    fields = asked.model_dump(mode="json", exclude={"image"}, exclude_unset=True)
    said = json.dumps([fields, hashlib.sha256(upload).hexdigest()], sort_keys=True)
    scope = json.dumps([caller.tenant, route, key])
    return Idempotency(
        redis_key=keys.idempotency(hashlib.sha256(scope.encode()).hexdigest()),
        fingerprint=hashlib.sha256(said.encode()).hexdigest(),
    )
