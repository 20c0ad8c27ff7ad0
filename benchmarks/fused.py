"""The fused scorer against `maxsim-cpu` and against SCAN as published, one run, one thread.

Ours takes random items of a large pool of packed records, as an index hands them over: others for
each call, and fetching them is in the time. maxsim-cpu does less: plain MaxSim of one side in
fp32, on the vectors that ours has packed. It is timed fetching from its own pool in the same way,
and on one array that is ready and already in the cache. SCAN in fp32 torch has its tensors ready.
"""

import importlib
import itertools
import os
from collections.abc import Callable
from types import ModuleType

for runtime in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[runtime] = "1"

# They read the environment once, when they are imported.
import numpy as np  # noqa: E402
import torch  # noqa: E402
from _timing import interleaved_ms, machine  # noqa: E402
from scorer import scan, scan_captions  # noqa: E402

from model.alignment import Alignment  # noqa: E402
from model.fused import FusedScorer, variants  # noqa: E402
from model.packed_nodes import pack_nodes  # noqa: E402

CANDIDATES = 100
REGIONS, WORDS = 36, 12
DIMENSIONS = (256, 512)
POOL = 6000
DRAWS = 1000
AGREES_TO = 1e-3


def maxsim() -> ModuleType | None:
    """The peer, or None where it isn't installed."""
    try:
        return importlib.import_module("maxsim_cpu")
    except ImportError:
        return None


def unit(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Random unit rows, float32."""
    vectors = random.standard_normal(shape, dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors


def packed(vectors: np.ndarray) -> np.ndarray:
    """The bytes of one item's nodes that all count alike."""
    return pack_nodes(vectors, np.full(len(vectors), 1 / len(vectors), np.float32)).block


def blocks_in_one_place(items: np.ndarray) -> list[np.ndarray]:
    """Packed items (n, nodes, d) as views of one array, as a file mapped into memory has them."""
    first = packed(items[0])
    everything = np.empty((len(items), len(first)), np.uint8)
    for place, item in zip(everything, items, strict=True):
        place[:] = packed(item)
    return list(everything)


def compare(query_kind: str, dimension: int, peer: ModuleType | None) -> None:
    """Prints times and ratios of one direction at one dimension."""
    random = np.random.default_rng(0)
    own, other = (WORDS, REGIONS) if query_kind == "text" else (REGIONS, WORDS)
    query, items = unit(random, own, dimension), unit(random, POOL, other, dimension)
    block, blocks = packed(query), blocks_in_one_place(items)
    vectors, ready = list(items), items[:CANDIDATES].copy()
    tensors = torch.from_numpy(ready)
    asked = torch.from_numpy(query)
    alignment = Alignment(tags=1)
    scorers = {name: FusedScorer(alignment, name) for name in variants()}

    found_by_search = itertools.cycle(random.integers(0, POOL, (DRAWS, CANDIDATES)).tolist())

    def fetched(pool: list[np.ndarray]) -> list[np.ndarray]:
        return [pool[i] for i in next(found_by_search)]

    def published() -> np.ndarray:
        one_way, back = (
            scan(asked, tensors)
            if query_kind == "text"
            else scan_captions(list(tensors), asked[None])
        )
        return ((one_way + back) / 2).numpy()

    def ours(scorer: FusedScorer) -> Callable[[], object]:
        return lambda: scorer.score("entity", block, query_kind, fetched(blocks))

    for scorer in scorers.values():
        found = scorer.score("entity", block, query_kind, blocks[:CANDIDATES])
        np.testing.assert_allclose(found, published(), atol=AGREES_TO)

    calls: dict[str, Callable[[], object]] = {f"ours, {n}": ours(s) for n, s in scorers.items()}
    calls["SCAN as published, ready"] = published
    if peer is not None:
        expected = np.einsum("qd,ckd->cqk", query, ready).max(axis=2).sum(axis=1)
        np.testing.assert_allclose(peer.maxsim_scores(query, ready), expected, atol=1e-3)
        calls["maxsim-cpu, fetched"] = lambda: peer.maxsim_scores_variable(query, fetched(vectors))
        calls["maxsim-cpu, ready"] = lambda: peer.maxsim_scores(query, ready)
    taken = interleaved_ms(calls)

    print(
        f"\n{query_kind} query, d = {dimension}, {own} nodes x {CANDIDATES} candidates of {other}"
    )
    rivals = [name for name in calls if not name.startswith("ours")]
    for name, ms in taken.items():
        ratios = "" if name in rivals else ", ".join(f"{ms / taken[r]:.2f} of {r}" for r in rivals)
        print(f"  {name:26} {ms:7.3f} ms   {ratios}")
    fastest = taken[f"ours, {variants()[0]}"]
    print(f"  SCAN as published takes {taken['SCAN as published, ready'] / fastest:.1f} x as long")


@torch.inference_mode()
def main() -> None:
    """Prints both directions at both dimensions, after checking that ours equals SCAN."""
    torch.set_num_threads(1)
    peer = maxsim()
    print(f"one thread, a pool of {POOL:,} items, {machine()}")
    if peer is None:
        print("maxsim-cpu is not installed: pip install 'sightline[bench]' has it")
    for dimension in DIMENSIONS:
        for query_kind in ("text", "image"):
            compare(query_kind, dimension, peer)


if __name__ == "__main__":
    main()
