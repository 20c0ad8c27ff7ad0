"""From a run to a bundle that answers."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from model.bundle import Bundle, load_bundle
from model.coding import code_pictures
from model.dataset import read_split
from model.errors import ConfigError, DataError
from model.export import Edition, best_network, export_run
from model.matcher import Matcher
from model.run import Run, train_run
from tests.model.conftest import ignore, quiet
from tests.model.samples import (
    GRID_RUN,
    PRECOMPUTED_RUN,
    drawing,
    write_precomputed_folder,
)


def test_the_report_has_the_three_rows_both_ways_and_the_curve(trained_bundle: Bundle) -> None:
    report = trained_bundle.report
    assert (report["split"], report["pictures"], report["captions"]) == ("dev", 12, 60)
    for row in ("global only", "two-stage, 100 candidates", "exhaustive"):
        for name in (row, f"{row} (no offsets)"):
            figures = report["rows"][name]
            six = [*figures["image_to_text"], *figures["text_to_image"]]
            assert len(six) == 6 and all(0 <= value <= 100 for value in six)
            assert figures["rsum"] == pytest.approx(sum(six), abs=0.4)
    # A hundred candidates hold all there is.
    assert report["rows"]["two-stage, 100 candidates"] == report["rows"]["exhaustive"]
    assert report["candidate_coverage"] == {"image_to_text": 100.0, "text_to_image": 100.0}
    assert [line["epoch"] for line in report["curve"]] == [1, 2]
    assert set(report["calibration"]) == {"image_to_text", "text_to_image"}


def test_the_bundle_holds_the_words_tags_and_weights_of_the_run(
    trained: Run, trained_bundle: Bundle
) -> None:
    assert trained_bundle.vocabulary == trained.knowledge.vocabulary
    assert trained_bundle.tags == trained.knowledge.tags
    assert trained_bundle.config == trained.config.model
    mine, theirs = trained_bundle.network().state_dict(), best_network(trained).state_dict()
    for name, tensor in mine.items():
        assert torch.equal(tensor, theirs[name]), name


def test_the_bank_holds_as_many_as_were_asked_for(trained: Run, trained_bundle: Bundle) -> None:
    bank, hubness = trained_bundle.bank, trained.config.hubness
    assert len(bank.global_captions) == hubness.global_captions
    assert len(bank.global_pictures) == hubness.global_pictures
    assert len(bank.captions.tags) == hubness.fine_captions
    assert len(bank.pictures.tags) == hubness.fine_pictures


def test_the_card_says_what_was_measured_and_what_it_is_bad_at(
    trained: Run, tmp_path: Path
) -> None:
    export_run(trained, tmp_path / "bundle", Edition("tiny"))
    card = (tmp_path / "bundle" / "README.md").read_text(encoding="utf-8")
    report = json.loads((tmp_path / "bundle" / "report.json").read_text(encoding="utf-8"))
    assert card.startswith("# tiny\n")
    assert "bad at" in card
    assert f"| {report['rows']['exhaustive']['rsum']} |" in card
    assert "precomputed region features of 24" in card
    assert "{" not in card


def test_the_card_tells_what_was_noted_of_the_training_data(trained: Run, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    noted = "They were painted for these tests."
    export_run(
        trained, tmp_path / "bundle", Edition("tiny", noted), progress=lambda *s: steps.append(s)
    )
    card = (tmp_path / "bundle" / "README.md").read_text(encoding="utf-8")
    assert noted in card.split("## Training data")[1].split("##")[0]
    assert steps[-1] == (60, 60)


def test_one_validation_picture_is_too_few(tmp_path: Path) -> None:
    data = write_precomputed_folder(tmp_path / "data", validation=1)
    run = train_run(
        PRECOMPUTED_RUN, data, tmp_path / "run", tmp_path / "cache", False, quiet, ignore
    )
    with pytest.raises(DataError, match="dev: one picture is too few"):
        export_run(run, tmp_path / "bundle", Edition("tiny"))
    assert not (tmp_path / "bundle").exists()


def test_exporting_twice_gives_the_same_fingerprint(
    trained: Run, trained_bundle: Bundle, tmp_path: Path
) -> None:
    assert (
        export_run(trained, tmp_path / "again", Edition("other name")) == trained_bundle.fingerprint
    )


def test_a_run_without_a_finished_epoch_is_refused(trained: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(DataError, match="no epoch is finished yet"):
        best_network(
            Run(tmp_path / "run", trained.config, trained.knowledge, trained.data, tmp_path)
        )


def test_the_exported_model_of_precomputed_features_finds_texts(
    trained_bundle: Bundle, precomputed_folder: Path
) -> None:
    matcher = Matcher(trained_bundle)
    split = read_split(precomputed_folder, "dev")
    assert split.regions is not None
    features = split.regions.features
    pictures = matcher.picture_records(code_pictures(trained_bundle.network(), features), None)
    texts = matcher.encode_texts(split.captions)
    vectors = np.stack([text.vector for text in texts])
    found = matcher.score(
        pictures[0], "image", vectors @ pictures[0].query, [text.arrays for text in texts]
    )
    assert np.isfinite(found.total).all()
    assert found.total.shape == (60,)


def test_pictures_trained_exported_loaded_and_asked(captioned_folder: Path, tmp_path: Path) -> None:
    run = train_run(
        GRID_RUN, captioned_folder, tmp_path / "run", tmp_path / "cache", False, quiet, ignore
    )
    fingerprint = export_run(run, tmp_path / "bundle", Edition("drawings"))
    bundle = load_bundle(tmp_path / "bundle")
    assert (bundle.fingerprint, bundle.name) == (fingerprint, "drawings")
    matcher = Matcher(bundle)
    pictures = matcher.encode_pictures([drawing(n) for n in range(3)])
    (text,) = matcher.encode_texts(["a red square lies on a green ground"])
    first = np.stack([picture.vector for picture in pictures]) @ text.query
    found = matcher.score(text, "text", first, [picture.arrays for picture in pictures])
    assert np.isfinite(found.total).all()
    assert len(matcher.explain(text.arrays, pictures[0].arrays).words) == 8
    export_run(run, tmp_path / "two", Edition("drawings", served_views=2))
    two = load_bundle(tmp_path / "two")
    assert (bundle.config.regions.served_views, two.config.regions.served_views) == (1, 2)
    assert two.fingerprint != fingerprint, "the same weights give other vectors"


def test_views_that_a_model_has_not_are_refused(trained: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="served_views and tuned: only for a grid"):
        export_run(trained, tmp_path / "bundle", Edition("tiny", served_views=2))


def test_a_compact_bundle_is_measured_as_it_is_read_and_takes_a_fraction(
    trained: Run, trained_bundle: Bundle, tmp_path: Path
) -> None:
    export_run(trained, tmp_path / "compact", Edition("tiny", compact=True))
    compact = load_bundle(tmp_path / "compact")
    served, exported = compact.network().state_dict(), best_network(trained, compact=True)
    for name, value in exported.state_dict().items():
        np.testing.assert_array_equal(served[name], value, err_msg=name)
    bank = compact.bank.captions.entity.vectors
    assert float((bank - trained_bundle.bank.captions.entity.vectors).norm() / bank.norm()) < 0.15

    def size(arrays: Mapping[str, np.ndarray]) -> int:
        return sum(array.nbytes for array in arrays.values())

    assert size(compact.weights) < 0.4 * size(trained_bundle.weights)
