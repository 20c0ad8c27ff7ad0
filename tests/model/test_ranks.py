"""Several processes that train one model, and where training computes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.errors import ConfigError
from model.ranks import measuring_device, ranks
from model.run import read_run, train_run
from tests.model.conftest import ignore, quiet
from tests.model.samples import PRECOMPUTED_RUN, WITHOUT_CHANCE

ROOT = Path(__file__).resolve().parents[2]


def torchrun(processes: int, *arguments: str | Path) -> None:
    """Runs a module of ours in so many processes on this machine."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={processes}", "-m", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr


def curve_of(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "curve.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "train_s"} for line in lines]


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory, precomputed_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("two")
    torchrun(2, "tests.model.train_ranks", precomputed_folder, folder)
    return folder


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory: pytest.TempPathFactory, precomputed_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("one")
    train_run(
        WITHOUT_CHANCE, precomputed_folder, folder / "run", folder / "cache", False, quiet, ignore
    )
    return folder


def weights(file: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(file, weights_only=True)
    return found


def test_two_ranks_end_with_the_same_weights(two_ranks: Path) -> None:
    first, second = weights(two_ranks / "rank0.pt"), weights(two_ranks / "rank1.pt")
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=0)


def test_no_thread_of_the_group_outlives_the_training(two_ranks: Path) -> None:
    for rank in (0, 1):
        threads = (two_ranks / f"rank{rank}.threads").read_text().split()
        assert threads and not [name for name in threads if "gloo" in name]


def test_two_ranks_lower_the_loss(two_ranks: Path) -> None:
    lines = curve_of(two_ranks / "run")
    assert [line["epoch"] for line in lines] == [1, 2]
    assert np.isfinite([value for line in lines for value in line.values()]).all()
    assert lines[1]["train_loss"] < lines[0]["train_loss"]


def test_two_ranks_take_the_steps_that_one_takes(one_rank: Path, two_ranks: Path) -> None:
    alone, together = curve_of(one_rank / "run"), curve_of(two_ranks / "run")
    assert alone[0].keys() == together[0].keys()
    for one, other in zip(alone, together, strict=True):
        for name in one:
            if name.startswith("train_"):
                assert other[name] == pytest.approx(one[name], rel=1e-3), name
    found = weights(two_ranks / "rank0.pt")
    for name, value in weights(one_rank / "run" / "checkpoint.pt")["network"].items():
        # A softmax ignores these biases: what moves them is how sums were rounded.
        if not name.endswith(("score.2.bias", "key.bias")):
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-4)


def test_the_command_trains_under_torchrun_and_one_process_goes_on(
    tmp_path: Path, precomputed_folder: Path
) -> None:
    sections = {
        "model": PRECOMPUTED_RUN.model.model_dump(exclude_none=True, exclude={"format"}),
        "training": {"epochs": 1, "batch_pictures": 7},
    }
    config = tmp_path / "run.toml"
    config.write_text(as_toml(sections))
    run, cache = tmp_path / "run", tmp_path / "cache"
    arguments = ["--data", precomputed_folder, "--out", run, "--cache", cache, "--config", config]
    torchrun(2, "service", "train", *arguments)
    assert {file.name for file in run.iterdir()} == {
        "best.pt",
        "checkpoint.pt",
        "config.json",
        "curve.jsonl",
        "curve.png",
        "knowledge.json",
        "run.json",
    }
    (line,) = curve_of(run)
    longer = json.loads((run / "config.json").read_text())
    longer["training"]["epochs"] = 2
    (run / "config.json").write_text(json.dumps(longer))
    train_run(PRECOMPUTED_RUN, precomputed_folder, run, cache, True, quiet, ignore)
    assert curve_of(run)[0] == line and len(curve_of(run)) == 2
    assert read_run(run).config.training.epochs == 2


def as_toml(table: dict[str, Any], name: str = "") -> str:
    """Nested tables of numbers and strings, which JSON spells as TOML does."""
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    text = f"[{name}]\n" if name else ""
    text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in plain.items())
    for key, value in table.items():
        if isinstance(value, dict):
            text += as_toml(value, f"{name}.{key}".lstrip("."))
    return text


def test_a_process_alone_is_the_first_and_only_rank() -> None:
    with ranks("cpu") as alone:
        assert (alone.rank, alone.count, alone.first, alone.device) == (0, 1, True, "cpu")
        rows = torch.ones(3, 2)
        assert alone.gather(rows, [3]) is rows
        assert alone.agree([1.5, 2]) == [1.5, 2]


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_a_gpu_that_is_not_there_is_refused_and_auto_does_without(
    tmp_path: Path, precomputed_folder: Path
) -> None:
    training = PRECOMPUTED_RUN.training.model_copy(update={"device": "cuda"})
    config = PRECOMPUTED_RUN.model_copy(update={"training": training})
    with pytest.raises(ConfigError, match=r"training\.device is cuda, but .* no usable GPU"):
        train_run(config, precomputed_folder, tmp_path / "run", tmp_path, False, quiet, ignore)
    assert not (tmp_path / "run").exists()
    with ranks("auto") as found:
        assert found.device == "cpu"
    # But what it trained elsewhere can be looked at.
    assert measuring_device("cuda") == "cpu"


def test_half_precision_learns_and_keeps_its_weights_in_full(
    tmp_path: Path, precomputed_folder: Path, one_rank: Path
) -> None:
    training = WITHOUT_CHANCE.training.model_copy(update={"precision": "bfloat16"})
    config = WITHOUT_CHANCE.model_copy(update={"training": training})
    train_run(config, precomputed_folder, tmp_path / "run", tmp_path, False, quiet, ignore)
    rounded, exact = curve_of(tmp_path / "run"), curve_of(one_rank / "run")
    assert rounded[1]["train_loss"] < rounded[0]["train_loss"]
    # Eight bits of mantissa: near the loss in full precision, and not equal to it.
    assert rounded[0]["train_loss"] == pytest.approx(exact[0]["train_loss"], rel=0.03)
    assert rounded[0]["train_loss"] != exact[0]["train_loss"]
    assert {v.dtype for v in weights(tmp_path / "run" / "best.pt").values()} == {torch.float32}
