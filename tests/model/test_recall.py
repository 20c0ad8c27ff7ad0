"""Recall as the field counts it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.recall import Recall, ranks, recall, recall_at


def test_rank_counts_the_wrong_items_above_the_best_right_one() -> None:
    scores = np.array([[0.1, 0.9, 0.5, 0.7], [0.8, 0.1, 0.2, 0.3]])
    relevant = np.array([[True, False, True, False], [True, False, False, False]])
    assert ranks(scores, relevant).tolist() == [2, 0]


def test_a_tie_counts_against_the_right_item() -> None:
    scores = np.array([[0.5, 0.5, 0.5]])
    assert ranks(scores, np.array([[True, False, False]])).tolist() == [2]


def test_right_items_do_not_stand_in_each_others_way() -> None:
    scores = np.array([[0.9, 0.9, 0.9, 0.1]])
    assert ranks(scores, np.array([[True, True, True, False]])).tolist() == [0]


def test_a_query_whose_items_were_not_retrieved_comes_last() -> None:
    scores = np.full((1, 12), 0.2)
    scores[0, 0] = -np.inf
    assert ranks(scores, np.arange(12)[None, :] == 0).tolist() == [12]


@pytest.mark.parametrize("items", [1, 4, 9, 10, 11])
def test_what_was_not_retrieved_counts_as_found_at_no_level(items: int) -> None:
    right = np.arange(items)[None, :] == 0
    assert recall_at(ranks(np.full((1, items), -np.inf), right)) == (0, 0, 0)


def test_recall_at_counts_ranks_below_the_levels() -> None:
    assert recall_at(np.array([0, 4, 5, 9, 10])) == (20.0, 40.0, 80.0)


def test_any_of_five_captions_is_a_hit_and_each_caption_is_a_query() -> None:
    owners = np.repeat([0, 1], 5)
    scores = np.full((2, 10), 0.1)
    scores[0, 4] = 0.9  # the last caption of picture 0 is found by it
    scores[1, 5:] = 0.2
    scores[1, 0] = 0.8  # a caption of picture 0 is what picture 1 finds first
    found = recall(scores, scores, owners)
    assert found.image_to_text == (50.0, 100.0, 100.0)
    # Captions 4 to 9 rank their picture first; the ties of 1 to 3 count against them.
    assert found.text_to_image == (60.0, 100.0, 100.0)
    assert found.rsum == pytest.approx(510)


def test_rsum_is_the_sum_of_six() -> None:
    assert Recall((1, 2, 3), (4, 5, 6)).rsum == 21


@given(st.integers(0, 2**16), st.integers(2, 12))
def test_ranks_agree_with_sorting(seed: int, items: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.random((1, items))
    right = int(random.integers(items))
    relevant = np.arange(items)[None, :] == right
    assert ranks(scores, relevant)[0] == np.argsort(-scores[0]).tolist().index(right)


def test_scores_that_are_not_numbers_find_nothing() -> None:
    right = np.array([[True, False, False, False]])
    assert ranks(np.full((1, 4), np.nan), right).tolist() == [3]
    assert ranks(np.array([[0.5, np.nan, 0.1, 0.2]]), right).tolist() == [1]
