"""The configurations of Flickr30K and MSCOCO: the paper's sizes, and a network that runs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model.config import read_run_config
from model.network import Network
from model.text_trunk import text_trunk
from model.words import collate

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.toml"))


def test_both_data_sets_have_one() -> None:
    assert [file.stem for file in CONFIGS] == ["coco", "flickr30k"]


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_sizes_are_the_papers_and_the_network_runs(file: Path) -> None:
    config = read_run_config(file)
    model = config.model
    assert (model.regions.kind, model.keep, model.regions.feature_size) == ("precomputed", 36, 2048)
    assert (model.dimension, model.fine_dimension) == (1024, 1024)
    assert (model.text.kind, model.text.feature_size) == ("vocabulary", 300)
    assert model.text.recurrent_size == 1024
    assert config.training.validation_pictures == 1000
    torch.manual_seed(0)
    words = ("dog", "runs")
    network = Network(model, words)
    features = np.random.default_rng(0).random((2, 36, 2048), dtype=np.float32)
    pictures = network.pictures(torch.from_numpy(features))
    texts = network.texts(collate(text_trunk(model, words)(["a dog runs", "snow", "a dog"])))
    assert pictures.global_.shape == (2, 1024) and texts.global_.shape == (3, 1024)
    assert pictures.entity.vectors.shape == (2, 36, 1024)
    scores = network.alignment(pictures, texts)
    assert scores.entity.shape == (2, 3) and torch.isfinite(scores.entity).all()
