"""What is read when `GET /metrics` is asked: the pools, the index, the model; and the text of all.

Nothing here waits for a pool, so that a service whose queues are full still tells that they are.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from model.matcher import Kind
from model.resident import Usage
from service import __version__
from service.running import Running


def exposition(running: Running) -> bytes:
    """Everything that is measured, in Prometheus's text format. Raises ClosedError."""
    return generate_latest(_Scrape(running))


class _Scrape(Collector):
    def __init__(self, running: Running) -> None:
        self._running = running

    def collect(self) -> Iterator[Metric]:
        collection = self._running.collection
        yield from _without_birthdays(collection.metrics.registry)
        yield _model(self._running)
        yield GaugeMetricFamily(
            "sightline_draining", "1 once the service was told to stop.", self._running.drain.begun
        )
        yield CounterMetricFamily(
            "sightline_log_lines_lost",
            "Lines of the log that nobody took in time, or that couldn't be written.",
            0 if self._running.log is None else self._running.log.lost,
        )
        yield from _pools(self._running)
        yield from _device_cache(collection.matcher.device_cache())
        yield from _index(collection.index.stats())


def _without_birthdays(registry: CollectorRegistry) -> Iterator[Metric]:
    # The client library adds to each counter when it began, which this format shows as a gauge of
    # its own: a sixth more text that no query needs.
    for metric in registry.collect():
        metric.samples = [one for one in metric.samples if not one.name.endswith("_created")]
        yield metric


def _model(running: Running) -> Metric:
    matcher = running.collection.matcher
    facts = {
        "version": __version__,
        "model": matcher.name,
        "fingerprint": matcher.fingerprint,
        "device": running.collection.device,
        "scorer": matcher.scorer,
        "codec": matcher.codec,
    }
    return InfoMetricFamily(
        "sightline_model", "The model that is served, where it runs, and what re-ranks.", facts
    )


def _pools(running: Running) -> Iterator[Metric]:
    loads = {name: pool.load() for name, pool in running.pools.items()}
    texts = {
        "jobs": "Jobs that a pool runs or that wait for it.",
        "limit": "The most jobs that a pool runs and lets wait; beyond it requests get 503.",
        "workers": "Jobs that a pool runs at once.",
    }
    for fact, text in texts.items():
        values = {name: load[fact] for name, load in loads.items()}
        yield _gauges(f"sightline_pool_{fact}", text, "pool", values)


def _device_cache(usage: Mapping[Kind, Usage]) -> Iterator[Metric]:
    texts = {
        "slots": "Matrices of nodes that the device has room for; two of an item.",
        "used": "Matrices of nodes that are on the device.",
    }
    for fact, text in texts.items():
        values: dict[str, float] = {kind: getattr(found, fact) for kind, found in usage.items()}
        yield _gauges(f"sightline_device_cache_{fact}", text, "kind", values)
    lookups = CounterMetricFamily(
        "sightline_device_cache_lookups",
        "Matrices of candidates that were on the device (hit), or copied there to stay (miss).",
        labels=("kind", "outcome"),
    )
    for kind, found in usage.items():
        lookups.add_metric((kind, "hit"), found.hits)
        lookups.add_metric((kind, "miss"), found.misses)
    yield lookups


def _index(stats: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauges("sightline_items", "Items that a search sees.", "kind", stats["counts"])
    yield GaugeMetricFamily(
        "sightline_index_disk_bytes",
        "Bytes of the catalog and the main segments on disk.",
        stats["bytes_on_disk"],
    )
    yield GaugeMetricFamily(
        "sightline_index_memory_bytes",
        "Bytes of vectors in memory; mapped files are not counted.",
        stats["bytes_in_memory"],
    )
    hot = stats["hot_records"]
    yield GaugeMetricFamily(
        "sightline_hot_records_bytes",
        "Bytes of records that were fetched lately and are kept decoded.",
        hot["bytes"],
    )
    yield CounterMetricFamily(
        "sightline_hot_records_hits", "Fetched records that were there already.", hot["hits"]
    )
    yield CounterMetricFamily(
        "sightline_hot_records_misses", "Fetched records that had to be read.", hot["misses"]
    )
    yield GaugeMetricFamily(
        "sightline_index_generation",
        "Grows with every write and every new main segment.",
        stats["generation"],
    )
    yield GaugeMetricFamily(
        "sightline_index_writes_waiting", "Writes that wait for a commit.", stats["writes_waiting"]
    )
    yield GaugeMetricFamily(
        "sightline_index_building", "1 while a main segment is being built.", stats["building"]
    )
    yield _gauges(
        "sightline_index_build_failed",
        "1 where the last build of a main segment failed; /stats says why.",
        "kind",
        {kind: kind in stats["build_failures"] for kind in stats["counts"]},
    )
    yield _segments(stats["segments"])
    measured = stats["measured_recall"]
    yield _gauges(
        "sightline_first_stage_recall",
        "Recall of the first stage against an exact search, on a sample of the last live queries; "
        "there only where a kind has a main segment.",
        "kind",
        {kind: found["recall"] for kind, found in measured.items()},
    )
    yield _gauges(
        "sightline_first_stage_recall_queries",
        "How many queries the measured recall is the mean of.",
        "kind",
        {kind: found["queries"] for kind, found in measured.items()},
    )


def _segments(segments: Mapping[str, Mapping[str, Any]]) -> Metric:
    rows = GaugeMetricFamily(
        "sightline_index_rows",
        "Rows that are searched: main (the main segment, dead ones included), dead (of it, deleted "
        "or replaced since), delta (written since).",
        labels=("kind", "part"),
    )
    for kind, facts in segments.items():
        for part, fact in (("main", "main_rows"), ("dead", "main_dead"), ("delta", "delta_rows")):
            rows.add_metric((kind, part), facts[fact])
    return rows


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    gauges = GaugeMetricFamily(name, text, labels=(label,))
    for value, number in values.items():
        gauges.add_metric((value,), number)
    return gauges
