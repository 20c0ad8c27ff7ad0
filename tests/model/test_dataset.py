"""Both formats of data sets, and what is wrong with a broken one."""

import json
from pathlib import Path

import pytest

from model.dataset import read_split
from model.errors import DataError


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


def test_a_picture_is_called_as_its_line_calls_it(tmp_path: Path) -> None:
    folder = write_lines(tmp_path, {"image": "./a.jpg", "captions": ["a dog"]})
    (a,) = read_split(folder, "train").examples
    assert (a.id, a.image) == ("./a.jpg", folder / "a.jpg")


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
        ({"image": "./a.jpg", "captions": ["x"], "split": "val"}, "./a.jpg is already in line 1"),
        ({"image": "c/../a.jpg", "captions": ["x"]}, "c/../a.jpg is already in line 1"),
        (
            {"image": "b.jpg", "captions": ["x"], "split": "Train"},
            "train, val, test; it is 'Train'",
        ),
        ({"image": "b.jpg", "captions": ["x"], "split": None}, "train, val, test; it is None"),
        (
            {"image": "b.jpg", "captions": ["x"], "split": ["val"]},
            "train, val, test; it is ['val']",
        ),
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
