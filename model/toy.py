"""A bundle with random weights from a fixed seed: real code on every path, answers without meaning.

For tests and for trying an installation: it needs no pretrained text model and takes a second.
"""

from pathlib import Path

import numpy as np
import torch

from model.bank import draw
from model.bundle import Scoring, write_bundle
from model.calibration import Calibration, Direction, Logistic
from model.coding import code_pictures, code_texts
from model.config import HubnessConfig, ModelConfig, RegionConfig, TextConfig
from model.fusion import Fusion
from model.network import Network
from model.regions import extractor
from model.text_trunk import text_trunk
from model.words import build_vocabulary

SENTENCES = (
    "a brown dog runs across the grass",
    "two children play with a red ball on the beach",
    "a man in a blue shirt rides a bicycle down the street",
    "a woman holds a cup of coffee near the window",
    "a black cat sleeps on a green sofa",
    "people walk through the snow in the city",
    "a bird flies over the water at sunset",
    "a boy climbs a rock in the mountains",
)
TAGS = ("dog", "child", "ball", "man", "woman", "cat", "snow", "water")
SIZES = ModelConfig(
    regions=RegionConfig(kind="grid", pixels=64, side=2),
    text=TextConfig(kind="vocabulary", feature_size=16, recurrent_size=8, minimum_count=1),
    dimension=32,
    fine_dimension=16,
    head_size=16,
    attention_size=8,
    keep=4,
    relations=2,
    tags=len(TAGS),
)
LOGISTIC = Logistic(slope=4.0, words=0.0, bias=-3.0)


def write_toy_bundle(folder: Path, config: ModelConfig = SIZES) -> Path:
    """Writes the toy bundle of these sizes into `folder` and returns the folder."""
    random = np.random.default_rng(0)
    own_words = config.text.kind == "vocabulary"
    vocabulary = build_vocabulary(SENTENCES, config.text.minimum_count) if own_words else ()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network(config, vocabulary).eval()
        network.start_from_pretrained()
    shape = extractor(config).shape
    arrays = random.random((12, *shape), dtype=np.float32).astype(np.float16)
    texts = text_trunk(config, vocabulary)(SENTENCES)
    sizes = HubnessConfig(global_captions=8, global_pictures=12, fine_captions=4, fine_pictures=4)
    bank = draw(code_pictures(network, arrays), code_texts(network, texts), sizes)
    direction = Direction(total=LOGISTIC, first_stage=LOGISTIC, no_match_below=0.2)
    scoring = Scoring(
        fusion=Fusion(),
        beta=sizes.beta,
        strength=0.5,
        calibration=Calibration(text_to_image=direction, image_to_text=direction),
    )
    write_bundle(
        folder,
        "toy",
        network,
        scoring,
        vocabulary,
        TAGS,
        bank,
        {"note": "random weights; nothing was measured"},
        "# toy\n\nRandom weights from a fixed seed, for tests. Its answers mean nothing.\n",
    )
    return folder
