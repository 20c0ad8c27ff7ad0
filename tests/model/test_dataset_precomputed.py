"""The field's precomputed folders, with every quirk of the published ones."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from model.dataset import read_split
from model.errors import DataError
from model.run import validation_split
from model.trunk_arrays import picture_arrays
from tests.model.samples import (
    PRECOMPUTED_RUN,
    captions_of,
    scene_boxes,
    scene_features,
    scene_id,
    scene_size,
    write_precomputed_split,
)


@pytest.mark.parametrize("split", ["dev", "testall"])
@pytest.mark.parametrize("boxes", ["fractions", "pixels"])
@pytest.mark.parametrize("repeats", [1, 5])
def test_rows_may_stand_once_a_picture_or_once_a_caption(
    tmp_path: Path, repeats: int, boxes, split: str
) -> None:
    write_precomputed_split(tmp_path, split, range(3), repeats, boxes)
    found = read_split(tmp_path, split)
    assert [example.id for example in found.examples] == [f"{split}-{n}" for n in range(3)]
    assert found.owners.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert found.regions is not None
    for number, example in enumerate(found.examples):
        assert list(example.captions) == captions_of(number)
        row = found.regions.rows[number]
        np.testing.assert_array_equal(found.regions.features[row], scene_features(number))
        np.testing.assert_allclose(found.regions.boxes(number), scene_boxes(number), atol=1e-6)


def test_boxes_and_ids_are_optional(tmp_path: Path) -> None:
    write_precomputed_split(tmp_path, "dev", range(2), boxes=None)
    split = read_split(tmp_path, "dev")
    assert split.regions is not None and split.regions.boxes(1) is None


@pytest.mark.parametrize("repeats", [1, 5])
def test_ids_are_names_of_pictures_once_a_picture_or_once_a_caption(
    tmp_path: Path, repeats: int
) -> None:
    write_precomputed_split(tmp_path, "dev", range(3), ids=True)
    write_ids(tmp_path, [scene_id(n) for n in range(3) for _ in range(repeats)])
    found = [example.id for example in read_split(tmp_path, "dev").examples]
    assert found == [str(scene_id(n)) for n in range(3)]


def write_ids(folder: Path, ids: list[object]) -> None:
    (folder / "dev_ids.txt").write_text("".join(f"{one}\n" for one in ids))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([7, 8], "dev_ids.txt:2: 2 ids, but 3 pictures"),
        ([7, 8, 9, 10], "dev_ids.txt:4: 4 ids, but 3 pictures"),
        ([], "dev_ids.txt:0: 0 ids, but 3 pictures"),
        ([7, "", 9], "dev_ids.txt:2: the id is empty"),
        ([7, 8, 7], "dev_ids.txt:3: 7 is the id of an earlier picture"),
        ([*[7] * 5, *[8] * 4, 9, *[9] * 5], "dev_ids.txt:10: another id than"),
    ],
)
def test_ids_that_do_not_fit_are_named(tmp_path: Path, ids: list[object], message: str) -> None:
    write_precomputed_split(tmp_path, "dev", range(3))
    write_ids(tmp_path, ids)
    with pytest.raises(DataError) as raised:
        read_split(tmp_path, "dev")
    assert message in str(raised.value)


def test_validation_is_on_the_first_thousand_pictures_of_a_longer_dev(tmp_path: Path) -> None:
    pictures = 1014  # as Flickr30K has
    np.save(tmp_path / "dev_ims.npy", np.zeros((pictures, 1, 2), dtype=np.float32))
    captions = [f"picture {n} caption {i}\n" for n in range(pictures) for i in range(5)]
    (tmp_path / "dev_caps.txt").write_text("".join(captions))
    split = validation_split(tmp_path)
    assert split.regions is not None
    assert (len(split.examples), len(split.captions), len(split.regions.rows)) == (1000, 5000, 1000)
    assert split.captions[-1] == "picture 999 caption 4"
    assert len(read_split(tmp_path, "dev").examples) == pictures


def test_a_large_split_is_read_without_its_features(tmp_path: Path) -> None:
    pictures = 4000
    # 24 GB of a file with a hole in it: it takes no room on the disk.
    shape = (5 * pictures, 36, 8192)
    np.lib.format.open_memmap(tmp_path / "train_ims.npy", "w+", np.float32, shape)
    (tmp_path / "train_caps.txt").write_text("a dog\n" * 5 * pictures)
    regions = PRECOMPUTED_RUN.model.regions.model_copy(update={"feature_size": 8192})
    config = PRECOMPUTED_RUN.model.model_copy(update={"regions": regions})
    tracemalloc.start()
    try:
        split = read_split(tmp_path, "train")
        arrays = picture_arrays(config, split, tmp_path, 1, lambda done, total: None)
        batch = arrays.seen(np.array([3999, 0, 17]), np.zeros(3, dtype=np.int64))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert batch.shape == (3, 36, 8192) and not batch.any()
    assert (len(arrays), arrays.views) == (pictures, 1)
    assert peak < 30e6


def edit_captions(folder: Path, change) -> None:
    file = folder / "dev_caps.txt"
    lines = change(file.read_text(encoding="utf-8").splitlines())
    file.write_bytes("".join(f"{line}\n" for line in lines).encode())


def test_precomputed_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    def refused(name: str, message: str) -> None:
        with pytest.raises(DataError) as raised:
            read_split(tmp_path, "dev")
        assert str(tmp_path / name) in str(raised.value)
        assert message in str(raised.value)

    def again() -> None:
        write_precomputed_split(tmp_path, "dev", range(4))

    again()
    edit_captions(tmp_path, lambda lines: lines[:-1])
    refused("dev_caps.txt", ":19: 19 captions are not five a picture")
    edit_captions(tmp_path, lambda lines: lines[:15])
    refused("dev_caps.txt", ":15: 15 captions, but 4 pictures")
    again()
    edit_captions(tmp_path, lambda lines: [*lines[:6], "", *lines[7:]])
    refused("dev_caps.txt", ":7: the caption is empty")
    again()
    (tmp_path / "dev_caps.txt").write_bytes(b"a dog\n\xff\n")
    refused("dev_caps.txt", "decode")
    (tmp_path / "dev_caps.txt").unlink()
    refused("dev_caps.txt", "dev_caps.txt: No such file or directory")
    again()
    np.save(tmp_path / "dev_boxes.npy", np.zeros((4, 35, 4), dtype=np.float32))
    refused("dev_boxes.npy", "shape (4, 35, 4), expected (4, 36, 4)")
    again()
    np.save(tmp_path / "dev_ims.npy", np.zeros((4, 36), dtype=np.float32))
    refused("dev_ims.npy", "expected N x regions x size, found (4, 36)")
    whole = (tmp_path / "dev_boxes.npy").read_bytes()
    (tmp_path / "dev_ims.npy").write_bytes(whole[: len(whole) // 2])
    refused("dev_ims.npy", "not a NumPy array file")
    (tmp_path / "dev_ims.npy").write_bytes(b"")
    refused("dev_ims.npy", "not a NumPy array file")


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    write_precomputed_split(tmp_path, "dev", range(1))
    np.save(tmp_path / "dev_ims.npy", np.array([[[{"a": 1}]]]), allow_pickle=True)
    with pytest.raises(DataError, match=r"dev_ims\.npy: not a NumPy array file"):
        read_split(tmp_path, "dev")


@pytest.mark.parametrize("kept", [None, 40])
def test_an_archive_of_arrays_is_refused(tmp_path: Path, kept: int | None) -> None:
    write_precomputed_split(tmp_path, "dev", range(1))
    np.savez(tmp_path / "several.npz", features=np.load(tmp_path / "dev_ims.npy"))
    (tmp_path / "dev_ims.npy").write_bytes((tmp_path / "several.npz").read_bytes()[:kept])
    with pytest.raises(DataError, match=r"dev_ims\.npy: not a NumPy array file"):
        read_split(tmp_path, "dev")


def test_numbers_of_the_other_byte_order_are_read(tmp_path: Path) -> None:
    write_precomputed_split(tmp_path, "dev", range(2))
    for kind in ("ims", "boxes"):
        array = np.load(tmp_path / f"dev_{kind}.npy")
        np.save(tmp_path / f"dev_{kind}.npy", array.astype(array.dtype.newbyteorder()))
    split = read_split(tmp_path, "dev")
    arrays = picture_arrays(PRECOMPUTED_RUN.model, split, tmp_path, 1, lambda done, total: None)
    assert torch.equal(torch.from_numpy(arrays[1:][0]), torch.from_numpy(scene_features(1)))
    assert split.regions is not None and split.regions.boxes(1) is not None


@pytest.mark.parametrize("odd", ["\u2028", "\x85", "\x0b", "\x1c", "\r"])
def test_only_a_line_feed_ends_a_caption(tmp_path: Path, odd: str) -> None:
    write_precomputed_split(tmp_path, "dev", range(2))
    edit_captions(tmp_path, lambda lines: [*lines[:3], f"a dog{odd}runs", *lines[4:]])
    captions = read_split(tmp_path, "dev").captions
    assert len(captions) == 10
    assert captions[3] == f"a dog{odd}runs"


def test_a_carriage_return_belongs_to_the_end_of_the_line(tmp_path: Path) -> None:
    write_precomputed_split(tmp_path, "dev", range(2))
    file = tmp_path / "dev_caps.txt"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert read_split(tmp_path, "dev").captions == [*captions_of(0), *captions_of(1)]


@pytest.mark.parametrize("wrong", [-0.01, 1.01, 480.0, np.nan, np.inf])
def test_boxes_that_are_no_fractions_are_refused(tmp_path: Path, wrong: float) -> None:
    write_precomputed_split(tmp_path, "dev", range(2))
    change_box(tmp_path, wrong)
    with pytest.raises(DataError, match=r"dev_boxes\.npy: boxes have to be fractions"):
        read_split(tmp_path, "dev")


def change_box(folder: Path, value: float) -> None:
    boxes = np.load(folder / "dev_boxes.npy")
    boxes[1, 7, 2] = value
    np.save(folder / "dev_boxes.npy", boxes)


def test_boxes_in_pixels_need_the_sizes_of_the_pictures(tmp_path: Path) -> None:
    write_precomputed_split(tmp_path, "dev", range(2), boxes="pixels")
    (tmp_path / "dev_img_sizes.npy").unlink()
    with pytest.raises(DataError, match=r"boxes in pixels need dev_img_sizes\.npy with the width"):
        read_split(tmp_path, "dev")


def test_a_box_may_end_at_the_pixel_after_the_last(tmp_path: Path) -> None:
    write_precomputed_split(tmp_path, "dev", range(2), boxes="pixels")
    change_box(tmp_path, scene_size(1)[0] + 0.9)
    regions = read_split(tmp_path, "dev").regions
    assert regions is not None
    boxes = regions.boxes(1)
    assert boxes is not None and boxes[7, 2] == 1


@pytest.mark.parametrize("wrong", [-3.0, 1000.0, np.nan, np.inf])
def test_boxes_beyond_their_picture_are_refused_with_their_row(
    tmp_path: Path, wrong: float
) -> None:
    write_precomputed_split(tmp_path, "dev", range(2), boxes="pixels")
    change_box(tmp_path, wrong)
    with pytest.raises(DataError, match=r"dev_boxes\.npy: .*row 1 holds others"):
        read_split(tmp_path, "dev")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (np.ones((3, 2)), r"expected numbers of \(2, 2\), found float64 of \(3, 2\)"),
        (np.array([[640, 480], [0, 480]]), "row 1 is no width and height"),
        (np.array([[np.nan, 480], [640, 480]]), "row 0 is no width and height"),
        (np.array([["640", "480"]] * 2), "expected numbers"),
        (np.array([{"image_w": 640}, {"image_w": 480}]), "not a NumPy array file"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(tmp_path: Path, sizes, message: str) -> None:
    write_precomputed_split(tmp_path, "dev", range(2), boxes="pixels")
    np.save(tmp_path / "dev_img_sizes.npy", sizes)
    with pytest.raises(DataError, match=rf"dev_img_sizes\.npy: {message}"):
        read_split(tmp_path, "dev")
