"""Queries of several parts: sums of what is asked for, less what is likely excluded."""

from collections.abc import Sequence

import numpy as np
import pytest

from model.bundle import load_bundle
from model.composition import EXCLUDED, VECTOR, Composition, Part
from model.matcher import Encoded, Matcher, Scores
from model.toy import write_toy_bundle
from tests.helpers import photo


@pytest.fixture(scope="module")
def matcher(tmp_path_factory: pytest.TempPathFactory) -> Matcher:
    return Matcher(load_bundle(write_toy_bundle(tmp_path_factory.mktemp("toy"))))


@pytest.fixture(scope="module")
def pictures(matcher: Matcher) -> list[Encoded]:
    return matcher.encode_pictures([photo(seed) for seed in range(7)])


def text(matcher: Matcher, words: str) -> Encoded:
    return matcher.encode_texts([words], to_store=False)[0]


def arrays_of(items: Sequence[Encoded]) -> list[dict[str, np.ndarray]]:
    return [{**item.arrays, VECTOR: item.vector} for item in items]


def vectors_of(items: Sequence[Encoded]) -> np.ndarray:
    return np.stack([item.vector for item in items])


def alone(matcher: Matcher, query: Encoded, items: Sequence[Encoded]) -> Scores:
    own = vectors_of(items) @ query.query
    return matcher.score(query, "text", own, [item.arrays for item in items])


def test_scores_are_sums_of_what_is_asked_for_less_what_is_excluded(
    matcher: Matcher, pictures: list[Encoded]
) -> None:
    dog, cat, shown = text(matcher, "a dog"), text(matcher, "a cat sleeps"), pictures[3]
    parts = [Part(dog, "text"), Part(shown, "image"), Part(cat, "text", EXCLUDED)]
    composed = Composition(matcher, parts, "image")
    asked = dog.query[:-1] + shown.query[:-1]
    whole = asked - 0.5 * cat.query[:-1]
    length, asked_length = np.linalg.norm(whole), np.linalg.norm(asked)
    first_stage = vectors_of(pictures) @ composed.query
    found = composed.score(dog, "text", first_stage, arrays_of(pictures))
    of_dog, of_cat = alone(matcher, dog, pictures), alone(matcher, cat, pictures)
    cosines = vectors_of(pictures) @ shown.query_same_kind
    total = (of_dog.total + matcher.global_weight * cosines) / asked_length
    calibrated = matcher.direction("text").total
    cost = calibrated.cost_of_excluded(of_dog.probability, of_cat.probability)
    assert np.allclose(found.total, total + cost, atol=1e-5)
    assert np.allclose(found.entity, of_dog.entity / asked_length, atol=1e-5)
    assert np.allclose(found.global_, vectors_of(pictures)[:, :-1] @ whole / length, atol=1e-5)
    own = vectors_of(pictures) @ dog.query, vectors_of(pictures) @ cat.query
    assert np.allclose(first_stage, (own[0] + cosines - 0.5 * own[1]) / length, atol=1e-5)
    assert np.allclose(found.probability, of_dog.probability * (1 - of_cat.probability), atol=1e-6)
    assert np.linalg.norm(composed.query[:-1]) == pytest.approx(1, abs=1e-6)


def test_a_single_part_stays_what_it_is(matcher: Matcher, pictures: list[Encoded]) -> None:
    dog = text(matcher, "a dog")
    composed = Composition(matcher, [Part(dog, "text")], "image")
    assert np.array_equal(composed.query, dog.query)
    alike = Composition(matcher, [Part(pictures[0], "image")], "image")
    assert np.array_equal(alike.query, pictures[0].query_same_kind)
    assert (composed.can_be_reranked, alike.can_be_reranked) == (True, False)


def test_what_is_asked_for_and_excluded_at_once_is_still_asked_for(
    matcher: Matcher, pictures: list[Encoded]
) -> None:
    dog = text(matcher, "a dog")
    both = [Part(dog, "text"), Part(dog, "text", EXCLUDED)]
    assert np.allclose(Composition(matcher, both, "image").query, dog.query, atol=1e-6)


def test_between_items_of_one_kind_half_of_the_likeness_is_taken_off(
    matcher: Matcher, pictures: list[Encoded]
) -> None:
    shown, excluded = pictures[3], pictures[5]
    parts = [Part(shown, "image"), Part(text(matcher, "a dog"), "text")]
    without = Composition(matcher, parts, "image")
    composed = Composition(matcher, [*parts, Part(excluded, "image", EXCLUDED)], "image")
    first = vectors_of(pictures) @ composed.query
    found = composed.score(parts[1].encoded, "text", first, arrays_of(pictures))
    plain = without.score(parts[1].encoded, "text", first, arrays_of(pictures))
    cosines = vectors_of(pictures) @ excluded.query_same_kind
    length = np.linalg.norm(shown.query[:-1] + parts[1].encoded.query[:-1])
    cost = 0.5 * matcher.global_weight * cosines / length
    assert np.allclose(found.total, plain.total - cost, atol=1e-5)
    assert np.array_equal(found.probability, plain.probability)


def test_no_candidates_have_no_scores(matcher: Matcher) -> None:
    parts = [Part(text(matcher, "a dog"), "text"), Part(text(matcher, "a cat"), "text", EXCLUDED)]
    composed = Composition(matcher, parts, "image")
    nothing = np.zeros(0, np.float32)
    found = composed.score(parts[0].encoded, "text", nothing, [])
    assert len(found.total) == len(found.probability) == len(found.global_) == 0
    assert len(composed.first_stage_probability(parts[0].encoded, "text", nothing, [])) == 0
