"""Rate limits: how many requests one caller may make in a moving window, before any body is read.

Each API process counts by itself, as web servers do: with three of them, a caller that reaches all gets three
times the limit. What bounds the work of all processes together is the cap on queued jobs, which is exact.
"""

import ipaddress
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import limits
from cachetools import TTLCache
from limits import RateLimitItem
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.choices import ProblemCode
from contract.problems import problem
from service.edge.callers import ANYBODY, Caller
from service.edge.paths import is_submission, path_of
from service.problems import problem_response
from service.settings import OFF, ServiceSettings

_READING: Final = frozenset({"jobs", "certificates", "regions", "models"})  # first part of a path
_MAX_CALLERS: Final = 10_000  # beyond them, the least recent caller starts anew: memory stays bounded


@dataclass(frozen=True)
class Allowance:
    """What is left of a limit.

    Attributes:
        allowed: Whether this request is within it.
        remaining: Further requests that are.
        reset: Whole seconds until the oldest counted request leaves the window.
    """

    allowed: bool
    remaining: int
    reset: int


class RateLimit:
    """At most ``amount`` requests of one caller in any window of the rate's length.

    Args:
        name: Name of the limit in the response's headers.
        rate: Amount and length of the window.
        clock: Seconds; replaceable for tests.
    """

    def __init__(self, name: str, rate: RateLimitItem, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self.amount, self.seconds = name, rate.amount, rate.get_expiry()
        self._clock = clock
        # A caller that makes no request for as long as the window has nothing in it.
        self._windows = TTLCache[str, deque[float]](_MAX_CALLERS, self.seconds, timer=clock)

    def take(self, account: str) -> Allowance:
        """Counts one request, unless the window is full."""
        now = self._clock()
        window = self._windows.get(account, deque())
        while window and window[0] <= now - self.seconds:
            window.popleft()
        allowed = len(window) < self.amount
        if allowed:
            window.append(now)
            self._windows[account] = window
        reset = math.ceil(window[0] + self.seconds - now) if window else self.seconds
        return Allowance(allowed, self.amount - len(window), max(1, reset))


class RateLimitMiddleware:
    """Answers 429 to a caller over its limit. Probes and pages are not counted.

    It belongs inside of the middleware that finds out who the caller is.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app = app
        self._submit = _make_limit("submit", settings.rate_limit_submit)
        self._read = _make_limit("read", settings.rate_limit_read)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        limit = self._limit_of(scope)
        if limit is None:
            await self._app(scope, receive, send)
            return
        left = limit.take(account_of(scope))

        async def send_with_limit(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_headers(limit, left))
            await send(message)

        if left.allowed:
            await self._app(scope, receive, send_with_limit)
            return
        detail = f"at most {limit.amount} requests in {limit.seconds} s; try again in {left.reset} s"
        response = problem_response(
            problem(ProblemCode.RATE_LIMITED, detail), {"Retry-After": str(left.reset)}
        )
        await response(scope, receive, send_with_limit)

    def _limit_of(self, scope: Scope) -> RateLimit | None:
        if is_submission(scope):
            return self._submit
        first = path_of(scope).removeprefix("/").partition("/")[0]  # the path may also be `*`
        return self._read if first in _READING else None


def _make_limit(name: str, rate: str) -> RateLimit | None:
    return None if rate == OFF else RateLimit(name, limits.parse(rate))


def _headers(limit: RateLimit, left: Allowance) -> dict[str, str]:
    """The fields of draft-ietf-httpapi-ratelimit-headers-11."""
    return {
        "RateLimit-Policy": f'"{limit.name}";q={limit.amount};w={limit.seconds}',
        "RateLimit": f'"{limit.name}";r={left.remaining};t={left.reset}',
    }


def account_of(scope: Scope) -> str:
    """Returns whom a request is counted for: its API key, or else the client's address.

    Of an IPv6 address only the first 64 bits count: a client can choose the others freely.
    """
    caller: Caller = scope.get("state", {}).get("caller", ANYBODY)
    if caller.name != ANYBODY.name:
        return f"key:{caller.name}"
    host = (scope.get("client") or ("unknown", 0))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"address:{host}"
    if address.version == 6:
        mapped = address.ipv4_mapped
        address = mapped or ipaddress.ip_network((int(address) >> 64 << 64, 64)).network_address
    return f"address:{address}"
