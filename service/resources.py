"""What the requests of one API process share: settings, Redis clients, and limits on what runs at a time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Annotated, Any, Final, TypeVar

from anyio import CapacityLimiter
from cachetools import TTLCache, cached
from fastapi import Depends, Request
from redis import Redis, exceptions
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from service.jobs.catalogue import Catalogue, read_catalogue
from service.jobs.queue import mean_job_seconds
from service.jobs.submission import Cached, Submitter, read_store_fill
from service.jobs.waiting import JobWaiter
from service.metrics import ApiMetrics
from service.settings import ServiceSettings

# Opening a connection is retried as well, so it takes four timeouts to notice a silent server.
_RETRIES: Final = 1
# Threads of submissions. They mostly wait for Redis: if there were few, one submission after the other would
# notice a silent Redis.
_SUBMITTERS: Final = 64

Value = TypeVar("Value")


@dataclass(frozen=True)
class Resources:
    """Connections and limits of one API process; no state of any job."""

    settings: ServiceSettings
    redis: Redis
    redis_async: AsyncRedis
    streams: asyncio.Semaphore
    submitter_threads: CapacityLimiter
    stopping: asyncio.Event
    submitter: Submitter
    waiter: JobWaiter
    metrics: ApiMetrics

    def read_catalogue(self) -> Catalogue:
        """Reads what the engines report now."""
        return read_catalogue(self.redis, self.settings.default_model, self.settings.timing)

    async def close(self) -> None:
        """Closes the clients."""
        self.submitter.decoders.shutdown(wait=False)
        self.redis.close()
        await self.redis_async.aclose()


def open_resources(settings: ServiceSettings, metrics: ApiMetrics) -> Resources:
    """Opens the clients; they connect on first use, so the API starts without Redis."""
    backoff = ExponentialBackoff(cap=0.5, base=0.05)
    options: dict[str, Any] = {
        "socket_connect_timeout": settings.redis_timeout,
        "socket_timeout": settings.redis_timeout,
        "socket_keepalive": True,
        "health_check_interval": 15,
        "retry_on_error": [exceptions.ConnectionError, exceptions.TimeoutError],
    }
    redis = Redis.from_url(settings.redis_url, retry=Retry(backoff, _RETRIES), **options)
    redis_async = AsyncRedis.from_url(settings.redis_url, retry=AsyncRetry(backoff, _RETRIES), **options)
    stopping = asyncio.Event()
    return Resources(
        settings=settings,
        redis=redis,
        redis_async=redis_async,
        streams=asyncio.Semaphore(settings.max_streams),
        submitter_threads=CapacityLimiter(_SUBMITTERS),
        stopping=stopping,
        submitter=_make_submitter(redis, settings, metrics),
        waiter=JobWaiter(
            redis_async, asyncio.Semaphore(settings.max_waiters), stopping, settings.stream_seconds
        ),
        metrics=metrics,
    )


def _make_submitter(redis: Redis, settings: ServiceSettings, metrics: ApiMetrics) -> Submitter:
    def keep(read: Callable[[], Value]) -> Cached[Value]:
        """Reads again what is older than `catalogue_seconds`."""
        return cached(TTLCache[Any, Any](1, settings.catalogue_seconds), lock=Lock())(read)

    return Submitter(
        redis=redis,
        settings=settings,
        # Threads of their own: an allocator keeps memory for each thread that has decoded.
        decoders=ThreadPoolExecutor(settings.max_decoders, "decoder"),
        metrics=metrics,
        catalogue=keep(lambda: read_catalogue(redis, settings.default_model, settings.timing)),
        store_fill=keep(lambda: read_store_fill(redis)),
        job_seconds=keep(lambda: mean_job_seconds(redis)),
    )


def get_resources(request: Request) -> Resources:
    """Dependency: the resources of the app that serves this request."""
    resources: Resources = request.app.state.resources
    return resources


Shared = Annotated[Resources, Depends(get_resources)]
