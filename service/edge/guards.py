"""What a request must pass before it is read: the caller's rate, and the time that its body may take."""

import asyncio
from typing import Final

import limits
from limits import RateLimitItem
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.choices import ProblemCode
from contract.problems import problem
from service.edge.paths import is_submission, path_of
from service.edge.rate_limits import Allowance, account_of
from service.problems import problem_response
from service.resources import Resources
from service.settings import OFF, ServiceSettings

_READING: Final = frozenset({"jobs", "certificates", "regions", "models"})  # first part of a path


class RateLimitMiddleware:
    """Refuses a caller that asks too often, before its body is read. Probes and pages are not counted.

    It belongs inside of what finds out who the caller is.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app = app
        self._submit = _parse(settings.rate_limit_submit)
        self._read = _parse(settings.rate_limit_read)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        name, limit = self._limit_of(scope)
        if limit is None:
            await self._app(scope, receive, send)
            return
        resources: Resources = scope["app"].state.resources
        left = await resources.rate_limits.take(limit, name, account_of(scope))
        if left is None:
            await self._app(scope, receive, send)
            return

        async def send_with_limit(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_headers(name, limit, left))
            await send(message)

        if left.allowed:
            await self._app(scope, receive, send_with_limit)
            return
        detail = (
            f"<= {limit.amount} requests in {limit.get_expiry()} s are answered; one more in {left.reset} s"
        )
        response = problem_response(
            problem(ProblemCode.RATE_LIMITED, detail), {"Retry-After": str(left.reset)}
        )
        await response(scope, receive, send_with_limit)

    def _limit_of(self, scope: Scope) -> tuple[str, RateLimitItem | None]:
        if is_submission(scope):
            return "submit", self._submit
        first = path_of(scope).removeprefix("/").partition("/")[0]  # the path may also be `*`
        return "read", self._read if first in _READING else None


def _parse(rate: str) -> RateLimitItem | None:
    return None if rate == OFF else limits.parse(rate)


def _headers(name: str, limit: RateLimitItem, left: Allowance) -> dict[str, str]:
    """The fields of draft-ietf-httpapi-ratelimit-headers-11."""
    return {
        "RateLimit-Policy": f'"{name}";q={limit.amount};w={limit.get_expiry()}',
        "RateLimit": f'"{name}";r={left.remaining};t={left.reset}',
    }


class BodyDeadlineMiddleware:
    """Refuses a body that takes too long to arrive; the server itself would wait for ever."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["method"] != "POST":  # no other has a body that is read
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        arrived = False

        async def receive_in_time() -> Message:
            nonlocal arrived
            if arrived:  # what is waited for now is the client's leaving
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                detail = f"the body must arrive within {self._seconds:g} s"
                raise HTTPException(408, detail, {"Connection": "close"}) from None
            arrived = not message.get("more_body", False)
            return message

        await self._app(scope, receive_in_time, send)
