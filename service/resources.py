"""What every request shares: settings, Redis clients, limits, and what need not be read for each request."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from anyio import CapacityLimiter
from fastapi import Request
from redis import Redis, exceptions
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from service.cached import Cached
from service.jobs.backlog import mean_job_seconds, read_store_fill
from service.jobs.catalogue import Catalogue, read_catalogue
from service.metrics import ApiMetrics
from service.settings import ServiceSettings

# Opening a connection is retried as well, so a silent server takes four timeouts to be noticed.
_RETRIES: Final = 1
# Submissions under way at a time. They mostly wait for the store, so there are many more than decoders: with
# few, a silent store would be noticed by one after the other. Each has a thread, and containers bound those.
_SUBMITTERS: Final = 64


@dataclass(frozen=True)
class Resources:
    """The state of one API process; all of it is limits and connections, nothing is about a job."""

    settings: ServiceSettings
    redis: Redis
    redis_async: AsyncRedis
    waiters: asyncio.Semaphore
    streams: asyncio.Semaphore
    submitters: CapacityLimiter
    decoders: ThreadPoolExecutor
    stopping: asyncio.Event
    catalogue: Cached[Catalogue]
    store_fill: Cached[float]
    job_seconds: Cached[float]
    metrics: ApiMetrics

    async def close(self) -> None:
        """Closes the clients."""
        self.decoders.shutdown(wait=False)
        self.redis.close()
        await self.redis_async.aclose()


def open_resources(settings: ServiceSettings, metrics: ApiMetrics) -> Resources:
    """Opens the clients; they connect on first use, so a dead Redis does not keep the API from starting."""
    backoff = ExponentialBackoff(cap=0.5, base=0.05)
    options: dict[str, Any] = {
        "socket_connect_timeout": settings.redis_timeout,
        "socket_timeout": settings.redis_timeout,
        "socket_keepalive": True,
        "health_check_interval": 15,
        "retry_on_error": [exceptions.ConnectionError, exceptions.TimeoutError],
    }
    redis = Redis.from_url(settings.redis_url, retry=Retry(backoff, _RETRIES), **options)
    seconds = settings.catalogue_seconds
    return Resources(
        settings=settings,
        redis=redis,
        redis_async=AsyncRedis.from_url(settings.redis_url, retry=AsyncRetry(backoff, _RETRIES), **options),
        waiters=asyncio.Semaphore(settings.max_waiters),
        streams=asyncio.Semaphore(settings.max_streams),
        submitters=CapacityLimiter(_SUBMITTERS),
        # Threads of their own: what an allocator keeps for a thread that has decoded, it keeps for few.
        decoders=ThreadPoolExecutor(settings.max_decoders, "decoder"),
        stopping=asyncio.Event(),
        catalogue=Cached(lambda: read_catalogue(redis, settings.default_model, settings.timing), seconds),
        store_fill=Cached(lambda: read_store_fill(redis), seconds),
        job_seconds=Cached(lambda: mean_job_seconds(redis), seconds),
        metrics=metrics,
    )


def get_resources(request: Request) -> Resources:
    """Dependency: the resources of the app that serves this request."""
    resources: Resources = request.app.state.resources
    return resources
