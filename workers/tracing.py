"""OpenTelemetry spans of an engine's work. Nothing is loaded unless an operator turns tracing on."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import structlog

from workers.settings import WorkerSettings

log = structlog.get_logger()
_tracer: Any = None


def begin(settings: WorkerSettings) -> None:
    """Sets tracing up if it is on. Called once by the engine."""
    global _tracer
    if not settings.tracing:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning("tracing is off: a library is missing", missing=error.name, install="radii[otel]")
        return

    provider = TracerProvider(resource=Resource.create({"service.name": "radii-engine"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer("radii")


@contextmanager
def job(about: Mapping[str, Any], task: object) -> Iterator[None]:
    """A span of one job, in the trace of its HTTP request.

    Args:
        about: Its attributes: what the log says of the job.
        task: The job's payload, which names the request's span.
    """
    if _tracer is None:
        yield
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent = task.get("traceparent") if isinstance(task, dict) else None
    carrier = {"traceparent": parent} if isinstance(parent, str) else {}
    context = TraceContextTextMapPropagator().extract(carrier)
    attributes = {f"radii.{name}": value for name, value in about.items()}
    with _tracer.start_as_current_span(f"engine {about['kind']}", context, attributes=attributes):
        yield


def span(name: str) -> AbstractContextManager[Any]:
    """A span of one part of a job."""
    return nullcontext() if _tracer is None else _tracer.start_as_current_span(name)
