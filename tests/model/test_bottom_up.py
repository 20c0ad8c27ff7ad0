"""Bottom-up region files to precomputed folders."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from model.bottom_up import convert_regions, read_regions
from model.captions_file import CaptionedPicture, read_captions
from model.dataset import read_split
from model.errors import DataError
from tests.model.samples import (
    FEATURES,
    captions_of,
    largest_file,
    region_line,
    scene_boxes,
    scene_features,
    scene_id,
    scene_size,
    write_split_file,
)


def ignore(done: int, total: int) -> None:
    """Keeps progress to itself."""


def pictures(*numbers: int) -> list[CaptionedPicture]:
    return [CaptionedPicture(str(scene_id(n)), tuple(captions_of(n))) for n in numbers]


def written(file: Path, *lines: str, end: str = "\r\n") -> Path:
    file.write_bytes("".join(line + end for line in lines).encode())
    return file


def test_lines_in_any_order_become_rows_in_the_order_of_the_captions(tmp_path: Path) -> None:
    one = written(tmp_path / "one.tsv", *(region_line(n) for n in (5, 2, 9)))
    two = written(tmp_path / "two.tsv", *(region_line(n) for n in (3, 2)), end="\n")
    steps: list[tuple[int, int]] = []
    out = tmp_path / "coco"
    done = convert_regions(
        [one, two], out, "train", pictures(2, 3, 5), 36, lambda *s: steps.append(s)
    )
    assert done == 3
    assert steps == [(1, 3), (2, 3), (3, 3)]
    split = read_split(out, "train")
    assert [example.id for example in split.examples] == [str(scene_id(n)) for n in (2, 3, 5)]
    assert split.captions == [caption for n in (2, 3, 5) for caption in captions_of(n)]
    assert split.regions is not None
    assert split.regions.features.dtype == np.float32
    for row, number in enumerate((2, 3, 5)):
        np.testing.assert_array_equal(split.regions.features[row], scene_features(number))
        np.testing.assert_allclose(split.regions.boxes(row), scene_boxes(number), atol=1e-6)
    assert {file.name for file in out.iterdir()} == {
        f"train_{kind}" for kind in ("ims.npy", "boxes.npy", "img_sizes.npy", "caps.txt", "ids.txt")
    }


def test_fewer_regions_are_filled_up_with_rows_of_zeros(tmp_path: Path) -> None:
    file = written(tmp_path / "r.tsv", region_line(0, regions=10), region_line(1, regions=17))
    convert_regions([file], tmp_path / "out", "dev", pictures(0, 1), 20, ignore)
    features = np.load(tmp_path / "out" / "dev_ims.npy")
    assert features.shape == (2, 20, FEATURES)
    np.testing.assert_array_equal(features[0, :10], scene_features(0)[:10])
    assert not features[0, 10:].any() and features[1, 10:17].any()
    assert read_split(tmp_path / "out", "dev").regions is not None


def test_base64_that_python_3_spelled_as_bytes_is_read(tmp_path: Path) -> None:
    *fields, boxes, features = region_line(4).split("\t")
    file = written(tmp_path / "r.tsv", "\t".join([*fields, f"b'{boxes}'", f"b'{features}'"]))
    (found,) = read_regions(file)
    assert (found.id, found.size) == (str(scene_id(4)), scene_size(4))
    np.testing.assert_array_equal(found.features, scene_features(4))


def changed(field: int, value: str) -> str:
    fields = region_line(1).split("\t")
    fields[field] = value
    return "\t".join(fields)


def nan_features() -> str:
    return changed(5, "AADAfwAA" * (36 * FEATURES * 4 // 6))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (region_line(1)[:-30].rpartition("\t")[0], "5 fields, expected 6"),
        (region_line(1) + "\tmore", "7 fields, expected 6"),
        (region_line(1)[:-3], "features: not base64"),
        (region_line(1)[:-4], "features: "),
        (changed(5, "***="), "features: not base64"),
        (changed(5, ""), "features: 0 numbers for 36 boxes"),
        (changed(5, "AAAA"), "features: 3 bytes are no float32 numbers"),
        (nan_features(), "features: holds values that are no number"),
        (changed(4, ""), "boxes: 0 numbers, expected 4 x 36"),
        (changed(3, "35"), "boxes: 144 numbers, expected 4 x 35"),
        (changed(3, "0"), "num_boxes: expected a number above 0, found b'0'"),
        (changed(1, "-640"), "image_w: expected a number above 0"),
        (changed(2, "tall"), "image_h: expected a number above 0, found b'tall'"),
        (changed(2, "9" * 5000), "image_h: expected a number above 0"),
        ("\x00" * 500, "1 fields, expected 6"),
    ],
)
def test_a_damaged_line_is_named_and_nothing_stays(tmp_path: Path, line: str, message: str) -> None:
    file = written(tmp_path / "r.tsv", region_line(0), "", line)
    with pytest.raises(DataError) as raised:
        convert_regions([file], tmp_path / "out", "dev", pictures(0, 1), 36, ignore)
    assert str(raised.value).startswith(f"{file}:3: ")
    assert message in str(raised.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_more_regions_than_rows_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "r.tsv", region_line(0, 10), region_line(1))
    with pytest.raises(DataError, match=r"r\.tsv:2: 36 regions, more than the 20 rows"):
        convert_regions([file], tmp_path / "out", "dev", pictures(0, 1), 20, ignore)


def test_missing_pictures_and_files_are_named(tmp_path: Path) -> None:
    file = written(tmp_path / "r.tsv", region_line(0))
    with pytest.raises(DataError, match=rf"r\.tsv: 2 of 3 pictures are missing, {scene_id(1)} am"):
        convert_regions([file], tmp_path / "out", "dev", pictures(0, 1, 2), 36, ignore)
    with pytest.raises(DataError, match=r"none\.tsv: No such file"):
        convert_regions([tmp_path / "none.tsv"], tmp_path / "out", "dev", pictures(0), 36, ignore)


def test_a_disk_without_room_is_told_and_nothing_stays(tmp_path: Path) -> None:
    file = written(tmp_path / "regions.tsv", *(region_line(n) for n in range(3)))
    out = tmp_path / "coco"
    with (
        largest_file(8192),
        pytest.raises(DataError, match=r"ims\.npy.*: 10,368 bytes for it: File too large"),
    ):
        convert_regions([file], out, "train", pictures(0, 1, 2), 36, ignore)
    assert list(out.iterdir()) == []


def test_a_split_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    file = written(tmp_path / "r.tsv", region_line(0))
    convert_regions([file], tmp_path / "out", "dev", pictures(0), 36, ignore)
    before = {f.name: f.read_bytes() for f in (tmp_path / "out").iterdir()}
    with pytest.raises(DataError, match=r"dev_boxes\.npy is already there"):
        convert_regions([file], tmp_path / "out", "dev", pictures(0), 36, ignore)
    assert {f.name: f.read_bytes() for f in (tmp_path / "out").iterdir()} == before


def test_files_are_read_line_by_line(tmp_path: Path) -> None:
    file = written(tmp_path / "r.tsv", *[region_line(0)] * 2000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_regions(file)) == 2000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert file.stat().st_size > 9e6 and peak < 1e6


def test_splits_are_those_that_the_field_takes(tmp_path: Path) -> None:
    file = write_split_file(
        tmp_path / "dataset.json", {"train": [4, 1], "restval": [7], "val": [2], "test": [3, 0]}
    )
    for split, numbers in (
        ("train", (4, 1, 7)),
        ("dev", (2,)),
        ("test", (3, 0)),
        ("testall", (3, 0)),
    ):
        assert read_captions(file, split) == pictures(*numbers)


def test_the_test_split_is_the_first_thousand_of_testall(tmp_path: Path) -> None:
    file = write_split_file(tmp_path / "dataset.json", {"test": range(1005)})
    assert read_captions(file, "test") == read_captions(file, "testall")[:1000]


def test_without_a_number_of_mscoco_the_file_name_counts(tmp_path: Path) -> None:
    file = write_split_file(tmp_path / "dataset.json", {"val": [2]})
    name = f"COCO_val2014_{scene_id(2):012}"
    file.write_text(file.read_text().replace('"cocoid"', '"imgid"'))
    assert [picture.id for picture in read_captions(file, "dev")] == [name]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", 'expected an object with a list "images"'),
        ('{"images": [3]}', r"images\[0\]: expected an object"),
        ('{"images": []}', "no picture in the split val"),
        ('{"images": [{"split": "val"}]}', r"images\[0\]: neither a number cocoid nor a filename"),
        ('{"images": [{"split": "val", "cocoid": 3}]}', r"images\[0\]: 0 sentences, expected 5"),
    ],
)
def test_a_captions_file_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "dataset.json"
    file.write_text(text)
    with pytest.raises(DataError, match=rf"dataset\.json: {message}"):
        read_captions(file, "dev")
    with pytest.raises(DataError, match="split 'val': expected one of train, dev"):
        read_captions(file, "val")


def test_a_picture_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    file = write_split_file(tmp_path / "dataset.json", {"val": [2, 2]})
    with pytest.raises(DataError, match=rf"images\[1\]: the picture {scene_id(2)} is there twice"):
        read_captions(file, "dev")
