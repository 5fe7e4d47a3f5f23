"""OpenTelemetry traces of requests. The libraries are only imported when tracing is on."""

from collections.abc import Callable

import structlog
from fastapi import FastAPI

from service.settings import ServiceSettings

log = structlog.get_logger(__name__)


def trace_requests(app: FastAPI, settings: ServiceSettings) -> Callable[[], None]:
    """Makes a span for each request if tracing is on; returns the function that sends the last spans."""
    if not settings.tracing:
        return lambda: None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning("tracing is off: a library is missing", missing=error.name, install="radii[otel]")
        return lambda: None

    provider = TracerProvider(resource=Resource.create({"service.name": "radii-api"}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=provider,
        excluded_urls="/livez,/readyz,/metrics",
        exclude_spans=["receive", "send"],
    )
    return provider.shutdown


def traceparent(settings: ServiceSettings) -> str | None:
    """Returns the W3C header of the current span, so that the worker continues the trace."""
    if not settings.tracing:
        return None
    try:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    except ImportError:
        return None

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")
