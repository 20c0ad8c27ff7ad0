"""The model as the service meets it."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.alignment import node_alignment
from model.bank import bank_offsets, picture_bank_scores, text_bank_scores
from model.bundle import Bundle, load_bundle
from model.calibration import Calibration, Direction, Logistic
from model.codecs import CODECS
from model.coding import code_pictures, code_texts
from model.errors import ConfigError
from model.fused import variant
from model.matcher import Encoded, Kind, Matcher
from model.packed_nodes import PackedNodes, batch_of
from model.regions import extractor
from model.text_trunk import text_trunk
from model.toy import SENTENCES
from tests.model.samples import drawing, quantised, scene_boxes, scene_features

PICTURES = [drawing(n) for n in range(6)]
# How far a score moves when nodes of 16 numbers are kept in int8.
IN_A_BYTE = 0.01
TEXTS = [*SENTENCES[:3], "snow", "", "🐕", "a dog " * 40]


@pytest.fixture(scope="module")
def pictures(matcher: Matcher) -> list[Encoded]:
    return matcher.encode_pictures(PICTURES)


@pytest.fixture(scope="module")
def texts(matcher: Matcher) -> list[Encoded]:
    return matcher.encode_texts(TEXTS)


def nodes_of(item: Encoded, layer: str) -> PackedNodes:
    return PackedNodes(item.arrays[layer])


def first_stage(query: Encoded, items: list[Encoded]) -> np.ndarray:
    return np.stack([item.vector for item in items]) @ query.query


def asked(matcher: Matcher, query: Encoded, kind: Kind, items: list[Encoded]):
    return matcher.score(query, kind, first_stage(query, items), [item.arrays for item in items])


def test_vectors_are_unit_length_but_for_their_offset(matcher, pictures, texts) -> None:
    for item in (*pictures, *texts):
        for vector in (item.vector, item.query, item.query_same_kind):
            assert (vector.shape, vector.dtype) == ((matcher.dimension,), np.float32)
            assert np.linalg.norm(vector[:-1]) == pytest.approx(1, abs=1e-4)
        assert item.vector[-1] == pytest.approx(-0.5 * item.arrays["offsets"][0], abs=1e-6)
        assert (item.query[-1], item.query_same_kind[-1]) == (1, 0)


def test_score_is_alignment_fusion_and_offsets_of_the_network(
    matcher: Matcher, toy_bundle: Path, pictures, texts
) -> None:
    bundle = load_bundle(toy_bundle)
    network, scoring = bundle.network(), bundle.scoring
    picture_codes = code_pictures(network, extractor(bundle.config).trunk(PICTURES))
    text_codes = code_texts(network, text_trunk(bundle.config, bundle.vocabulary)(TEXTS))
    with torch.inference_mode():
        layers = network.alignment(picture_codes, text_codes)
    parts = {name: getattr(layers, name).numpy() for name in ("entity", "relation", "semantic")}
    global_, fine = layers.global_.numpy(), scoring.fusion.fine(parts)
    how = (scoring.fusion, scoring.beta)
    of_pictures = bank_offsets(picture_bank_scores(network, bundle.bank, picture_codes), *how)
    of_texts = bank_offsets(text_bank_scores(network, bundle.bank, text_codes), *how)

    for j, text in enumerate(texts):
        found = asked(matcher, text, "text", pictures)
        np.testing.assert_allclose(found.global_, global_[:, j], atol=1e-4)
        for name, part in parts.items():
            np.testing.assert_allclose(getattr(found, name), part[:, j], atol=IN_A_BYTE)
        offset = scoring.fusion.global_ * of_pictures.global_ + of_pictures.fine
        expected = scoring.fusion.global_ * global_[:, j] + fine[:, j] - scoring.strength * offset
        np.testing.assert_allclose(found.total, expected, atol=IN_A_BYTE)
    for i, picture in enumerate(pictures):
        found = asked(matcher, picture, "image", texts)
        offset = scoring.fusion.global_ * of_texts.global_ + of_texts.fine
        expected = scoring.fusion.global_ * global_[i] + fine[i] - scoring.strength * offset
        np.testing.assert_allclose(found.total, expected, atol=IN_A_BYTE)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("kind", ["image", "text"])
def test_every_codec_scores_its_records_as_the_alignment_does(
    toy_bundle: Path, codec: str, kind: Kind
) -> None:
    bundle = load_bundle(toy_bundle)
    matcher, alignment = Matcher(bundle, codec=codec, half=False), bundle.network().alignment
    pictures, texts = matcher.encode_pictures(PICTURES), matcher.encode_texts(TEXTS)
    queries, items = (pictures, texts) if kind == "image" else (texts, pictures)
    for query in queries:
        found = asked(matcher, query, kind, items)
        for layer in ("entity", "relation"):
            nodes = [
                batch_of([nodes_of(query, layer)]),
                batch_of([nodes_of(x, layer) for x in items]),
            ]
            regions, words = nodes if kind == "image" else nodes[::-1]
            with torch.inference_mode():
                expected = getattr(alignment, layer)(regions, words).flatten().numpy()
            np.testing.assert_allclose(getattr(found, layer), expected, atol=1e-3)


@pytest.mark.parametrize("codec", CODECS)
def test_what_a_codec_stores_answers_nearly_as_float16_does(toy_bundle: Path, codec: str) -> None:
    exact = Matcher(load_bundle(toy_bundle), codec="float16", half=False)
    matcher = Matcher(load_bundle(toy_bundle), codec=codec, half=False)
    assert (exact.codec, exact.scorer, matcher.codec) == ("float16", "torch", codec)
    for query, kind in ((TEXTS[0], "text"), (PICTURES[0], "image")):
        found = []
        for one in (exact, matcher):
            if kind == "text":
                asking, items = one.encode_texts([query], False)[0], one.encode_pictures(PICTURES)
            else:
                asking, items = one.encode_pictures([query], False)[0], one.encode_texts(TEXTS)
            found.append(asked(one, asking, kind, items))
        # The toy's nodes have 16 numbers, of which four bits take more than they would of 256.
        np.testing.assert_allclose(found[1].total, found[0].total, atol=0.05)
        np.testing.assert_array_equal(found[1].global_, found[0].global_)


def test_a_codec_that_is_not_there_is_refused(toy_bundle: Path) -> None:
    with pytest.raises(ConfigError, match="codec: 'int4' is none of float16, int8, compact"):
        Matcher(load_bundle(toy_bundle), codec="int4")


@pytest.mark.parametrize(
    ("change", "scorer"),
    [
        ({}, variant()),
        ({"keep": 65}, "torch"),
        ({"relations": 65}, "torch"),
        ({"keep": 64}, variant()),
    ],
)
def test_the_kernel_scores_what_it_has_room_for(
    toy_bundle: Path, change: dict[str, int], scorer: str
) -> None:
    bundle = load_bundle(toy_bundle)
    config = bundle.config.model_copy(update=change)
    matcher = Matcher(replace(bundle, config=config))
    assert matcher.scorer == scorer


@pytest.mark.parametrize("codec", CODECS)
def test_arrays_from_before_the_codecs_become_this_matchers_own(
    toy_bundle: Path, pictures, codec: str
) -> None:
    matcher = Matcher(load_bundle(toy_bundle), codec=codec, half=False)
    (now,) = matcher.encode_pictures(PICTURES[:1])
    nodes = {layer: nodes_of(pictures[0], layer) for layer in ("entity", "relation")}
    before = {name: a for name, a in pictures[0].arrays.items() if name not in nodes}
    for layer, own in nodes.items():
        before[layer], before[f"{layer}_weights"] = own.vectors, own.weights
    recoded = matcher.recoded(before)
    assert recoded is not None
    assert recoded.keys() == now.arrays.keys()
    assert {n: (a.shape, a.dtype) for n, a in recoded.items()} == {
        n: (a.shape, a.dtype) for n, a in now.arrays.items()
    }
    for layer in nodes:
        found, expected = PackedNodes(recoded[layer]), nodes_of(now, layer)
        np.testing.assert_allclose(found.vectors, expected.vectors, atol=0.1)
        np.testing.assert_allclose(found.weights, expected.weights, atol=1e-3)
    assert matcher.recoded(recoded) is None


@pytest.mark.parametrize("kind", ["image", "text"])
def test_candidates_are_scored_alike_alone_in_slices_and_in_any_order(
    matcher, pictures, texts, kind: Kind
) -> None:
    query, items = (pictures[0], texts) if kind == "image" else (texts[0], pictures)
    together = asked(matcher, query, kind, items)
    for name in ("total", "global_", "entity", "relation", "semantic", "probability"):
        whole = getattr(together, name)
        assert (whole.shape, whole.dtype) == ((len(items),), np.float32)
        alone = [getattr(asked(matcher, query, kind, [item]), name)[0] for item in items]
        np.testing.assert_allclose(alone, whole, atol=1e-5)
        backwards = getattr(asked(matcher, query, kind, items[::-1]), name)[::-1]
        np.testing.assert_allclose(backwards, whole, atol=1e-5)


@pytest.mark.parametrize("kind", ["image", "text"])
def test_what_an_index_rounds_moves_scores_by_less_than_a_hundredth(
    matcher, pictures, texts, kind: Kind
) -> None:
    queries, items = (pictures, texts) if kind == "image" else (texts, pictures)
    for query in queries:
        exact = asked(matcher, query, kind, items)
        stored = [{n: quantised(a) for n, a in item.arrays.items()} for item in items]
        rounded = matcher.score(query, kind, first_stage(query, items), stored)
        for name in ("total", "global_", "entity", "relation", "semantic"):
            np.testing.assert_allclose(getattr(rounded, name), getattr(exact, name), atol=0.01)


def test_probability_rises_with_the_total_and_stays_within_0_and_1(
    matcher, pictures, texts
) -> None:
    found = asked(matcher, texts[0], "text", pictures)
    order = np.argsort(found.total)
    assert (np.diff(found.probability[order]) >= 0).all()
    assert ((found.probability >= 0) & (found.probability <= 1)).all()
    rising = np.array([-0.4, 0.1, 0.9], dtype=np.float32)
    shown = [picture.arrays for picture in pictures[:3]]
    first = matcher.first_stage_probability(texts[0], "text", rising, shown)
    assert (np.diff(first) > 0).all()
    assert 0 < matcher.no_match_below("text") < 1


def test_no_candidates_give_empty_scores(matcher, texts) -> None:
    found = matcher.score(texts[0], "text", np.zeros(0, dtype=np.float32), [])
    assert found.total.shape == found.probability.shape == (0,)


def assert_same_code(one: Encoded, other: Encoded) -> None:
    np.testing.assert_allclose(one.vector, other.vector, atol=1e-4)
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert array.shape == other.arrays[name].shape, name
        if name in ("entity", "relation"):
            one_nodes, other_nodes = nodes_of(one, name), nodes_of(other, name)
            np.testing.assert_allclose(one_nodes.vectors, other_nodes.vectors, atol=0.01)
            np.testing.assert_allclose(one_nodes.weights, other_nodes.weights, atol=1e-4)
        else:
            np.testing.assert_allclose(array, other.arrays[name], atol=1e-4, err_msg=name)


def test_a_text_alone_or_in_a_batch_has_the_same_code(matcher, texts) -> None:
    for text, together in zip(TEXTS, texts, strict=True):
        assert_same_code(matcher.encode_texts([text])[0], together)


def test_a_picture_alone_or_in_a_batch_has_the_same_code(matcher, pictures) -> None:
    for picture, together in zip(PICTURES, pictures, strict=True):
        assert_same_code(matcher.encode_pictures([picture])[0], together)


def test_more_pictures_than_a_batch_come_back_in_order(toy_bundle: Path, pictures) -> None:
    small = Matcher(load_bundle(toy_bundle), batch_size=2, half=False)
    for one, other in zip(small.encode_pictures(PICTURES[:5]), pictures[:5], strict=True):
        assert_same_code(one, other)


def test_nothing_in_nothing_out(matcher) -> None:
    assert matcher.encode_pictures([]) == matcher.encode_texts([]) == []


def assert_finite(item: Encoded) -> None:
    assert np.isfinite(item.vector).all()
    for name, array in item.arrays.items():
        assert np.isfinite(array).all(), name
    for layer in ("entity", "relation"):
        assert np.isfinite(nodes_of(item, layer).vectors).all()


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(), max_size=80))
def test_any_string_has_a_finite_code_and_finite_scores(matcher, pictures, text: str) -> None:
    (item,) = matcher.encode_texts([text])
    assert_finite(item)
    assert np.isfinite(asked(matcher, item, "text", pictures).total).all()
    for word in matcher.explain(item.arrays, pictures[0].arrays).words:
        assert 0 <= word.start <= word.end <= len(text)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (31, 33)])
def test_pictures_of_any_shape_have_a_finite_code(matcher, size: tuple[int, int]) -> None:
    (item,) = matcher.encode_pictures([drawing(0).resize(size)])
    assert_finite(item)


def test_an_explanation_shows_words_regions_and_tags(matcher, pictures, texts) -> None:
    for text, item in zip(TEXTS[:4], texts, strict=False):
        found = matcher.explain(item.arrays, pictures[1].arrays)
        assert [text[word.start : word.end] for word in found.words] == text.split()
        for word in found.words:
            weights = [weight for _, weight in word.regions]
            assert weights == sorted(weights, reverse=True)
            assert sum(weights) == pytest.approx(1, abs=1e-4)  # all four regions are shown
            assert -1 - 1e-4 <= word.score <= 1 + 1e-4
        boxes = {box for box, _ in found.regions}
        assert boxes == {
            (0, 0, 0.5, 0.5),
            (0.5, 0, 1, 0.5),
            (0, 0.5, 0.5, 1),
            (0.5, 0.5, 1, 1),
        }
        assert sum(saliency for _, saliency in found.regions) == pytest.approx(1, abs=1e-3)


def test_word_scores_of_an_explanation_add_up_to_the_word_to_region_score(
    matcher, toy_bundle: Path, pictures, texts
) -> None:
    temperatures = load_bundle(toy_bundle).network().alignment.log_temperatures.exp()
    regions, words = nodes_of(pictures[0], "entity"), nodes_of(texts[0], "entity")
    forwards, backwards = node_alignment(
        batch_of([regions]), batch_of([words]), temperatures[0], temperatures[1]
    )
    found = matcher.explain(texts[0].arrays, pictures[0].arrays)
    summed = sum(
        weight * word.score for weight, word in zip(words.weights, found.words, strict=True)
    )
    assert summed == pytest.approx(float(forwards), abs=1e-4)
    both = asked(matcher, texts[0], "text", pictures[:1]).entity[0]
    assert both == pytest.approx(float(forwards + backwards) / 2, abs=1e-4)


def test_an_explanation_survives_what_an_index_rounds(matcher, pictures, texts) -> None:
    stored = [{n: quantised(a) for n, a in x.arrays.items()} for x in (texts[1], pictures[2])]
    exact = matcher.explain(texts[1].arrays, pictures[2].arrays)
    rounded = matcher.explain(*stored)
    for one, other in zip(exact.words, rounded.words, strict=True):
        assert (one.start, one.end) == (other.start, other.end)
        assert other.score == pytest.approx(one.score, abs=0.02)


def test_tags_agree_on_both_sides(matcher, pictures, texts) -> None:
    found = matcher.explain(texts[0].arrays, pictures[0].arrays).tags
    both = np.minimum(texts[0].arrays["tags"], pictures[0].arrays["tags"])
    expected = {tag for tag, value in zip(matcher.tags, both, strict=True) if value >= 0.3}
    assert {tag for tag, _ in found} == expected
    values = [value for _, value in found]
    assert values == sorted(values, reverse=True)


def test_top_tags_keep_to_their_limits(matcher, pictures) -> None:
    arrays = {"tags": np.float32([0.9, 0.2, 0.5, 0.95, 0.3, 0, 0, 0])}
    assert [tag for tag, _ in matcher.top_tags(arrays)] == ["man", "dog", "ball", "woman"]
    assert [tag for tag, _ in matcher.top_tags(arrays, limit=2)] == ["man", "dog"]
    assert matcher.top_tags(arrays, at_least=0.99) == []


def test_threads_may_share_a_matcher(matcher, pictures, texts) -> None:
    expected = asked(matcher, texts[0], "text", pictures).total
    wrong: list[object] = []

    def work() -> None:
        for _ in range(3):
            found = asked(matcher, matcher.encode_texts(TEXTS)[0], "text", pictures).total
            if not np.allclose(found, expected, atol=1e-5):
                wrong.append(found)
            matcher.encode_pictures(PICTURES[:2])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def precomputed(bundle: Bundle, boxes: bool) -> list[Encoded]:
    arrays = np.stack([scene_features(n) for n in range(4)])
    own = np.stack([scene_boxes(n) for n in range(4)])
    return Matcher(bundle).picture_records(
        code_pictures(bundle.network(), arrays), own if boxes else None
    )


def test_a_model_of_precomputed_features_says_that_it_cannot_see(trained_bundle: Bundle) -> None:
    with pytest.raises(ConfigError, match="precomputed region features"):
        Matcher(trained_bundle).encode_pictures([drawing(0)])


def test_precomputed_pictures_keep_their_own_boxes(trained_bundle: Bundle) -> None:
    matcher = Matcher(trained_bundle)
    (text,) = matcher.encode_texts(["a red square"])
    arrays = np.stack([scene_features(n) for n in range(4)])
    kept = code_pictures(trained_bundle.network(), arrays).kept.tolist()
    for number, item in enumerate(precomputed(trained_bundle, boxes=True)):
        found = [box for box, _ in matcher.explain(text.arrays, item.arrays).regions]
        np.testing.assert_allclose(found, scene_boxes(number)[kept[number]], atol=2e-4)


def test_each_direction_has_a_calibration_of_its_own(trained_bundle: Bundle) -> None:
    sure, unsure = (
        Direction(
            total=Logistic(slope=1, words=0, bias=bias),
            first_stage=Logistic(slope=1, words=0, bias=bias),
            no_match_below=limit,
        )
        for bias, limit in ((9.0, 0.7), (-9.0, 0.1))
    )
    calibration = Calibration(text_to_image=sure, image_to_text=unsure)
    scoring = trained_bundle.scoring.model_copy(update={"calibration": calibration})
    matcher = Matcher(replace(trained_bundle, scoring=scoring))
    assert (matcher.no_match_below("text"), matcher.no_match_below("image")) == (0.7, 0.1)
    first = np.zeros(1, dtype=np.float32)
    picture = precomputed(trained_bundle, boxes=False)[0]
    (text,) = matcher.encode_texts(["a red square"])
    assert matcher.first_stage_probability(text, "text", first, [picture.arrays])[0] > 0.99
    assert matcher.first_stage_probability(picture, "image", first, [text.arrays])[0] < 0.01
    assert asked(matcher, text, "text", [picture]).probability[0] > 0.9
    assert asked(matcher, picture, "image", [text]).probability[0] < 0.1


def test_without_boxes_an_explanation_has_words_but_no_regions(trained_bundle: Bundle) -> None:
    matcher = Matcher(trained_bundle)
    (text,) = matcher.encode_texts(["a red square"])
    item = precomputed(trained_bundle, boxes=False)[0]
    found = matcher.explain(text.arrays, item.arrays)
    assert found.regions == [] and [word.regions for word in found.words] == [[], [], []]


def test_arrays_are_plain_numpy_of_small_types(pictures, texts) -> None:
    def types(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
        return {name: array.dtype.name for name, array in arrays.items()}

    common = {
        "tags": "float32",
        "offsets": "float32",
        "entity": "uint8",
        "relation": "uint8",
    }
    assert types(texts[0].arrays) == {**common, "spans": "int32"}
    assert types(pictures[0].arrays) == {**common, "saliency": "float32", "boxes": "uint16"}


def test_an_absent_region_takes_no_box(trained_bundle: Bundle) -> None:
    features = np.zeros_like(scene_features(0))
    features[[0, 20]] = scene_features(0)[[0, 20]]
    (item,) = Matcher(trained_bundle).picture_records(
        code_pictures(trained_bundle.network(), features[None]), scene_boxes(0)[None]
    )
    assert nodes_of(item, "entity").count == len(item.arrays["saliency"]) == 2
    np.testing.assert_allclose(item.arrays["boxes"] / 65535, scene_boxes(0)[[0, 20]], atol=1e-4)


def test_a_stored_item_asks_as_the_original_did(matcher, pictures, texts) -> None:
    for original, kind, items in ((pictures[2], "image", texts), (texts[1], "text", pictures)):
        stored = {name: quantised(array) for name, array in original.arrays.items()}
        again = Matcher.from_stored(original.vector.copy(), stored)
        for name in ("vector", "query", "query_same_kind"):
            found, expected = getattr(again, name), getattr(original, name)
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, expected)
        exact, rounded = (asked(matcher, query, kind, items).total for query in (original, again))
        np.testing.assert_allclose(rounded, exact, atol=0.01)
