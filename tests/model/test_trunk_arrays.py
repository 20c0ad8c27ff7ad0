"""Trunk arrays of whole splits."""

import os
from pathlib import Path

import numpy as np
import pytest

from model.config import TextConfig
from model.dataset import Example, Split, read_split
from model.errors import DataError
from model.trunk_arrays import caption_arrays, picture_arrays
from tests.model.samples import (
    GRID_RUN,
    PRECOMPUTED_RUN,
    scene_features,
    write_precomputed_split,
)


def ignore(done: int, total: int) -> None:
    """Keeps progress to itself."""


def test_precomputed_features_are_one_view_of_each_picture(tmp_path: Path) -> None:
    write_precomputed_split(tmp_path, "dev", range(3), repeats=5)
    split = read_split(tmp_path, "dev")
    found = picture_arrays(PRECOMPUTED_RUN.model, split, tmp_path, 4, ignore)
    assert (len(found), found.views) == (3, 1)
    np.testing.assert_array_equal(found[1:3][1], scene_features(2))
    np.testing.assert_array_equal(
        found.take(np.array([2, 0])).seen(np.array([1]), np.array([0]))[0], scene_features(0)
    )


def test_precomputed_features_stay_in_their_file_until_they_are_read(tmp_path: Path) -> None:
    write_precomputed_split(tmp_path, "dev", range(3), repeats=5)
    found = picture_arrays(PRECOMPUTED_RUN.model, read_split(tmp_path, "dev"), tmp_path, 1, ignore)
    assert isinstance(found.array, np.memmap) and isinstance(found.array.base, np.memmap)
    batch = found[:2]
    assert not np.shares_memory(batch, found.array) and batch.flags.writeable


def test_pictures_are_cached_under_the_folder_that_was_named(
    captioned_folder: Path, tmp_path: Path
) -> None:
    split = read_split(captioned_folder, "val")
    steps: list[tuple[int, int]] = []
    found = picture_arrays(GRID_RUN.model, split, tmp_path, 1, lambda *s: steps.append(s))
    assert found.array.shape == (8, 1, 120, 4, 4)
    assert steps[-1] == (8, 8)
    again = picture_arrays(GRID_RUN.model, split, tmp_path, 1, lambda *s: steps.append((0, 0)))
    np.testing.assert_array_equal(found[:], again[:])
    assert (0, 0) not in steps


def test_precomputed_features_for_a_grid_model_are_refused(
    precomputed_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="dev-0: no picture to extract regions from"):
        picture_arrays(GRID_RUN.model, read_split(precomputed_folder, "dev"), tmp_path, 1, ignore)


def test_pretrained_captions_are_read_back_as_they_were_made(tmp_path: Path) -> None:
    config = GRID_RUN.model.model_copy(update={"text": TextConfig(kind="pretrained")})
    captions = ["a dog runs", "", "\ud83d", "a very long caption about nothing in particular"]
    steps: list[tuple[int, int]] = []
    first = caption_arrays(config, (), captions, tmp_path / "c", lambda *s: steps.append(s))
    second = caption_arrays(config, (), captions, tmp_path / "c", lambda *s: steps.append(s))
    assert steps == [(4, 4)]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.states, other.states)
        np.testing.assert_array_equal(one.words, other.words)
        np.testing.assert_array_equal(one.spans, other.spans)
    fewer_layers = config.model_copy(update={"text": TextConfig(kind="pretrained", tuned_layers=6)})
    others = caption_arrays(fewer_layers, (), captions, tmp_path / "c", ignore)
    assert not np.allclose(others[0].states, first[0].states)


def test_what_another_process_is_writing_is_left_alone(tmp_path: Path) -> None:
    config = GRID_RUN.model.model_copy(update={"text": TextConfig(kind="pretrained")})
    caption_arrays(config, (), ["a dog"], tmp_path, ignore)
    (made,) = tmp_path.iterdir()
    made.unlink()
    theirs = [made.with_suffix(".new.npz"), made.with_name(f"{made.name}.{os.getppid()}.new")]
    for file in theirs:
        file.write_bytes(b"half")
    caption_arrays(config, (), ["a dog"], tmp_path, ignore)
    assert all(file.read_bytes() == b"half" for file in theirs)
    assert sorted(tmp_path.iterdir()) == sorted([made, *theirs])


def test_own_words_are_looked_up_without_a_cache(tmp_path: Path) -> None:
    found = caption_arrays(GRID_RUN.model, ("dog",), ["a dog"], tmp_path, ignore)
    assert found[0].states.tolist() == [0, 1]
    assert list(tmp_path.iterdir()) == []


def test_a_picture_where_features_are_asked_for_is_named(tmp_path: Path) -> None:
    split = Split("val", (Example("a.jpg", ("a dog",), image=tmp_path / "a.jpg"),))
    with pytest.raises(DataError, match=r"a\.jpg: a picture file, but regions\.kind is precomp"):
        picture_arrays(PRECOMPUTED_RUN.model, split, tmp_path, 1, ignore)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_numbers_are_refused(tmp_path: Path, wrong: float) -> None:
    write_precomputed_split(tmp_path, "dev", range(5))
    features = np.load(tmp_path / "dev_ims.npy")
    features[3, 2, 1] = wrong
    np.save(tmp_path / "dev_ims.npy", features)
    found = picture_arrays(PRECOMPUTED_RUN.model, read_split(tmp_path, "dev"), tmp_path, 1, ignore)
    assert len(found[:3]) == 3
    for batch in (lambda: found[2:], lambda: found.seen(np.array([4, 3]), np.array([0, 0]))):
        with pytest.raises(DataError, match=r"dev_ims\.npy: row 3 holds values that are no number"):
            batch()
