"""`sightline embed`: ids of their own, and files that appear whole."""

import json
import os
import resource
from pathlib import Path
from typing import Any

from tests.helpers import jpeg


def data_set(folder: Path) -> list[str]:
    """Makes one of two pictures with the same name; gives their paths below the folder."""
    names = ["1/a.jpg", "2/a.jpg"]
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(jpeg(number))
    lines = [json.dumps({"image": name, "captions": ["a dog"]}) for name in names]
    (folder / "captions.jsonl").write_text("\n".join(lines))
    return names


def read_lines(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_pictures_of_the_same_name_have_ids_of_their_own(run: Any, tmp_path: Path) -> None:
    data, out = tmp_path / os.fsdecode(b"caf\xe9"), tmp_path / os.fsdecode(b"vo\xefl\xe0")
    names = data_set(data)
    assert run("embed", "--data", data, "--out", out)[0] == 0
    images = read_lines(out / "images.jsonl")
    assert [line["id"] for line in images] == ["1/a", "2/a"]
    assert [line["file"] for line in images] == [str(data / name) for name in names]
    texts = read_lines(out / "texts.jsonl")
    assert [(line["id"], line["image"]) for line in texts] == [("1/a-0", "1/a"), ("2/a-0", "2/a")]
    assert sorted(file.name for file in out.iterdir()) == [
        *("images.faiss", "images.jsonl", "images.npy", "images_queries.npy"),
        *("texts.faiss", "texts.jsonl", "texts.npy", "texts_queries.npy"),
    ]


def test_nothing_half_stays_when_the_disk_is_full(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    data_set(tmp_path / "data")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
    try:
        status, _, err = run("embed", "--data", tmp_path / "data", "--out", out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (status, err) == (1, f"sightline: {out}: File too large\n")
    assert list(out.iterdir()) == []
