"""The directions in which the node vectors of one layer mostly lie, for the compact codec.

A principal component analysis of the query bank's own nodes (`model/bank.py`): any bundle that has
a bank has its bases, and they are the same on every machine, since what is stored depends on them.
"""

import numpy as np

from model.alignment import Nodes

# Ranks directions that the bank's nodes don't reach, which a machine could else turn as it likes.
TIE = 1e-9


def basis_of(pictures: Nodes, texts: Nodes, size: int) -> np.ndarray:
    """(d, size) float32, orthonormal columns, size at most d: `x @ basis` keeps inner products.

    It spans the strongest directions of both sides, each side counting alike. Within them it is
    turned, so that no coordinate is much larger than the others and all are worth the same number
    of bits (as in ITQ, Gong and Lazebnik, CVPR 2011); a cosine transform does that as well as a
    random turn, and needs no chance.
    """
    dimension = pictures.vectors.shape[2]
    spread = np.diag(np.arange(dimension, 0, -1) * TIE)
    for nodes in (pictures, texts):
        vectors = nodes.vectors[nodes.mask].cpu().double().numpy()
        spread += vectors.T @ vectors / len(vectors)
    _, directions = np.linalg.eigh(spread)
    strongest = directions[:, ::-1][:, :size]
    # An eigenvector's sign is chance.
    largest = np.abs(strongest).argmax(axis=0)
    strongest = strongest * np.sign(strongest[largest, np.arange(size)])
    basis: np.ndarray = (strongest @ _cosine_transform(size)).astype(np.float32)
    return basis


def _cosine_transform(size: int) -> np.ndarray:
    """(size, size), orthonormal: the discrete cosine transform (DCT-II), a frequency a row."""
    frequencies, places = np.arange(size)[:, None], np.arange(size)[None, :]
    waves = np.cos(np.pi / size * frequencies * (places + 0.5)) * np.sqrt(2 / size)
    waves[0] /= np.sqrt(2)
    transform: np.ndarray = waves
    return transform
