"""Trunk arrays to codes, with and without dropped nodes."""

import numpy as np
import pytest
import torch

from model.alignment import hardest_alignment
from model.config import RegionConfig
from model.network import Network
from model.text_trunk import with_embeddings
from model.words import VocabularyTrunk, collate
from tests.model.samples import FEATURES, PRECOMPUTED_RUN, scene_features

CONFIG = PRECOMPUTED_RUN.model
VOCABULARY = ("dog", "grass")


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network(CONFIG, VOCABULARY).eval().requires_grad_(False)


def arrays(count: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.stack([scene_features(n) for n in range(count)]))


def test_a_row_of_zeros_is_an_absent_region(network: Network) -> None:
    padded = torch.cat([arrays(), torch.zeros(2, 4, FEATURES)], dim=1)
    np.testing.assert_allclose(
        network.pictures(padded).global_, network.pictures(arrays()).global_, atol=1e-5
    )


def test_a_picture_of_zeros_alone_has_codes_all_the_same(network: Network) -> None:
    codes = network.pictures(torch.zeros(1, 36, FEATURES))
    assert bool(torch.isfinite(codes.global_).all())
    assert bool(codes.entity.mask.all())


@pytest.mark.parametrize("kept", [0.5, 0.01])
def test_dropped_regions_leave_each_picture_at_least_one(network: Network, kept: float) -> None:
    torch.manual_seed(1)
    codes = network.pictures(arrays(3), kept)
    for nodes in (codes.entity, codes.relation):
        assert bool(nodes.mask.any(1).all())
        np.testing.assert_allclose(nodes.weights.sum(1).numpy(), 1, atol=1e-5)


def test_tags_start_at_their_share_of_pictures() -> None:
    torch.manual_seed(0)
    network = Network(CONFIG, VOCABULARY).eval()
    share = np.array([0.5, 0.1, 0.0, 1.0, 0.3, 0.3, 0.3, 0.02], dtype=np.float32)
    network.start_tags_at(share)
    with torch.inference_mode():
        found = network.pictures(arrays(1)).tags.sigmoid()[0].numpy()
    np.testing.assert_allclose(found, share.clip(1e-4, 1 - 1e-4), atol=0.1)


def test_the_assignment_that_is_configured_is_the_one_that_scores() -> None:
    torch.manual_seed(0)
    hard = Network(CONFIG.model_copy(update={"assignment": "hard"}), VOCABULARY).eval()
    texts = collate(VocabularyTrunk(CONFIG.text, VOCABULARY)(["a dog on grass", "dog"]))
    with torch.inference_mode():
        pictures, codes = hard.pictures(arrays()), hard.texts(texts)
        found = hard.alignment(pictures, codes).entity
        expected = sum(hardest_alignment(pictures.entity, codes.entity)) / 2
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_first_stage_of_its_own_shares_nothing_with_the_fine_layers() -> None:
    torch.manual_seed(0)
    own = Network(CONFIG.model_copy(update={"first_stage": "own"}), VOCABULARY).eval()
    trunk = VocabularyTrunk(CONFIG.text, VOCABULARY)
    texts = collate(trunk(["a dog on grass"]))
    pictures, codes = own.pictures(arrays(2)), own.texts(texts)
    layers = own.alignment(pictures, codes)
    layers.global_.sum().backward(retain_graph=True)
    touched = {name for name, p in own.named_parameters() if p.grad is not None}
    assert touched and all(name.startswith("first_stage.") for name in touched)
    own.zero_grad()
    (layers.entity + layers.relation + layers.semantic).sum().backward()
    touched = {name for name, p in own.named_parameters() if p.grad is not None}
    assert touched and not any(name.startswith("first_stage.") for name in touched)


def test_a_towers_embeddings_are_the_global_vectors_and_train_nothing() -> None:
    torch.manual_seed(0)
    regions = RegionConfig(kind="tower", feature_size=FEATURES, folder="unread")
    config = CONFIG.model_copy(update={"regions": regions, "first_stage": "tower"})
    network = Network(config, VOCABULARY)
    embeddings = torch.nn.functional.normalize(torch.randn(3, config.dimension), dim=-1)
    texts = VocabularyTrunk(config.text, VOCABULARY)(["a dog on grass"])
    batch = collate(with_embeddings(texts, embeddings[2:].numpy()))
    patches = arrays(2)
    pictures = network.pictures(torch.cat([patches.flatten(1), embeddings[:2]], dim=1), kept=0.5)
    layers = network.alignment(pictures, network.texts(batch))
    np.testing.assert_allclose(layers.global_, embeddings[:2] @ embeddings[2:].T, atol=1e-6)
    assert not layers.global_.requires_grad and layers.entity.requires_grad

    shared = Network(CONFIG, VOCABULARY).eval()
    shared.load_state_dict(network.state_dict())
    fine = network.eval().pictures(torch.cat([patches.flatten(1), embeddings[:2]], dim=1)).entity
    np.testing.assert_allclose(
        fine.vectors.detach(), shared.pictures(patches).entity.vectors.detach(), atol=1e-6
    )
