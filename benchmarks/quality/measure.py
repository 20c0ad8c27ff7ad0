"""One run trained and measured, both resumable; its record is what stays in the repository."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from model.alignment import CONCEPT
from model.coding import code_pictures, code_texts
from model.config import RunConfig, read_run_config
from model.evaluate import BankScores, PairScores, evaluation_rows, fit_fusion, score_pairs
from model.export import CANDIDATES, best_network, coverage_figures, recall_figures, run_bank
from model.progress import silent_named
from model.ranks import measuring_device
from model.run import Run, train_run, training_data, validation_split

CONFIGS = Path(__file__).parents[2] / "configs" / "quality"
Tell = Callable[[str], None]


def record(
    name: str, seed: int, data: Path, runs: Path, cache: Path, records: Path, tell: Tell
) -> None:
    """Trains what is left of a run and measures it, unless its record is there.

    Leaves config.json, curve.jsonl and result.json in `records/NAME-SEED`.
    """
    folder, kept = runs / f"{name}-{seed}", records / f"{name}-{seed}"
    if (kept / "result.json").is_file():
        return
    config = read_run_config(CONFIGS / f"{name}.toml")
    training = config.training.model_copy(update={"seed": seed})
    config = config.model_copy(update={"training": training})

    def report(line: dict[str, Any]) -> None:
        if "rsum" in line:
            tell(f"{folder.name}: epoch {line['epoch']}, rsum {line['rsum']}")

    resume = (folder / "config.json").is_file()
    run = train_run(config, data, folder, cache, resume, silent_named, report)
    result = measured(run)
    kept.mkdir(parents=True, exist_ok=True)
    for file in ("config.json", "curve.jsonl"):
        shutil.copyfile(folder / file, kept / file)
    (kept / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    tell(f"{folder.name}: {result['rows']}")


def measured(run: Run) -> dict[str, Any]:
    """Recall of a run's best epoch on the whole validation split, with and without offsets.

    Of a model with concepts also what its trained layers reach by themselves, under "trained".
    """
    config: RunConfig = run.config
    torch.set_num_threads(config.training.threads)
    device = measuring_device(config.training.device)
    network, validation = best_network(run).to(device), validation_split(run.data)
    data = training_data(config, run.knowledge, validation, run.cache, None, silent_named, device)
    pairs, bank = score_pairs(
        network,
        code_pictures(network, data.features),
        code_texts(network, data.texts),
        validation.owners,
        run_bank(run, network),
        config.hubness.beta,
    )
    trained = config.trained_layers
    if not config.model.concepts:
        return _figures(config, pairs, bank, trained)
    figures = _figures(config, pairs, bank, (*trained, CONCEPT))
    return figures | {"trained": _figures(config, pairs, bank, trained)}


def _figures(
    config: RunConfig, pairs: PairScores, bank: BankScores, layers: tuple[str, ...]
) -> dict[str, Any]:
    """Recall of some of the layers, their weights, and what the first stage hands on."""
    with_offsets = fit_fusion(pairs, bank, config.hubness.strengths, layers)
    without = fit_fusion(pairs, bank, (0.0,), layers)
    rows = evaluation_rows(
        with_offsets.pairs, with_offsets.fusion, with_offsets.strength, CANDIDATES
    )
    # Layer weights fitted without offsets, too: those that are fitted with them would do it harm.
    alone = evaluation_rows(without.pairs, without.fusion, 0.0, CANDIDATES)
    rows.update({name: row for name, row in alone.items() if name.endswith("(no offsets)")})
    if "global" not in layers:
        # Without a global layer there is no first stage: every pair is scored.
        rows = {name: row for name, row in rows.items() if name.startswith("exhaustive")}
    elif layers == ("global",):
        rows = {name: row for name, row in rows.items() if name.startswith("global")}
    result: dict[str, Any] = {
        "rows": {name: recall_figures(row) for name, row in rows.items()},
        "fusion": with_offsets.fusion.model_dump(by_alias=True),
        "strength": with_offsets.strength,
    }
    if len(layers) > 1 and "global" in layers:
        result["candidate_coverage"] = coverage_figures(
            with_offsets.pairs, with_offsets.fusion, with_offsets.strength
        )
    return result
