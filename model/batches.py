"""Which pictures and captions meet in a training batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

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

    def shares(self, count: int) -> list["Share"]:
        """The batch in `count` consecutive parts, captions with their pictures."""
        pictures = [len(self.pictures) * part // count for part in range(count + 1)]
        captions = np.searchsorted(self.owners, pictures).tolist()
        return [
            Share(slice(*places), slice(*texts))
            for places, texts in zip(pairwise(pictures), pairwise(captions), strict=True)
        ]


@dataclass(frozen=True)
class Share:
    """A part of a batch: places of its pictures and of its captions."""

    pictures: slice
    captions: slice


def nearest_pictures(words: Sequence[set[str]], count: int = NEAREST) -> np.ndarray:
    """For each picture the `count` others whose captions share most rare words, (pictures, count).

    Cosine of inverse-frequency weighted bags of content words, nearest first.
    """
    numbers = {name: i for i, name in enumerate(sorted(set().union(*words)))}
    found = [np.array(sorted(numbers[word] for word in some), dtype=np.int64) for some in words]
    holders, starts = _postings(found, len(numbers))
    rarity = np.log(len(words) / np.diff(starts).clip(1))
    lengths = np.array([np.linalg.norm(rarity[some]) for some in found]).clip(1e-9)
    count = min(count, len(words) - 1)
    nearest = np.empty((len(words), count), dtype=np.int64)
    for row, some in enumerate(found):
        # Only pictures that share a word are visited: whole rows of bags would fill the memory.
        sharing = [holders[starts[word] : starts[word + 1]] for word in some]
        weights = np.repeat(rarity[some] ** 2, [len(part) for part in sharing])
        pictures = np.concatenate([np.empty(0, dtype=np.int64), *sharing])
        similarity = np.bincount(pictures, weights, len(words)) / lengths
        similarity[row] = -1
        nearest[row] = _largest(similarity, count)
    return nearest


def _postings(found: Sequence[np.ndarray], words: int) -> tuple[np.ndarray, np.ndarray]:
    """The pictures that hold each word, one word after the other, and where each word starts."""
    rows = np.repeat(np.arange(len(found)), [len(some) for some in found])
    columns = np.concatenate(found)
    starts = np.concatenate([[0], np.cumsum(np.bincount(columns, minlength=words))])
    return rows[np.argsort(columns, kind="stable")], starts


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Places of the `count` largest values, largest first, of equal ones the earlier."""
    if count == 0:
        return np.empty(0, dtype=np.int64)
    # Most pictures share no word, and a partition is slow among so many equal values.
    sharing = np.flatnonzero(values > 0)
    if count <= len(sharing) < len(values):
        nearest: np.ndarray = sharing[_largest(values[sharing], count)]
        return nearest
    least = np.partition(values, len(values) - count)[len(values) - count]
    above = np.flatnonzero(values > least)
    equal = np.flatnonzero(values == least)[: count - len(above)]
    places = np.sort(np.concatenate([above, equal]))
    return places[np.argsort(-values[places], kind="stable")]


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
