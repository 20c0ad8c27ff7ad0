"""Codecs: how the region and word vectors of an item are kept, as blocks that the scorer reads.

    float16   as they are to 2^-11; torch scores them
    int8      a byte a number, and the Gram matrix: what the kernel reads fastest
    compact   the strongest directions in four bits a number, tags in a byte: a small collection

Every block says itself how it is to be read (`packed_nodes.py`); a codec only writes. What asks is
kept as exactly as the kernel takes it, whatever the stored side lost.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model.bank import Bank
from model.basis import basis_of
from model.errors import ConfigError
from model.fused import Layer
from model.packed_nodes import PackedNodes, pack_in_float16, pack_in_four_bits, pack_nodes

CODECS = ("float16", "int8", "compact")
DEFAULT_CODEC = "int8"
COMPACT_DIMENSION = 112
TAG_STEPS = 255


class Codec(Protocol):
    """Node vectors (N, d) float32 with weights (N,) to a block (bytes,) uint8, and tags."""

    @property
    def name(self) -> str:
        """What a collection remembers."""
        ...

    def stored(self, layer: Layer, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """What an item is kept as."""
        ...

    def asking(self, layer: Layer, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """What a query is scored with, against blocks that the same codec stored."""
        ...

    def stored_tags(self, probabilities: np.ndarray) -> np.ndarray:
        """Tag probabilities (tags,) as an item keeps them; `tag_probabilities` reads them."""
        ...


@dataclass(frozen=True)
class Plain:
    """Vectors in their own directions, and tags as they are; an index keeps those as float16.

    float16: 2 d + 4 bytes a node. int8: d + 12 bytes a node, and N (N + 1) for the Gram matrix.
    """

    name: str
    pack: Callable[[np.ndarray, np.ndarray], PackedNodes]

    def stored(self, layer: Layer, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The same for every layer, and for what asks."""
        return self.pack(vectors, weights).block

    asking = stored

    def stored_tags(self, probabilities: np.ndarray) -> np.ndarray:
        """As they are."""
        return probabilities


class Compact:
    """The strongest directions of each layer, in four bits a number."""

    name = "compact"

    def __init__(self, bank: Bank) -> None:
        size = min(COMPACT_DIMENSION, bank.pictures.entity.vectors.shape[2])
        self._bases = {
            "entity": basis_of(bank.pictures.entity, bank.captions.entity, size),
            "relation": basis_of(bank.pictures.relation, bank.captions.relation, size),
        }

    def stored(self, layer: Layer, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """d / 2 + 4 bytes a node, d at most 112."""
        return pack_in_four_bits(vectors @ self._bases[layer], weights).block

    def asking(self, layer: Layer, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The same directions in int8."""
        return pack_nodes(vectors @ self._bases[layer], weights).block

    def stored_tags(self, probabilities: np.ndarray) -> np.ndarray:
        """In steps of 1 / 255."""
        steps: np.ndarray = np.rint(probabilities * TAG_STEPS).astype(np.uint8)
        return steps


def tag_probabilities(stored: np.ndarray) -> np.ndarray:
    """float32, of tags as any codec keeps them."""
    probabilities = stored.astype(np.float32)
    return probabilities / np.float32(TAG_STEPS) if stored.dtype == np.uint8 else probabilities


def make_codec(name: str, bank: Bank) -> Codec:
    """The codec of that name for the model whose bank this is. Raises ConfigError for no such."""
    match name:
        case "float16":
            return Plain(name, pack_in_float16)
        case "int8":
            return Plain(name, pack_nodes)
        case "compact":
            return Compact(bank)
        case _:
            raise ConfigError(f"codec: {name!r} is none of {', '.join(CODECS)}")
