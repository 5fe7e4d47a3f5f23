"""One request is one trace, from the API to the commit, at a collector that speaks OTLP."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from contract.choices import JobStatus
from tests.support.bundles import make_bundle
from tests.support.networks import CALM
from tests.support.pictures import grey
from tests.support.service import final, submit
from tests.support.stack import of_one_model, open_parts
from tests.support.waiting import until


class Collector:
    """Takes spans as a collector does; they are kept with the name of the service that sent them."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(ExportTraceServiceRequest.FromString(body))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def take(self, request: ExportTraceServiceRequest) -> None:
        for group in request.resource_spans:
            names = {one.key: one.value.string_value for one in group.resource.attributes}
            for scope in group.scope_spans:
                self.spans += [(names["service.name"], span) for span in scope.spans]

    def of(self, service: str) -> list[Span]:
        return [span for sender, span in self.spans if sender == service]


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever)
    thread.start()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()
    thread.join()


def test_a_request_is_one_trace(collector: Collector, tmp_path: Path) -> None:
    """The engine's spans lie under that of the request; each part of the work is one."""
    address = f"http://127.0.0.1:{collector.server.server_port}"
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    make_bundle(tmp_path / "bundles" / "moody", "Moody", ("dark", "bright"))
    with open_parts(tmp_path, of_one_model(tmp_path / "bundles", "moody")) as site:
        api, http = site.start_api(**asked)
        site.start_worker(**asked)
        job_id = submit(http, grey(CALM), sigma=0.01, adapt="false", memory="default").id
        assert final(http, job_id).status is JobStatus.SUCCEEDED
        until(
            lambda: "engine certify" in [span.name for span in collector.of("radii-engine")],
            "the engine sends its spans",
        )
        assert api.stop() == 0  # what it has is sent
    (request,) = [span for span in collector.of("radii-api") if span.name == "POST /certify"]
    spans = collector.of("radii-engine")
    (engine,) = [span for span in spans if span.name == "engine certify"]
    assert {span.trace_id for span in spans} == {request.trace_id}
    assert engine.parent_span_id == request.span_id
    assert {one.key: one.value.string_value for one in engine.attributes}["radii.job_id"] == job_id
    parts = [span for span in spans if span.parent_span_id == engine.span_id]
    assert [span.name for span in sorted(parts, key=lambda span: span.start_time_unix_nano)] == [
        "load", "recall", "choose", "adapt", "sample", "commit",
    ]  # fmt: skip
    assert not [span for span in collector.of("radii-api") if "livez" in span.name]
