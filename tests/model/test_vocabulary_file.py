"""Published vocabularies as the model's word list."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model.errors import DataError
from model.vocabulary_file import read_vocabulary
from tests.model.samples import write_vocabulary

WORDS = ("dog", "a", "'s", ".", "grün")


def test_words_keep_their_order_without_the_reserved_four(tmp_path: Path) -> None:
    assert read_vocabulary(write_vocabulary(tmp_path / "v.json", WORDS)) == WORDS


def test_the_order_of_the_file_does_not_count(tmp_path: Path) -> None:
    file = write_vocabulary(tmp_path / "v.json", WORDS)
    found = json.loads(file.read_text())
    found["word2idx"] = dict(sorted(found["word2idx"].items()))
    file.write_text(json.dumps(found))
    assert read_vocabulary(file) == WORDS


def renamed(found: dict[str, Any]) -> None:
    found["word2idx"] = {{"<unk>": "<oov>"}.get(w, w): n for w, n in found["word2idx"].items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found.pop("word2idx"), "expected an object with word2idx"),
        (lambda found: found.update(word2idx=["dog"]), "expected an object with word2idx"),
        (lambda found: found["word2idx"].update(dog="4"), "the number of 'dog' is '4'"),
        (lambda found: found["word2idx"].update(dog=True), "the number of 'dog' is True"),
        (lambda found: found["word2idx"].update(dog=99), "'a' has the number 5, expected 4"),
        (lambda found: found["word2idx"].update(dog=5), "expected 4"),
        (renamed, "the number 3 is kept for <unk>"),
        (lambda found: found.update(word2idx={}), "the number 0 is kept for <pad>"),
        (lambda found: found.pop("idx2word"), "idx2word is not the inverse"),
        (lambda found: found["idx2word"].update({"4": "cat"}), "idx2word is not the inverse"),
    ],
)
def test_a_vocabulary_that_is_none_is_refused_in_words(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    file = write_vocabulary(tmp_path / "v.json", WORDS)
    found = json.loads(file.read_text())
    change(found)
    file.write_text(json.dumps(found))
    with pytest.raises(DataError) as raised:
        read_vocabulary(file)
    assert str(raised.value).startswith(f"{file}: ")
    assert message in str(raised.value)


@pytest.mark.parametrize("text", ["[1]", "{", "", '"dog"', "[" * 100_000, "\xff"])
def test_a_file_that_is_no_vocabulary_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "v.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"v\.json: "):
        read_vocabulary(file)
    with pytest.raises(DataError, match=r"none\.json: No such file"):
        read_vocabulary(tmp_path / "none.json")


def test_a_vocabulary_of_the_reserved_words_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no word but the reserved"):
        read_vocabulary(write_vocabulary(tmp_path / "v.json", ()))
