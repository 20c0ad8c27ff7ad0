"""The cache of trunk arrays, with an extractor whose arrays can be read."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.dataset import Example, read_split
from model.errors import DataError
from model.feature_cache import FeatureCache
from tests.model.samples import drawing, largest_file, write_captioned_folder


class Averages:
    """Mean colour of each picture; stops after so many calls, as a kill would."""

    name = "averages"
    shape = (3,)

    def __init__(self, calls: int = 10**6) -> None:
        self.left = calls
        self.seen = 0

    def trunk(self, pictures: list[Image.Image]) -> np.ndarray:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        self.seen += len(pictures)
        return np.stack([np.asarray(p).mean((0, 1)) for p in pictures]).astype(np.float16)

    def boxes(self) -> None:
        return None


class Maps(Averages):
    """Arrays of 128 KiB."""

    name = "maps"
    shape = (2**16,)


def ignore(done: int, total: int) -> None:
    """Keeps progress to itself."""


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> tuple[Example, ...]:
    folder = write_captioned_folder(tmp_path_factory.mktemp("cached") / "data", 10, 1)
    return read_split(folder, "train").examples


@pytest.fixture(scope="module")
def in_one_go(tmp_path_factory: pytest.TempPathFactory, examples) -> np.ndarray:
    folder = tmp_path_factory.mktemp("cache")
    return np.array(FeatureCache(folder, Averages(), examples, 3).fill(ignore, batch=2))


def test_features_are_the_views_of_each_picture(examples, in_one_go: np.ndarray) -> None:
    assert (in_one_go.shape, in_one_go.dtype) == ((10, 3, 3), np.float16)
    with Image.open(examples[4].image) as picture:
        mean = np.asarray(picture.convert("RGB")).mean((0, 1))
    np.testing.assert_allclose(in_one_go[4, 0], mean, rtol=2e-3)
    np.testing.assert_allclose(in_one_go[4, 1], mean, rtol=2e-3)  # mirrored
    assert not np.allclose(in_one_go[4, 2], mean, rtol=2e-3)  # cropped and recoloured


@pytest.mark.parametrize("calls", [0, 1, 3, 4, 14])
def test_killed_and_resumed_equals_made_in_one_go(
    tmp_path: Path, examples, in_one_go: np.ndarray, calls: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        FeatureCache(tmp_path, Averages(calls), examples, 3).fill(ignore, batch=2)
    extractor = Averages()
    found = FeatureCache(tmp_path, extractor, examples, 3).fill(ignore, batch=2)
    np.testing.assert_array_equal(found, in_one_go)
    # Batches of two pictures, three calls each: whole batches are not made again.
    assert extractor.seen == 3 * (10 - 2 * (calls // 3))


def test_two_shares_equal_one(tmp_path: Path, examples, in_one_go: np.ndarray) -> None:
    left, right = Averages(), Averages()
    FeatureCache(tmp_path, left, examples, 3).fill(ignore, share=0, shares=2)
    found = FeatureCache(tmp_path, right, examples, 3).fill(ignore, share=1, shares=2)
    assert left.seen == right.seen == 15
    np.testing.assert_array_equal(found, in_one_go)


def test_a_full_cache_is_only_read(tmp_path: Path, examples) -> None:
    FeatureCache(tmp_path, Averages(), examples, 1).fill(ignore)
    again = Averages(calls=0)
    FeatureCache(tmp_path, again, examples, 1).fill(ignore)
    assert again.seen == 0


def test_progress_counts_to_the_end(tmp_path: Path, examples) -> None:
    steps: list[tuple[int, int]] = []
    FeatureCache(tmp_path, Averages(), examples, 1).fill(lambda *step: steps.append(step), batch=4)
    assert steps == [(4, 10), (8, 10), (10, 10)]


def test_other_pictures_other_views_and_other_extractors_have_caches_of_their_own(
    tmp_path: Path, examples
) -> None:
    other = Averages()
    other.name = "others"
    FeatureCache(tmp_path, Averages(), examples, 1).fill(ignore)
    FeatureCache(tmp_path, Averages(), examples[:5], 1).fill(ignore)
    FeatureCache(tmp_path, Averages(), examples, 2).fill(ignore)
    FeatureCache(tmp_path, other, examples, 1).fill(ignore)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path, examples) -> None:
    broken = tmp_path / "broken.jpg"
    assert examples[0].image is not None
    whole = examples[0].image.read_bytes()
    broken.write_bytes(whole[: len(whole) * 3 // 4])
    rows = [examples[0], Example("broken.jpg", ("a dog",), image=broken)]
    with pytest.raises(DataError, match=r"broken\.jpg: the picture is truncated"):
        FeatureCache(tmp_path / "cache", Averages(), rows, 1).fill(ignore)


def test_an_example_without_pixels_is_named(tmp_path: Path) -> None:
    rows = [Example("dev-0", ("a dog",))]
    with pytest.raises(DataError, match="dev-0: no picture"):
        FeatureCache(tmp_path, Averages(), rows, 1).fill(ignore)


@pytest.mark.parametrize("name", ["features", "done"])
def test_a_kill_while_the_files_are_made_does_not_break_the_cache(
    tmp_path: Path, examples, in_one_go: np.ndarray, name: str
) -> None:
    FeatureCache(tmp_path, Averages(), examples, 3)
    (folder,) = tmp_path.iterdir()
    # As the kill leaves it: made beside, under the name of a process, but not yet in its place.
    (folder / f"{name}.npy").rename(folder / f"{name}.7.npy")
    found = FeatureCache(tmp_path, Averages(), examples, 3).fill(ignore, batch=2)
    np.testing.assert_array_equal(found, in_one_go)


def test_features_that_were_deleted_are_made_again(
    tmp_path: Path, examples, in_one_go: np.ndarray
) -> None:
    FeatureCache(tmp_path, Averages(), examples, 3).fill(ignore)
    (folder,) = tmp_path.iterdir()
    (folder / "features.npy").unlink()
    found = FeatureCache(tmp_path, Averages(), examples, 3).fill(ignore, batch=2)
    np.testing.assert_array_equal(found, in_one_go)


def test_the_disk_gives_its_room_before_the_first_row(tmp_path: Path, examples) -> None:
    FeatureCache(tmp_path, Maps(), examples, 1)
    (folder,) = tmp_path.iterdir()
    size = (folder / "features.npy").stat()
    assert size.st_blocks * 512 >= size.st_size > 10 * 2**16


def test_a_disk_without_room_is_told_with_file_and_bytes(tmp_path: Path, examples) -> None:
    with (
        largest_file(2**16),
        pytest.raises(
            DataError, match=r"features\.\d+\.npy: 1,310,720 bytes for it: File too large"
        ),
    ):
        FeatureCache(tmp_path, Maps(), examples, 1)
    (folder,) = tmp_path.iterdir()
    assert list(folder.iterdir()) == []


def test_other_pictures_under_the_same_names_have_features_of_their_own(tmp_path: Path) -> None:
    one, two = (write_captioned_folder(tmp_path / name, 3, 1) for name in ("one", "two"))
    for number in range(3):
        drawing(number + 9).save(two / f"images/{number}.jpg", quality=92)
    found = []
    for folder in (one, two):
        rows = read_split(folder, "train").examples
        found.append(np.array(FeatureCache(tmp_path / "cache", Averages(), rows, 1).fill(ignore)))
    assert not np.allclose(found[0], found[1])


def test_a_data_set_that_moved_finds_its_features_again(tmp_path: Path) -> None:
    folder = write_captioned_folder(tmp_path / "here", 3, 1)
    FeatureCache(tmp_path / "cache", Averages(), read_split(folder, "train").examples, 1).fill(
        ignore
    )
    moved, again = folder.rename(tmp_path / "there"), Averages(calls=0)
    FeatureCache(tmp_path / "cache", again, read_split(moved, "train").examples, 1).fill(ignore)
    assert again.seen == 0
