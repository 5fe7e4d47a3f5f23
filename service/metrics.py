"""Metrics of one API process' own requests; Prometheus sums over processes."""

from typing import Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

# Otherwise each series gets a second one with its creation time.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class ApiMetrics:
    """Counters and a histogram in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "radii_http_requests",
            "Requests answered; code: the code of the problem, if any.",
            ["method", "route", "status", "code"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "radii_http_request_seconds",
            "Time until the end of the response; event streams and waits count as long as they are open.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.submissions = Counter("radii_submissions", "Jobs enqueued.", ["kind"], registry=self.registry)
        ProcessCollector(registry=self.registry)
