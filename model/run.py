"""A training run on disk: data in, run folder out.

config.json     the run's configuration         knowledge.json   vocabulary and tags
run.json        data and cache folders          curve.jsonl, curve.png   losses and recall
checkpoint.pt   to resume from                  best.pt          averaged weights, best epoch
"""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.config import RunConfig
from model.curve import plot_curve
from model.dataset import Split, read_split
from model.dataset_precomputed import features_file
from model.errors import ConfigError, DataError
from model.json_file import read_json
from model.knowledge import Knowledge, learn_words
from model.progress import NamedProgress, silent_named
from model.ranks import ranks
from model.run_data import refuse_other_data, split_record
from model.train import Trainer, TrainingData
from model.trunk_arrays import caption_arrays, picture_arrays
from model.whole_file import write_whole

Report = Callable[[dict[str, Any]], None]
TRAINING_SPLIT = "train"
DEV_PICTURES = 1000


@dataclass(frozen=True)
class Run:
    """What a run folder says of itself."""

    folder: Path
    config: RunConfig
    knowledge: Knowledge
    data: Path
    cache: Path


def validation_split(data: Path) -> Split:
    """The split `val`, or of the field's precomputed folders the first 1,000 pictures of `dev`.

    VSE++ and SCAN choose their models on the first 5,000 captions of `dev`, which has 5,070 for
    Flickr30K and 25,000 for MSCOCO. Raises DataError.
    """
    if (data / "captions.jsonl").is_file() or not features_file(data, "dev").is_file():
        return read_split(data, "val")
    return read_split(data, "dev").first(DEV_PICTURES)


def run_splits(folder: Path, data: Path) -> tuple[Split, Split]:
    """The splits that a run in a folder trains and validates on.

    Raises DataError naming file and line when they can't be read, and what differs when the run was
    begun with others.
    """
    splits = read_split(data, TRAINING_SPLIT), validation_split(data)
    refuse_other_data(folder, data, splits)
    return splits


def train_run(
    config: RunConfig,
    data: Path,
    out: Path,
    cache: Path,
    resume: bool,
    progress: NamedProgress,
    report: Report,
) -> Run:
    """Trains, or goes on training with `resume`, where the folder's own configuration counts.

    Raises ConfigError when `out` already holds a run and `resume` was not asked for, or holds none
    and it was; DataError as `run_splits` does, and for a picture of both splits. Under `torchrun`
    all processes call this alike; the first one reports and writes.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError("the curve is drawn with matplotlib: install sightline[train]")
    begun = (out / "config.json").is_file()
    if begun and not resume:
        raise ConfigError(f"{out} already holds a run: --resume goes on, another --out starts anew")
    if resume and not begun:
        raise ConfigError(f"{out} holds no run to resume")
    if begun:
        config = _read_config(out)
    with ranks(config.training.device) as joined:
        # Nobody writes to the folder before everybody has looked at it.
        joined.wait()
        progress = progress if joined.first else silent_named
        training, validation = run_splits(out, data)
        _refuse_common_pictures(training, validation)
        knowledge = learn_words(config, training)
        if begun and knowledge != read_knowledge(out):
            raise DataError(f"{data}: its captions are not those that {out} was begun with")
        views = config.training.views
        with joined.first_goes_first():
            prepared = (
                training_data(config, knowledge, training, cache, views, progress, joined.device),
                training_data(config, knowledge, validation, cache, None, progress, joined.device),
            )
        trainer = Trainer(config, knowledge, *prepared, out, joined)
        if joined.first:
            places = {"data": str(data.resolve()), "cache": str(cache.resolve())}
            splits = {split.name: split_record(split) for split in (training, validation)}
            write_whole(out / "run.json", json.dumps({**places, "splits": splits}) + "\n")
        if resume:
            trainer.resume()
        trainer.run(report)
        if joined.first:
            plot_curve(out / "curve.jsonl", out / "curve.png")
    return Run(out, config, knowledge, data, cache)


def read_run(folder: Path) -> Run:
    """A run that was trained before. Raises DataError when the folder holds none."""
    places = _read_part(folder / "run.json")
    return Run(
        folder,
        _read_config(folder),
        read_knowledge(folder),
        Path(places["data"]),
        Path(places["cache"]),
    )


def read_knowledge(folder: Path) -> Knowledge:
    """The vocabulary and tags of a run. Raises DataError when the folder holds none."""
    found = _read_part(folder / "knowledge.json")
    return Knowledge(tuple(found["vocabulary"]), tuple(found["tags"]))


def training_data(
    config: RunConfig,
    knowledge: Knowledge,
    split: Split,
    cache: Path,
    views: int | None,
    progress: NamedProgress,
    device: str = "cpu",
) -> TrainingData:
    """A split with its trunk arrays, computed on the device where the cache has none.

    views: how many to train on; None for what is served.
    """
    features = picture_arrays(
        config.model,
        split,
        cache,
        views,
        lambda done, all_: progress("pictures", done, all_),
        device,
    )
    texts = caption_arrays(
        config.model,
        knowledge.vocabulary,
        split.captions,
        cache,
        lambda done, all_: progress("captions", done, all_),
        device,
    )
    return TrainingData(split, features, texts)


def _refuse_common_pictures(training: Split, validation: Split) -> None:
    common = {e.id for e in training.examples} & {e.id for e in validation.examples}
    if common:
        way_out = (
            'give each line its "split"'
            if training.regions is None
            else "where ids count anew in each split, take the *_ids.txt files away"
        )
        raise DataError(
            f"{len(common)} pictures are in both {training.name} and {validation.name}, "
            f"{min(common)} among them: {way_out}"
        )


def _read_part(file: Path) -> Any:
    try:
        return read_json(file)
    except DataError as error:
        raise DataError(f"not a training run: {error}") from error


def _read_config(folder: Path) -> RunConfig:
    file = folder / "config.json"
    try:
        return RunConfig.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from error
