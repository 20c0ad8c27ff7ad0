"""A caption file: which lines are taken, put together, and reported."""

import json
from pathlib import Path
from typing import Any

from service.captions import CaptionFile, Captions, read_captions


def read(folder: Path, *lines: Any) -> CaptionFile:
    """A file with these lines; what is a text is a line as it is."""
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / "captions.jsonl").write_text(text)
    return read_captions(folder / "captions.jsonl")


def test_lines_for_one_picture_are_put_together(tmp_path: Path) -> None:
    told = read(
        tmp_path,
        {"image": "a.jpg", "captions": ["a dog", "a wolf"], "metadata": {"by": "me", "year": 1}},
        {"image": "b.jpg", "captions": ["a cat"]},
        {"image": "./a.jpg", "captions": ["a wolf", "a fox"], "metadata": {"year": 2}},
    )
    assert told.errors == ()
    assert told.pictures == {
        tmp_path / "a.jpg": Captions(
            ("a dog", "a wolf", "a fox"), {"by": "me", "year": 2}, "a.jpg"
        ),
        tmp_path / "b.jpg": Captions(("a cat",), {}, "b.jpg"),
    }


def test_what_is_too_much_together_is_reported_and_the_rest_kept(tmp_path: Path) -> None:
    told = read(
        tmp_path,
        {
            "image": "a.jpg",
            "captions": [f"dog {n}" for n in range(15)],
            "metadata": {"a": "x" * 9000},
        },
        {"image": "a.jpg", "captions": [f"cat {n}" for n in range(6)]},
        {"image": "a.jpg", "captions": ["a fox"], "metadata": {"b": "x" * 9000}},
        {"image": "a.jpg", "captions": [f"cow {n}" for n in range(5)]},
    )
    file = tmp_path / "captions.jsonl"
    wrong = dict(told.errors)
    assert list(wrong) == [f"{file}:2", f"{file}:3"]
    assert "captions: a picture has at most 20, not the 21" in wrong[f"{file}:2"]
    assert "metadata: with those of earlier lines: metadata has at most" in wrong[f"{file}:3"]
    assert len(told.pictures[tmp_path / "a.jpg"].sentences) == 20


def test_a_line_that_can_hold_no_picture_is_reported_as_others_are(tmp_path: Path) -> None:
    (tmp_path / "ring").symlink_to("ring")
    told = read(
        tmp_path,
        {"image": "a\0b.jpg", "captions": []},
        "[" * 100_000,
        {"image": "cut \ud83d.jpg", "captions": []},
        {"image": "ring/a.jpg", "captions": []},
        {"image": "a.jpg", "captions": ["a dog"]},
    )
    file = tmp_path / "captions.jsonl"
    assert [name for name, _ in told.errors] == [f"{file}:{n}" for n in range(1, 5)]
    words = [words.partition(":")[0] for _, words in told.errors]
    assert words == ["image", "not a line of JSON", "image", "image"]
    assert list(told.pictures) == [tmp_path / "a.jpg"]
