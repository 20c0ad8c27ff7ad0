"""Trunk arrays of a whole split: from the cache, computed where missing, or as they came."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.config import ModelConfig
from model.dataset import Split
from model.errors import DataError
from model.feature_cache import FeatureCache
from model.progress import Progress
from model.regions import extractor, served_extractor
from model.text_tower import TextTower
from model.text_trunk import with_embeddings
from model.tower import tower_fingerprint
from model.whole_file import whole_file
from model.words import TrunkText, word_trunk

TEXT_BATCH = 512


@dataclass(frozen=True)
class PictureArrays:
    """Trunk arrays of pictures, read from a memory-mapped file when they are asked for.

    file: what a message names; array: (rows, views, *shape); rows: (pictures,) int64, where each
    picture stands in it.
    """

    file: str
    array: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.rows)

    def __getitem__(self, part: slice) -> np.ndarray:
        """The first view of some pictures, (n, *shape). Raises DataError as `seen` does."""
        return self._read(self.rows[part], 0)

    @property
    def views(self) -> int:
        """How many views there are of each picture."""
        return int(self.array.shape[1])

    def seen(self, pictures: np.ndarray, views: np.ndarray) -> np.ndarray:
        """Pictures (n,), each in one of its views (n,), as a copy: (n, *shape).

        Raises DataError naming the file's row that holds what is no number.
        """
        return self._read(self.rows[pictures], views)

    def take(self, pictures: slice | np.ndarray) -> "PictureArrays":
        """Some of the pictures; nothing is read."""
        return PictureArrays(self.file, self.array, self.rows[pictures])

    def _read(self, rows: np.ndarray, views: np.ndarray | int) -> np.ndarray:
        read = np.asarray(self.array[rows, views])
        broken = np.flatnonzero(~np.isfinite(read).reshape(len(read), -1).all(1))
        if len(broken):
            raise DataError(f"{self.file}: row {rows[broken[0]]} holds values that are no number")
        # Files may come from a machine of the other byte order, which torch doesn't take.
        return read.astype(read.dtype.newbyteorder("="), copy=False)


def picture_arrays(
    config: ModelConfig,
    split: Split,
    cache: Path,
    views: int | None,
    progress: Progress,
    device: str = "cpu",
) -> PictureArrays:
    """What the pictures of a split are encoded from; precomputed features have one view.

    views: how many to train on; None for what is served, whose views are averaged. device: where
    the trunk makes what the cache lacks. Raises DataError where the split's pictures are not of
    the configuration's kind.
    """
    if config.regions.kind != "precomputed":
        made_by = served_extractor if views is None else extractor
        filled = FeatureCache(cache, made_by(config, device), split.examples, views or 1)
        return PictureArrays(str(cache), filled.fill(progress), np.arange(len(split.examples)))
    regions = split.regions
    if regions is None:
        raise DataError(
            f"{split.examples[0].id}: a picture file, but regions.kind is precomputed: the data "
            f"set has to hold {split.name}_ims.npy"
        )
    if regions.features.shape[2] != config.regions.feature_size:
        raise DataError(
            f"{regions.file}: features of {regions.features.shape[2]}; the model takes "
            f"{config.regions.feature_size}"
        )
    return PictureArrays(str(regions.file), regions.features[:, None], regions.rows)


def caption_arrays(
    config: ModelConfig,
    vocabulary: tuple[str, ...],
    captions: Sequence[str],
    cache: Path,
    progress: Progress,
    device: str = "cpu",
) -> list[TrunkText]:
    """Trunk texts of all captions; what pretrained networks gave is kept in the cache."""
    words = _words(config, vocabulary, captions, cache, progress, device)
    if config.first_stage != "tower":
        return words
    return with_embeddings(words, _embeddings(config, captions, cache, progress, device))


def _embeddings(
    config: ModelConfig, captions: Sequence[str], cache: Path, progress: Progress, device: str
) -> np.ndarray:
    name = json.dumps([tower_fingerprint(config.regions), *captions])
    file = cache / f"text-tower-{hashlib.sha256(name.encode()).hexdigest()[:16]}.npy"
    if file.is_file():
        kept: np.ndarray = np.load(file)
        return kept
    tower = TextTower(config, device)
    embeddings = np.empty((len(captions), config.dimension), dtype=np.float16)
    for start in range(0, len(captions), TEXT_BATCH):
        part = captions[start : start + TEXT_BATCH]
        embeddings[start : start + len(part)] = tower(part)
        progress(start + len(part), len(captions))
    cache.mkdir(parents=True, exist_ok=True)
    with whole_file(file, shared=True) as stream:
        np.save(stream, embeddings)
    return embeddings


def _words(
    config: ModelConfig,
    vocabulary: tuple[str, ...],
    captions: Sequence[str],
    cache: Path,
    progress: Progress,
    device: str,
) -> list[TrunkText]:
    if config.text.kind == "vocabulary":
        return word_trunk(config.text, vocabulary)(captions)
    name = json.dumps([config.text.tuned_layers, config.text.max_words, *captions])
    file = cache / f"text-minilm-{hashlib.sha256(name.encode()).hexdigest()[:16]}.npz"
    if file.is_file():
        return _unpack(file)
    trunk = word_trunk(config.text, vocabulary, device)
    texts: list[TrunkText] = []
    for start in range(0, len(captions), TEXT_BATCH):
        texts += trunk(captions[start : start + TEXT_BATCH])
        progress(len(texts), len(captions))
    cache.mkdir(parents=True, exist_ok=True)
    with whole_file(file, shared=True) as stream:
        np.savez(
            stream,
            states=np.concatenate([text.states for text in texts]),
            words=np.concatenate([text.words for text in texts]),
            spans=np.concatenate([text.spans for text in texts]),
            pieces=np.array([len(text.states) for text in texts]),
            lengths=np.array([len(text.spans) for text in texts]),
        )
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
