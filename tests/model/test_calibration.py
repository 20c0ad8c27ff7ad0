"""Match probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.calibration import (
    LISTED,
    Judged,
    Logistic,
    auroc,
    best_with_and_without,
    expected_calibration_error,
    fit_direction,
    fit_logistic,
    listed,
)

ONE_WORD = np.ones(1)


def drawn(
    slope: float, words: float, bias: float, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    scores = random.normal(0.3, 0.4, count)
    lengths = random.integers(1, 15, count)
    truth = 1 / (1 + np.exp(-(slope * scores + words * np.log(lengths) + bias)))
    return scores, lengths, random.random(count) < truth


def test_logistic_recovers_the_parameters_that_made_the_data() -> None:
    found = fit_logistic(*drawn(6.0, -1.0, -0.5, 80_000))
    assert found.slope == pytest.approx(6.0, rel=0.03)
    assert found.words == pytest.approx(-1.0, rel=0.05)
    assert found.bias == pytest.approx(-0.5, abs=0.05)


def test_texts_of_one_length_leave_the_number_of_words_out() -> None:
    scores, _, matches = drawn(6.0, 0.0, -2.5, 5_000)
    found = fit_logistic(scores, np.full(len(scores), 7), matches)
    assert found.words == pytest.approx(0, abs=1e-6)


def test_a_fitted_set_is_calibrated_and_a_shifted_one_is_not() -> None:
    scores, words, matches = drawn(6.0, -1.0, -0.5, 20_000)
    fitted = fit_logistic(scores, words, matches)
    assert expected_calibration_error(fitted.probability(scores, words), matches) < 0.01
    shifted = fitted.model_copy(update={"bias": fitted.bias + 2})
    assert expected_calibration_error(shifted.probability(scores, words), matches) > 0.15


def test_expected_calibration_error_by_hand() -> None:
    probabilities = np.array([0.1, 0.1, 0.9, 1.0])
    matches = np.array([False, True, True, True])
    # Bin of 0.1: confidence 0.1, accuracy 0.5; last bin: confidence 0.95, accuracy 1.
    found = expected_calibration_error(probabilities, matches, bins=5)
    assert found == pytest.approx(0.5 * 0.4 + 0.5 * 0.05)


def test_probability_by_hand_and_at_the_ends() -> None:
    logistic = Logistic(slope=2.0, words=1.0, bias=-1.0)
    found = logistic.probability(np.array([0.5, 1.0, 1e6, -1e6]), ONE_WORD)
    np.testing.assert_allclose(found, [0.5, 1 / (1 + np.exp(-1)), 1, 0], atol=1e-7)
    assert found.dtype == np.float32


def test_what_is_excluded_costs_as_much_as_makes_the_match_as_unlikely() -> None:
    logistic = Logistic(slope=8.0, words=0.0, bias=-9.0)
    scores, shown = np.array([0.0, 0.3, 1.1, 1.5, 1.8]), np.array([0.0, 0.2, 0.5, 0.9, 0.7])
    asked = logistic.probability(scores, ONE_WORD)
    cost = logistic.cost_of_excluded(asked, shown)
    both = logistic.probability(scores + cost, ONE_WORD)
    np.testing.assert_allclose(both, asked * (1 - shown), rtol=1e-4)
    assert cost[0] == 0
    unknown = logistic.cost_of_excluded(np.zeros(5), shown)
    np.testing.assert_allclose(unknown, np.log(1 - shown) / 8, rtol=1e-5)
    # Sure to be shown, and scores that say nothing: still a number.
    flat = Logistic(slope=0.0, words=0.0, bias=-1.0)
    found = flat.cost_of_excluded(np.array([0.0, 0.0, 1.0]), np.array([0.5, 1.0, 1.0]))
    np.testing.assert_allclose(found[:2], np.log([0.5, 1e-6]), rtol=1e-5)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("matches", [[False] * 4, [True] * 4, [False, False, True, True]])
def test_one_sided_and_separable_data_give_finite_and_never_falling_probabilities(matches) -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.4])
    found = fit_logistic(scores, np.full(4, 3), np.array(matches))
    probabilities = found.probability(scores, ONE_WORD)
    assert np.isfinite([found.slope, found.bias]).all()
    assert (np.diff(probabilities) >= -1e-6).all()
    np.testing.assert_allclose(probabilities, matches, atol=0.01)


@pytest.mark.parametrize("seed", [77, 211])
def test_matches_that_scores_nearly_separate_are_told_from_the_rest(seed: int) -> None:
    """A hundred searches of ten results, in which the right one stands far above the others."""
    random = np.random.default_rng(seed)
    scores = random.normal(0.3, 0.05, (100, 10))
    scores[:, 0] += 0.3
    words = np.repeat(random.integers(4, 15, 100), 10)
    matches = (np.arange(1000) % 10) == 0
    found = fit_logistic(scores.ravel().astype(np.float32), words, matches)
    probabilities = found.probability(scores.ravel(), words)
    assert 0 < found.slope < 1e5
    assert probabilities[matches].mean() > 0.95
    assert probabilities[~matches].mean() < 0.01


def test_where_the_better_scores_match_less_the_probability_does_not_follow_the_score() -> None:
    scores, words = np.array([0.1, 0.2, 0.3, 0.4]), np.array([2, 2, 9, 9])
    found = fit_logistic(scores, words, np.array([True, True, True, False]))
    assert found.slope == 0
    # What the number of words says is kept.
    probabilities = found.probability(scores, words)
    np.testing.assert_allclose(probabilities, [1, 1, 0.5, 0.5], atol=0.01)


def test_equal_scores_give_the_share_of_matches() -> None:
    found = fit_logistic(np.full(10, 0.7), np.full(10, 9), np.arange(10) < 3)
    assert found.probability(np.array([0.7]), np.array([9]))[0] == pytest.approx(0.3, abs=1e-4)


@given(st.integers(0, 2**16), st.integers(4, 60))
def test_more_score_never_means_less_probability_when_matches_score_higher(
    seed: int, count: int
) -> None:
    random = np.random.default_rng(seed)
    matches = np.arange(count) % 3 == 0
    scores = random.normal(0, 0.2, count) + matches * random.uniform(0.2, 5)
    if scores[matches].mean() > scores[~matches].mean():
        found = fit_logistic(scores, np.full(count, 9), matches)
        assert np.isfinite([found.slope, found.bias]).all()
        assert found.slope >= 0


def test_auroc_by_hand() -> None:
    # Pairs won: 3 > {1, 2}, 2 > {1} and a tie with 2.
    assert auroc(np.array([3.0, 2.0]), np.array([1.0, 2.0])) == pytest.approx(3.5 / 4)
    assert auroc(np.array([1.0]), np.array([2.0])) == 0


def test_listed_gives_each_querys_best_with_their_matches() -> None:
    scores = np.arange(2 * 12, dtype=float).reshape(2, 12)
    relevant = np.zeros((2, 12), dtype=bool)
    relevant[:, [0, 11]] = True
    found, matches = listed(scores, relevant)
    assert len(found) == 2 * LISTED
    assert sorted(found.tolist()) == [*range(2, 12), *range(14, 24)]
    assert matches.sum() == 2
    assert found[matches].tolist() == [11, 23]


def test_best_with_and_without_the_right_items() -> None:
    scores = np.array([[0.9, 0.5], [0.1, 0.7]])
    present, absent = best_with_and_without(scores, np.eye(2, dtype=bool))
    assert (present.tolist(), absent.tolist()) == ([0.9, 0.7], [0.5, 0.1])


def judged(scores: np.ndarray, fits: np.ndarray, words: int = 8) -> Judged:
    return Judged(scores, scores, np.full(scores.shape, words), fits)


def test_direction_says_that_nothing_matches_where_the_right_items_are_missing() -> None:
    random = np.random.default_rng(2)
    relevant = np.eye(60, dtype=bool)
    scores = (random.normal(0, 0.05, (60, 60)) + 0.3 * relevant).astype(np.float32)
    found = fit_direction([judged(scores, relevant)])
    probability = found.total.probability(scores, np.array([8]))
    present, absent = best_with_and_without(probability, relevant)
    assert (present < found.no_match_below).mean() <= 0.06
    assert (absent < found.no_match_below).mean() > 0.95
    assert 0 < found.no_match_below < 1


def test_short_and_long_sentences_are_calibrated_together() -> None:
    random = np.random.default_rng(3)
    fits = random.random((200, 20)) < 0.3
    noise = random.normal(0, 0.2, (2, 200, 20))
    # Long sentences score higher, right or wrong.
    long, short = 0.8 + 0.4 * fits + noise[0], 0.2 + 0.4 * fits + noise[1]
    found = fit_direction([judged(long, fits, 12), judged(short, fits, 2)])
    for scores, words in ((long, 12), (short, 2)):
        shown, matches = listed(scores, fits)
        probabilities = found.total.probability(shown, np.array([words]))
        assert expected_calibration_error(probabilities, matches.astype(bool)) < 0.05


def test_a_gallery_of_one_picture_can_be_calibrated() -> None:
    scores = np.linspace(0.4, 0.8, 5, dtype=np.float32)[:, None]
    found = fit_direction([judged(scores, np.ones((5, 1), dtype=bool))])
    assert 0 < found.no_match_below <= 1
    best = found.total.probability(scores, np.array([8]))
    assert (best < found.no_match_below).mean() <= 0.2
