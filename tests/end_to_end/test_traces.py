"""A real server sends its spans to a real receiver of OTLP over HTTP, when it is asked to."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from service.errors import StartError
from service.spans import CLOSING_S
from service.tracing import tracing
from tests.helpers import ServerStarter, is_ready, jpeg, wait_until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Receiver:
    """Takes what an exporter posts, and remembers the requests."""

    def __init__(self) -> None:
        received: list[ExportTraceServiceRequest] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                body = self.rfile.read(int(self.headers["content-length"]))
                received.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.end_headers()
                self.wfile.write(ExportTraceServiceResponse().SerializeToString())

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        self.received = received
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def spans(self) -> list[Span]:
        return [
            span
            for request in self.received
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def resource(self) -> dict[str, Any]:
        return attributes(self.received[0].resource_spans[0].resource.attributes)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def attributes(given: Any) -> dict[str, Any]:
    return {one.key: _value(one) for one in given}


def _value(one: KeyValue) -> Any:
    kind = one.value.WhichOneof("value")
    assert kind is not None
    if kind == "array_value":
        return [value.string_value for value in one.value.array_value.values]
    return getattr(one.value, kind)


def named(spans: list[Span], name: str) -> Span:
    [span] = [span for span in spans if span.name == name]
    return span


def test_a_search_is_one_trace_with_its_steps(
    start_server: ServerStarter, receiver: Receiver
) -> None:
    server = start_server(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "request-17"}
    with httpx.Client(base_url=server.url, timeout=30) as client:
        files = {"image": ("a.jpg", jpeg(1), "image/jpeg")}
        client.put("/images/private-id", files=files).raise_for_status()
        query = {"query": "unspeakable words"}
        client.post("/search/text-to-image", json=query, headers=headers).raise_for_status()
        client.get("/images/private-id?unspeakable=1")
        client.get("/tags", params={"filter": '{"tag": "unspeakable"}'})
        client.get("/private-id")
        client.request("PROPFIND", "/healthz")
    # What the exporter still holds is sent when the server stops.
    assert server.stop() == 0

    spans = receiver.spans()
    search = named(spans, "POST /search/text-to-image")
    assert search.kind == Span.SPAN_KIND_SERVER
    assert (search.trace_id.hex(), search.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(search.attributes) == {
        "http.request.method": "POST",
        "http.route": "/search/text-to-image",
        "http.response.status_code": 200,
        "http.response.header.x-request-id": ["request-17"],
        "url.scheme": "http",
    }
    steps = [named(spans, name) for name in ("encode", "search", "fetch", "rerank")]
    for step in steps:
        assert (step.trace_id, step.parent_span_id) == (search.trace_id, search.span_id)
        assert attributes(step.attributes) == {
            "sightline.direction": "text-to-image",
            "sightline.candidates": 1,
            "sightline.reranked": 1,
            "sightline.degraded": False,
        }
    moments = [moment for s in steps for moment in (s.start_time_unix_nano, s.end_time_unix_nano)]
    assert moments == sorted(moments)
    # The two clocks are read one after the other, so they may be apart by some microseconds.
    assert search.start_time_unix_nano - 1e6 < moments[0]
    assert moments[-1] < search.end_time_unix_nano + 1e6

    put = named(spans, "PUT /images/{id}")
    assert put.trace_id != search.trace_id
    assert not put.parent_span_id
    assert attributes(named(spans, "GET /images/{id}").attributes)["http.route"] == "/images/{id}"
    assert attributes(named(spans, "GET").attributes)["http.response.status_code"] == 404
    assert attributes(named(spans, "HTTP /healthz").attributes)["http.request.method"] == "_OTHER"
    assert receiver.resource()["service.name"] == "sightline"
    everything = "".join(map(str, receiver.received))
    assert "private-id" not in everything
    assert "unspeakable" not in everything


def test_a_failed_request_is_an_error_under_the_name_that_the_environment_gives(
    start_server: ServerStarter, receiver: Receiver
) -> None:
    server = start_server(
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{receiver.url}/v1/traces",
        OTEL_SERVICE_NAME="photos",
        SIGHTLINE_DRAIN_DELAY_S="600",
    )
    server.process.terminate()
    wait_until(lambda: not is_ready(server.url), 30)
    assert server.stop() == 0
    [failed] = [
        span
        for span in receiver.spans()
        if attributes(span.attributes)["http.response.status_code"] == 503
    ]
    assert failed.name == "GET /readyz"
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert attributes(failed.attributes)["error.type"] == "503"
    assert receiver.resource()["service.name"] == "photos"


def test_without_the_variables_nothing_of_it_is_imported() -> None:
    code = "import sys, service.server; print([n for n in sys.modules if 'opentelemetry.sdk' in n])"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert printed.stdout == "[]\n"


def test_a_missing_package_is_an_error_at_start_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, start_server: ServerStarter
) -> None:
    # As if the extra weren't installed: a None in sys.modules is Python's way to say "not there".
    code = (
        "import sys; sys.modules['opentelemetry.exporter.otlp.proto.http.trace_exporter'] = None;"
        "from service.cli import main; main()"
    )
    command = start_server.command()
    arguments = command[command.index("serve") :]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    refused = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 1
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is set" in refused.stderr
    assert "'.[traces]'" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not start_server.data_dir.exists()


def test_a_receiver_that_is_not_there_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as taken:
        # Bound and not listening: whoever connects is refused.
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        with ExitStack() as stack:
            spans = stack.enter_context(tracing())
            assert spans is not None
            with spans.request({"headers": []}):
                begun = time.monotonic()
        assert time.monotonic() - begun < CLOSING_S + 3


def test_another_protocol_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with (
        pytest.raises(StartError, match=r"OTLP_PROTOCOL: expected http/protobuf, not 'grpc'"),
        tracing(),
    ):
        pytest.fail("it was accepted")
