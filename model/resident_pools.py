"""How a budget of memory on the device becomes slots for both layers of pictures and of texts."""

from typing import get_args

import numpy as np

from model.codecs import Codec
from model.config import ModelConfig
from model.errors import ConfigError
from model.fused import Kind, Layer, Pools
from model.packed_nodes import FLOAT16, PackedNodes
from model.resident import NodeShape, ResidentNodes, Usage

MEBIBYTE = 1024 * 1024


def pools_within(mebibytes: int, config: ModelConfig, codec: Codec, device: str) -> Pools:
    """A pool for each layer and kind, all of the same number of slots: as many pictures as texts.

    Empty where the budget is too small for one of each. Raises ConfigError where the device hasn't
    that memory.
    """
    shapes: dict[tuple[Layer, Kind], NodeShape] = {
        ("entity", "image"): _shape("entity", config.keep, config, codec),
        ("relation", "image"): _shape("relation", config.relations, config, codec),
        ("entity", "text"): _shape("entity", config.text.max_words, config, codec),
        # A text has no more phrases than words.
        ("relation", "text"): _shape("relation", config.text.max_words, config, codec),
    }
    slots = mebibytes * MEBIBYTE // sum(shape.slot_bytes for shape in shapes.values())
    if not slots:
        return {}
    try:
        return {place: ResidentNodes(slots, shape, device) for place, shape in shapes.items()}
    except RuntimeError as error:
        raise ConfigError(
            f"device_cache_mib: there is no room for {mebibytes:,} MiB on {device}: {error}"
        ) from error


def usage_of(pools: Pools) -> dict[Kind, Usage]:
    """Of each kind, both layers added: an item has two slots. Zeros where there are no pools."""
    total: dict[Kind, Usage] = {kind: Usage() for kind in get_args(Kind)}
    for (_, kind), pool in pools.items():
        total[kind] += pool.usage()
    return total


def _shape(layer: Layer, width: int, config: ModelConfig, codec: Codec) -> NodeShape:
    """As the codec stores a node of this model."""
    vector, weight = np.zeros((1, config.fine_dimension), np.float32), np.ones(1, np.float32)
    stored = PackedNodes(codec.stored(layer, vector, weight))
    return NodeShape(width, stored.dimension, stored.layout == FLOAT16)
