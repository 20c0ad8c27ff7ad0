"""The bundle of random weights."""

from pathlib import Path

import numpy as np

from model.bundle import load_bundle
from model.config import TextConfig
from model.matcher import Matcher
from model.toy import SENTENCES, SIZES, write_toy_bundle


def test_the_toy_bundle_may_have_pretrained_words(tmp_path: Path) -> None:
    text = TextConfig(kind="pretrained", recurrent_size=8)
    folder = write_toy_bundle(tmp_path / "toy", SIZES.model_copy(update={"text": text}))
    bundle = load_bundle(folder)
    assert bundle.config.text == text
    for item in Matcher(bundle).encode_texts(SENTENCES[:2]):
        assert np.isfinite(item.vector).all()
