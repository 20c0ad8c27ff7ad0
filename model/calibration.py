"""Scores to match probabilities, and the probability under which nothing matches.

A logistic map of the score (Platt, 1999), fitted on what a search of the validation split lists:
each query's best results, right or wrong.
"""

import numpy as np
from pydantic import BaseModel, ConfigDict

LISTED = 10
NEWTON_STEPS = 50
RIDGE = 1e-6
# Of the queries that do have an answer, the share that may be told that nothing matches.
FALSE_ALARMS = 0.05


class Logistic(BaseModel):
    """p = 1 / (1 + exp(-(slope * score + bias)))."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    slope: float
    bias: float

    def probability(self, scores: np.ndarray) -> np.ndarray:
        """Scores of any shape to probabilities in 0..1, float32."""
        # Beyond +-30 a float32 probability is 0 or 1 anyway, and exp would overflow.
        logits = np.clip(self.slope * scores.astype(np.float64) + self.bias, -30, 30)
        result: np.ndarray = (1 / (1 + np.exp(-logits))).astype(np.float32)
        return result


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


def fit_logistic(scores: np.ndarray, matches: np.ndarray) -> Logistic:
    """Maximum likelihood by Newton's method; scores (N,), matches (N,) bool."""
    mean, spread = float(scores.mean()), float(scores.std()) or 1.0
    design = np.stack([(scores - mean) / spread, np.ones_like(scores)], axis=1).astype(np.float64)
    target = matches.astype(np.float64)
    weights = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        predicted = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (predicted - target) + RIDGE * weights
        curvature = design.T @ (design * (predicted * (1 - predicted))[:, None])
        step = np.linalg.solve(curvature + RIDGE * np.eye(2), gradient)
        weights -= step
        if np.abs(step).max() < 1e-9:
            break
    slope = weights[0] / spread
    return Logistic(slope=float(slope), bias=float(weights[1] - slope * mean))


def listed(scores: np.ndarray, relevant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The scores and matches of each query's best results, flat; both (queries, items) in."""
    count = min(LISTED, scores.shape[1])
    best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    return (
        np.take_along_axis(scores, best, axis=1).ravel(),
        np.take_along_axis(relevant, best, axis=1).ravel(),
    )


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


def fit_direction(total: np.ndarray, first_stage: np.ndarray, relevant: np.ndarray) -> Direction:
    """Calibration of one direction from its scores and matches, each (queries, items).

    Every query has a match among the items; "no match" starts where only 5 % of their best
    probabilities lie.
    """
    logistic = fit_logistic(*listed(total, relevant))
    threshold = np.quantile(total.max(axis=1), FALSE_ALARMS)
    return Direction(
        total=logistic,
        first_stage=fit_logistic(*listed(first_stage, relevant)),
        no_match_below=float(logistic.probability(threshold)),
    )
