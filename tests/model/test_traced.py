"""A graph gives what its module gives, to the last bit, for texts of any lengths."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.alignment import Codes
from model.coding import TextCoder, text_coder, traced_text_coder
from model.concepts import Concepts
from model.config import ModelConfig, RegionConfig, TextConfig
from model.network import Network
from model.text_trunk import text_trunk
from model.words import TextBatch, TextTrunk, collate
from tests.model.samples import PRECOMPUTED_RUN, TINY_TEXT, sizes

VOCABULARY = ("red", "paper", "on", "a", "blue", "ground")
EXAMPLES = ("red", "blue paper on a ground")
SHARED = PRECOMPUTED_RUN.model
PRETRAINED = TextConfig(tuned_layers=1, recurrent_size=8)
CONFIGS = {
    "one tail for all layers": SHARED,
    "a first stage of its own": SHARED.model_copy(update={"first_stage": "own"}),
    "no recurrent layer": SHARED.model_copy(
        update={"text": TINY_TEXT.model_copy(update={"recurrent_size": 0})}
    ),
    "generalised pooling, equal weights": SHARED.model_copy(
        update={"pooling": "generalised", "node_weights": "equal"}
    ),
    "pretrained words": SHARED.model_copy(update={"text": PRETRAINED, "first_stage": "own"}),
    "concepts": sizes(RegionConfig(pixels=96, side=3)).model_copy(
        update={"text": PRETRAINED, "concepts": True}
    ),
}
sentences = st.lists(st.sampled_from(VOCABULARY), max_size=15).map(" ".join)


CASES = [(name, half) for half in (False, True) for name in CONFIGS]


@pytest.fixture(scope="module", params=CASES, ids=[f"{n}, half {half}" for n, half in CASES])
def both(request: pytest.FixtureRequest) -> tuple[TextTrunk, TextCoder, TextCoder]:
    """The trunk of a model, its coder, and that as a graph."""
    name, half = request.param
    config: ModelConfig = CONFIGS[name]
    torch.manual_seed(0)
    network = Network(config, VOCABULARY).eval().requires_grad_(False)
    if config.concepts:
        network.concepts = Concepts(config, torch.randn(1000, 384))
    if half:
        network = network.in_half()
    trunk = text_trunk(config, VOCABULARY)
    return trunk, text_coder(network), traced_text_coder(network, trunk(EXAMPLES))


@settings(deadline=None, max_examples=25)
@given(texts=st.lists(sentences, min_size=1, max_size=6))
def test_texts_are_coded_the_same(
    both: tuple[TextTrunk, TextCoder, TextCoder], texts: list[str]
) -> None:
    trunk, coder, traced = both
    together = collate(trunk(texts))
    assert_same(traced(together), coder(together))


@settings(deadline=None, max_examples=25)
@given(texts=st.lists(sentences, min_size=1, max_size=6))
def test_trunks_give_the_same(trunks: tuple[TextTrunk, TextTrunk], texts: list[str]) -> None:
    plain, traced = (trunk(texts) for trunk in trunks)
    for one, other in zip(plain, traced, strict=True):
        assert one.states.tobytes() == other.states.tobytes()


@pytest.fixture(scope="module")
def trunks() -> tuple[TextTrunk, TextTrunk]:
    config = SHARED.model_copy(update={"text": PRETRAINED})
    return text_trunk(config, ()), text_trunk(config, (), traced=True)


def assert_same(one: Codes, other: Codes) -> None:
    assert len(one.tensors) == len(other.tensors) == 11
    for mine, theirs in zip(one.tensors, other.tensors, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def test_codes_are_of_their_tensors(both: tuple[TextTrunk, TextCoder, TextCoder]) -> None:
    trunk, coder, _ = both
    together: TextBatch = collate(trunk(EXAMPLES))
    codes = coder(together)
    assert_same(Codes.of(*codes.tensors), codes)
