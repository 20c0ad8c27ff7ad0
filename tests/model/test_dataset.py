"""Both formats of data sets, and what is wrong with a broken one."""

import json
from pathlib import Path

import numpy as np
import pytest

from model.dataset import read_split
from model.errors import DataError
from tests.model.samples import (
    captions_of,
    scene_boxes,
    scene_features,
    write_precomputed_split,
)


def write_lines(folder: Path, *lines: object) -> Path:
    """`captions.jsonl` with these lines; a, b and c.jpg exist."""
    for name in "abc":
        (folder / f"{name}.jpg").write_bytes(b"never decoded here")
    encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    (folder / "captions.jsonl").write_bytes(b"\n".join(encoded))
    return folder


A = {"image": "a.jpg", "captions": ["a dog", "a cat"], "split": "train"}
B = {"image": "b.jpg", "captions": ["snow"], "split": "val", "metadata": {"place": "Bern"}}


def test_a_captioned_folder_is_read_split_by_split_in_file_order(tmp_path: Path) -> None:
    c = {"image": "c.jpg", "captions": ["a car"], "split": "train"}
    folder = write_lines(tmp_path, c, B, A)
    train = read_split(folder, "train")
    assert [example.id for example in train.examples] == ["c.jpg", "a.jpg"]
    assert train.captions == ["a car", "a dog", "a cat"]
    assert train.owners.tolist() == [0, 1, 1]
    (b,) = read_split(folder, "val").examples
    assert (b.image, b.metadata) == (folder / "b.jpg", {"place": "Bern"})


def test_a_line_without_a_split_belongs_to_the_one_asked_for(tmp_path: Path) -> None:
    folder = write_lines(tmp_path, {"image": "a.jpg", "captions": ["a dog"]})
    assert len(read_split(folder, "train").examples) == 1


def test_blank_lines_are_no_rows_but_count(tmp_path: Path) -> None:
    folder = write_lines(tmp_path, A, b"", b"  ", b"not json")
    with pytest.raises(DataError, match=r"captions\.jsonl:4: not a line of JSON"):
        read_split(folder, "train")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b'{"image": "b.jpg", "captions"', "not a line of JSON"),
        (b'{"image": "b.jpg", "captions": ["\xff\xfe"]}', "not a line of JSON"),
        (b"[" * 100_000, "not a line of JSON"),
        (b'{"n": ' + b"9" * 5000 + b"}", "not a line of JSON"),
        ([1, 2], "expected an object, found list"),
        ({"captions": ["x"]}, '"image" has to be a path'),
        ({"image": "", "captions": ["x"]}, '"image" has to be a path'),
        ({"image": 7, "captions": ["x"]}, '"image" has to be a path'),
        ({"image": "b.jpg"}, '"captions" has to be a list'),
        ({"image": "b.jpg", "captions": []}, '"captions" has to be a list'),
        ({"image": "b.jpg", "captions": "x"}, '"captions" has to be a list'),
        ({"image": "b.jpg", "captions": ["x", " "]}, 'entry of "captions"'),
        ({"image": "b.jpg", "captions": ["x", None]}, 'entry of "captions"'),
        ({"image": "b.jpg", "captions": ["x"], "metadata": []}, '"metadata" has to be an object'),
        ({"image": "d.jpg", "captions": ["x"]}, "the picture d.jpg is missing"),
        ({"image": "a.jpg", "captions": ["x"]}, "a.jpg is already in line 1"),
    ],
)
def test_a_broken_line_is_named_with_file_and_number(tmp_path: Path, row, message: str) -> None:
    folder = write_lines(tmp_path, A, row)
    with pytest.raises(DataError) as raised:
        read_split(folder, "train")
    assert f"{folder / 'captions.jsonl'}:2: " in str(raised.value)
    assert message in str(raised.value)


def test_a_broken_line_of_another_split_is_refused_too(tmp_path: Path) -> None:
    folder = write_lines(tmp_path, A, {"image": "b.jpg", "captions": [], "split": "test"})
    with pytest.raises(DataError, match="jsonl:2"):
        read_split(folder, "train")


def test_a_split_without_pictures_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither captions\.jsonl nor val_ims\.npy"):
        read_split(tmp_path, "val")
    with pytest.raises(DataError, match="no picture in the split 'val'"):
        read_split(write_lines(tmp_path, A), "val")


@pytest.mark.parametrize("repeats", [1, 5])
def test_precomputed_rows_may_stand_once_a_picture_or_once_a_caption(
    tmp_path: Path, repeats: int
) -> None:
    write_precomputed_split(tmp_path, "test", range(3), repeats)
    split = read_split(tmp_path, "test")
    assert [example.id for example in split.examples] == ["test-0", "test-1", "test-2"]
    assert split.owners.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    for number, example in enumerate(split.examples):
        assert list(example.captions) == captions_of(number)
        assert example.features is not None and example.boxes is not None
        np.testing.assert_array_equal(example.features, scene_features(number))
        np.testing.assert_array_equal(example.boxes, scene_boxes(number))


def test_precomputed_boxes_are_optional(tmp_path: Path) -> None:
    write_precomputed_split(tmp_path, "dev", range(2), boxes=False)
    assert [example.boxes for example in read_split(tmp_path, "dev").examples] == [None, None]


def edit_captions(folder: Path, change) -> None:
    file = folder / "dev_caps.txt"
    file.write_text("\n".join(change(file.read_text(encoding="utf-8").splitlines())) + "\n")


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
    refused("dev_caps.txt", "No such file")
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


@pytest.mark.parametrize("odd", ["\u2028", "\x85", "\x0b", "\x1c"])
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
    boxes = np.load(tmp_path / "dev_boxes.npy")
    boxes[1, 7, 2] = wrong
    np.save(tmp_path / "dev_boxes.npy", boxes)
    with pytest.raises(DataError, match=r"dev_boxes\.npy: boxes have to be fractions"):
        read_split(tmp_path, "dev")
