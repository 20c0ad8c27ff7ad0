"""Embeddings of texts, held to those that transformers gives for the same folder."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import ConfigError
from model.text_tower import TextTower
from tests.model.towers import EMBEDDING, text_embeddings, tower_model, write_tower

TEXTS = [
    "a dog runs",
    "A Dog, RUNS!",
    "a small dog runs after another one over the wide green grass of a park in the city",
    "dog",
    "",
    " \t ",
    "狗 🐕",
    "a",
]


def tower(folder: Path, kind: str) -> TextTower:
    return TextTower(tower_model(folder, EMBEDDING[kind]))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: write_tower(tmp_path_factory.mktemp(kind), kind) for kind in EMBEDDING}


@pytest.fixture(scope="module")
def towers(folders: dict[str, Path]) -> dict[str, TextTower]:
    return {kind: tower(folder, kind) for kind, folder in folders.items()}


@pytest.mark.parametrize("kind", EMBEDDING)
def test_embeddings_are_those_of_transformers(folders, towers, kind: str) -> None:
    found = towers[kind](TEXTS)
    assert (found.shape, found.dtype) == ((len(TEXTS), EMBEDDING[kind]), np.float16)
    np.testing.assert_allclose(found, text_embeddings(folders[kind], kind, TEXTS), atol=1e-3)
    # The texts are told apart, or the comparison would say little.
    assert np.abs(found[0] - found[2].astype(np.float32)).max() > 0.05


@pytest.mark.parametrize("kind", EMBEDDING)
def test_case_and_what_else_is_in_the_batch_do_not_matter(towers, kind: str) -> None:
    embed = towers[kind]
    for text, row in zip(TEXTS, embed(TEXTS), strict=True):
        np.testing.assert_allclose(embed([text])[0], row, atol=2e-3)
    np.testing.assert_array_equal(embed(["A DOG Runs"]), embed(["a dog runs"]))


@pytest.mark.parametrize("kind", EMBEDDING)
def test_many_texts_stay_in_their_order(towers, kind: str) -> None:
    embed = towers[kind]
    texts = ["a dog " * (1 + number % 4) + "run" * (number % 3) for number in range(150)]
    found = embed(texts)
    for number in (0, 63, 64, 149):
        np.testing.assert_allclose(found[number], embed([texts[number]])[0], atol=2e-3)
    assert embed([]).shape == (0, EMBEDDING[kind])


@pytest.mark.parametrize("kind", ["clip", "siglip2"])
@settings(max_examples=30, deadline=None)
@given(text=st.text(st.characters(), max_size=60))
def test_any_string_has_a_unit_embedding(towers, kind: str, text: str) -> None:
    (found,) = towers[kind]([text])
    assert np.linalg.norm(found.astype(np.float32)) == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json"])
def test_a_missing_tokenizer_is_named(tmp_path: Path, file: str) -> None:
    folder = write_tower(tmp_path, "clip")
    (folder / file).unlink()
    with pytest.raises(ConfigError, match=rf"regions\.folder: {tmp_path} holds no {file}"):
        tower(folder, "clip")


def test_a_padding_that_the_tokenizer_does_not_know_is_named(tmp_path: Path) -> None:
    folder = write_tower(tmp_path, "siglip")
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "[PAD]"}))
    with pytest.raises(ConfigError, match=r"pad_token '\[PAD\]' is not in tokenizer\.json"):
        tower(folder, "siglip")


def test_a_padding_with_its_options_is_read(tmp_path: Path) -> None:
    folder = write_tower(tmp_path, "siglip")
    plain = tower(folder, "siglip")(TEXTS)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"pad_token": {"content": "</s>", "lstrip": True, "special": True}})
    )
    np.testing.assert_array_equal(tower(folder, "siglip")(TEXTS), plain)


def test_a_tokenizer_that_marks_no_end_is_refused(tmp_path: Path) -> None:
    folder = write_tower(tmp_path, "clip")
    whole = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    (folder / "tokenizer.json").write_text(json.dumps({**whole, "post_processor": None}))
    with pytest.raises(ConfigError, match=r"tokenizer\.json: marks no end of a text"):
        tower(folder, "clip")


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", [b'{"a', b"[]", b"\xff"])
def test_a_damaged_tokenizer_is_named(tmp_path: Path, file: str, content: bytes) -> None:
    folder = write_tower(tmp_path, "clip")
    (folder / file).write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^{folder / file}: "):
        tower(folder, "clip")
