"""Which pictures and captions meet in a training batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model.config import TrainingConfig
from model.dataset import Split

NEAREST = 50


@dataclass(frozen=True)
class Batch:
    """pictures: (I,) rows of the split; captions: (T,) rows of its captions; owners: (T,) 0..I."""

    pictures: np.ndarray
    captions: np.ndarray
    owners: np.ndarray


def nearest_pictures(words: Sequence[set[str]], count: int = NEAREST) -> np.ndarray:
    """For each picture the `count` others whose captions share most rare words, (pictures, count).

    Cosine of inverse-frequency weighted bags of content words, nearest first.
    """
    names = sorted(set().union(*words))
    column = {name: i for i, name in enumerate(names)}
    bags = np.zeros((len(words), len(names)), dtype=np.float32)
    for row, found in enumerate(words):
        bags[row, [column[word] for word in found]] = 1
    bags *= np.log(len(words) / bags.sum(0).clip(1))
    bags /= np.linalg.norm(bags, axis=1, keepdims=True).clip(1e-9)
    count = min(count, len(words) - 1)
    nearest = np.empty((len(words), count), dtype=np.int64)
    for start in range(0, len(words), 1000):
        similarity = bags[start : start + 1000] @ bags.T
        rows = np.arange(len(similarity))
        similarity[rows, start + rows] = -1
        nearest[start : start + 1000] = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
    return nearest


def epoch_batches(
    split: Split, nearest: np.ndarray, config: TrainingConfig, epoch: int
) -> Iterator[Batch]:
    """The batches of one epoch; seed and epoch decide them, so that a resumed run repeats them."""
    random = np.random.default_rng([config.seed, epoch])
    size = min(config.batch_pictures, len(split.examples))
    anchors = max(1, size - round(size * config.neighbours))
    first = np.concatenate([[0], np.cumsum([len(e.captions) for e in split.examples])])
    order = random.permutation(len(split.examples))
    for step in range(max(1, len(order) // size)):
        chosen = dict.fromkeys(order[step * anchors : (step + 1) * anchors].tolist())
        while nearest.shape[1] and len(chosen) < size:
            anchor = order[step * anchors + random.integers(anchors)]
            chosen.setdefault(int(random.choice(nearest[anchor])))
            if len(chosen) < size and random.random() < 0.02:
                chosen.setdefault(int(random.integers(len(order))))
        pictures = np.array(list(chosen))
        captions, owners = [], []
        for place, picture in enumerate(pictures):
            held = np.arange(first[picture], first[picture + 1])
            taken = random.permutation(held)[: config.captions_per_picture]
            captions.append(taken)
            owners.append(np.full(len(taken), place))
        yield Batch(pictures, np.concatenate(captions), np.concatenate(owners))
