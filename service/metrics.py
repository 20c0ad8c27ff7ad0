"""What is counted and observed while serving. `GET /metrics` shows it (`collectors.py`).

Labels are names from the code (a route's template, a direction, a kind), never a path, an id, a
query or anything else that a client chooses, so their number is bounded.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from model.matcher import Kind
from service.queries import Direction

Refusal = Literal["full", "refused"]

STAGES = ("encode", "search", "fetch", "rerank", "total")
REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
STAGE_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
CANDIDATE_BUCKETS = (0, 10, 25, 50, 100, 250, 500, 1000)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """The counters and histograms of one collection, in a registry of their own.

    Every method may be called from any thread.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        by_request = ("route", "method", "status")
        self._requests = Counter(
            "sightline_http_requests",
            "Requests that were answered, refused ones too. status 499: the client hung up.",
            by_request,
            registry=self.registry,
        )
        self._failed = Counter(
            "sightline_http_internal_errors",
            "Requests that were answered with status 500; the log has each under its request id.",
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "sightline_http_request_duration_seconds",
            "From the head of a request to the end of its answer.",
            by_request,
            buckets=REQUEST_BUCKETS_S,
            registry=self.registry,
        )
        self._stage_seconds = Histogram(
            "sightline_search_stage_seconds",
            "Seconds of each step of a search; total includes waiting in queues.",
            ("direction", "stage"),
            buckets=STAGE_BUCKETS_S,
            registry=self.registry,
        )
        self._reranked = Histogram(
            "sightline_search_reranked_candidates",
            "Candidates that the re-ranker scored in a search.",
            ("direction",),
            buckets=CANDIDATE_BUCKETS,
            registry=self.registry,
        )
        self._degraded = Counter(
            "sightline_search_degraded",
            "Answers whose re-ranking was cut short by their deadline.",
            ("direction",),
            registry=self.registry,
        )
        self._no_match = Counter(
            "sightline_search_no_match",
            "Answers that say that nothing matches.",
            ("direction",),
            registry=self.registry,
        )
        self._request_items = Histogram(
            "sightline_request_items",
            "Items of one request that may have many: searches, pictures, texts, documents.",
            ("route",),
            buckets=BATCH_BUCKETS,
            registry=self.registry,
        )
        self._encoded_together = Histogram(
            "sightline_encoding_batch_items",
            "Pictures or texts that were encoded together.",
            ("kind",),
            buckets=BATCH_BUCKETS,
            registry=self.registry,
        )
        self._damaged = Counter(
            "sightline_search_damaged_items",
            "Damaged items that were left out of an answer.",
            ("kind",),
            registry=self.registry,
        )
        self._refused_by_disk = Counter(
            "sightline_storage_errors",
            "Requests that the disk refused: full, or another reason; the log has its words.",
            ("reason",),
            registry=self.registry,
        )
        # A rate needs a first value, so what can happen is there before it does.
        for direction in get_args(Direction):
            self._degraded.labels(direction)
            self._no_match.labels(direction)
            self._reranked.labels(direction)
            for stage in STAGES:
                self._stage_seconds.labels(direction, stage)
        for kind in get_args(Kind):
            self._encoded_together.labels(kind)
            self._damaged.labels(kind)
        for reason in get_args(Refusal):
            self._refused_by_disk.labels(reason)

    def request(self, route: str | None, method: str | None, status: int, seconds: float) -> None:
        """A request that was answered.

        route: a template, such as `/images/{id}`; None where none fits. method: None for one that
        a client made up.
        """
        labels = (route or "none", method or "other", str(status))
        self._requests.labels(*labels).inc()
        # The series of a route, method and status begins with 1, of which no rate is made.
        self._failed.inc(status == HTTPStatus.INTERNAL_SERVER_ERROR)
        self._request_seconds.labels(*labels).observe(seconds)

    def search(
        self,
        direction: Direction,
        seconds: Mapping[str, float],
        reranked: int,
        degraded: bool,
        no_match: bool,
    ) -> None:
        """An answered search. seconds: of each of `STAGES`. reranked: candidates scored."""
        for stage in STAGES:
            self._stage_seconds.labels(direction, stage).observe(seconds[stage])
        self._reranked.labels(direction).observe(reranked)
        self._degraded.labels(direction).inc(degraded)
        self._no_match.labels(direction).inc(no_match)

    def request_items(self, route: str, items: int) -> None:
        """How many items a request has that may have many. route: its template."""
        self._request_items.labels(route).observe(items)

    def encoding(self, kind: Kind, items: int) -> None:
        """How many pictures or texts are encoded together."""
        self._encoded_together.labels(kind).observe(items)

    def storage_error(self, reason: Refusal) -> None:
        """A request, or a part of one, that the disk refused."""
        self._refused_by_disk.labels(reason).inc()

    def damaged(self, kind: Kind) -> None:
        """An item that a search left out, since what is stored of it is damaged."""
        self._damaged.labels(kind).inc()
