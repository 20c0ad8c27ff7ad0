"""Which FAISS index a main segment should use: the table of docs/scaling.md.

usage: index_choice.py [--rows 100000] [--queries 200] [--target 0.99]
                       [--vectors FILE.npy --asked FILE.npy]

Builds each index over the same vectors on one thread, and finds by doubling and halving the
smallest `nprobe` or `efSearch` that reaches the recall target at 100 on half of the queries; the
rest is measured on the other half. Prints build time, the median time of one query, recall at 100,
bytes a vector, and the ratio of the time to the flat index in the same run. `rescored` indexes
fetch 141 rows and score them again with the exact vectors, as the main segment does. All but the
flat index get vectors with zeros behind, up to a multiple of 16: without them FAISS decodes scalar
codes a hundred times slower.

--vectors, --asked: (n, d) float32, what is stored and what asks, as `sightline embed` writes them:
texts.npy and images_queries.npy. Without them, synthetic clusters.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from _timing import machine, median_ms
from _vectors import clustered, queries

K = 100
FETCHED = 141


@dataclass(frozen=True)
class Candidate:
    """A FAISS factory string, the parameter that trades time for recall, and whether to rescore."""

    factory: str
    parameter: str | None
    rescored: bool = False


def candidates(rows: int, dimension: int) -> list[Candidate]:
    """What is compared for so many rows, of a dimension that is a multiple of 16."""
    lists = 1 << round(np.log2(4 * np.sqrt(rows)))
    return [
        Candidate("SQ8", None),
        Candidate("SQ8", None, rescored=True),
        Candidate(f"IVF{lists},Flat", "nprobe"),
        Candidate(f"IVF{lists},SQ8", "nprobe"),
        Candidate(f"IVF{lists},SQ8", "nprobe", rescored=True),
        Candidate(f"IVF{lists},PQ{dimension // 8}x4fs,Refine(SQ8)", "nprobe"),
        Candidate(f"IVF{lists},RaBitQ", "nprobe", rescored=True),
        Candidate("HNSW32,Flat", "efSearch"),
        Candidate("HNSW32,SQ8", "efSearch", rescored=True),
    ]


def smallest(recall_of: Callable[[int], float], target: float, most: int) -> int:
    """The smallest value (within a sixteenth) whose recall reaches the target, or the largest."""
    low, high = 0, 1
    while high < most and recall_of(high) < target:
        low, high = high, min(2 * high, most)
    while high - low > max(1, high // 16):
        middle = (low + high) // 2
        low, high = (low, middle) if recall_of(middle) >= target else (middle, high)
    return high


def padded(vectors: np.ndarray) -> np.ndarray:
    """Zeros behind, up to a multiple of 16."""
    return np.pad(vectors, ((0, 0), (0, -vectors.shape[1] % 16)))


class Contest:
    """Vectors, queries, and the exact answers of both halves of the queries."""

    def __init__(self, vectors: np.ndarray, asked: np.ndarray) -> None:
        self.vectors = vectors
        flat = faiss.IndexFlatIP(vectors.shape[1])
        flat.add(vectors)
        half = len(asked) // 2
        self.tuning, self.testing = asked[:half], asked[half:]
        self.exact = {id(part): flat.search(part, K)[1] for part in (self.tuning, self.testing)}

    def search(self, index: faiss.Index, candidate: Candidate, asked: np.ndarray) -> np.ndarray:
        """(n, 100) rows."""
        if not candidate.rescored:
            return index.search(asked, K)[1]
        rows = index.search(asked, FETCHED)[1]
        best = np.empty((len(asked), K), np.int64)
        for place, (query, own) in enumerate(zip(asked, rows, strict=True)):
            scores = np.einsum("ij,j->i", self.vectors[own], query, dtype=np.float64)
            best[place] = own[np.argsort(-scores)[:K]]
        return best

    def recall(self, index: faiss.Index, candidate: Candidate, asked: np.ndarray) -> float:
        """Mean share of the exact 100."""
        found = self.search(index, candidate, asked)
        pairs = zip(found, self.exact[id(asked)], strict=True)
        return float(np.mean([len(np.intersect1d(*pair)) / K for pair in pairs]))


def size_of(index: faiss.Index) -> int:
    """Bytes that FAISS writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        faiss.write_index(index, str(path))
        return path.stat().st_size


def measured(contest: Contest, candidate: Candidate, target: float) -> tuple[str, float]:
    """A row of the table, as far as the ratio, and the milliseconds of one query."""
    began = time.perf_counter()
    dimension = contest.vectors.shape[1]
    index = faiss.index_factory(dimension, candidate.factory, faiss.METRIC_INNER_PRODUCT)
    index.train(contest.vectors)
    index.add(contest.vectors)
    taken = time.perf_counter() - began
    name = candidate.factory + (", rescored" if candidate.rescored else "")
    if candidate.parameter is not None:
        value = tune(contest, index, candidate, target)
        name += f" ({candidate.parameter} {value})"
    one = itertools.cycle(contest.testing)
    ms = median_ms(lambda: contest.search(index, candidate, next(one)[None]), repeats=100)
    recall = contest.recall(index, candidate, contest.testing)
    size = size_of(index) // len(contest.vectors)
    return f"| {name} | {taken:.1f} | {ms:.2f} | {recall:.3f} | {size} |", ms


def tune(contest: Contest, index: faiss.Index, candidate: Candidate, target: float) -> int:
    """Sets the candidate's parameter for the target, and returns it."""
    space = faiss.ParameterSpace()
    name = str(candidate.parameter)

    def recall_of(value: int) -> float:
        space.set_index_parameter(index, name, value)
        return contest.recall(index, candidate, contest.tuning)

    most = 4096 if name == "efSearch" else int(faiss.extract_index_ivf(index).nlist)
    value = smallest(recall_of, target, most)
    space.set_index_parameter(index, name, value)
    return value


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--target", type=float, default=0.99)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--asked", type=Path)
    options = parser.parse_args()
    faiss.omp_set_num_threads(1)
    if (options.vectors is None) != (options.asked is None):
        parser.error("--vectors and --asked belong together")
    if options.vectors is None:
        source = "synthetic clustered"
        vectors, asked = clustered(options.rows), queries(options.rows, options.queries)
    else:
        source = "given"
        vectors = np.load(options.vectors).astype(np.float32)
        asked = np.load(options.asked).astype(np.float32)[: options.queries]
    print(
        f"{len(vectors):,} {source} vectors, d = {vectors.shape[1]}, k = {K}, recall target"
        f" {options.target}, one thread, {machine()}"
    )
    print("| index | build s | one query ms | recall@100 | bytes a vector | time to flat |")
    print("|---|---|---|---|---|---|")
    row, flat_ms = measured(Contest(vectors, asked), Candidate("Flat", None), options.target)
    print(f"{row} 1.00 x |", flush=True)
    contest = Contest(padded(vectors), padded(asked))
    for candidate in candidates(len(vectors), contest.vectors.shape[1]):
        row, ms = measured(contest, candidate, options.target)
        print(f"{row} {ms / flat_ms:.2f} x |", flush=True)


if __name__ == "__main__":
    main()
