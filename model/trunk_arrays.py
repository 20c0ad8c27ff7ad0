"""Trunk arrays of a whole split: from the cache, computed where missing, or as they came."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.config import ModelConfig
from model.dataset import Split
from model.errors import DataError
from model.feature_cache import FeatureCache
from model.progress import Progress
from model.regions import extractor
from model.words import TrunkText, text_trunk

TEXT_BATCH = 512


def picture_arrays(
    config: ModelConfig, split: Split, cache: Path, views: int, progress: Progress
) -> np.ndarray:
    """(pictures, views, *shape); precomputed features have one view. Raises DataError."""
    if config.regions.kind != "precomputed":
        return FeatureCache(cache, extractor(config.regions), split.examples, views).fill(progress)
    size = config.regions.feature_size
    for example in split.examples:
        if example.features is None:
            raise DataError(
                f"{example.id}: a picture file, but regions.kind is precomputed: the data set has "
                f"to hold {split.name}_ims.npy"
            )
        if example.features.shape[1] != size:
            raise DataError(
                f"{example.id}: features of {example.features.shape[1]}; the model takes {size}"
            )
    features = np.stack([np.asarray(example.features) for example in split.examples])
    broken = np.flatnonzero(~np.isfinite(features).all(axis=(1, 2)))
    if len(broken):
        raise DataError(
            f"{split.name}_ims.npy: the features of picture {broken[0]} hold values that are no "
            "number"
        )
    return features[:, None]


def caption_arrays(
    config: ModelConfig,
    vocabulary: tuple[str, ...],
    captions: Sequence[str],
    cache: Path,
    progress: Progress,
) -> list[TrunkText]:
    """Trunk texts of all captions; the pretrained trunk's are kept in the cache."""
    if config.text.kind == "vocabulary":
        return text_trunk(config.text, vocabulary)(captions)
    name = json.dumps([config.text.tuned_layers, config.text.max_words, *captions])
    file = cache / f"text-minilm-{hashlib.sha256(name.encode()).hexdigest()[:16]}.npz"
    if file.is_file():
        return _unpack(file)
    trunk = text_trunk(config.text, vocabulary)
    texts: list[TrunkText] = []
    for start in range(0, len(captions), TEXT_BATCH):
        texts += trunk(captions[start : start + TEXT_BATCH])
        progress(len(texts), len(captions))
    cache.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new.npz")
    np.savez(
        fresh,
        states=np.concatenate([text.states for text in texts]),
        words=np.concatenate([text.words for text in texts]),
        spans=np.concatenate([text.spans for text in texts]),
        pieces=np.array([len(text.states) for text in texts]),
        lengths=np.array([len(text.spans) for text in texts]),
    )
    fresh.rename(file)
    return texts


def _unpack(file: Path) -> list[TrunkText]:
    with np.load(file, allow_pickle=False) as arrays:
        pieces, lengths = np.cumsum(arrays["pieces"])[:-1], np.cumsum(arrays["lengths"])[:-1]
        return [
            TrunkText(states, words, spans)
            for states, words, spans in zip(
                np.split(arrays["states"], pieces),
                np.split(arrays["words"], pieces),
                np.split(arrays["spans"], lengths),
                strict=True,
            )
        ]
