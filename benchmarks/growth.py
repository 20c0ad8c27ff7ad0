"""What a collection costs as it grows: 10,000, 100,000, 1,000,000 synthetic pictures.

usage: growth.py [--rows 10000,100000,1000000] [--regions 4] [--queries 300] [--folder FOLDER]
                 [--plot FILE.png]

For each size a process fills a collection in batches of 1,000, with vectors in clusters, a packed
matrix of so many regions, a year and a tag, and merges it. A fresh process then opens it, and asks
one query after the other on one thread: 100 candidates by vector, the same among a tenth of the
items by a filter, and the fetch of their matrices. Prints times, recall against a flat index over
the same vectors, memory and bytes on disk, and each size's median as a ratio to that flat index
and to the smallest size. `--plot` draws it.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from _timing import machine
from _vectors import DIMENSION, clustered, queries, resident_mib

from index.embedded import EmbeddedIndex
from index.filter import parse_filter
from index.plan import Plan
from index.records import Record

K = 100
BATCH = 1000
FINGERPRINT = "growth"
TENTH = parse_filter({"field": "year", "equals": 2020})


@dataclass(frozen=True)
class Loaded:
    """Seconds of filling and of merging, and what the index says of itself."""

    fill_s: float
    merge_s: float
    stats: dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """Of one size. Times in ms, of one query: median and 99th percentile."""

    start_s: float
    own_mib: float
    mapped_mib: float
    search_ms: tuple[float, float]
    filtered_ms: tuple[float, float]
    fetch_ms: tuple[float, float]
    flat_ms: float
    recall: float
    filtered_recall: float


def opened(folder: Path) -> EmbeddedIndex:
    """The collection, tuned for queries with a 1 in the place of the hubness coordinate."""

    def as_queries(vectors: np.ndarray) -> np.ndarray:
        return np.hstack([vectors[:, :-1], np.ones((len(vectors), 1), np.float32)])

    plan = Plan(as_queries=as_queries)
    return EmbeddedIndex.open(folder, FINGERPRINT, DIMENSION, device="cpu", plan=plan)


def load(folder: Path, rows: int, regions: int) -> Loaded:
    """Fills a collection and merges it into its main segment."""
    vectors = clustered(rows)
    matrix = np.random.default_rng(0).standard_normal((regions, 512)).astype(np.float32)
    began = time.perf_counter()
    with opened(folder) as index:
        for start in range(0, rows, BATCH):
            index.upsert(
                [
                    Record(
                        id=f"picture-{row:07d}",
                        kind="image",
                        vector=vectors[row],
                        arrays={"regions": matrix},
                        metadata={"year": 2015 + row % 10},
                        tags=(f"tag{row % 50}",),
                    )
                    for row in range(start, min(rows, start + BATCH))
                ]
            )
        filled = time.perf_counter()
        index.compact()
        return Loaded(filled - began, time.perf_counter() - filled, index.stats())


def measure(folder: Path, rows: int, count: int) -> Measured:
    """Opens a collection and asks it `count` queries."""
    asked = queries(rows, count)
    began = time.perf_counter()
    with opened(folder) as index:
        start_s = time.perf_counter() - began
        for query in asked[:20]:
            index.fetch("image", index.search("image", query[None], K).ids[0])
        plain, search_ms = timed(asked, lambda q: index.search("image", q[None], K).ids[0])
        filtered, filtered_ms = timed(
            asked, lambda q: index.search("image", q[None], K, TENTH).ids[0]
        )
        _, fetch_ms = timed(np.arange(count), lambda n: index.fetch("image", plain[n]))
        memory = resident_mib()
    vectors = clustered(rows)
    exact, (flat_ms, _) = timed(asked, lambda q: best(vectors, q))
    years = np.flatnonzero(np.arange(rows) % 10 == 5)
    tenth = [years[best(vectors[years], query)] for query in asked]
    return Measured(
        start_s,
        memory["own"],
        memory["mapped"],
        search_ms,
        filtered_ms,
        fetch_ms,
        flat_ms,
        recall(plain, exact),
        recall(filtered, tenth),
    )


def timed(asked: np.ndarray, call: Callable[[Any], Any]) -> tuple[list[Any], tuple[float, float]]:
    """What each call returned, and the median and 99th percentile of their ms."""
    found, taken = [], []
    for one in asked:
        began = time.perf_counter()
        found.append(call(one))
        taken.append((time.perf_counter() - began) * 1e3)
    return found, (float(np.median(taken)), float(np.percentile(taken, 99)))


def best(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """(100,) rows by FAISS's flat search."""
    faiss.omp_set_num_threads(1)
    return faiss.knn(query[None], vectors, K, metric=faiss.METRIC_INNER_PRODUCT)[1][0]


def recall(found: list[list[str]], exact: list[np.ndarray]) -> float:
    """Mean share of the exact rows among the ids found."""
    shares = [
        len({f"picture-{row:07d}" for row in rows} & set(ids)) / len(rows)
        for ids, rows in zip(found, exact, strict=True)
    ]
    return float(np.mean(shares))


def alone(call: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a call in a process of its own, so that its memory is its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(call, *arguments).result()


def main() -> None:
    """Prints a block for each size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default="10000,100000,1000000")
    parser.add_argument("--regions", type=int, default=4)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--folder", type=Path, help="where the collections are written")
    parser.add_argument("--plot", type=Path, help="a PNG to draw the growth into")
    options = parser.parse_args()
    print(
        f"synthetic clustered vectors, d = {DIMENSION}, {options.regions} regions of 512 an item,"
        f" k = {K}, {options.queries} queries one after the other, one thread, {machine()}"
    )
    measured: dict[int, tuple[Loaded, Measured]] = {}
    for rows in map(int, options.rows.split(",")):
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            folder = Path(name) / "data"
            loaded: Loaded = alone(load, folder, rows, options.regions)
            found: Measured = alone(measure, folder, rows, options.queries)
        measured[rows] = loaded, found
        show(rows, loaded, found, next(iter(measured.values()))[1])
    if options.plot is not None:
        plot(measured, options.plot)


def show(rows: int, loaded: Loaded, found: Measured, smallest: Measured) -> None:
    """Prints one size, beside the smallest."""
    segment = loaded.stats["segments"]["image"]
    print(
        f"{rows:,} items, {segment}\n"
        f"  filled at {rows / loaded.fill_s:,.0f} items a second, merged in {loaded.merge_s:.1f} s,"
        f" {loaded.stats['bytes_on_disk'] / 2**20:,.0f} MiB on disk\n"
        f"  start {found.start_s:.2f} s, resident {found.own_mib:,.0f} MiB of its own and"
        f" {found.mapped_mib:,.0f} MiB mapped"
    )
    for name, (median, late) in (
        ("search", found.search_ms),
        ("filtered", found.filtered_ms),
        ("fetch", found.fetch_ms),
    ):
        print(f"  {name:9} p50 {median:7.2f} ms   p99 {late:7.2f} ms")
    print(
        f"  recall@{K} {found.recall:.4f}, filtered {found.filtered_recall:.4f}\n"
        f"  search / flat index of the same run: {found.search_ms[0] / found.flat_ms:.2f} x"
        f" ({found.flat_ms:.2f} ms)\n"
        f"  search / search in the smallest collection: "
        f"{found.search_ms[0] / smallest.search_ms[0]:.2f} x\n"
        f"  search and fetch / the same in the smallest collection: "
        f"{whole(found) / whole(smallest):.2f} x",
        flush=True,
    )


def whole(found: Measured) -> float:
    """Median ms of what grows of a search: the first stage and the fetch of its candidates."""
    return found.search_ms[0] + found.fetch_ms[0]


def plot(measured: dict[int, tuple[Loaded, Measured]], picture: Path) -> None:
    """Draws times, memory and disk over the number of items; needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = list(measured)
    loaded = [one for one, _ in measured.values()]
    found = [one for _, one in measured.values()]
    figure, (times, sizes, builds) = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    stages = {
        "search": [one.search_ms for one in found],
        "a tenth by a filter": [one.filtered_ms for one in found],
        "fetch of 100": [one.fetch_ms for one in found],
    }
    for name, values in stages.items():
        (line,) = times.plot(rows, [median for median, _ in values], marker="o", label=name)
        late = [late for _, late in values]
        times.plot(rows, late, marker=".", linestyle=":", color=line.get_color())
    flat = [one.flat_ms for one in found]
    times.plot(rows, flat, marker="o", color="grey", label="flat index")
    times.set(ylabel="ms of a query: median, dotted the 99th percentile")
    for name, mib in (
        ("memory of its own", [one.own_mib for one in found]),
        ("memory mapped", [one.mapped_mib for one in found]),
        ("disk", [one.stats["bytes_on_disk"] / 2**20 for one in loaded]),
    ):
        sizes.plot(rows, mib, marker="o", label=name)
    sizes.set(ylabel="MiB")
    for name, seconds in (
        ("filling", [one.fill_s for one in loaded]),
        ("building the main segment", [one.merge_s for one in loaded]),
        ("start to ready", [one.start_s for one in found]),
    ):
        builds.plot(rows, seconds, marker="o", label=name)
    builds.set(ylabel="seconds")
    for axes in (times, sizes, builds):
        axes.set(xscale="log", yscale="log", xlabel="items")
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=100)


if __name__ == "__main__":
    main()
