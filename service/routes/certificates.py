"""`/certificates`: read a certificate, which never changes, and verify it."""

import hashlib
from typing import Annotated, Final, cast

from fastapi import APIRouter, Depends, Header, Response

from contract import keys
from contract.certificates import Certificate, Verification
from contract.choices import ProblemCode
from contract.limits import CERTIFICATE_TTL
from contract.problems import refusal
from service.edge.callers import KEY_HEADER, Caller, KeyScope, require
from service.openapi.responses import TO_ITS_VERIFICATION, header, problem_responses
from service.resources import Shared
from service.verification import verify_certificate

# `private`: a shared cache must not serve it to another caller.
_CACHE: Final = f"private, max-age={CERTIFICATE_TTL}, immutable"
_VARY: Final = f"Authorization, {KEY_HEADER}"
_HEADERS: Final = {
    "ETag": header("The SHA-256 of the body, as a strong tag."),
    "Cache-Control": header("A certificate never changes, so it can be cached."),
}
router = APIRouter(tags=["certificates"], dependencies=[require(KeyScope.READ)])


def _stored(
    certificate_id: str,
    resources: Shared,
    caller: Annotated[Caller, require(KeyScope.READ)],
) -> bytes:
    """Dependency: the certificate as it was committed, if the caller may see it."""
    if certificate_id.isascii() and certificate_id.isalnum():
        names = [keys.certificate(certificate_id), keys.owner(certificate_id)]
        stored, owner = cast("list[bytes | None]", resources.redis.mget(names))
        if stored is not None and caller.sees((owner or b"").decode()):
            return stored
    raise refusal(ProblemCode.NOT_FOUND, "no such certificate")


Stored = Annotated[bytes, Depends(_stored)]


@router.get(
    "/certificates/{certificate_id}",
    response_model=Certificate,
    responses={
        200: {"headers": _HEADERS, "links": TO_ITS_VERIFICATION},
        304: {"description": "The client already has it.", "headers": _HEADERS},
        **problem_responses(404),
    },
)
def get_certificate(
    stored: Stored,
    if_none_match: Annotated[
        str | None,
        Header(alias="If-None-Match", description="Values of `ETag` that the client has."),
    ] = None,
) -> Response:
    """Get a certificate. It is stored for 30 days, never changes, and can be verified offline."""
    tag = f'"{hashlib.sha256(stored).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": _CACHE, "Vary": _VARY}
    if if_none_match is not None and (if_none_match.strip() == "*" or tag in if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(stored, media_type="application/json", headers=headers)


@router.post("/certificates/{certificate_id}/verify", responses=problem_responses(404))
def verify(stored: Stored) -> Verification:
    """Recompute the bounds and radius of a certificate from the votes it states."""
    return verify_certificate(Certificate.model_validate_json(stored))
