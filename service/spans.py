"""Spans of requests and of the steps of searches, sent by OTLP over HTTP.

Imported only when traces are wanted (`tracing.py`). Attributes are those of OpenTelemetry's
conventions for HTTP, without the path and its query: they hold ids and what was asked.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

from service import __version__
from service.queries import Direction
from service.search import Found

# How long the end of the service waits for a receiver that takes no spans.
CLOSING_S = 3.0
CONTEXT_HEADERS = (b"traceparent", b"tracestate")


class Spans:
    """Makes spans and sends them in the background; every method may be called from any thread."""

    def __init__(self) -> None:
        ours = Resource({"service.name": "sightline", "service.version": __version__})
        # What the environment says of the service goes before what we say.
        resource = Resource.create().merge(ours).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._exporter = OTLPSpanExporter()
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("sightline", __version__)

    @contextmanager
    def request(self, scope: Scope) -> Iterator[Span]:
        """A request's span for the block, a child of the span that `traceparent` names."""
        given = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in CONTEXT_HEADERS
        }
        parent = TraceContextTextMapPropagator().extract(given)
        with self._tracer.start_as_current_span(
            "HTTP", parent, SpanKind.SERVER, record_exception=False
        ) as span:
            yield span

    def answered(
        self, span: Span, scope: Scope, method: str | None, route: str | None, status: int
    ) -> None:
        """What is known of a request once it is over.

        method: None for one that a client made up. route: a template; None where none fits.
        """
        span.update_name(" ".join(part for part in (method or "HTTP", route) if part))
        span.set_attributes(
            {
                "http.request.method": method or "_OTHER",
                "http.response.status_code": status,
                "http.response.header.x-request-id": [scope["state"]["request_id"]],
                "url.scheme": scope["scheme"],
            }
        )
        if route is not None:
            span.set_attribute("http.route", route)
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(StatusCode.ERROR)

    def search(self, direction: Direction, encode_begun: float, found: Found) -> None:
        """The steps of a search, as children of the current span.

        encode_begun: on `time.perf_counter`'s clock.
        """
        took = found.took
        fetch_begun = found.begun + took.search
        steps = (
            ("encode", encode_begun, took.encode),
            ("search", found.begun, took.search),
            ("fetch", fetch_begun, took.fetch),
            ("rerank", fetch_begun + took.fetch, took.rerank),
        )
        attributes = {
            "sightline.direction": direction,
            "sightline.candidates": found.candidates,
            "sightline.reranked": found.reranked,
            "sightline.degraded": found.degraded,
        }
        clock_ns = time.time_ns() - time.perf_counter_ns()
        for name, begun, seconds in steps:
            begun_ns = clock_ns + int(1e9 * begun)
            span = self._tracer.start_span(name, attributes=attributes, start_time=begun_ns)
            span.end(begun_ns + int(1e9 * seconds))

    def close(self) -> None:
        """Sends what is left, if the receiver takes it within `CLOSING_S`."""
        # Alone, the exporter would try again for ten seconds.
        give_up = threading.Timer(CLOSING_S, self._exporter.shutdown)
        give_up.start()
        self._provider.shutdown()
        give_up.cancel()
