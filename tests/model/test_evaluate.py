"""The field's table from scores."""

from dataclasses import replace

import numpy as np
import pytest

from model.alignment import LAYERS
from model.bundle import Bundle
from model.coding import code_pictures, code_texts
from model.dataset import read_split
from model.errors import ConfigError
from model.evaluate import (
    BankScores,
    PairScores,
    ablation_rows,
    candidate_coverage,
    evaluation_rows,
    fit_fusion,
    in_folds,
    mean_recall,
    score_pairs,
    two_stage,
)
from model.fusion import Fusion
from model.hubness import offsets
from model.recall import Recall, recall
from model.report import split_report
from model.text_trunk import text_trunk
from tests.model.conftest import quiet
from tests.model.samples import write_precomputed_split

STRENGTH = 0.5
FUSION = Fusion.model_validate({"global": 0.8, "entity": 0.5, "relation": 0.3, "semantic": 0.2})


def scores(pictures: int = 12, seed: int = 0) -> PairScores:
    """Five texts a picture; every layer sees the truth through noise."""
    random = np.random.default_rng(seed)
    owners = np.repeat(np.arange(pictures), 5)
    truth = np.arange(pictures)[:, None] == owners[None, :]

    def noisy(strength: float) -> np.ndarray:
        return (strength * truth + random.normal(0, 0.3, truth.shape)).astype(np.float32)

    def hub(count: int) -> np.ndarray:
        return random.normal(0, 0.1, count).astype(np.float32)

    return PairScores(
        dict(zip(LAYERS, map(noisy, (0.3, 0.6, 0.4, 0.2)), strict=True)),
        owners,
        hub(pictures),
        hub(pictures),
        hub(5 * pictures),
        hub(5 * pictures),
    )


def test_offsets_come_off_the_side_that_is_found() -> None:
    pairs = scores()
    by_picture, by_text = pairs.first_stage(STRENGTH)
    layer = pairs.layers["global"]
    assert by_picture[3, 7] == pytest.approx(layer[3, 7] - 0.5 * pairs.text_global[7])
    assert by_text[3, 7] == pytest.approx(layer[3, 7] - 0.5 * pairs.picture_global[3])
    fine = 0.5 * pairs.layers["entity"] + 0.3 * pairs.layers["relation"]
    fine = fine + 0.2 * pairs.layers["semantic"]
    totals = pairs.total(FUSION, STRENGTH)
    expected = 0.8 * by_picture[3, 7] + fine[3, 7] - 0.5 * pairs.text_fine[7]
    assert totals[0][3, 7] == pytest.approx(expected, abs=1e-6)
    expected = 0.8 * by_text[3, 7] + fine[3, 7] - 0.5 * pairs.picture_fine[3]
    assert totals[1][3, 7] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("candidates", [60, 61, 10_000])
def test_two_stages_with_as_many_candidates_as_items_are_exhaustive(candidates: int) -> None:
    pairs = scores()
    first, total = pairs.first_stage(STRENGTH), pairs.total(FUSION, STRENGTH)
    for one, other in zip(two_stage(first, total, candidates), total, strict=True):
        np.testing.assert_array_equal(one, other)
    rows = evaluation_rows(pairs, FUSION, STRENGTH, candidates)
    assert rows[f"two-stage, {candidates} candidates"] == rows["exhaustive"]
    assert candidate_coverage(pairs, FUSION, STRENGTH, candidates) == (100, 100)


def test_two_stages_keep_the_best_of_the_first_and_the_scores_of_the_second() -> None:
    first = np.array([[0.9, 0.5, 0.1], [0.2, 0.8, 0.3]])
    total = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    by_picture, by_text = two_stage((first, first), (total, total), 2)
    assert by_picture.tolist() == [[1, 2, -np.inf], [-np.inf, 5, 6]]
    assert by_text.tolist() == [[1, 2, 3], [4, 5, 6]]  # two pictures: both are candidates
    by_text = two_stage((first, first), (total, total), 1)[1]
    assert by_text.tolist() == [[1, -np.inf, -np.inf], [-np.inf, 5, 6]]


def test_one_candidate_finds_what_the_global_score_finds_first() -> None:
    rows = evaluation_rows(scores(), FUSION, STRENGTH, 1)
    two, one = rows["two-stage, 1 candidates"], rows["global only"]
    assert two.image_to_text[0] == one.image_to_text[0]
    assert two.text_to_image[0] == one.text_to_image[0]


def test_rows_without_offsets_are_those_of_strength_zero() -> None:
    pairs = scores()
    rows, plain = (evaluation_rows(pairs, FUSION, strength, 5) for strength in (STRENGTH, 0))
    assert len(rows) == 6
    for name in ("global only", "two-stage, 5 candidates", "exhaustive"):
        assert rows[f"{name} (no offsets)"] == plain[name]


def test_coverage_by_hand() -> None:
    pairs = scores(pictures=4)
    both = candidate_coverage(pairs, FUSION, STRENGTH, candidates=2, top=2)
    first, total = pairs.first_stage(STRENGTH), pairs.total(FUSION, STRENGTH)
    expected = []
    for stage_one, final in ((first[0], total[0]), (first[1].T, total[1].T)):
        shares = [
            len(set(np.argsort(-a)[:2]) & set(np.argsort(-b)[:2])) / 2
            for a, b in zip(stage_one, final, strict=True)
        ]
        expected.append(100 * np.mean(shares))
    assert both == pytest.approx(tuple(expected))


def test_folds_hold_their_pictures_with_their_own_texts() -> None:
    pairs = scores(pictures=10)
    parts = in_folds(pairs, 3)
    assert [len(part.picture_global) for part in parts] == [4, 3, 3]
    second = parts[1]
    assert second.owners.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    np.testing.assert_array_equal(second.layers["entity"], pairs.layers["entity"][4:7, 20:35])
    np.testing.assert_array_equal(second.text_fine, pairs.text_fine[20:35])
    whole = in_folds(pairs, 1)[0]
    assert recall(*whole.total(FUSION, 0.5), whole.owners) == recall(
        *pairs.total(FUSION, 0.5), pairs.owners
    )


def test_more_folds_than_pictures_are_refused() -> None:
    assert len(in_folds(scores(pictures=2), 2)) == 2
    with pytest.raises(ConfigError, match="folds: 5 of 2 pictures"):
        in_folds(scores(pictures=2), 5)


def test_folds_are_easier_than_the_whole() -> None:
    pairs = scores(pictures=40)
    folds = [evaluation_rows(part, FUSION, 0.5, 5)["exhaustive"] for part in in_folds(pairs, 5)]
    assert mean_recall(folds).rsum > evaluation_rows(pairs, FUSION, 0.5, 5)["exhaustive"].rsum


def test_the_mean_of_recalls_is_taken_figure_by_figure() -> None:
    found = mean_recall([Recall((0, 10, 20), (30, 40, 50)), Recall((2, 14, 26), (30, 40, 60))])
    assert found == Recall((1, 12, 23), (30, 40, 55))


@pytest.fixture(scope="module")
def coded(trained_bundle: Bundle, precomputed_folder) -> tuple[PairScores, BankScores]:
    split = read_split(precomputed_folder, "dev")
    network = trained_bundle.network()
    assert split.regions is not None
    features = split.regions.features
    trunk = text_trunk(trained_bundle.config, trained_bundle.vocabulary)
    pictures, texts = code_pictures(network, features), code_texts(network, trunk(split.captions))
    return score_pairs(network, pictures, texts, split.owners, trained_bundle.bank, 20.0)


def test_ablation_has_a_row_for_each_layer_alone_and_left_out(coded) -> None:
    pairs, bank = coded
    rows = ablation_rows(pairs, bank, (STRENGTH,))
    assert set(rows) == {
        *(f"{layer} alone" for layer in LAYERS),
        *(f"without {layer}" for layer in LAYERS),
        "global + entity",
        "all layers",
    }
    assert all(0 <= row.rsum <= 600 for row in rows.values())
    with_offsets = bank.offsets(pairs, Fusion())
    alone = recall(*with_offsets.first_stage(STRENGTH), pairs.owners)
    assert rows["global alone"].rsum == pytest.approx(alone.rsum)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_fusion_of_one_layer_weighs_that_layer_alone(coded, layer: str) -> None:
    fitted = fit_fusion(*coded, (STRENGTH,), (layer,))
    weights = fitted.fusion.model_dump(by_alias=True)
    assert [name for name in LAYERS if weights[name] > 0] == [layer]
    if layer == "global":
        assert not fitted.pairs.picture_fine.any() and not fitted.pairs.text_fine.any()


def test_fitted_weights_come_with_the_fine_offsets_that_belong_to_them(coded) -> None:
    pairs, bank = coded
    fitted = fit_fusion(pairs, bank, (STRENGTH,))
    fusion = fitted.fusion
    expected = offsets(fusion.fine(bank.pictures), 20.0)
    np.testing.assert_allclose(fitted.pairs.picture_fine, expected, atol=1e-6)
    expected = offsets(fusion.fine(bank.texts), 20.0)
    np.testing.assert_allclose(fitted.pairs.text_fine, expected, atol=1e-6)
    assert fusion.entity + fusion.relation + fusion.semantic == pytest.approx(1)


def test_concepts_that_know_something_get_a_weight_and_raise_recall(coded) -> None:
    pairs, bank = coded
    random = np.random.default_rng(2)
    knowing = (pairs.relevant + random.normal(0, 0.3, pairs.relevant.shape)).astype("f4")
    with_concepts = replace(pairs, layers={**pairs.layers, "concept": knowing})
    bank = replace(
        bank,
        pictures={**bank.pictures, "concept": np.zeros_like(bank.pictures["entity"])},
        texts={**bank.texts, "concept": np.zeros_like(bank.texts["entity"])},
    )
    found = fit_fusion(with_concepts, bank, (STRENGTH,))
    fusion = found.fusion
    assert fusion.concept > 0
    assert fusion.entity + fusion.relation + fusion.semantic + fusion.concept == pytest.approx(1)
    without = fit_fusion(with_concepts, bank, (STRENGTH,), LAYERS)
    assert without.fusion.concept == 0
    assert found.recall.rsum > without.recall.rsum


def test_the_strength_with_the_best_recall_is_chosen(coded) -> None:
    strengths = (0.0, 0.5, 1.5)
    chosen = fit_fusion(*coded, strengths)
    assert chosen.strength in strengths
    # Weights are fitted at the middle strength, whatever strengths are tried around it.
    alone = fit_fusion(*coded, (0.5,))
    assert chosen.recall.rsum >= alone.recall.rsum


def test_a_bundle_measures_on_its_validation_split_what_its_report_says(
    trained_bundle: Bundle, precomputed_folder, tmp_path
) -> None:
    found = split_report(trained_bundle, precomputed_folder, "dev", tmp_path, 100, 1, True, quiet)
    assert (found.pictures, found.captions, found.coverage) == (12, 60, (100, 100))
    assert "all layers" in found.ablation
    for name, row in found.rows.items():
        # The bank in the bundle is rounded to int8, which may swap a near tie.
        assert row.rsum == pytest.approx(trained_bundle.report["rows"][name]["rsum"], abs=12)


def test_a_report_has_the_whole_split_and_the_mean_of_its_folds(
    trained_bundle, precomputed_folder, tmp_path
) -> None:
    whole, folds = (
        split_report(trained_bundle, precomputed_folder, "dev", tmp_path, 5, n, False, quiet)
        for n in (1, 3)
    )
    assert folds.rows == whole.rows
    assert folds.fold_rows.keys() == whole.rows.keys()
    assert (whole.fold_rows, folds.ablation) == ({}, {})
    # Four pictures are easier to tell apart than twelve.
    assert folds.fold_rows["exhaustive"].rsum >= whole.rows["exhaustive"].rsum
    with pytest.raises(ConfigError, match="folds: 13 of 12 pictures"):
        split_report(trained_bundle, precomputed_folder, "dev", tmp_path, 5, 13, False, quiet)


def test_testall_is_measured_whole_and_in_five_folds(trained_bundle, tmp_path) -> None:
    write_precomputed_split(tmp_path, "testall", range(40, 60), ids=True)
    found = split_report(trained_bundle, tmp_path, "testall", tmp_path, 4, 5, False, quiet)
    assert (found.pictures, found.captions) == (20, 100)
    assert found.fold_rows.keys() == found.rows.keys()
