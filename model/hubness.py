"""Hubness offsets (querybank normalisation; Bogolin et al., CVPR 2022, eq. 3).

An item that is near to every query gets a large offset, and a search ranks by `score - strength *
offset`. Offsets are computed once, against a bank of training queries that travels in the bundle.
"""

import numpy as np


def offsets(scores: np.ndarray, beta: float) -> np.ndarray:
    """(items,) float32 `log mean exp(beta * score) / beta` over the bank: scores (items, bank).

    >>> offsets(np.zeros((1, 4), dtype=np.float32), 20.0).tolist()
    [0.0]
    """
    scaled = scores.astype(np.float64) * beta
    highest = scaled.max(axis=1, keepdims=True)
    mean = np.exp(scaled - highest).mean(axis=1)
    result: np.ndarray = ((np.log(mean) + highest[:, 0]) / beta).astype(np.float32)
    return result
