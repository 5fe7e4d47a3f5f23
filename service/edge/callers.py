"""Callers, their scopes, and the dependencies with which routes require one."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import Scope

from contract.choices import ProblemCode
from contract.problems import ProblemError, refusal

KEY_HEADER: Final = "X-API-Key"


class KeyScope(StrEnum):
    """What a key may do: submit and cancel; read its tenant's data; read all data and metrics."""

    CERTIFY = "certify"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True)
class Caller:
    """The sender of a request.

    Attributes:
        name: Name of its key, unique; for logs and limits.
        tenant: Jobs, certificates and memories of different tenants are separate; empty without keys.
        scopes: What it may do; ``admin`` implies the others.
    """

    name: str
    tenant: str
    scopes: frozenset[KeyScope]

    def may(self, scope: KeyScope) -> bool:
        """Whether the caller has this scope."""
        return not self.scopes.isdisjoint({scope, KeyScope.ADMIN})

    def require(self, scope: KeyScope) -> None:
        """Requires a scope.

        Raises:
            ProblemError: The caller does not have it.
        """
        if not self.may(scope):
            has = ", ".join(sorted(self.scopes))
            detail = f"the scopes of the key '{self.name}' must include {scope.value}, got {has}"
            raise refusal(ProblemCode.FORBIDDEN, detail)

    def sees(self, tenant: str) -> bool:
        """Whether the caller may see the data of a tenant; to others it does not exist."""
        return self.tenant == tenant or self.may(KeyScope.ADMIN)


# Returns the sender of a request, None on a path that needs no key; raises ProblemError to refuse it.
Guard = Callable[[Scope], Caller | None]
ANYBODY: Final = Caller("anybody", "", frozenset(KeyScope))

# For the OpenAPI document only. `service.edge.auth` checks the key earlier, before the body is read.
_KEY: Final = APIKeyHeader(
    name=KEY_HEADER, scheme_name="ApiKey", description="A key of this API.", auto_error=False
)
_BEARER: Final = HTTPBearer(scheme_name="Bearer", description="The same key.", auto_error=False)


def get_caller(request: Request) -> Caller:
    """Dependency: the caller of this request.

    Raises:
        ProblemError: There is no key.
    """
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        raise unauthenticated("missing")
    return caller


def is_same_caller(request: Request) -> bool:
    """Whether the key of a long request still has the rights that it had when the request began.

    Raises:
        ProblemError: The key was revoked.
    """
    guard: Guard = request.state.guard
    return guard(request.scope) == get_caller(request)


def require(scope: KeyScope) -> Any:
    """Makes the dependency that requires a scope and returns the caller.

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
