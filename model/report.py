"""A bundle measured on a split: what `sightline evaluate` prints."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.bundle import Bundle
from model.coding import code_pictures, code_texts
from model.config import HubnessConfig
from model.dataset import read_split
from model.errors import ConfigError
from model.evaluate import (
    ablation_rows,
    candidate_coverage,
    evaluation_rows,
    in_folds,
    mean_recall,
    score_pairs,
)
from model.judging import calibration_report, judge, short_queries
from model.progress import NamedProgress
from model.recall import Recall
from model.text_trunk import text_trunk
from model.trunk_arrays import caption_arrays, picture_arrays


@dataclass(frozen=True)
class SplitReport:
    """Recall tables, calibration figures, and the first stage's share of the top 10.

    fold_rows: the mean over folds, empty for a single one.
    """

    pictures: int
    captions: int
    rows: Mapping[str, Recall]
    fold_rows: Mapping[str, Recall]
    ablation: Mapping[str, Recall]
    calibration: Mapping[str, Any]
    coverage: tuple[float, float]


def split_report(
    bundle: Bundle,
    data: Path,
    split: str,
    cache: Path,
    candidates: int,
    folds: int,
    ablate: bool,
    progress: NamedProgress,
    device: str = "cpu",
) -> SplitReport:
    """Codes and scores a whole split once, for the table of all of it and that of its folds.

    Raises DataError when the split can't be read, ConfigError when it has fewer pictures than
    folds.
    """
    examples = read_split(data, split)
    if folds > len(examples.examples):
        raise ConfigError(f"folds: {folds} of {len(examples.examples)} pictures")
    network, scoring = bundle.network().to(device), bundle.scoring
    arrays = picture_arrays(
        bundle.config,
        examples,
        cache,
        None,
        lambda done, total: progress("pictures", done, total),
        device,
    )
    captions = caption_arrays(
        bundle.config,
        bundle.vocabulary,
        examples.captions,
        cache,
        lambda done, total: progress("captions", done, total),
        device,
    )
    pictures, texts = code_pictures(network, arrays), code_texts(network, captions)
    raw, bank = score_pairs(
        network,
        pictures,
        texts,
        examples.owners,
        bundle.bank.to(device),
        scoring.beta,
        lambda done, total: progress("captions scored", done, total),
    )
    pairs = bank.offsets(raw, scoring.fusion)
    parts = [
        evaluation_rows(part, scoring.fusion, scoring.strength, candidates)
        for part in (in_folds(pairs, folds) if folds > 1 else [])
    ]
    trunk = text_trunk(bundle.config, bundle.vocabulary, device)
    short = code_texts(network, trunk(short_queries(examples)))
    judged = judge(
        network, examples, pictures, texts, short, pairs, scoring.fusion, scoring.strength
    )
    ablation = ablation_rows(pairs, bank, HubnessConfig().strengths) if ablate else {}
    return SplitReport(
        pictures=len(examples.examples),
        captions=len(examples.captions),
        rows=evaluation_rows(pairs, scoring.fusion, scoring.strength, candidates),
        fold_rows={
            name: mean_recall([part[name] for part in parts])
            for name in (parts[0] if parts else ())
        },
        ablation=ablation,
        calibration=calibration_report(judged, pairs, scoring.calibration),
        coverage=candidate_coverage(pairs, scoring.fusion, scoring.strength, candidates),
    )
