"""Scores to match probabilities, and the probability under which nothing matches.

A logistic map (Platt, 1999) of the score and of the number of words: two words can't be matched as
closely as twelve, and fit more photos. Fitted on what searches of the validation split list, each
query's best results, right or wrong; `model/judging.py` says which are right.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

LISTED = 10
NEWTON_STEPS = 50
SMALLEST_STEP = 1e-9
RIDGE = 1e-6
CONSTANT = 1e-9
# Of the queries that do have an answer, the share that may be told that nothing matches.
FALSE_ALARMS = 0.05
# Of what is surely excluded; and of scores that say next to nothing of probabilities.
LEAST_SPARED, LEAST_SLOPE = 1e-6, 1.0


class Logistic(BaseModel):
    """p = 1 / (1 + exp(-(slope * score + words * log(number of words) + bias)))."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    slope: float
    words: float
    bias: float

    def probability(self, scores: np.ndarray, words: np.ndarray) -> np.ndarray:
        """Scores, and the number of words of each pair's text, to probabilities, float32.

        Both of any shapes that broadcast; words at least 1.
        """
        logits = self.slope * scores.astype(np.float64) + self.words * np.log(words) + self.bias
        # Beyond +-30 a float32 probability is 0 or 1 anyway, and exp would overflow.
        result: np.ndarray = (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).astype(np.float32)
        return result

    def cost_of_excluded(self, asked: np.ndarray, excluded: np.ndarray) -> np.ndarray:
        """What a score loses where something excluded is shown with this probability, 0 or less.

        asked: the match probability p that belongs to the score, 0 where there is none. The score
        falls to where its probability is p (1 - P), so that results are ranked by what they are
        said to be: (logit(p (1 - P)) - logit(p)) / slope, which is ln(1 - P) / slope for a small p.
        """
        spared = np.maximum(1 - excluded.astype(np.float64), LEAST_SPARED)
        missed = np.maximum(1 - asked.astype(np.float64), LEAST_SPARED)
        logits = np.log(spared) + np.log(missed) - np.log(1 - (1 - missed) * spared)
        cost: np.ndarray = (logits / max(self.slope, LEAST_SLOPE)).astype(np.float32)
        return cost


class Direction(BaseModel):
    """One direction of search: its calibrations, and the best probability that means "no match"."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    total: Logistic
    first_stage: Logistic
    no_match_below: float


class Calibration(BaseModel):
    """Both directions of search."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    text_to_image: Direction
    image_to_text: Direction


@dataclass(frozen=True)
class Judged:
    """Searches of one direction with their truth, each (queries, items).

    total and first_stage: scores; words: number of words of each pair's text; fits: bool.
    """

    total: np.ndarray
    first_stage: np.ndarray
    words: np.ndarray
    fits: np.ndarray


def fit_logistic(scores: np.ndarray, words: np.ndarray, matches: np.ndarray) -> Logistic:
    """Maximum likelihood with a slope of at least 0; scores and words (N,), matches (N,) bool."""
    found = _maximum_likelihood(scores, words, matches)
    if found.slope >= 0:
        return found
    # A probability never falls as the score rises; of few searches the likeliest one may.
    return _maximum_likelihood(np.zeros(len(scores)), words, matches)


def _maximum_likelihood(scores: np.ndarray, words: np.ndarray, matches: np.ndarray) -> Logistic:
    """Newton's method, whose steps are halved while they would make the matches less likely."""
    features = np.stack([scores, np.log(words)], axis=1).astype(np.float64)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    # A feature that never changes is left alone, rounding of its mean included.
    spread[spread < CONSTANT] = 1.0
    design = np.concatenate([(features - mean) / spread, np.ones((len(scores), 1))], axis=1)
    target = matches.astype(np.float64)

    def loss(weights: np.ndarray) -> float:
        logits = design @ weights
        likelihood = target @ logits - np.logaddexp(0, logits).sum()
        return float(RIDGE / 2 * weights @ weights - likelihood)

    weights = np.zeros(3)
    for _ in range(NEWTON_STEPS):
        predicted = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (predicted - target) + RIDGE * weights
        curvature = design.T @ (design * (predicted * (1 - predicted))[:, None])
        step = np.linalg.solve(curvature + RIDGE * np.eye(3), gradient)
        reached = loss(weights)
        # Of matches that scores separate, a whole step overshoots further each time.
        while np.abs(step).max() >= SMALLEST_STEP and loss(weights - step) > reached:
            step /= 2
        weights -= step
        if np.abs(step).max() < SMALLEST_STEP:
            break
    slopes = weights[:2] / spread
    return Logistic(
        slope=float(slopes[0]), words=float(slopes[1]), bias=float(weights[2] - slopes @ mean)
    )


def listed(scores: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, ...]:
    """Each query's best results, flat: scores (queries, items), then whatever belongs to them."""
    count = min(LISTED, scores.shape[1])
    best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    return tuple(np.take_along_axis(array, best, axis=1).ravel() for array in (scores, *others))


def expected_calibration_error(
    probabilities: np.ndarray, matches: np.ndarray, bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy over equal bins (Guo et al., ICML 2017, eq. 3)."""
    places = np.minimum((probabilities * bins).astype(int), bins - 1)
    error = 0.0
    for place in range(bins):
        inside = places == place
        if inside.any():
            gap = abs(float(probabilities[inside].mean()) - float(matches[inside].mean()))
            error += gap * float(inside.mean())
    return error


def best_with_and_without(
    scores: np.ndarray, relevant: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Each query's best score with its relevant items in the gallery, and with them taken out."""
    return scores.max(axis=1), np.where(relevant, -np.inf, scores).max(axis=1)


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Probability that a positive lies above a negative, ties half (Mann-Whitney)."""
    order = np.sort(negative)
    below = np.searchsorted(order, positive, side="left")
    equal = np.searchsorted(order, positive, side="right") - below
    return float((below + 0.5 * equal).mean() / len(negative))


def fit_direction(judged: Sequence[Judged]) -> Direction:
    """Calibration of one direction from judged searches.

    Every query has a match among the items; "no match" starts where only 5 % of their best
    probabilities lie.
    """
    total = _together(listed(one.total, one.words, one.fits) for one in judged)
    first_stage = _together(listed(one.first_stage, one.words, one.fits) for one in judged)
    logistic = fit_logistic(*total)
    best = [logistic.probability(one.total, one.words).max(axis=1) for one in judged]
    return Direction(
        total=logistic,
        first_stage=fit_logistic(*first_stage),
        no_match_below=float(np.quantile(np.concatenate(best), FALSE_ALARMS)),
    )


def _together(parts: Iterable[tuple[np.ndarray, ...]]) -> list[np.ndarray]:
    return [np.concatenate(columns) for columns in zip(*parts, strict=True)]
