"""A budget of memory on the device becomes slots, and a matcher scores the same with them."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from model.bundle import load_bundle
from model.codecs import CODECS, make_codec
from model.config import ModelConfig, TextConfig
from model.errors import ConfigError
from model.matcher import Encoded, Kind, Matcher
from model.packed_nodes import PackedNodes
from model.resident import Usage
from model.resident_pools import MEBIBYTE, pools_within, usage_of
from model.toy import SENTENCES
from tests.model.samples import drawing
from tests.needs import lacks

PICTURES = [drawing(n) for n in range(3)]
NOTHING = {"image": Usage(), "text": Usage()}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("mebibytes", [1, 3, 10])
def test_the_slots_take_the_budget_and_have_room_for_every_item(
    toy_bundle: Path, codec: str, mebibytes: int
) -> None:
    bundle = load_bundle(toy_bundle)
    config = bundle.config
    pools = pools_within(mebibytes, config, make_codec(codec, bundle.bank), "cpu")
    assert set(pools) == set(product(("entity", "relation"), ("image", "text")))
    assert len({pool.slots for pool in pools.values()}) == 1
    taken = sum(pool.slots * pool.shape.slot_bytes for pool in pools.values())
    largest = sum(pool.shape.slot_bytes for pool in pools.values())
    assert mebibytes * MEBIBYTE - largest < taken <= mebibytes * MEBIBYTE
    matcher = Matcher(bundle, codec=codec)
    words = " ".join(["dog"] * 200)
    items = {"image": matcher.encode_pictures(PICTURES), "text": matcher.encode_texts([words])}
    for (layer, kind), pool in pools.items():
        for item in items[kind]:
            assert pool.shape.fits(PackedNodes(item.arrays[layer]))


def test_the_sizes_of_the_default_model_are_those_of_the_documents() -> None:
    # 36 regions, 12 contexts and 2 times 64 words, of 256 bytes with a scale and a weight each.
    nodes = 36 + 12 + 2 * 64
    assert ModelConfig().keep + ModelConfig().relations + 2 * TextConfig().max_words == nodes
    assert 1024 * MEBIBYTE // (nodes * (256 + 8)) == 23_109


@pytest.mark.parametrize("codec", CODECS)
def test_no_budget_is_no_pool(toy_bundle: Path, codec: str) -> None:
    bundle = load_bundle(toy_bundle)
    pools = pools_within(0, bundle.config, make_codec(codec, bundle.bank), "cpu")
    assert pools == {}
    assert usage_of(pools) == NOTHING


def test_a_budget_beyond_the_device_is_refused_by_name(toy_bundle: Path) -> None:
    with pytest.raises(ConfigError, match="device_cache_mib: there is no room for 1,000,000,000"):
        Matcher(load_bundle(toy_bundle), codec="float16", device_cache_mib=10**9)


def scored(matcher: Matcher, query: Encoded, kind: Kind, items: list[Encoded]) -> np.ndarray:
    first = np.stack([item.vector for item in items]) @ query.query
    return matcher.score(query, kind, first, [item.arrays for item in items]).total


@pytest.mark.parametrize(
    ("device", "codec"),
    [
        ("cpu", "float16"),
        *(
            pytest.param(
                "cuda",
                codec,
                marks=pytest.mark.skipif(
                    not torch.cuda.is_available(), reason="torch finds no usable GPU here"
                ),
            )
            for codec in CODECS
        ),
    ],
)
def test_a_matcher_scores_the_same_with_a_budget(toy_bundle: Path, device: str, codec: str) -> None:
    bundle = load_bundle(toy_bundle)
    plain = Matcher(bundle, device, codec=codec, half=False)
    matcher = Matcher(bundle, device, codec=codec, half=False, device_cache_mib=1)
    assert plain.device_cache() == NOTHING
    pictures, texts = plain.encode_pictures(PICTURES), plain.encode_texts(SENTENCES[:4])
    for query, kind, items in ((texts[0], "text", pictures), (pictures[0], "image", texts)):
        for _ in range(2):
            np.testing.assert_allclose(
                scored(matcher, query, kind, items), scored(plain, query, kind, items), atol=1e-5
            )
    usage = matcher.device_cache()
    assert (usage["image"].used, usage["image"].misses, usage["image"].hits) == (6, 6, 6)
    assert (usage["text"].used, usage["text"].misses, usage["text"].hits) == (8, 8, 8)


def test_the_kernel_reads_nodes_where_they_are_and_takes_no_memory_for_them(
    toy_bundle: Path,
) -> None:
    matcher = Matcher(load_bundle(toy_bundle), device_cache_mib=1)
    if matcher.scorer == "torch":
        lacks("the kernel wasn't built: no C++ compiler or no Python headers")
    assert matcher.device_cache() == NOTHING
