"""Traces of requests for OpenTelemetry, when an operator asks for them; nothing of it is loaded otherwise."""

from collections.abc import Callable

import structlog
from fastapi import FastAPI

from service.settings import ServiceSettings

log = structlog.get_logger(__name__)


def trace_requests(app: FastAPI, settings: ServiceSettings) -> Callable[[], None]:
    """Makes a span of each request, if that is asked for; returns what sends the last of them."""
    if not settings.tracing:
        return lambda: None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning("no traces: a library is missing", missing=error.name, install="radii[otel]")
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
    """Returns the W3C header of the span that this runs in, for whoever goes on with the request."""
    if not settings.tracing:
        return None
    try:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    except ImportError:
        return None

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")
