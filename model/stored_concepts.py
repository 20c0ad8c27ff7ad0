"""Concepts as an index keeps them: a byte a probability, under the name "concepts"."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from model.alignment import concept_agreement

CONCEPTS = "concepts"
# A stored byte b means a probability of exp(-b / STEPS): 3 % exact, down to one in 8 million.
STEPS = 16
MOST_SHOWN = 5
LEAST_SHARE_SHOWN = 0.05
# Both sides mean one concept with at least this probability, or none is worth naming.
LEAST_SHARED = 0.01
_MEANT = np.exp(-np.arange(256, dtype=np.float32) / STEPS)


def to_bytes(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities, of any shape, as uint8 of their logarithms.

    >>> from_bytes(to_bytes(np.array([1.0, 0.5, 0.0]))).round(2).tolist()
    [1.0, 0.5, 0.0]
    """
    steps = -STEPS * np.log(np.maximum(probabilities, _MEANT[-1]))
    stored: np.ndarray = np.rint(steps).clip(0, 255).astype(np.uint8)
    return stored


def from_bytes(stored: np.ndarray) -> np.ndarray:
    """What `to_bytes` stored, float32."""
    probabilities: np.ndarray = _MEANT[stored]
    return probabilities


def agreements(
    query: Mapping[str, np.ndarray], candidates: Sequence[Mapping[str, np.ndarray]]
) -> np.ndarray:
    """How much a query and each of n candidates agree, (n,) float32, as in `model/alignment.py`."""
    own = torch.from_numpy(from_bytes(query[CONCEPTS]))[None]
    others = torch.from_numpy(from_bytes(np.stack([item[CONCEPTS] for item in candidates])))
    agreed: np.ndarray = concept_agreement(own, others)[0].numpy()
    return agreed


def shared_concepts(
    one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], names: Sequence[str]
) -> list[tuple[str, float]]:
    """The concepts that both items mean, each with its share of their agreement, largest first.

    names: of all concepts.
    """
    both = from_bytes(one[CONCEPTS]) * from_bytes(other[CONCEPTS])
    if both.sum() < LEAST_SHARED:
        return []
    shares = both / both.sum()
    order = np.argsort(-shares, kind="stable")[:MOST_SHOWN]
    return [(names[i], float(shares[i])) for i in order if shares[i] >= LEAST_SHARE_SHOWN]
