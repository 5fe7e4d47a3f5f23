"""Who asks, and what they may."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from contract.choices import ProblemCode
from service.problems import ProblemError, refusal

KEY_HEADER: Final = "X-API-Key"


class Scope(StrEnum):
    """Submit and cancel; read what is theirs; read everybody's, and what operators read."""

    CERTIFY = "certify"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        name: For logs and limits; unique among the keys.
        tenant: What jobs, certificates and memories are kept apart by; empty without keys.
        scopes: What the caller may do; ``admin`` implies the others.
    """

    name: str
    tenant: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Whether the caller has this scope."""
        return not self.scopes.isdisjoint({scope, Scope.ADMIN})

    def sees(self, tenant: str) -> bool:
        """Whether what belongs to a tenant exists for the caller."""
        return self.tenant == tenant or self.may(Scope.ADMIN)


ANYBODY: Final = Caller("anybody", "", frozenset(Scope))

# They describe the API. The keys themselves are read before the body is: see `service.gate`.
_KEY: Final = APIKeyHeader(
    name=KEY_HEADER, scheme_name="ApiKey", description="A key of this API.", auto_error=False
)
_BEARER: Final = HTTPBearer(scheme_name="Bearer", description="The same key.", auto_error=False)


def get_caller(request: Request) -> Caller:
    """Dependency: who sent this request.

    Raises:
        ProblemError: Nobody who is known.
    """
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        raise unauthenticated("missing")
    return caller


def require(scope: Scope) -> Any:
    """Makes the dependency that lets callers with this scope pass, and gives the caller.

    For ``dependencies=[require(Scope.READ)]`` and for ``Annotated[Caller, require(Scope.READ)]``.
    """

    async def check(
        request: Request,
        _key: Annotated[str | None, Security(_KEY)],
        _bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    ) -> Caller:
        caller = get_caller(request)
        if caller.may(scope):
            return caller
        has = ", ".join(sorted(caller.scopes))
        detail = f"the scopes of the key '{caller.name}' must include {scope.value}, got {has}"
        raise refusal(ProblemCode.FORBIDDEN, detail)

    return Depends(check)


def unauthenticated(why: str) -> ProblemError:
    """Makes the error for a key that is ``missing`` or ``unknown``."""
    detail = f"the API key is {why}: send one in the header {KEY_HEADER}, or as 'Authorization: Bearer'"
    error = ', error="invalid_token"' if why != "missing" else ""
    return refusal(
        ProblemCode.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": f'Bearer realm="radii"{error}'}
    )
