"""How often one caller may ask: a moving window for each, shared by all API processes through Redis.

A write of the store waits for the disk, so a quick caller is not counted request by request: an API process
takes a lease of about as many as it makes in half a second, and counts those by itself. Together the
processes let no more through than the limit allows; a caller that pauses loses the rest of its lease, at most
a hundredth of the limit.

A limit protects the service from a caller, not the other way round: when Redis fails, each process counts by
itself, and when even that fails the request is let through.
"""

import asyncio
import ipaddress
import math
import time
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

import structlog
from cachetools import TTLCache
from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from starlette.types import Scope

from contract import keys
from service.edge.access import ANYBODY, Caller

_TIMEOUT: Final = 0.25  # seconds; a limit must not be what a request waits for
_ALONE_SECONDS: Final = 5.0  # for so long Redis is not asked again after it failed
_LEASE_SECONDS: Final = 1.0  # by so much a request may have been counted too early
_LEASES: Final = 10_000  # of so many callers are kept
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


@dataclass
class _Lease:
    """Requests that Redis has counted and that this process lets through.

    Attributes:
        size: How many they were; zero if the window was full.
        left: How many they still are.
        remaining: How many more the window had room for.
        reset: When the oldest request in the window counts no more, as time.time() tells it.
        began: When Redis was asked, as time.monotonic() tells it.
    """

    size: int
    left: int
    remaining: int
    reset: float
    began: float

    def take(self) -> Allowance:
        """Counts one request."""
        allowed = self.left > 0
        self.left -= allowed
        return _allowance(allowed, self.remaining + self.left, self.reset)

    @property
    def spent(self) -> bool:
        """Whether Redis must be asked."""
        return self.left == 0 and (self.size > 0 or time.time() >= self.reset)

    def next_size(self, limit: RateLimitItem) -> int:
        """Returns a size that will be used up before it lapses; of small limits every request is counted."""
        quick = time.monotonic() - self.began < _LEASE_SECONDS / 4
        return max(1, min(self.size * (2 if quick else 1), limit.amount // 100))


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
        self._leases = TTLCache[str, _Lease](_LEASES, _LEASE_SECONDS)
        self._locks = WeakValueDictionary[str, asyncio.Lock]()
        self._alone_until = -math.inf

    async def close(self) -> None:
        """Closes the connections."""
        await self._pool.disconnect()

    async def take(self, limit: RateLimitItem, name: str, account: str) -> Allowance | None:
        """Counts one request; None if it cannot be counted."""
        lock = self._locks.setdefault(limit.key_for(name, account), asyncio.Lock())
        async with lock:  # one request asks Redis, and those that come meanwhile share its answer
            if time.monotonic() >= self._alone_until:
                try:
                    return (await self._lease(limit, name, account)).take()
                except Exception as error:  # whatever fails, requests go on
                    self._go_alone(error)
        try:
            allowed = await self._own.hit(limit, name, account)
            window = await self._own.get_window_stats(limit, name, account)
        except Exception as error:
            _log.warning("rate_limits_are_off", error=type(error).__name__)
            return None
        return _allowance(allowed, window.remaining, window.reset_time)

    async def _lease(self, limit: RateLimitItem, name: str, account: str) -> _Lease:
        """Returns the lease that the caller has, or else a new one."""
        window = limit.key_for(name, account)
        last = self._leases.get(window)
        if last is not None and not last.spent:
            return last
        began = time.monotonic()
        size = 1 if last is None else last.next_size(limit)
        while size and not await self._shared.hit(limit, name, account, cost=size):
            size = int(size > 1)  # where there is little room it is shared one by one
        stats = await self._shared.get_window_stats(limit, name, account)
        lease = _Lease(size, size, stats.remaining, stats.reset_time, began)
        self._leases[window] = lease
        return lease

    def _go_alone(self, error: Exception) -> None:
        """Says so once, not for every request that was under way."""
        if time.monotonic() >= self._alone_until:
            _log.warning("rate_limits_are_local", error=type(error).__name__, seconds=_ALONE_SECONDS)
        self._alone_until = time.monotonic() + _ALONE_SECONDS


def _allowance(allowed: bool, remaining: int, reset_time: float) -> Allowance:
    return Allowance(allowed, max(0, remaining), max(1, math.ceil(reset_time - time.time())))


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
