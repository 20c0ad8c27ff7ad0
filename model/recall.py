"""Recall at K as the field reports it, both directions."""

from dataclasses import dataclass

import numpy as np

LEVELS = (1, 5, 10)


@dataclass(frozen=True)
class Recall:
    """R@1, R@5, R@10 in percent: image to text, text to image."""

    image_to_text: tuple[float, float, float]
    text_to_image: tuple[float, float, float]

    @property
    def rsum(self) -> float:
        """The sum of the six."""
        return sum(self.image_to_text) + sum(self.text_to_image)


def ranks(scores: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """For each query (row) the rank of its best relevant item, 0 first; ties count against it.

    scores, relevant: (queries, items) float and bool. -inf stands for an item not retrieved: a
    query whose relevant items were all left out gets the number of items, or the last level where
    items are fewer, so that no level counts it as found.

    >>> ranks(np.array([[0.9, 0.5, 0.5]]), np.array([[False, True, False]])).tolist()
    [2]
    """
    best = np.where(relevant, scores, -np.inf).max(axis=1, keepdims=True)
    # Not `>=`: a score that is not a number counts against its query, not for it.
    above = (~(scores < best) & ~relevant).sum(axis=1)
    missed = max(scores.shape[1], LEVELS[-1])
    found: np.ndarray = np.where(np.isneginf(best[:, 0]), missed, above)
    return found


def recall_at(found: np.ndarray) -> tuple[float, float, float]:
    """Percent of ranks below 1, 5 and 10."""
    one, five, ten = (float((found < level).mean() * 100) for level in LEVELS)
    return one, five, ten


def recall(picture_to_text: np.ndarray, text_to_picture: np.ndarray, owners: np.ndarray) -> Recall:
    """Recall from the scores (I, T) of either direction; owners: (T,) the picture of each text."""
    relevant = np.arange(len(picture_to_text))[:, None] == owners[None, :]
    return Recall(
        recall_at(ranks(picture_to_text, relevant)),
        recall_at(ranks(text_to_picture.T, relevant.T)),
    )
