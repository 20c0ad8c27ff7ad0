"""Who meets whom in a batch."""

import tracemalloc

import numpy as np
import pytest

from model.batches import Batch, epoch_batches, nearest_pictures
from model.config import TrainingConfig
from model.dataset import Example, Split
from model.tags import content_words
from tests.model.samples import captions_of


def split(pictures: int = 40) -> Split:
    return Split("train", tuple(Example(str(i), tuple(captions_of(i))) for i in range(pictures)))


WORDS = [{"dog", "grass"}, {"dog", "grass", "ball"}, {"snow", "ski"}, {"snow", "ski", "ball"}]


def test_neighbours_share_words_and_never_include_the_picture_itself() -> None:
    nearest = nearest_pictures(WORDS, count=2)
    assert nearest[:, 0].tolist() == [1, 0, 3, 2]
    assert all(i not in row for i, row in enumerate(nearest.tolist()))


def test_rare_words_make_nearer_neighbours_than_frequent_ones() -> None:
    words = [{"man", "kite"}, {"man", "dog"}, {"boy", "kite"}, {"man", "car"}, {"man", "sea"}]
    assert nearest_pictures(words, count=1)[0, 0] == 2


def test_more_neighbours_than_pictures_gives_all_others() -> None:
    nearest = nearest_pictures(WORDS, count=50)
    assert nearest.shape == (4, 3)
    assert nearest_pictures([{"dog"}], count=5).shape == (1, 0)


def test_pictures_without_words_have_neighbours_all_the_same() -> None:
    assert nearest_pictures([set(), set(), {"dog"}], count=2).shape == (3, 2)


def test_neighbours_are_those_of_whole_bags_of_words() -> None:
    random = np.random.default_rng(0)
    words = [{f"w{i}" for i in random.zipf(1.4, 12) if i < 400} for _ in range(300)]
    names = sorted(set().union(*words))
    bags = np.array([[name in some for name in names] for some in words], dtype=np.float64)
    bags *= np.log(len(words) / bags.sum(0))
    bags /= np.linalg.norm(bags, axis=1, keepdims=True).clip(1e-9)
    similarity = bags @ bags.T
    np.fill_diagonal(similarity, -1)
    found = np.take_along_axis(similarity, nearest_pictures(words, count=20), axis=1)
    expected = np.sort(similarity, axis=1)[:, ::-1][:, :20]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_many_words_do_not_make_whole_bags() -> None:
    words = [{f"w{n}-{i}" for i in range(10)} | {f"shared {n % 300}"} for n in range(2000)]
    tracemalloc.start()
    try:
        nearest = nearest_pictures(words, count=5)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert nearest[0].tolist() == [300, 600, 900, 1200, 1500]
    assert peak < 20e6  # whole bags of 20,300 words: 162 MB


@pytest.mark.parametrize("neighbours", [0.0, 0.33, 0.9])
@pytest.mark.parametrize("size", [2, 7, 40, 64])
def test_a_batch_holds_each_picture_once_with_its_own_captions(
    neighbours: float, size: int
) -> None:
    data = split()
    nearest = nearest_pictures(content_words(data), count=5)
    config = TrainingConfig(batch_pictures=size, captions_per_picture=3, neighbours=neighbours)
    batches = list(epoch_batches(data, nearest, config, epoch=2))
    assert len(batches) == max(1, 40 // size)
    for batch in batches:
        assert len(batch.pictures) == min(size, 40)
        assert len(set(batch.pictures.tolist())) == len(batch.pictures)
        assert len(set(batch.captions.tolist())) == len(batch.captions) == 3 * len(batch.pictures)
        owners = data.owners[batch.captions]
        assert owners.tolist() == batch.pictures[batch.owners].tolist()


def test_a_third_of_a_batch_are_near_neighbours_of_the_rest() -> None:
    data = split()
    nearest = nearest_pictures(content_words(data), count=3)
    config = TrainingConfig(batch_pictures=12, neighbours=0.33)
    for batch in epoch_batches(data, nearest, config, epoch=0):
        anchors, others = batch.pictures[:8], batch.pictures[8:]
        near = np.isin(others, nearest[anchors])
        assert near.mean() >= 0.5  # a few are random, so that a batch always fills


def test_anchors_of_an_epoch_do_not_repeat() -> None:
    data = split()
    config = TrainingConfig(batch_pictures=10, neighbours=0.0)
    nearest = nearest_pictures(content_words(data), count=5)
    seen = np.concatenate([b.pictures for b in epoch_batches(data, nearest, config, epoch=1)])
    assert sorted(seen.tolist()) == list(range(40))


def test_seed_and_epoch_decide_the_batches() -> None:
    data = split()
    nearest = nearest_pictures(content_words(data))

    def drawn(seed: int, epoch: int) -> list[list[int]]:
        config = TrainingConfig(batch_pictures=8, seed=seed)
        return [b.captions.tolist() for b in epoch_batches(data, nearest, config, epoch)]

    assert drawn(3, 4) == drawn(3, 4)
    assert drawn(3, 4) != drawn(3, 5)
    assert drawn(3, 4) != drawn(4, 4)


def test_a_single_picture_is_a_batch() -> None:
    data = split(1)
    nearest = nearest_pictures(content_words(data))
    (batch,) = epoch_batches(data, nearest, TrainingConfig(captions_per_picture=5), epoch=0)
    assert batch.pictures.tolist() == [0]
    assert sorted(batch.captions.tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_of_a_batch_are_its_parts_in_order(count: int) -> None:
    owners = np.array([0, 0, 1, 2, 2, 2, 3, 4, 5, 5, 6])
    batch = Batch(np.arange(7), np.arange(11), owners)
    shares = batch.shares(count)
    assert len(shares) == count
    for what in ("pictures", "captions"):
        parts = [getattr(batch, what)[getattr(share, what)] for share in shares]
        assert all(len(part) for part in parts)
        assert np.concatenate(parts).tolist() == getattr(batch, what).tolist()
    for share in shares:
        assert set(owners[share.captions]) == set(range(*share.pictures.indices(7)))
