"""Each request is told once: a line in the log, a count in the metrics. Never a body, a key or a query."""

import json
import time
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.choices import ProblemCode
from service.metrics import ApiMetrics
from service.problems import MEDIA_TYPE

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PROBES: Final = frozenset({"/livez", "/readyz", "/metrics"})
_NO_ROUTE: Final = "none"  # of paths that do not exist, whatever they are
_log = structlog.get_logger(__name__)


class ObservingMiddleware:
    """Sees every answer as it leaves, also those of other middleware inside it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        answer = _Answer()
        started = time.monotonic()

        async def send_observed(message: Message) -> None:
            answer.observe(message)
            await send(message)

        try:
            await self._app(scope, receive, send_observed)
        except Exception:
            # What the framework answers outside of all middleware.
            answer.status, answer.code = answer.status or 500, ProblemCode.INTERNAL_ERROR.value
            raise
        finally:
            _tell(scope, answer, time.monotonic() - started)


class _Answer:
    """Status and problem code of an answer, from the answer itself: no place has to tell them."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.code = ""
        self._is_problem = False

    def observe(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._is_problem = (b"content-type", MEDIA_TYPE.encode()) in message["headers"]
        elif self._is_problem and not self.code:
            self.code = _code(message.get("body", b""))


def _code(body: bytes) -> str:
    try:
        return ProblemCode(json.loads(body)["code"]).value
    except (ValueError, KeyError, TypeError):
        return "unknown"


def _tell(scope: Scope, answer: _Answer, seconds: float) -> None:
    state: dict[str, Any] = scope.get("state", {})
    route = _route(scope)
    method = scope["method"] if scope["method"] in _METHODS else "other"
    status = "closed" if answer.status is None else str(answer.status)  # the client left before an answer
    metrics: ApiMetrics = scope["app"].state.resources.metrics
    metrics.requests.labels(method=method, route=route, status=status, code=answer.code).inc()
    metrics.seconds.labels(method=method, route=route).observe(seconds)
    told: dict[str, Any] = {"method": method, "route": route, "status": answer.status}
    told |= {"seconds": round(seconds, 6)}
    if "caller" in state:
        told["caller"] = state["caller"].name
    job_id = state.get("job_id") or scope.get("path_params", {}).get("job_id")
    if job_id and answer.status != 404:
        told["job_id"] = job_id
    if answer.code:
        told["code"] = answer.code
    tell = _log.debug if route in _PROBES else _log.info
    tell("request", **told)


def _route(scope: Scope) -> str:
    """The template of the path, which says nothing about anybody."""
    path: str | None = getattr(scope.get("route"), "path", None)
    return path or _NO_ROUTE
