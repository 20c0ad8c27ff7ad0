"""Trunk arrays of a whole split: from the cache, computed where missing, or as they came."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from model.config import ModelConfig
from model.dataset import Split
from model.errors import DataError
from model.feature_cache import FeatureCache
from model.regions import extractor, grid_boxes
from model.words import TrunkText, text_trunk

Progress = Callable[[int, int], None]
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
    return features[:, None]


def picture_boxes(config: ModelConfig, split: Split) -> np.ndarray | None:
    """Candidate boxes, (1, R, 4) shared or (pictures, R, 4) of their own; None without boxes."""
    if config.regions.kind == "precomputed":
        if any(example.boxes is None for example in split.examples):
            return None
        return np.stack([np.asarray(example.boxes) for example in split.examples])
    if config.regions.kind == "grid":
        return grid_boxes(config.regions.side)[None]
    boxes = extractor(config.regions).boxes()
    return None if boxes is None else boxes[None]


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
