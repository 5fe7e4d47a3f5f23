"""Who asks, and what they may."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Protocol

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import Scope

from contract.choices import ProblemCode
from contract.problems import ProblemError, refusal

KEY_HEADER: Final = "X-API-Key"


class KeyScope(StrEnum):
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
    scopes: frozenset[KeyScope]

    def may(self, scope: KeyScope) -> bool:
        """Whether the caller has this scope."""
        return not self.scopes.isdisjoint({scope, KeyScope.ADMIN})

    def require(self, scope: KeyScope) -> None:
        """Passes callers that have this scope.

        Raises:
            ProblemError: This one has not.
        """
        if not self.may(scope):
            has = ", ".join(sorted(self.scopes))
            detail = f"the scopes of the key '{self.name}' must include {scope.value}, got {has}"
            raise refusal(ProblemCode.FORBIDDEN, detail)

    def sees(self, tenant: str) -> bool:
        """Whether what belongs to a tenant exists for the caller."""
        return self.tenant == tenant or self.may(KeyScope.ADMIN)


class Guard(Protocol):
    """Decides who sends a request."""

    def admit(self, scope: Scope) -> Caller | None:
        """Returns who asks; None where nobody needs to be known.

        Raises:
            ProblemError: The request is refused.
        """


ANYBODY: Final = Caller("anybody", "", frozenset(KeyScope))

# They describe the API. The keys themselves are read before the body is: see `service.edge.auth`.
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


def is_same_caller(request: Request) -> bool:
    """Whether the key of a request that is under way gives the rights that it gave when the request came.

    Raises:
        ProblemError: It is a key no more.
    """
    guard: Guard = request.state.guard
    return guard.admit(request.scope) == get_caller(request)


def require(scope: KeyScope) -> Any:
    """Makes the dependency that lets callers with this scope pass, and gives the caller.

    For ``dependencies=[require(KeyScope.READ)]`` and for ``Annotated[Caller, require(KeyScope.READ)]``.
    """

    async def check(
        request: Request,
        _key: Annotated[str | None, Security(_KEY)],
        _bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    ) -> Caller:
        caller = get_caller(request)
        caller.require(scope)
        return caller

    return Depends(check)


def unauthenticated(why: str) -> ProblemError:
    """Makes the error for a key that is ``missing`` or ``unknown``."""
    detail = f"the API key is {why}: send one in the header {KEY_HEADER}, or as 'Authorization: Bearer'"
    error = ', error="invalid_token"' if why != "missing" else ""
    return refusal(
        ProblemCode.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": f'Bearer realm="radii"{error}'}
    )
