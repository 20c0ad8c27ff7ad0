"""A finished run to a bundle: bank, layer weights, calibration, report and card."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from model import weights
from model.bank import Bank, draw, draw_rows, from_arrays, to_arrays
from model.bundle import Scoring, write_bundle
from model.card import model_card
from model.coding import code_pictures, code_texts
from model.concepts import Concepts, name_embeddings
from model.config import with_served_views
from model.dataset import read_split
from model.errors import DataError
from model.evaluate import (
    PairScores,
    candidate_coverage,
    evaluation_rows,
    fit_fusion,
    score_pairs,
)
from model.fusion import Fusion
from model.judging import calibrate, calibration_report, judge, short_queries
from model.network import Network
from model.progress import Progress, silent, silent_named
from model.ranks import measuring_device
from model.recall import Recall
from model.run import TRAINING_SPLIT, Run, run_splits, training_data
from model.text_trunk import text_trunk
from model.trunk_arrays import caption_arrays, picture_arrays

CANDIDATES = 100


@dataclass(frozen=True)
class Edition:
    """Which of the bundles that a run can become.

    name: that answers carry. note: what the card says of the training data. compact: as for
    `write_bundle`. served_views: of a picture, in place of what the run was validated with.
    """

    name: str
    note: str = ""
    compact: bool = False
    served_views: int | None = None


def export_run(run: Run, out: Path, edition: Edition, progress: Progress = silent) -> str:
    """Writes a bundle of a run's best epoch and returns its fingerprint.

    Everything is fitted on the validation split and the report is measured on it, with the weights
    as the bundle holds them. Raises DataError when the run has no finished epoch, or its data are
    not those that it was begun with; ConfigError for a number of views there isn't.
    """
    if edition.served_views is not None:
        run = replace(run, config=with_served_views(run.config, edition.served_views))
    training, validation = run_splits(run.folder, run.data)
    torch.set_num_threads(run.config.training.threads)
    device = measuring_device(run.config.training.device)
    network = best_network(run, edition.compact).to(device)
    hubness = run.config.hubness
    # As it will be read back: what is measured here is what will be served.
    bank = from_arrays(to_arrays(run_bank(run, network).to("cpu"), edition.compact))
    data = training_data(
        run.config, run.knowledge, validation, run.cache, None, silent_named, device
    )
    pictures, texts = code_pictures(network, data.features), code_texts(network, data.texts)
    raw, with_bank = score_pairs(
        network, pictures, texts, validation.owners, bank.to(device), hubness.beta, progress
    )
    if len(validation.examples) < 2:
        raise DataError(f"{validation.name}: one picture is too few to fit and measure on")
    fitted = fit_fusion(raw, with_bank, hubness.strengths)
    pairs, fusion, strength = fitted.pairs, fitted.fusion, fitted.strength
    trunk = text_trunk(run.config.model, run.knowledge.vocabulary, device)
    short = code_texts(network, trunk(short_queries(validation)))
    judged = judge(network, validation, pictures, texts, short, pairs, fusion, strength)
    calibration = calibrate(judged)
    scoring = Scoring(fusion=fusion, beta=hubness.beta, strength=strength, calibration=calibration)
    report = {
        "split": validation.name,
        "pictures": len(validation.examples),
        "captions": len(validation.captions),
        "rows": {
            row: recall_figures(found)
            for row, found in evaluation_rows(pairs, fusion, strength, CANDIDATES).items()
        },
        "candidate_coverage": coverage_figures(pairs, fusion, strength),
        "calibration": calibration_report(judged, pairs, calibration),
        "training": run.config.training.model_dump(mode="json"),
        "curve": [
            json.loads(line) for line in (run.folder / "curve.jsonl").read_text().splitlines()
        ],
    }
    card = model_card(edition.name, run.config, report, len(training.examples), edition.note)
    return write_bundle(
        out,
        edition.name,
        network.to("cpu"),
        scoring,
        run.knowledge.vocabulary,
        run.knowledge.tags,
        bank,
        report,
        card,
        edition.compact,
    )


def best_network(run: Run, compact: bool = False) -> Network:
    """The network of the best epoch, its weights rounded as a bundle stores them."""
    file = run.folder / "best.pt"
    if not file.is_file():
        raise DataError(f"{run.folder}: no epoch is finished yet")
    network = Network(run.config.model, run.knowledge.vocabulary)
    network.load_state_dict(torch.load(file, weights_only=True))
    network.load_state_dict(weights.to_state(weights.to_arrays(network, compact), network))
    if run.config.model.concepts:
        network.concepts = Concepts(run.config.model, name_embeddings())
    return network.eval().requires_grad_(False)


def run_bank(run: Run, network: Network) -> Bank:
    """The query bank of a run: its training captions and pictures, coded by the network, where
    that is.
    """
    device = str(next(network.parameters()).device)
    training, hubness = read_split(run.data, TRAINING_SPLIT), run.config.hubness
    pictures = draw_rows(len(training.examples), hubness.global_pictures)
    captions = draw_rows(len(training.captions), hubness.global_captions)
    arrays = picture_arrays(
        run.config.model, training.only(pictures), run.cache, None, silent, device
    )
    texts = caption_arrays(
        run.config.model, run.knowledge.vocabulary, training.captions, run.cache, silent, device
    )
    return draw(
        code_pictures(network, arrays), code_texts(network, [texts[i] for i in captions]), hubness
    )


def recall_figures(found: Recall) -> Mapping[str, Any]:
    """A recall as JSON, one digit as papers print it."""
    return {
        "image_to_text": [round(value, 1) for value in found.image_to_text],
        "text_to_image": [round(value, 1) for value in found.text_to_image],
        "rsum": round(found.rsum, 1),
    }


def coverage_figures(pairs: PairScores, fusion: Fusion, strength: float) -> Mapping[str, float]:
    """How much of the exhaustive top 10 the first stage's candidates hold, in percent."""
    image_to_text, text_to_image = candidate_coverage(pairs, fusion, strength, CANDIDATES)
    return {
        "image_to_text": round(image_to_text, 2),
        "text_to_image": round(text_to_image, 2),
    }
