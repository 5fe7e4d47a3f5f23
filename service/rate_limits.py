"""How often one caller may ask: a moving window for each, shared by all API processes through Redis.

A limit protects the service from a caller, not the other way round: when Redis fails, each process counts by
itself, and when even that fails the request is let through.
"""

import ipaddress
import math
import time
from dataclasses import dataclass
from typing import Final

import structlog
from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from starlette.types import Scope

from contract import keys
from service.access import ANYBODY, Caller

_TIMEOUT: Final = 0.25  # seconds; a limit must not be what a request waits for
_ALONE_SECONDS: Final = 5.0  # for so long Redis is not asked again after it failed
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Allowance:
    """What is left of a limit.

    Attributes:
        allowed: Whether this request is within it.
        remaining: Further requests that are.
        reset: Whole seconds until the oldest request that counts does so no more.
    """

    allowed: bool
    remaining: int
    reset: int


class RateLimits:
    """Counts requests on Redis; without it, in this process alone."""

    def __init__(self, redis_url: str) -> None:
        self._pool = ConnectionPool.from_url(
            redis_url,
            socket_connect_timeout=_TIMEOUT,
            socket_timeout=_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        # The pool knows the server; the address is only read for its scheme.
        storage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix=keys.RATE_LIMITS,
            connection_pool=self._pool,  # type: ignore[arg-type]
        )
        self._shared = MovingWindowRateLimiter(storage)
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._alone_until = -math.inf

    async def close(self) -> None:
        """Closes the connections."""
        await self._pool.disconnect()

    async def take(self, limit: RateLimitItem, name: str, account: str) -> Allowance | None:
        """Counts one request; None if it cannot be counted."""
        if time.monotonic() >= self._alone_until:
            try:
                return await _take(self._shared, limit, name, account)
            except Exception as error:  # whatever fails, requests go on
                self._go_alone(error)
        try:
            return await _take(self._own, limit, name, account)
        except Exception as error:
            _log.warning("rate_limits_are_off", error=type(error).__name__)
            return None

    def _go_alone(self, error: Exception) -> None:
        """Says so once, not for every request that was under way."""
        if time.monotonic() >= self._alone_until:
            _log.warning("rate_limits_are_local", error=type(error).__name__, seconds=_ALONE_SECONDS)
        self._alone_until = time.monotonic() + _ALONE_SECONDS


async def _take(limiter: MovingWindowRateLimiter, limit: RateLimitItem, name: str, account: str) -> Allowance:
    allowed = await limiter.hit(limit, name, account)
    window = await limiter.get_window_stats(limit, name, account)
    reset = max(1, math.ceil(window.reset_time - time.time()))
    return Allowance(allowed, max(0, window.remaining), reset)


def account_of(scope: Scope) -> str:
    """Returns whom a request is counted for: the key that it came with, or else the client's address.

    Of an IPv6 address the first 64 bits count, since every client has so many of the others as it likes.
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
