"""Authentication, before a body is read, for every path whether it exists or not."""

from functools import partial
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from contract.choices import ProblemCode
from contract.problems import ProblemError, refusal
from service.edge.api_keys import KeyRing
from service.edge.callers import ANYBODY, KEY_HEADER, Caller, Guard, KeyScope, unauthenticated
from service.edge.loopback import host_of, is_loopback
from service.edge.paths import is_submission, path_of
from service.problems import problem_response
from service.settings import Auth, Misconfiguration, ServiceSettings

_OPEN: Final = frozenset({"/", "/livez", "/readyz", "/version", "/openapi.json", "/docs"})
_OPEN_BELOW: Final = ("/page/", "/docs/")


def admit_key(keys: KeyRing, scope: Scope) -> Caller | None:
    """Admits callers with an API key.

    Raises:
        ProblemError: The key is unknown, or missing on a path that needs one.
    """
    sent = _sent_key(Headers(scope=scope))
    caller = keys.find(sent) if sent else None
    if caller is None and not _is_open(scope):
        raise unauthenticated("unknown" if sent else "missing")
    return caller


def admit_local(origins: tuple[str, ...], scope: Scope) -> Caller:
    """Admits everyone on this machine, without keys.

    The address is not enough: a foreign web page in the user's browser also connects from this machine. Its
    origin is in ``Origin``; if its host name was made to resolve to this machine (DNS rebinding), that name
    is in ``Host``.

    Raises:
        ProblemError: The request comes from elsewhere.
    """
    client, headers = scope.get("client"), Headers(scope=scope)
    _require_local(is_loopback(client[0] if client else None), "the client's address")
    # Set by a proxy on this machine for remote clients.
    through = ",".join(headers.getlist("x-forwarded-for"))
    _require_local(
        all(is_loopback(host.strip()) for host in through.split(",") if through), "'X-Forwarded-For'"
    )
    hosts = headers.getlist("host")
    _require_local(bool(hosts) and all(is_loopback(host_of(host)) for host in hosts), "'Host'")
    origin = headers.get("origin")
    local = origin is None or origin in origins or is_loopback(host_of(origin))
    _require_local(local, "'Origin'")
    return ANYBODY


def _require_local(holds: bool, what: str) -> None:
    if not holds:
        detail = f"without API keys (RADII_AUTH=off), {what} must belong to this machine"
        raise refusal(ProblemCode.FORBIDDEN, detail)


class AuthMiddleware:
    """Authenticates each request, and stores the caller for `service.edge.callers.get_caller`.

    Routes require their scope themselves, but only after the framework has read the body. Submissions have
    a body, so their scope is also required here.
    """

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        try:
            caller = self._guard(scope)
            if caller is not None:
                scope.setdefault("state", {}).update(caller=caller, guard=self._guard)
                if is_submission(scope):
                    caller.require(KeyScope.CERTIFY)
        except ProblemError as error:
            await problem_response(error.problem, error.headers)(scope, receive, send)
            return
        if caller is None:
            await self._app(scope, receive, send)
            return
        with structlog.contextvars.bound_contextvars(caller=caller.name):
            await self._app(scope, receive, send)


def open_guard(settings: ServiceSettings) -> Guard:
    """Makes the guard for the settings.

    Raises:
        Misconfiguration: The API would be open to other machines without keys, or no key could be valid.
    """
    if settings.auth is Auth.OFF:
        if not is_loopback(settings.host):
            raise Misconfiguration(
                "RADII_AUTH=off is only allowed on loopback; RADII_HOST must be a loopback address, got "
                f"{settings.host or 'none'}: listen on 127.0.0.1, or use API keys (`radii keys create`)"
            )
        return partial(admit_local, settings.cors_origins)
    if settings.api_keys_file is None:
        raise Misconfiguration(
            "RADII_API_KEYS_FILE must name a file of API keys, and is not set: make one with `radii keys "
            "create NAME --file FILE`; for this machine only, set RADII_AUTH=off and RADII_HOST=127.0.0.1"
        )
    return partial(admit_key, KeyRing(settings.api_keys_file))


def _sent_key(headers: Headers) -> str:
    kind, _, credentials = headers.get("authorization", "").partition(" ")
    bearer = credentials.strip() if kind.lower() == "bearer" else ""
    return headers.get(KEY_HEADER, "").strip() or bearer


def _is_open(scope: Scope) -> bool:
    path = path_of(scope)
    return scope["method"] in ("GET", "HEAD") and (path in _OPEN or path.startswith(_OPEN_BELOW))
