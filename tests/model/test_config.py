"""Run configurations."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import ValidationError

from model.config import (
    ModelConfig,
    RegionConfig,
    RunConfig,
    TextConfig,
    TrainingConfig,
    read_run_config,
)
from model.errors import ConfigError

LOSSES = ("global", "entity", "relation", "semantic", "tag", "consistency")


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "run.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_no_file_means_the_defaults() -> None:
    assert read_run_config(None) == RunConfig()


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    text = '[model]\ndimension = 64\n[model.text]\nkind = "vocabulary"\n[training]\nepochs = 2\n'
    found = read_run_config(written(tmp_path, text))
    assert (found.model.dimension, found.model.text.kind, found.training.epochs) == (
        64,
        "vocabulary",
        2,
    )
    assert found.model.fine_dimension == RunConfig().model.fine_dimension
    assert found.hubness == RunConfig().hubness


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[training]\nepochs = 0\n", ["training.epochs", "greater than or equal to 1"]),
        ("[model]\ndropout = 1.5\n", ["model.dropout", "less than 1"]),
        ("[model.text]\nmax_words = 65\n", ["model.text.max_words", "less than or equal to 64"]),
        ("[training]\nlearning_rat = 1\n", ["training.learning_rat", "not permitted"]),
        ("[model.regions]\nkind = 'detector'\n", ["model.regions.kind", "grid", "precomputed"]),
        ("[training]\nepochs = 'many'\n", ["training.epochs", "integer"]),
        ("[training]\nlearning_rate = nan\n", ["training.learning_rate", "finite"]),
        ("[training]\nlearning_rate = inf\n", ["training.learning_rate", "finite"]),
        ("[model.text]\nfeature_size = 300\n", ["model.text", "feature_size", "384"]),
        ("[model.regions]\nfeature_size = 2048\n", ["model.regions", "feature_size", "1280"]),
        ("[model.regions]\npixels = 300\n", ["model.regions", "pixels: 300", "multiple of 32"]),
        ("[model.text]\nvocabulary_file = 'v'\n", ["model.text", "vocabulary_file", "only for"]),
        ("[model]\nfirst_stage = 'tower'\n", ["model: first_stage: tower needs", "it is grid"]),
        (
            "[training]\n" + "".join(f"{loss}_weight = 0\n" for loss in LOSSES),
            ["toml: training: every loss", "weight 0"],
        ),
        (
            "[training]\n" + "".join(f"{layer}_weight = 0\n" for layer in LOSSES[:4]),
            ["toml: training: global_weight, entity_weight", "all 0"],
        ),
        ("[training]\nseed = -1\n", ["training.seed", "greater than or equal to 0"]),
        ("[training]\nseed = 4294967296\n", ["training.seed", "less than 4294967296"]),
        (
            "[hubness]\nstrengths = [0.4, -0.5]\n",
            ["hubness.strengths.1", "greater than or equal to 0"],
        ),
        ("[training\n", ["line 1"]),
    ],
)
def test_a_wrong_value_is_named_with_its_file_and_limit(
    tmp_path: Path, text: str, names: list[str]
) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        read_run_config(file)
    assert str(raised.value).startswith(f"{file}: ")
    assert all(name in str(raised.value) for name in names)


@pytest.mark.parametrize(
    ("first_stage", "layers"), [("shared", ()), ("tower", ()), ("tower", ("global",))]
)
def test_a_run_that_would_train_nothing_is_refused(
    first_stage: Literal["shared", "tower"], layers: tuple[str, ...]
) -> None:
    weights = {f"{loss}_weight": float(loss in layers) for loss in LOSSES}
    model = ModelConfig(first_stage=first_stage, regions=RegionConfig(kind="tower", folder="t"))
    with pytest.raises(ValidationError, match="every loss that would train something has weight 0"):
        RunConfig(model=model, training=TrainingConfig(**weights))
    RunConfig(model=model, training=TrainingConfig(**{**weights, "entity_weight": 1.0}))


@pytest.mark.parametrize(
    ("first_stage", "weights", "layers"),
    [
        ("shared", {}, ("global", "entity", "relation", "semantic")),
        ("shared", {"global_weight": 0, "relation_weight": 0}, ("global", "entity", "semantic")),
        ("shared", {"global_weight": 0, "distillation_weight": 0}, LOSSES[1:4]),
        # Nothing is distilled from the semantic layer, and nothing into a tower's embeddings.
        ("own", {"global_weight": 0, "entity_weight": 0, "relation_weight": 0}, ("semantic",)),
        ("tower", {"global_weight": 0}, LOSSES[1:4]),
    ],
)
def test_layers_that_a_loss_scores_are_trained(
    first_stage: Literal["shared", "own", "tower"],
    weights: dict[str, float],
    layers: tuple[str, ...],
) -> None:
    model = ModelConfig(first_stage=first_stage, regions=RegionConfig(kind="tower", folder="t"))
    found = RunConfig(model=model, training=TrainingConfig(**weights))
    assert found.trained_layers == layers


def test_every_wrong_field_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.keep.*training\.seed"):
        read_run_config(written(tmp_path, "[model]\nkeep = 0\n[training]\nseed = 'x'\n"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: No such file"):
        read_run_config(tmp_path / "none.toml")


def test_a_configuration_survives_json_and_cannot_be_changed() -> None:
    config = RunConfig()
    assert RunConfig.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ValidationError, match="frozen"):
        config.model.dimension = 3  # type: ignore[misc]


def test_a_bundle_of_another_format_is_refused() -> None:
    with pytest.raises(ValidationError, match="format"):
        ModelConfig.model_validate({"format": 2})


def test_a_file_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_bytes(b"# \xff\n")
    with pytest.raises(ConfigError, match=r"run\.toml: 'utf-8' codec"):
        read_run_config(file)


def test_parts_that_bring_no_network_may_have_any_size() -> None:
    regions = RegionConfig(kind="precomputed", feature_size=2048, pixels=300)
    text = TextConfig(kind="vocabulary", feature_size=300)
    assert (regions.feature_size, text.feature_size) == (2048, 300)
