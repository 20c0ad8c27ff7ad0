"""Training on tiny data: it learns, it survives being killed, it refuses what it should."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.config import RunConfig
from model.dataset import read_split
from model.errors import ConfigError, DataError
from model.export import Edition, export_run
from model.knowledge import learn_words
from model.run import read_run, train_run, validation_split
from tests.model.conftest import ignore, quiet
from tests.model.samples import (
    GRID_RUN,
    PRECOMPUTED_RUN,
    captions_of,
    scene_id,
    write_precomputed_folder,
    write_precomputed_split,
    write_vocabulary,
)


class KilledError(Exception):
    """Stands for the signal that ends a run."""


def kill_at(epoch: int, step: int | None) -> Callable[[dict[str, Any]], None]:
    """A report that ends the run at a step, or where the epoch's line is given out."""

    def report(line: dict[str, Any]) -> None:
        if line["epoch"] == epoch and line.get("step") == step:
            raise KilledError

    return report


def train(
    config: RunConfig,
    data: Path,
    folder: Path,
    resume: bool = False,
    report: Callable[[dict[str, Any]], None] = ignore,
):
    return train_run(config, data, folder / "run", folder / "cache", resume, quiet, report)


def lines_of(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "run" / "curve.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def longer(config: RunConfig, **changes: Any) -> RunConfig:
    return config.model_copy(update={"training": config.training.model_copy(update=changes)})


def test_two_epochs_on_pictures_lower_the_loss_and_leave_a_whole_run(
    tmp_path: Path, captioned_folder: Path
) -> None:
    reported: list[dict[str, Any]] = []
    run = train(GRID_RUN, captioned_folder, tmp_path, report=reported.append)
    lines = lines_of(tmp_path)
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[1]["train_loss"] < lines[0]["train_loss"]
    for line in lines:
        figures = [value for name, value in line.items() if name != "epoch"]
        assert np.isfinite(figures).all()
        assert {"rsum", "val_global", "val_entity", "val_relation", "val_semantic"} <= line.keys()
        assert all(0 <= line[name] <= 600 for name in line if name.startswith("val_"))
    assert [line for line in reported if "step" not in line] == lines
    steps = [(line["epoch"], line["step"], line["steps"]) for line in reported if "step" in line]
    assert steps == [(1, 1, 3), (1, 2, 3), (1, 3, 3), (2, 1, 3), (2, 2, 3), (2, 3, 3)]
    assert {file.name for file in (tmp_path / "run").iterdir()} == {
        "best.pt",
        "checkpoint.pt",
        "config.json",
        "curve.jsonl",
        "curve.png",
        "knowledge.json",
        "run.json",
    }
    assert read_run(run.folder) == run


def test_training_longer_recalls_what_was_learned(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_precomputed_split(data, "train", range(12))
    write_precomputed_split(data, "dev", range(12))
    longer_run = longer(PRECOMPUTED_RUN, epochs=14, patience=14, ema=0.5, learning_rate=1e-2)
    train(longer_run, data, tmp_path)
    lines = lines_of(tmp_path)
    assert lines[-1]["train_loss"] < 0.7 * lines[0]["train_loss"]
    # Chance among twelve pictures and sixty captions is about 240.
    assert lines[-1]["rsum"] > 450


def states(folder: Path) -> dict[str, Any]:
    return {
        name: torch.load(folder / "run" / f"{name}.pt", map_location="cpu", weights_only=True)
        for name in ("best", "checkpoint")
    }


def assert_equal(one: Any, other: Any, where: str = "") -> None:
    if isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=0, msg=lambda text: f"{where}: {text}")
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key, value in one.items():
            assert_equal(value, other[key], f"{where}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f"{where}/{number}")
    else:
        assert one == other, where


def assert_same_run(one: Path, other: Path) -> None:
    """The same weights, the same state to resume from, the same curve but for the clock."""
    assert_equal(states(one), states(other))
    curves = [
        [{k: v for k, v in line.items() if k != "train_s"} for line in lines_of(folder)]
        for folder in (one, other)
    ]
    assert curves[0] == curves[1]


THREE_EPOCHS = longer(PRECOMPUTED_RUN, epochs=3, batch_pictures=9)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, precomputed_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(THREE_EPOCHS, precomputed_folder, folder)
    return folder


@pytest.mark.parametrize("moments", [[(1, None)], [(2, 1)], [(1, 1)], [(1, None), (2, 2), (3, 1)]])
def test_killed_and_resumed_equals_uninterrupted(
    tmp_path: Path,
    precomputed_folder: Path,
    uninterrupted: Path,
    moments: list[tuple[int, int | None]],
) -> None:
    for number, moment in enumerate(moments):
        with pytest.raises(KilledError):
            train(THREE_EPOCHS, precomputed_folder, tmp_path, number > 0, kill_at(*moment))
    # What is asked for on the command line does not change a run that has begun.
    train(longer(THREE_EPOCHS, epochs=9), precomputed_folder, tmp_path, resume=True)
    assert_same_run(tmp_path, uninterrupted)


@pytest.mark.parametrize("epoch", [1, 2])
def test_killed_between_a_line_and_its_checkpoint_the_line_is_not_doubled(
    tmp_path: Path, precomputed_folder: Path, uninterrupted: Path, epoch: int
) -> None:
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    earlier: bytes | None = None
    for finished in range(1, epoch + 1):
        earlier = checkpoint.read_bytes() if checkpoint.is_file() else None
        with pytest.raises(KilledError):
            train(THREE_EPOCHS, precomputed_folder, tmp_path, finished > 1, kill_at(finished, None))
    # The line of the last epoch is written; the checkpoint is still the one before it.
    if earlier is None:
        checkpoint.unlink()
    else:
        checkpoint.write_bytes(earlier)
    assert [line["epoch"] for line in lines_of(tmp_path)] == [1, 2][:epoch]
    train(THREE_EPOCHS, precomputed_folder, tmp_path, resume=True)
    assert_same_run(tmp_path, uninterrupted)


def forget_the_data(folder: Path) -> None:
    """Makes a run one of before: those kept no record of their data."""
    places = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    del places["splits"]
    (folder / "run.json").write_text(json.dumps(places), encoding="utf-8")


def swap_captions(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([*lines[5:10], *lines[:5], *lines[10:]]) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # Words and tags stay what they were in all of these.
        (
            lambda data: swap_captions(data / "train_caps.txt"),
            r"ids or captions of train are not those that .*run was begun with",
        ),
        (
            lambda data: swap_captions(data / "dev_caps.txt"),
            r"ids or captions of dev are not those that .*run was begun with",
        ),
        (
            lambda data: write_precomputed_split(data, "train", range(18), ids=True),
            r"ids or captions of train are not those that .*run was begun with",
        ),
        (
            lambda data: write_precomputed_split(data, "dev", range(18, 29)),
            r"11 pictures in dev; .*run was begun with 12",
        ),
        (
            lambda data: [file.rename(data / f"val{file.name[3:]}") for file in data.glob("dev_*")],
            r"holds val, but .*run was begun with train, dev",
        ),
    ],
)
def test_a_run_neither_goes_on_nor_is_exported_with_other_data(
    tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    data = write_precomputed_folder(tmp_path / "data")
    with pytest.raises(KilledError):
        train(THREE_EPOCHS, data, tmp_path, report=kill_at(1, None))
    change(data)
    with pytest.raises(DataError, match=message):
        train(THREE_EPOCHS, data, tmp_path, resume=True)
    with pytest.raises(DataError, match=message):
        export_run(read_run(tmp_path / "run"), tmp_path / "bundle", Edition("other"))


def test_a_run_of_before_is_exported_goes_on_and_then_knows_its_data(
    tmp_path: Path, precomputed_folder: Path, uninterrupted: Path
) -> None:
    with pytest.raises(KilledError):
        train(THREE_EPOCHS, precomputed_folder, tmp_path, report=kill_at(2, None))
    kept = (tmp_path / "run" / "run.json").read_bytes()
    forget_the_data(tmp_path / "run")
    export_run(read_run(tmp_path / "run"), tmp_path / "bundle", Edition("before"))
    train(THREE_EPOCHS, precomputed_folder, tmp_path, resume=True)
    assert_same_run(tmp_path, uninterrupted)
    assert (tmp_path / "run" / "run.json").read_bytes() == kept


def test_resuming_leaves_what_the_run_was_begun_with_untouched(
    tmp_path: Path, precomputed_folder: Path
) -> None:
    with pytest.raises(KilledError):
        train(THREE_EPOCHS, precomputed_folder, tmp_path, report=kill_at(1, None))
    files = [tmp_path / "run" / name for name in ("config.json", "knowledge.json")]
    before = [(file.stat().st_ino, file.stat().st_mtime_ns) for file in files]
    train(THREE_EPOCHS, precomputed_folder, tmp_path, resume=True)
    assert [(file.stat().st_ino, file.stat().st_mtime_ns) for file in files] == before


def test_a_run_does_not_go_on_with_other_words_and_tags(tmp_path: Path) -> None:
    data = write_precomputed_folder(tmp_path / "data")
    with pytest.raises(KilledError):
        train(PRECOMPUTED_RUN, data, tmp_path, report=kill_at(1, None))
    before = read_run(tmp_path / "run")
    forget_the_data(tmp_path / "run")
    captions = data / "train_caps.txt"
    captions.write_text(captions.read_text(encoding="utf-8").replace("paper", "carton"))
    with pytest.raises(DataError, match=r"its captions are not those that .* was begun with"):
        train(PRECOMPUTED_RUN, data, tmp_path, resume=True)
    assert read_run(tmp_path / "run") == before


@pytest.mark.parametrize(
    ("epochs", "warm_up"), [(1, 0.0), (1, 0.1), (3, 0.0), (3, 0.1), (3, 0.3), (3, 0.99)]
)
def test_a_short_run_has_a_schedule_for_any_warm_up(
    tmp_path: Path, precomputed_folder: Path, epochs: int, warm_up: float
) -> None:
    train(longer(PRECOMPUTED_RUN, epochs=epochs, warm_up=warm_up), precomputed_folder, tmp_path)
    assert [line["epoch"] for line in lines_of(tmp_path)] == [*range(1, epochs + 1)]


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path, precomputed_folder: Path) -> None:
    train(PRECOMPUTED_RUN, precomputed_folder, tmp_path)
    before, lines = states(tmp_path), lines_of(tmp_path)
    train(PRECOMPUTED_RUN, precomputed_folder, tmp_path, resume=True)
    assert_equal(states(tmp_path), before)
    assert lines_of(tmp_path) == lines


def test_the_average_is_what_is_kept_and_the_weights_are_what_trains_on(
    tmp_path: Path, precomputed_folder: Path
) -> None:
    train(longer(PRECOMPUTED_RUN, epochs=1), precomputed_folder, tmp_path)
    found = states(tmp_path)
    average, weights = found["checkpoint"]["average"], found["checkpoint"]["network"]
    assert_equal(found["best"], {**weights, **average})
    assert any(not torch.equal(average[name], weights[name]) for name in average)


def test_training_twice_gives_the_same_and_another_seed_does_not(
    tmp_path: Path, precomputed_folder: Path
) -> None:
    one_epoch = longer(PRECOMPUTED_RUN, epochs=1)
    for name, config in (
        ("one", one_epoch),
        ("two", one_epoch),
        ("other", longer(one_epoch, seed=5)),
    ):
        train(config, precomputed_folder, tmp_path / name)
    one, two, other = (states(tmp_path / name)["best"] for name in ("one", "two", "other"))
    assert_equal(one, two)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_run_stops_when_the_rsum_no_longer_rises(
    tmp_path: Path, precomputed_folder: Path
) -> None:
    frozen = longer(
        PRECOMPUTED_RUN, epochs=9, patience=2, learning_rate=1e-12, backbone_rate=0, ema=0.0
    )
    train(frozen, precomputed_folder, tmp_path)
    lines = lines_of(tmp_path)
    assert len(lines) == 3
    assert len({line["rsum"] for line in lines}) == 1


def test_a_folder_that_holds_a_run_is_refused_without_resume(
    tmp_path: Path, precomputed_folder: Path, uninterrupted: Path
) -> None:
    before = (uninterrupted / "run" / "checkpoint.pt").read_bytes()
    with pytest.raises(ConfigError, match="already holds a run: --resume"):
        train(PRECOMPUTED_RUN, precomputed_folder, uninterrupted)
    assert (uninterrupted / "run" / "checkpoint.pt").read_bytes() == before
    with pytest.raises(ConfigError, match="holds no run to resume"):
        train(PRECOMPUTED_RUN, precomputed_folder, tmp_path, resume=True)


def test_nothing_is_left_behind_where_the_data_cannot_be_read(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_precomputed_split(data, "train", range(6))
    write_precomputed_split(data, "dev", range(6, 9))
    (data / "dev_caps.txt").write_text("one caption\n")
    with pytest.raises(DataError, match=r"dev_caps\.txt:1"):
        train(PRECOMPUTED_RUN, data, tmp_path)
    assert not (tmp_path / "run").exists()


def test_pictures_for_a_model_of_precomputed_features_are_refused(
    tmp_path: Path, captioned_folder: Path
) -> None:
    with pytest.raises(DataError, match=r"regions\.kind is precomputed"):
        train(PRECOMPUTED_RUN, captioned_folder, tmp_path)


def test_features_of_another_size_are_refused(tmp_path: Path, precomputed_folder: Path) -> None:
    regions = PRECOMPUTED_RUN.model.regions.model_copy(update={"feature_size": 2048})
    model = PRECOMPUTED_RUN.model.model_copy(update={"regions": regions})
    with pytest.raises(DataError, match="features of 24; the model takes 2048"):
        train(PRECOMPUTED_RUN.model_copy(update={"model": model}), precomputed_folder, tmp_path)


def test_the_validation_split_is_dev_in_the_precomputed_format(
    captioned_folder: Path, precomputed_folder: Path
) -> None:
    assert validation_split(captioned_folder).name == "val"
    assert validation_split(precomputed_folder).name == "dev"


def test_a_picture_of_both_training_and_validation_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_precomputed_split(data, "train", range(8), ids=True)
    write_precomputed_split(data, "dev", range(7, 12), ids=True)
    with pytest.raises(DataError, match=rf"both train and dev, {scene_id(7)} .*_ids\.txt"):
        train(PRECOMPUTED_RUN, data, tmp_path)


def test_features_that_are_no_numbers_stop_a_run_with_their_row(tmp_path: Path) -> None:
    data = write_precomputed_folder(tmp_path / "data")
    features = np.load(data / "train_ims.npy")
    features[5, 2, 1] = np.nan
    np.save(data / "train_ims.npy", features)
    with pytest.raises(DataError, match=r"train_ims\.npy: row 5 holds values that are no number"):
        train(PRECOMPUTED_RUN, data, tmp_path)


def test_words_and_tags_come_from_the_training_captions(precomputed_folder: Path) -> None:
    found = learn_words(PRECOMPUTED_RUN, read_split(precomputed_folder, "train"))
    words = {word for caption in captions_of(0) for word in caption.replace(",", "").split()}
    assert words <= set(found.vocabulary)
    assert len(found.tags) == 8
    assert "ground" in found.tags and "the" not in found.tags


def test_a_published_vocabulary_takes_the_place_of_the_captions_own(
    tmp_path: Path, precomputed_folder: Path
) -> None:
    words = ("square", "circle", "'s", "red", "nowhere")
    file = write_vocabulary(tmp_path / "vocabulary.json", words)
    text = PRECOMPUTED_RUN.model.text.model_copy(update={"vocabulary_file": str(file)})
    model = PRECOMPUTED_RUN.model.model_copy(update={"text": text})
    config = longer(PRECOMPUTED_RUN.model_copy(update={"model": model}), epochs=1)
    run = train(config, precomputed_folder, tmp_path)
    assert run.knowledge.vocabulary == words
    weights = states(tmp_path)["best"]["text_tail.embedding.weight"]
    assert len(weights) == len(words) + 1  # number 0 is every other word
    # The run keeps its words: the file may go.
    file.unlink()
    assert read_run(run.folder).knowledge.vocabulary == words


def test_more_tags_than_the_captions_hold_are_refused(precomputed_folder: Path) -> None:
    model = PRECOMPUTED_RUN.model.model_copy(update={"tags": 500})
    config = PRECOMPUTED_RUN.model_copy(update={"model": model})
    with pytest.raises(DataError, match=r"model\.tags asks for 500"):
        learn_words(config, read_split(precomputed_folder, "train"))


def test_a_folder_that_holds_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=rf"^not a training run: {tmp_path}/run\.json: No such file"
    ):
        read_run(tmp_path)


def test_global_vectors_may_learn_from_the_fine_layers_alone(
    tmp_path: Path, precomputed_folder: Path
) -> None:
    others = {f"{loss}_weight": 0.0 for loss in ("global", "semantic", "tag", "consistency")}
    distilled = longer(PRECOMPUTED_RUN, epochs=8, patience=8, ema=0.5, learning_rate=1e-2, **others)
    train(distilled, precomputed_folder, tmp_path)
    lines = lines_of(tmp_path)
    assert "train_global" not in lines[0]
    assert lines[-1]["train_distillation"] < 0.8 * lines[0]["train_distillation"]
    assert lines[-1]["val_global"] > lines[0]["val_global"]


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": "hinge", "distillation_weight": 0.0},
        {"objective": "hinge", "all_negatives": 0.0},
        {"distillation_weight": 0.0, "tag_weight": 0.0, "consistency_weight": 0.0},
        {"global_weight": 0.0, "semantic_weight": 0.0},
        {"batch_pictures": 64, "captions_per_picture": 5, "neighbours": 0.0},
    ],
)
def test_every_loss_may_be_left_out(
    tmp_path: Path, precomputed_folder: Path, changes: dict[str, Any]
) -> None:
    train(longer(PRECOMPUTED_RUN, epochs=1, **changes), precomputed_folder, tmp_path)
    (line,) = lines_of(tmp_path)
    assert np.isfinite(line["train_loss"])
    for loss, weight in (
        ("tags", "tag_weight"),
        ("global", "global_weight"),
    ):
        config = longer(PRECOMPUTED_RUN, **changes).training
        assert (f"train_{loss}" in line) is (getattr(config, weight) > 0)
