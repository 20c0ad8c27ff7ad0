"""Fixtures of the model room: tiny data sets, a trained run, its bundle, a matcher."""

from pathlib import Path
from typing import Any

import pytest

from model.bundle import Bundle, load_bundle
from model.export import Edition, export_run
from model.matcher import Matcher
from model.run import Run, train_run
from tests.model.samples import PRECOMPUTED_RUN, write_captioned_folder, write_precomputed_folder


@pytest.fixture(scope="session")
def captioned_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighteen training and eight validation drawings with five captions each."""
    return write_captioned_folder(tmp_path_factory.mktemp("captioned") / "data")


@pytest.fixture(scope="session")
def precomputed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same scenes as features in the field's precomputed format."""
    return write_precomputed_folder(tmp_path_factory.mktemp("precomputed") / "data")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, precomputed_folder: Path) -> Run:
    """A finished run of two epochs on the precomputed features."""
    folder = tmp_path_factory.mktemp("trained")
    return train_run(
        PRECOMPUTED_RUN, precomputed_folder, folder / "run", folder / "cache", False, quiet, ignore
    )


@pytest.fixture(scope="session")
def trained_bundle(tmp_path_factory: pytest.TempPathFactory, trained: Run) -> Bundle:
    """What that run exports."""
    folder = tmp_path_factory.mktemp("exported") / "bundle"
    export_run(trained, folder, Edition("tiny"))
    return load_bundle(folder)


@pytest.fixture(scope="session")
def matcher(toy_bundle: Path) -> Matcher:
    """The toy bundle, ready to answer, in float32 on every machine."""
    return Matcher(load_bundle(toy_bundle), half=False)


def quiet(what: str, done: int, total: int) -> None:
    """Takes progress and keeps it to itself."""


def ignore(line: dict[str, Any]) -> None:
    """Takes a line of the curve and keeps it to itself."""
