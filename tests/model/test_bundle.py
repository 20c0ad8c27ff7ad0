"""A bundle is refused unless every byte is the one that was written."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.bundle import DECIDING, DESCRIBING, Bundle, load_bundle, write_bundle
from model.errors import BundleError
from model.toy import SIZES, TAGS, write_toy_bundle

FILES = (*DECIDING, *DESCRIBING)


@pytest.fixture
def copy(toy_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the toy bundle that a test may damage."""
    return shutil.copytree(toy_bundle, tmp_path / "copy")


@pytest.fixture(scope="module")
def loaded(toy_bundle: Path) -> Bundle:
    return load_bundle(toy_bundle)


def rewritten(
    bundle: Bundle,
    folder: Path,
    card: str = "card",
    change: Callable[[torch.nn.Module], None] | None = None,
) -> Bundle:
    network = bundle.network()
    if change:
        change(network)
    write_bundle(
        folder,
        bundle.name,
        network,
        bundle.scoring,
        bundle.vocabulary,
        bundle.tags,
        bundle.bank,
        bundle.report,
        card,
    )
    return load_bundle(folder)


def test_a_bundle_is_read_back_as_it_was_written(loaded: Bundle) -> None:
    assert (loaded.name, loaded.config, loaded.tags) == ("toy", SIZES, TAGS)
    assert "dog" in loaded.vocabulary
    assert len(loaded.fingerprint) == 64
    assert loaded.scoring.strength == 0.5
    assert "nothing was measured" in loaded.report["note"]
    network = loaded.network()
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_weights_are_stored_in_half_precision_and_come_back_rounded(
    loaded: Bundle, tmp_path: Path
) -> None:
    assert {array.dtype for array in loaded.weights.values()} == {np.dtype(np.float16)}
    again = rewritten(loaded, tmp_path / "again")
    for name, array in loaded.weights.items():
        np.testing.assert_array_equal(again.weights[name], array)


def test_the_toy_bundle_is_the_same_each_time(loaded: Bundle, tmp_path: Path) -> None:
    assert load_bundle(write_toy_bundle(tmp_path / "other")).fingerprint == loaded.fingerprint


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError) as raised:
        load_bundle(copy)
    assert str(raised.value) == f"{copy / name}: No such file or directory"


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_truncated_file_is_named(copy: Path, name: str, share: float) -> None:
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BundleError, match=name):
        load_bundle(copy)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_file_with_one_other_bit_is_named(copy: Path, name: str, share: float) -> None:
    whole = bytearray((copy / name).read_bytes())
    whole[int(len(whole) * share)] ^= 1
    (copy / name).write_bytes(whole)
    with pytest.raises(BundleError, match=name):
        load_bundle(copy)


def edit_manifest(folder: Path, change: Callable[[dict], None]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format=2), "bundle format 2; this reads 1"),
        (lambda m: m.pop("format"), "bundle format None"),
        (lambda m: m.update(fingerprint="0" * 64), "the manifest says 000"),
        (lambda m: m["files"].pop("tags.json"), "lists no tags.json"),
        (lambda m: m.pop("files"), "lists no config.json"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(copy: Path, change, message: str) -> None:
    edit_manifest(copy, change)
    with pytest.raises(BundleError, match=message):
        load_bundle(copy)


def test_a_hash_that_was_changed_along_with_its_file_still_shows(copy: Path) -> None:
    words = b'["cat", "dog", "man"]'
    (copy / "vocabulary.json").write_bytes(words)
    edit_manifest(
        copy, lambda m: m["files"].update({"vocabulary.json": hashlib.sha256(words).hexdigest()})
    )
    with pytest.raises(BundleError, match="fingerprint"):
        load_bundle(copy)


def test_weights_that_do_not_fit_the_sizes_are_refused(loaded: Bundle) -> None:
    fewer = {name: array for name, array in loaded.weights.items() if "gates" not in name}
    with pytest.raises(BundleError, match=r"picture_encoder\.gates"):
        replace(loaded, weights=fewer).network()


def test_the_fingerprint_changes_with_any_weight(loaded: Bundle, tmp_path: Path) -> None:
    def nudge(network: torch.nn.Module) -> None:
        network.picture_encoder.gates.data[0] += 0.25  # type: ignore[union-attr]

    same = rewritten(loaded, tmp_path / "same")
    assert rewritten(loaded, tmp_path / "other", change=nudge).fingerprint != same.fingerprint


def test_the_fingerprint_changes_with_what_is_scored_by(loaded: Bundle, tmp_path: Path) -> None:
    same = rewritten(loaded, tmp_path / "same")
    scoring = loaded.scoring.model_copy(update={"strength": 0.75})
    other = rewritten(replace(loaded, scoring=scoring), tmp_path / "other")
    renamed = rewritten(replace(loaded, tags=("a", *loaded.tags[1:])), tmp_path / "renamed")
    assert len({same.fingerprint, other.fingerprint, renamed.fingerprint}) == 3


def test_the_fingerprint_does_not_change_with_card_report_or_name(
    loaded: Bundle, tmp_path: Path
) -> None:
    same = rewritten(loaded, tmp_path / "same")
    described = replace(loaded, name="other", report={"rows": {}})
    other = rewritten(described, tmp_path / "other", card="another card")
    assert other.fingerprint == same.fingerprint
    assert (other.name, other.report) == ("other", {"rows": {}})


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json: No such file"):
        load_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "text", ["[]", "3", '"x"', '{"format": 1, "files": []}', '{"format": 1, "files": 3}']
)
def test_a_manifest_of_another_shape_is_refused(copy: Path, text: str) -> None:
    (copy / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=r"manifest\.json: not the manifest of a bundle"):
        load_bundle(copy)


def test_another_number_of_tags_than_the_sizes_say_is_refused(
    loaded: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match=r"tags\.json: 3 tags, config\.json says 8"):
        rewritten(replace(loaded, tags=loaded.tags[:3]), tmp_path / "fewer")


def test_a_bundle_replaces_the_one_before_it_as_a_whole(loaded: Bundle, tmp_path: Path) -> None:
    first = rewritten(loaded, tmp_path / "bundle")
    (tmp_path / "bundle" / "of-an-older-format.json").write_text("{}")
    scoring = loaded.scoring.model_copy(update={"strength": 0.75})
    second = rewritten(replace(loaded, scoring=scoring), tmp_path / "bundle")
    assert second.fingerprint != first.fingerprint
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]
    names = {file.name for file in (tmp_path / "bundle").iterdir()}
    assert names == {*FILES, "manifest.json"}


def test_a_folder_that_holds_something_else_is_not_replaced(loaded: Bundle, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "only-copy.jpg").write_bytes(b"a photo")
    with pytest.raises(BundleError, match="no bundle"):
        rewritten(loaded, tmp_path / "photos")
    assert (tmp_path / "photos" / "only-copy.jpg").read_bytes() == b"a photo"


def test_an_empty_folder_may_become_a_bundle(loaded: Bundle, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    rewritten(loaded, tmp_path / "empty")
    assert load_bundle(tmp_path / "empty").tags == loaded.tags


def test_a_bundle_that_cannot_be_written_leaves_the_one_before_it(
    loaded: Bundle, tmp_path: Path
) -> None:
    first = rewritten(loaded, tmp_path / "bundle")
    with pytest.raises(TypeError, match="JSON serializable"):
        rewritten(replace(loaded, report={"rows": object()}), tmp_path / "bundle")
    assert load_bundle(tmp_path / "bundle").fingerprint == first.fingerprint
