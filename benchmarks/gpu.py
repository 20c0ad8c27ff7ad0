"""The GPU against the CPU: that both find and score the same, and how long each takes.

usage: gpu.py [--device cuda] [--bundle bundle] [--rows 20000] [--queries 64]

First stage: synthetic vectors in one collection, opened on either device. Model and re-ranking: the
bundle on either device, for the sample gallery's photos and captions; what it computes is compared
in float32, and timed as it is served, which on some CPUs is in bfloat16. Re-ranking of candidates
that stay on the device, against candidates that are copied there for each query: synthetic nodes of
the default model's sizes. Prints the largest difference, medians and their ratio, and exits with
status 1 where both sides disagree. Without a usable GPU it says why and measures nothing.
`--device cpu` compares the CPU with itself.
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from _timing import interleaved_ms, machine, median_ms
from _vectors import DIMENSION, clustered, queries

from index.device import choose_device
from index.embedded import EmbeddedIndex
from index.errors import DeviceError
from index.records import Record
from model.alignment import Alignment
from model.bundle import load_bundle
from model.config import ModelConfig
from model.fused import TORCH, FusedScorer, Kind, Layer
from model.matcher import Encoded, Matcher
from model.packed_nodes import pack_nodes
from model.picture import decode
from model.resident import NodeShape, ResidentNodes
from service.gallery.photos import photos

K = 100
BATCH = 1000
WORDS = 12
CACHE_MIB = 256
FINGERPRINT = "gpu"
# What float32 sums in another order, TF32 convolutions, and rounded nodes may differ by.
LARGEST_DIFFERENCE = 2e-3


def main() -> None:
    """Compares both stages on both devices."""
    parser = argparse.ArgumentParser(prog="gpu")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--bundle", type=Path, default=Path("bundle"))
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=64)
    options = parser.parse_args()
    try:
        choose_device(options.device)
    except DeviceError as error:
        print(f"not measured: {error}")
        return
    if options.device == "cuda" and not torch.cuda.is_available():
        print("not measured: torch finds no usable GPU")
        return
    torch.set_num_threads(1)
    name = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    print(f"{name} against one thread of {machine()}; medians, ms")
    differences = [
        first_stage(options.device, options.rows, options.queries),
        *model_and_reranking(options.device, options.bundle),
        resident_nodes(options.device),
    ]
    if max(differences) > LARGEST_DIFFERENCE:
        sys.exit(f"the devices disagree: {max(differences):.1e} is over {LARGEST_DIFFERENCE}")


def first_stage(device: str, rows: int, count: int) -> float:
    """Searches the same rows on both devices; returns the largest difference of a score."""
    vectors, asked = clustered(rows), queries(rows, count)
    found: list[np.ndarray] = []
    single: list[float] = []
    many: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        with EmbeddedIndex.open(Path(folder), FINGERPRINT, DIMENSION, device="cpu") as index:
            for start in range(0, rows, BATCH):
                part = vectors[start : start + BATCH]
                index.upsert([record(start + n, vector) for n, vector in enumerate(part)])
        for where in ("cpu", device):
            with EmbeddedIndex.open(Path(folder), FINGERPRINT, DIMENSION, device=where) as index:
                search = partial(index.search, "image")
                found.append(np.stack(search(asked, K).scores))
                single.append(median_ms(partial(search, asked[:1], K)))
                many.append(median_ms(partial(search, asked, K), repeats=10))
    difference = float(np.abs(found[0] - found[1]).max())
    told(f"first stage, {rows:,} rows, one query", single)
    told(f"first stage, {rows:,} rows, {count} queries", many)
    print(f"  largest difference of a score: {difference:.1e}")
    return difference


def record(number: int, vector: np.ndarray) -> Record:
    """A picture with a vector and nothing that a first stage would read."""
    return Record(f"{number:08}", "image", vector, {"offsets": np.zeros(2, np.float32)}, {})


def model_and_reranking(device: str, folder: Path) -> tuple[float, float]:
    """Encodes and scores the gallery on both devices; the largest differences of either."""
    bundle = load_bundle(folder)
    shown = photos()
    pictures = [decode(photo.read()) for photo in shown]
    captions = [photo.captions[0] for photo in shown]
    vectors: list[np.ndarray] = []
    totals: list[np.ndarray] = []
    times: list[list[float]] = [[], [], []]
    for where in ("cpu", device):
        matcher = Matcher(bundle, where, half=False)
        stored, asked = matcher.encode_pictures(pictures), matcher.encode_texts(captions, False)
        vectors.append(np.stack([one.vector for one in (*stored, *asked)]))
        totals.append(np.stack([total(matcher, text, stored) for text in asked]))
        matcher = Matcher(bundle, where, device_cache_mib=CACHE_MIB)
        times[0].append(median_ms(partial(matcher.encode_pictures, pictures[:8], False), 5, 1))
        times[1].append(median_ms(partial(matcher.encode_texts, captions[:1], False)))
        times[2].append(median_ms(partial(total, matcher, asked[0], stored * 4)))
    told("8 photos encoded", times[0])
    told("a sentence encoded", times[1])
    told(f"{4 * len(pictures)} re-ranked", times[2])
    of_vectors, of_totals = (float(np.abs(a - b).max()) for a, b in (vectors, totals))
    print(f"  largest difference of a vector: {of_vectors:.1e}, of a score: {of_totals:.1e}")
    return of_vectors, of_totals


def resident_nodes(device: str) -> float:
    """Scores candidates by torch, copied and resident; returns the largest difference."""
    random, config = np.random.default_rng(0), ModelConfig()
    alignment = Alignment(1).to(device)
    query = nodes(random, WORDS, config.fine_dimension)
    sizes: dict[Layer, int] = {"entity": config.keep, "relation": config.relations}
    candidates = {
        layer: [nodes(random, count, config.fine_dimension) for _ in range(K)]
        for layer, count in sizes.items()
    }
    pools: dict[tuple[Layer, Kind], ResidentNodes] = {
        (layer, "image"): ResidentNodes(
            K, NodeShape(count, config.fine_dimension, float16=False), device
        )
        for layer, count in sizes.items()
    }

    def both_layers(scorer: FusedScorer) -> np.ndarray:
        found = [scorer.score(layer, query, "text", candidates[layer]) for layer in sizes]
        return np.concatenate(found)

    calls = {
        "copied": partial(both_layers, FusedScorer(alignment, TORCH)),
        "resident": partial(both_layers, FusedScorer(alignment, TORCH, pools)),
    }
    difference = float(np.abs(calls["copied"]() - calls["resident"]()).max())
    times = interleaved_ms(calls)
    print(f"on {device}:{'copied':>51s} {'resident':>9s}")
    told(f"{K} candidates, both layers by torch", [times["copied"], times["resident"]])
    print(f"  largest difference of a score: {difference:.1e}")
    return difference


def nodes(random: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    """A block of unit vectors of equal weight."""
    vectors = random.standard_normal((count, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return pack_nodes(vectors, np.full(count, 1 / count)).block


def total(matcher: Matcher, text: Encoded, pictures: list[Encoded]) -> np.ndarray:
    """Final scores of a sentence with pictures."""
    first = np.stack([picture.vector for picture in pictures]) @ text.query
    return matcher.score(text, "text", first, [picture.arrays for picture in pictures]).total


def told(what: str, times: list[float]) -> None:
    """Prints a line: what, its two times, and how many times the second goes into the first."""
    before, after = times
    print(f"{what:45s} {before:9.2f} {after:9.2f}   {before / after:5.2f} x")


if __name__ == "__main__":
    main()
