"""Security headers and CORS, on every response including internal errors."""

from typing import Final

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.choices import ProblemCode
from contract.problems import problem
from service.edge.callers import KEY_HEADER
from service.edge.paths import path_of
from service.problems import REQUEST_ID, problem_response

_NOTHING: Final = "default-src 'none'; frame-ancestors 'none'"
# Swagger UI's page has inline script and styles.
_DOCS: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'"
)
_SENT: Final = (
    KEY_HEADER, "Authorization", "Content-Type", "Idempotency-Key", "Prefer", "Last-Event-ID", REQUEST_ID,
)  # fmt: skip
_READ: Final = (
    "Location", "Retry-After", REQUEST_ID, "Preference-Applied", "Idempotency-Replayed", "ETag", "RateLimit",
    "RateLimit-Policy", "WWW-Authenticate",
)  # fmt: skip


class SecurityHeadersMiddleware:
    """Sets nosniff, no-referrer and a restrictive Content-Security-Policy; a route may set its own policy."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers.setdefault(
                    "Content-Security-Policy", _DOCS if path_of(scope) == "/docs" else _NOTHING
                )
            await send(message)

        await self._app(scope, receive, send_with_headers)


class CrossOriginMiddleware(CORSMiddleware):
    """Starlette's CORSMiddleware, with problem+json for refused preflights."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answers a browser's preflight request."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        detail = "RADII_CORS_ORIGINS does not allow this origin, method or header"
        kept = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        return problem_response(problem(ProblemCode.FORBIDDEN, detail), kept)


def use_headers(app: FastAPI, origins: tuple[str, ...]) -> None:
    """Wraps the whole app, including the framework's own response to an unhandled exception.

    `add_middleware` cannot: the framework puts that response outside of all middleware. Lifespan events go
    straight to the router.
    """
    build = app.build_middleware_stack

    def build_with_headers() -> ASGIApp:
        stack = build()
        if origins:
            stack = CrossOriginMiddleware(
                stack,
                allow_origins=origins,
                allow_methods=("GET", "POST", "DELETE"),
                allow_headers=_SENT,
                expose_headers=_READ,
            )
        with_headers = SecurityHeadersMiddleware(stack)

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            await (with_headers if scope["type"] == "http" else app.router)(scope, receive, send)

        return serve

    app.build_middleware_stack = build_with_headers  # type: ignore[method-assign]
