"""What the pretrained networks know by themselves, and what becomes of it in a bundle."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from model.alignment import concept_agreement
from model.bundle import Bundle, load_bundle
from model.coding import code_pictures, code_texts, score_all
from model.concepts import Concepts, concept_names, name_embeddings
from model.config import ModelConfig, RegionConfig, RunConfig, TextConfig
from model.export import Edition, export_run
from model.matcher import Matcher
from model.picture import decode
from model.regions import extractor, served_extractor
from model.run import Run, train_run
from model.stored_concepts import from_bytes, to_bytes
from model.text_trunk import text_trunk
from model.words import collate
from service.gallery.photos import photos
from tests.model.conftest import ignore, quiet
from tests.model.samples import TINY_HUBNESS, TINY_TRAINING, drawing

SENTENCES = ["a castle on a hill", "a tabby cat looks at me", "an espresso in a cup"]
SMALL = {"dimension": 32, "fine_dimension": 16, "head_size": 16, "attention_size": 8, "tags": 12}


def sizes(**changes: object) -> ModelConfig:
    return ModelConfig.model_validate(
        SMALL | {"regions": RegionConfig(pixels=96, side=3), "concepts": True} | changes
    )


@pytest.fixture(scope="module")
def names() -> torch.Tensor:
    return name_embeddings()


def strongest(probabilities: torch.Tensor) -> list[str]:
    return [concept_names()[i].split(",")[0] for i in probabilities.argmax(1).tolist()]


@given(st.lists(st.floats(0, 1), min_size=1))
def test_a_byte_keeps_a_probability_to_three_percent(values: list[float]) -> None:
    probabilities = np.array(values)
    found = from_bytes(to_bytes(probabilities))
    np.testing.assert_allclose(found, probabilities, rtol=0.032, atol=1.3e-7)


def test_agreement_goes_from_nothing_shared_to_certainty() -> None:
    one, other = torch.eye(3)[:1], torch.tensor([[1.0, 0, 0], [0, 1, 0], [0.1, 0.9, 0]])
    found = concept_agreement(one, other)[0]
    assert found.tolist() == pytest.approx([1, 0, 0.8], abs=1e-3)
    assert concept_agreement(torch.empty(2, 0), torch.empty(3, 0)).eq(0).all()


def test_texts_mean_the_classes_that_they_name(names: torch.Tensor) -> None:
    config = sizes()
    batch = collate(text_trunk(config, ())(SENTENCES))
    probabilities = Concepts(config, names).texts(batch)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert strongest(probabilities) == ["castle", "tabby", "espresso"]


@pytest.mark.parametrize("tuned", [True, False])
def test_pictures_show_the_classes_that_imagenet_knows(names: torch.Tensor, tuned: bool) -> None:
    config = sizes(regions=RegionConfig(tuned=tuned, served_views=2))
    shown: list[Image.Image] = [
        decode(p.read()) for p in photos() if p.id in ("tabby-cat", "espresso")
    ]
    arrays = torch.from_numpy(served_extractor(config).trunk(shown)).float()
    probabilities = Concepts(config, names).pictures(arrays)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert set(strongest(probabilities)) <= {"Egyptian cat", "tabby", "espresso", "cup"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, captioned_folder: Path) -> Run:
    folder = tmp_path_factory.mktemp("concepts")
    config = RunConfig(model=sizes(), hubness=TINY_HUBNESS, training=TINY_TRAINING)
    return train_run(
        config, captioned_folder, folder / "run", folder / "cache", False, quiet, ignore
    )


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "compact"])
def bundle(
    request: pytest.FixtureRequest, trained: Run, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    folder = tmp_path_factory.mktemp("exported") / "bundle"
    export_run(trained, folder, Edition("concepts", compact=request.param))
    return load_bundle(folder)


def test_nothing_of_the_concepts_is_trained_or_stored_but_the_names(
    trained: Run, bundle: Bundle
) -> None:
    state = torch.load(trained.folder / "best.pt", weights_only=True)
    assert not [name for name in state if "concept" in name]
    assert [name for name in bundle.weights if "concept" in name] == ["concepts.names"]
    network = bundle.network()
    assert not [name for name, _ in network.named_parameters() if "concept" in name]
    assert network.concepts is not None
    torch.testing.assert_close(network.concepts.names, name_embeddings(), rtol=0, atol=0)


def test_a_matcher_scores_concepts_as_evaluation_does(bundle: Bundle) -> None:
    matcher, network = Matcher(bundle, half=False), bundle.network()
    shown = [drawing(number) for number in range(4)]
    pictures, texts = matcher.encode_pictures(shown), matcher.encode_texts(SENTENCES)
    expected = score_all(
        network.alignment,
        code_pictures(network, extractor(bundle.config).trunk(shown)),
        code_texts(network, text_trunk(bundle.config, ())(SENTENCES)),
    )["concept"]
    assert expected.std() > 1e-3
    vectors = np.stack([picture.vector for picture in pictures])
    arrays = [picture.arrays for picture in pictures]
    for number, text in enumerate(texts):
        found = matcher.score(text, "text", vectors @ text.query, arrays)
        np.testing.assert_allclose(found.concept, expected[:, number], atol=6e-3)
        weight = np.float32(bundle.scoring.fusion.concept)
        flat = [{**one, "concepts": np.full(1000, 255, np.uint8)} for one in arrays]
        without = matcher.score(text, "text", vectors @ text.query, flat)
        np.testing.assert_allclose(
            found.total - without.total, weight * (found.concept - without.concept), atol=1e-4
        )


def test_an_explanation_names_the_concepts_that_both_sides_mean(bundle: Bundle) -> None:
    matcher = Matcher(bundle)
    (text,) = matcher.encode_texts(["a castle on a hill"])
    (picture,) = matcher.encode_pictures([drawing(0)])
    castle = [name.split(",")[0] for name in concept_names()].index("castle")
    shown = {**picture.arrays, "concepts": np.full(1000, 255, np.uint8)}
    assert matcher.explain(text.arrays, shown).concepts == []
    shown["concepts"][castle] = 0
    ((name, share),) = matcher.explain(text.arrays, shown).concepts
    assert name == "castle" and share > 0.9


def test_the_layer_is_weighed_with_the_others(bundle: Bundle) -> None:
    weights = bundle.scoring.fusion
    fine = weights.entity + weights.relation + weights.semantic + weights.concept
    assert fine == pytest.approx(1)


@pytest.mark.parametrize(
    "changes",
    [
        {"text": TextConfig(kind="vocabulary", feature_size=16)},
        {"regions": RegionConfig(kind="precomputed", feature_size=32)},
    ],
)
def test_concepts_need_the_pretrained_networks(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="concepts: only for"):
        sizes(**changes)
