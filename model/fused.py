"""The node layers of one query with many packed candidates, by the kernel in `model/kernel/`.

The scores are those of `model/alignment.py`. The kernel is optional: where it wasn't built, for
items of more than 64 nodes, for float16 and where a GPU is to score, `variant="torch"` asks the
alignment itself, of candidates that are copied to its device for each query, or are there already
(`resident.py`).
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Literal

import numpy as np
import torch

from model.alignment import Alignment, Nodes
from model.errors import ConfigError, PackedNodesError
from model.packed_nodes import PackedNodes, batch_of, read_nodes
from model.resident import ResidentNodes

MOST_NODES = 64
TORCH = "torch"
Layer = Literal["entity", "relation"]
Kind = Literal["image", "text"]
Pools = Mapping[tuple[Layer, Kind], ResidentNodes]


def _kernel() -> ModuleType | None:
    # The kernel reads numbers where they lie, and they lie there in little-endian order.
    if sys.byteorder == "big":
        return None
    try:
        return import_module("model._kernel")
    except ImportError:
        return None


_KERNEL = _kernel()


def variants() -> tuple[str, ...]:
    """What can score on this machine, fastest first; the last is "torch", which always can."""
    return (*_KERNEL.variants(), TORCH) if _KERNEL else (TORCH,)


def variant() -> str:
    """What scores unless something else is asked for."""
    return variants()[0]


class FusedScorer:
    """Scores packed nodes by the temperatures and options of one alignment, on one thread a call;
    torch does it on the alignment's device, all candidates in one batch.

    Nothing of it but the pools changes after it is made, and those have locks of their own, so
    threads may share it. The kernel runs without holding the interpreter.
    """

    def __init__(
        self, alignment: Alignment, variant: str | None = None, pools: Pools | None = None
    ) -> None:
        """pools: where torch keeps candidates of a layer and a kind on the alignment's device;
        None and what is missing: nowhere. Raises ConfigError for a variant that this machine
        doesn't run.
        """
        self.variant = variants()[0] if variant is None else variant
        if self.variant not in variants():
            raise ConfigError(f"variant: {variant!r} is none of {', '.join(variants())}")
        self._alignment = alignment
        self._pools = {} if pools is None else pools
        temperatures = alignment.log_temperatures.detach().exp().tolist()
        self._temperatures = {"entity": temperatures[:2], "relation": temperatures[2:]}
        self._hard = alignment.assignment == "hard"
        self._from_words = alignment.directions != "region-to-word"
        self._from_regions = alignment.directions != "word-to-region"

    def score(
        self,
        layer: Layer,
        query: np.ndarray,
        query_kind: Kind,
        candidates: Sequence[np.ndarray],
    ) -> np.ndarray:
        """Scores of n candidates of the other kind, (n,) float32.

        query and candidates: blocks of `PackedNodes`, each (bytes,) uint8, of one dimension, in any
        mixture of layouts, and of 1 to 64 nodes (torch: of any number). Raises PackedNodesError,
        naming the candidate, for anything else, and for float16 that the kernel is asked to score.
        """
        if self.variant == TORCH or _KERNEL is None:
            return self._by_torch(layer, query, query_kind, candidates)
        from_words, from_regions = self._temperatures[layer]
        of_text = (from_words, from_regions, self._hard, self._from_words, self._from_regions)
        of_image = (from_regions, from_words, self._hard, self._from_regions, self._from_words)
        options = of_text if query_kind == "text" else of_image
        scores = np.empty(len(candidates), np.float32)
        try:
            _KERNEL.score(self.variant, query, list(candidates), scores, *options)
        except ValueError as error:
            raise PackedNodesError(str(error)) from error
        return scores

    @torch.inference_mode()
    def _by_torch(
        self, layer: Layer, query: np.ndarray, query_kind: Kind, candidates: Sequence[np.ndarray]
    ) -> np.ndarray:
        own = read_nodes(query, "query")
        queries = batch_of([own], self._alignment.log_temperatures.device)
        align = self._alignment.entity if layer == "entity" else self._alignment.relation
        pool = self._pools.get((layer, "text" if query_kind == "image" else "image"))
        scores = np.empty(len(candidates), np.float32)
        for places, items in self._batches(own.dimension, candidates, pool):
            regions, words = (queries, items) if query_kind == "image" else (items, queries)
            scores[places] = align(regions, words).flatten().cpu().numpy()
        return scores

    def _batches(
        self, dimension: int, candidates: Sequence[np.ndarray], pool: ResidentNodes | None
    ) -> Iterator[tuple[list[int], Nodes]]:
        """The candidates as nodes on the device, with their places: those that the pool has or
        takes, as many as it has slots, and then all others, copied for this once.
        """
        if pool is not None and pool.shape.dimension != dimension:
            pool = None
        known = [False] * len(candidates) if pool is None else pool.known(candidates)
        resident: list[int] = []
        others: dict[int, PackedNodes] = {}
        for i, block in enumerate(candidates):
            # What is known was read and found to fit when it came.
            if pool is not None and known[i] and len(resident) < pool.slots:
                resident.append(i)
                continue
            item = read_nodes(block, f"candidate {i}")
            if item.dimension != dimension:
                raise PackedNodesError(f"candidate {i}: its dimension isn't the query's")
            if pool is not None and pool.shape.fits(item) and len(resident) < pool.slots:
                resident.append(i)
            else:
                others[i] = item
        if pool is not None and resident:
            yield resident, pool.nodes([candidates[i] for i in resident])
        if others:
            device = self._alignment.log_temperatures.device
            yield list(others), batch_of(list(others.values()), device)
