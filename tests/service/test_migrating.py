"""A collection goes to another model: the same items, found by the new model's vectors."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from index.errors import FingerprintError, LockedError
from index.records import Record
from model.matcher import Matcher
from model.toy import SIZES, write_toy_bundle
from service import cli, migrating
from service.collection import Collection, codec_to_keep, load_matcher, open_collection
from service.ingest import NewPicture, NewText, prepare_pictures, prepare_texts, store
from service.migrating import Migrated
from service.settings import Settings
from tests.helpers import ServerStarter, jpeg, wait_until

SENTENCES = ("a brown dog runs", "two children play", "a black cat sleeps", "snow in the city")


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second toy model, whose vectors have another length."""
    sizes = SIZES.model_copy(update={"dimension": 24, "keep": 3})
    return write_toy_bundle(tmp_path_factory.mktemp("other"), sizes)


@pytest.fixture
def new_settings(settings: Settings, other_bundle: Path) -> Settings:
    """The same collection, asked for by the other model."""
    return settings.model_copy(update={"bundle": other_bundle, "encode_batch_texts": 3})


def fill(settings: Settings, pictures: int = 5) -> dict[tuple[str, str], Record]:
    """Stores pictures and sentences with the settings' model; what is stored then."""
    with open_collection(settings) as collection:
        new = [
            # Larger than the thumbnail that is kept.
            NewPicture(jpeg(n, 500, 400), f"p{n}", {"n": n}, ("one caption", "another"))
            for n in range(pictures)
        ]
        store(collection, "image", prepare_pictures(collection, new))
        texts = [NewText(text, f"t{n}", {"n": n}) for n, text in enumerate(SENTENCES)]
        store(collection, "text", prepare_texts(collection, texts))
        return everything(collection)


def everything(collection: Collection) -> dict[tuple[str, str], Record]:
    found = {}
    for kind in ("image", "text"):
        for one in collection.index.list(kind, limit=1000):
            found[kind, one.id] = collection.index.get(kind, one.id)
    return found


def migrate(settings: Settings, keep: Path | None = None) -> Migrated:
    return migrating.migrate(load_matcher(settings), settings, keep, lambda done, total: None)


def test_every_item_is_embedded_again_from_what_is_kept_of_it(
    settings: Settings, new_settings: Settings
) -> None:
    before = fill(settings)
    told: list[tuple[int, int]] = []
    matcher = load_matcher(new_settings)
    done = migrating.migrate(matcher, new_settings, None, lambda *at: told.append(at))
    assert done.items == {"image": 5, "text": 14}
    assert (done.embedded, done.errors, done.space_kept) == (19, (), None)
    assert done.before != done.after == matcher.fingerprint
    assert told == sorted(told)
    assert told[-1] == (19, 19)
    with open_collection(new_settings) as collection:
        after = everything(collection)
        assert after.keys() == before.keys()
        for name, new in after.items():
            check_renewed(matcher, before[name], new, collection)
        assert collection.index.verify().ok
        query = matcher.encode_texts(["a dog"], to_store=False)[0].query
        assert len(collection.index.search("image", query[None], 9).ids[0]) == 5


def test_a_collection_goes_to_another_codec_and_keeps_its_own_otherwise(
    settings: Settings, new_settings: Settings
) -> None:
    fill(settings, 2)
    compact = settings.model_copy(update={"codec": "compact"})
    done = migrating.migrate(load_matcher(compact, "compact"), compact, None, lambda *at: None)
    assert (done.needed, done.before == done.after, done.embedded) == (True, True, 10)
    assert codec_to_keep(settings) == "compact"
    kept = load_matcher(new_settings, codec_to_keep(new_settings))
    assert migrating.migrate(kept, new_settings, None, lambda *at: None).embedded == 10
    with open_collection(new_settings) as collection:
        assert (collection.index.codec, collection.matcher.codec) == ("compact", "compact")
        query = kept.encode_texts(["a dog"], to_store=False)[0]
        (hits,) = collection.index.search("image", query.query[None], 9).ids
        arrays = [one.arrays for one in collection.index.fetch("image", hits) if one is not None]
        first = np.zeros(len(arrays), np.float32)
        assert np.isfinite(kept.score(query, "text", first, arrays).total).all()
    assert not migrating.migrate(kept, new_settings, None, lambda *at: None).needed


def check_renewed(matcher: Matcher, old: Record, new: Record, collection: Collection) -> None:
    for field in ("metadata", "text", "thumbnail", "content_hash", "created_at", "updated_at"):
        assert getattr(new, field) == getattr(old, field)
    if old.kind == "text":
        (expected,) = matcher.encode_texts([old.text])
    else:
        picture = migrating.read_picture(old.thumbnail, collection.settings)
        assert max(picture.size) == 384
        (expected,) = matcher.encode_pictures([picture])
    assert np.allclose(new.vector, expected.vector, atol=1e-4)
    assert new.arrays.keys() == expected.arrays.keys()
    assert set(new.tags) == {tag for tag, _ in matcher.top_tags(new.arrays)}


def test_another_bundle_is_refused_and_told_the_way_out(
    settings: Settings, new_settings: Settings
) -> None:
    fill(settings, 1)
    with (
        pytest.raises(FingerprintError, match="`sightline migrate`"),
        open_collection(new_settings),
    ):
        pass
    migrate(new_settings)
    with open_collection(new_settings) as collection:
        assert collection.index.count("image") == 1
    with pytest.raises(FingerprintError, match="`sightline migrate`"), open_collection(settings):
        pass


def test_a_collection_that_is_open_is_left_alone(
    settings: Settings, new_settings: Settings
) -> None:
    fill(settings, 1)
    with open_collection(settings), pytest.raises(LockedError, match="open in another process"):
        migrate(new_settings)


def test_items_that_cannot_be_embedded_are_named_and_nothing_is_switched(
    settings: Settings, new_settings: Settings
) -> None:
    fill(settings)
    damage = "UPDATE thumbnail SET jpeg = ? WHERE number = (SELECT number FROM item WHERE id = ?)"
    with sqlite3.connect(settings.data_dir / "catalog.sqlite") as catalog:
        catalog.execute(damage, (b"nothing", "p1"))
        number = "(SELECT number FROM item WHERE id = 'p2')"
        catalog.execute(f"DELETE FROM thumbnail WHERE number = {number}")
    catalog.close()
    done = migrate(new_settings)
    assert [name for name, _ in done.errors] == ["image 'p1'", "image 'p2'"]
    assert "checksum" in done.errors[0][1]
    assert done.errors[1][1] == "no thumbnail"
    assert done.embedded == 17
    with open_collection(settings) as collection:
        assert collection.index.count("image") == 5
        collection.index.delete("image", ["p1", "p2"])
    done = migrate(new_settings)
    assert (done.items, done.embedded) == ({"image": 3, "text": 14}, 0)
    with open_collection(new_settings) as collection:
        assert collection.index.verify().ok


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in this process: its exit status, standard output, standard error."""

    def call(settings: Settings, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sightline", *command(settings, *arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0), *capsys.readouterr()

    return call


def command(settings: Settings, *arguments: object) -> list[str]:
    return [
        *("migrate", "--bundle", str(settings.bundle), "--data-dir", str(settings.data_dir)),
        *map(str, arguments),
    ]


def test_the_command_tells_what_it_did(
    settings: Settings, new_settings: Settings, tmp_path: Path, run: Run
) -> None:
    status, out, err = run(new_settings)
    assert (status, out) == (1, "")
    assert err == f"sightline: {settings.data_dir} holds no collection\n"
    before = fill(settings)
    kept = tmp_path / "kept"
    status, out, _ = run(new_settings, "--json", "--keep", kept)
    told: dict[str, Any] = json.loads(out)
    assert status == 0
    assert told["before"] != told["after"]
    assert (told["items"], told["embedded"]) == ({"image": 5, "text": 14}, 19)
    assert (told["errors"], told["space_kept"]) == ([], None)
    status, out, _ = run(new_settings)
    assert (status, out) == (0, f"{settings.data_dir} is of this model and codec already\n")
    status, out, _ = run(settings)
    assert (status, out) == (0, "migrated: 5 images, 14 texts, 19 of them embedded by this run\n")
    with open_collection(settings.model_copy(update={"data_dir": kept})) as collection:
        assert everything(collection).keys() == before.keys()
    with sqlite3.connect(settings.data_dir / "catalog.sqlite") as catalog:
        catalog.execute("DELETE FROM thumbnail")
    catalog.close()
    status, out, err = run(new_settings)
    assert (status, out) == (1, "")
    assert "image 'p0': no thumbnail\n" in err
    assert err.endswith("5 items can't be embedded; nothing was changed\n")


def staged(settings: Settings) -> int:
    """Items that a migration has staged, as another process sees them."""
    file = settings.data_dir / "catalog.sqlite"
    catalog = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
    try:
        return int(catalog.execute("SELECT count(*) FROM staged_vector").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        catalog.close()


def test_a_killed_migration_goes_on_where_it_was(
    settings: Settings, new_settings: Settings
) -> None:
    with open_collection(settings) as collection:
        texts = [NewText(f"text {n}", f"t{n:04}") for n in range(200)]
        store(collection, "text", prepare_texts(collection, texts))
    one_by_one = {"SIGHTLINE_ENCODE_BATCH_TEXTS": "1", "SIGHTLINE_ENCODER_WORKERS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "service", *command(new_settings)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **one_by_one},
    )
    try:
        wait_until(lambda: staged(settings) > 0, 100)
    finally:
        process.kill()
        process.wait()
    with open_collection(settings) as collection:
        assert collection.index.count("text") == 200
        assert collection.index.verify().ok
    there = staged(settings)
    assert 0 < there < 200
    assert migrate(new_settings).embedded == 200 - there
    with open_collection(new_settings) as collection:
        assert collection.index.count("text") == 200
        assert collection.index.verify().ok


def test_a_server_opens_with_the_new_bundle_afterwards(
    settings: Settings, new_settings: Settings, start_server: ServerStarter
) -> None:
    fill(settings)
    migrate(new_settings)
    start_server.bundle = new_settings.bundle
    with httpx.Client(base_url=start_server().url, timeout=30) as client:
        assert client.get("/readyz").json()["images"] == 5
        found = client.post("/search/text-to-image", json={"query": "a dog", "explain": True})
        assert len(found.raise_for_status().json()["results"]) == 5
        # The same file again is known by its content.
        files = {"image": ("p.jpg", jpeg(0, 500, 400), "image/jpeg")}
        assert client.put("/images/p0", files=files).status_code == 200
        with pytest.raises(LockedError, match="open in another process"):
            migrate(settings)
