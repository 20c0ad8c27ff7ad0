"""The codec of a collection as the service opens it, and collections from before there were any."""

import sqlite3
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from index.errors import CodecError
from index.packing import pack, unpack
from model.codecs import CODECS, DEFAULT_CODEC
from model.packed_nodes import PackedNodes
from service.asking import ask_collection
from service.collection import Collection, open_collection
from service.ingest import NewPicture, NewText, prepare_pictures, prepare_texts, store
from service.settings import Codec, Settings
from tests.helpers import jpeg

SENTENCES = ("a dog on the grass", "two children", "snow")


def fill(collection: Collection) -> None:
    pictures = [NewPicture(jpeg(seed), f"p{seed}") for seed in range(4)]
    store(collection, "image", prepare_pictures(collection, pictures))
    texts = [NewText(text, f"t{number}") for number, text in enumerate(SENTENCES)]
    store(collection, "text", prepare_texts(collection, texts))


def scores(collection: Collection) -> dict[str, float]:
    found = ask_collection(collection, SENTENCES[0], None, {"k": 4})
    return {result.id: result.score for result in found.results}


def make_old(folder: Path) -> None:
    """Turns a collection into one that the version before the codecs wrote: floats and weights."""
    connection = sqlite3.connect(folder / "catalog.sqlite")
    with connection:
        for number, blob in connection.execute("SELECT number, arrays FROM arrays").fetchall():
            arrays = unpack(blob, "x")
            for layer in ("entity", "relation"):
                nodes = PackedNodes(arrays[layer])
                arrays[layer], arrays[f"{layer}_weights"] = nodes.vectors, nodes.weights
            connection.execute(
                "UPDATE arrays SET arrays = ? WHERE number = ?", (pack(arrays), number)
            )
        connection.execute("ALTER TABLE model DROP COLUMN codec")
        connection.execute("ALTER TABLE model DROP COLUMN recoded")
        connection.execute("PRAGMA user_version = 2")
    connection.close()


def test_the_settings_name_the_codecs_that_there_are() -> None:
    assert set(get_args(Codec)) == {"auto", *CODECS}


def test_a_new_collection_gets_the_default_or_the_codec_that_is_asked_for(
    settings: Settings, tmp_path: Path
) -> None:
    with open_collection(settings) as collection:
        assert collection.index.codec == collection.matcher.codec == DEFAULT_CODEC == "int8"
    other = settings.model_copy(update={"data_dir": tmp_path / "other", "codec": "compact"})
    with open_collection(other) as collection:
        fill(collection)
        expected = scores(collection)
    with open_collection(other.model_copy(update={"codec": "auto"})) as collection:
        assert collection.index.codec == collection.matcher.codec == "compact"
        assert scores(collection) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(CodecError, match="by the codec compact; int8 was asked for"):
        open_collection(other.model_copy(update={"codec": "int8"})).__enter__()


@pytest.mark.parametrize("codec", ["auto", "compact", "float16"])
def test_a_collection_of_before_is_stored_anew_when_it_is_opened(
    settings: Settings, codec: Codec, caplog: pytest.LogCaptureFixture
) -> None:
    with open_collection(settings) as collection:
        fill(collection)
        before = scores(collection)
        generation = collection.index.stats()["generation"]
    make_old(settings.data_dir)
    with open_collection(settings.model_copy(update={"codec": codec})) as collection:
        expected = DEFAULT_CODEC if codec == "auto" else codec
        assert collection.index.codec == collection.matcher.codec == expected
        assert (
            f"is of an earlier version: storing its region and word vectors anew as {expected}"
            in (caplog.text)
        )
        assert "7 items stored anew" in caplog.text
        assert collection.index.stats()["generation"] == generation
        # The toy's vectors have 16 numbers, of which four bits take more than of 256.
        assert scores(collection) == pytest.approx(before, abs=0.05)
        for kind, ids in (("image", ["p0", "p3"]), ("text", ["t0"])):
            for record in collection.index.fetch(kind, ids):
                assert record is not None
                assert record.arrays["entity"].dtype == np.uint8
                assert "entity_weights" not in record.arrays
        assert collection.index.verify().ok
    caplog.clear()
    with open_collection(settings) as collection:
        assert collection.index.codec == expected
    assert "anew" not in caplog.text
