"""What one API process counts of its own requests. Prometheus adds processes up."""

from typing import Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

# The moment at which a series began is a series of its own otherwise, which nobody asks for.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class ApiMetrics:
    """Counters and a histogram in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "radii_http_requests",
            "Requests that were answered; code: the problem that the answer states, if any.",
            ["method", "route", "status", "code"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "radii_http_request_seconds",
            "Time until the end of an answer; event streams and waits take as long as they are open.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.submissions = Counter(
            "radii_submissions", "Jobs that were put on the queue.", ["kind"], registry=self.registry
        )
        ProcessCollector(registry=self.registry)
