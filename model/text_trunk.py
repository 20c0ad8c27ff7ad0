"""The frozen step of the text side: words, and with a tower's first stage its embedding."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from model.config import ModelConfig
from model.text_tower import TextTower
from model.words import TextTrunk, TrunkText, word_trunk


class EmbeddingTrunk:
    """The words of one trunk with a tower's embeddings of the whole texts."""

    def __init__(self, words: TextTrunk, tower: TextTower) -> None:
        self._words, self._tower = words, tower

    def __call__(self, texts: Sequence[str]) -> list[TrunkText]:
        return with_embeddings(self._words(texts), self._tower(texts))


def with_embeddings(texts: Sequence[TrunkText], embeddings: np.ndarray) -> list[TrunkText]:
    """Trunk texts with the rows of (texts, D)."""
    return [replace(text, embedding=row) for text, row in zip(texts, embeddings, strict=True)]


def text_trunk(
    config: ModelConfig,
    vocabulary: Sequence[str],
    device: str = "cpu",
    half: bool = False,
    traced: bool = False,
) -> TextTrunk:
    """The trunk that a configuration names, its networks on a device. half, traced: as of its
    words.
    """
    words = word_trunk(config.text, vocabulary, device, half, traced)
    if config.first_stage == "tower":
        return EmbeddingTrunk(words, TextTower(config, device))
    return words
