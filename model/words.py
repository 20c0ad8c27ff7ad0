"""Texts to word features in two steps, like regions: a frozen trunk, cached, a tail that trains.

*pretrained*: MiniLM's first layers are the trunk, its last ones the tail, and the pieces of a word
are averaged. *vocabulary*: the trunk looks words up in the model's own vocabulary, the tail is
their embedding.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from model import bert
from model.config import TextConfig
from model.half import in_half
from model.lengths import of_like_length
from model.pretrained import MINILM_TOKENIZER, MINILM_WEIGHTS
from model.traced import Traced

WORD = re.compile(r"\w+(?:['’]\w+)*")
UNKNOWN = 0
MOST_PIECES = 128
TRUNK_BATCH = 64


@dataclass(frozen=True)
class TrunkText:
    """One text after the trunk.

    states: (P, 384) float16 piece states, or (P,) int64 vocabulary numbers; words: (P,) int64, the
    word that a piece belongs to, -1 for none; spans: (L, 2) int32, where a word stands in the text;
    embedding: (D,) float16, what a tower makes of the whole text, empty where there is none.
    """

    states: np.ndarray
    words: np.ndarray
    spans: np.ndarray
    embedding: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.float16))


def some_words(text: TrunkText, kept: float, random: np.random.Generator) -> TrunkText:
    """Each word stays with probability `kept`; a text that would lose all keeps all.

    The pieces of a word that goes are still there for the tail's attention, as in VSE∞'s size
    augmentation (Chen et al., CVPR 2021, 4.1), but no layer of alignment sees the word.
    """
    stays = random.random(len(text.spans)) < kept
    if stays.all() or not stays.any():
        return text
    # The last place is that of pieces without a word, -1.
    number = np.append(np.where(stays, stays.cumsum() - 1, -1), -1)
    return replace(text, words=number[text.words], spans=text.spans[stays])


class TextTrunk(Protocol):
    """The frozen step."""

    def __call__(self, texts: Sequence[str]) -> list[TrunkText]:
        """Any strings, also empty ones or lone surrogates; at most `max_words` words are kept."""


class PretrainedTrunk:
    """MiniLM's tokenizer, embeddings and first layers."""

    def __init__(
        self, config: TextConfig, device: str = "cpu", half: bool = False, traced: bool = False
    ) -> None:
        """half: with the weights of `model/half.py`, for a CPU that is quick with them.
        traced: as a graph (`model/traced.py`), on a CPU.
        """
        self._device = device
        self._tokenizer = Tokenizer.from_file(str(MINILM_TOKENIZER.locate()))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MOST_PIECES)
        layers = bert.LAYERS - config.tuned_layers
        trunk = bert.load_trunk(MINILM_WEIGHTS.locate(), layers).to(device)
        if half:
            in_half(trunk)
        self._run: Callable[[Tensor, Tensor], Tensor] = trunk
        if traced:
            self._run = Traced(trunk, *_padded([torch.arange(5), torch.arange(3)]))
        self._max_words = config.max_words

    def __call__(self, texts: Sequence[str]) -> list[TrunkText]:
        encoded = [self._encode(text) for text in texts]
        states: list[np.ndarray] = [np.empty(0)] * len(texts)
        for part in of_like_length([len(ids) for ids, _, _ in encoded], TRUNK_BATCH):
            ids, mask = _padded([torch.tensor(encoded[i][0]) for i in part])
            with torch.inference_mode():
                states_on_device = self._run(ids.to(self._device), mask.to(self._device))
            batch = states_on_device.half().cpu().numpy()
            for row, i in enumerate(part):
                states[i] = batch[row, : len(encoded[i][0])].copy()
        return [TrunkText(s, e[1], e[2]) for s, e in zip(states, encoded, strict=True)]

    def _encode(self, text: str) -> tuple[list[int], np.ndarray, np.ndarray]:
        encoding = self._tokenizer.encode(encodable(text))
        words = [-1 if word is None else word for word in encoding.word_ids]
        spoken = {
            word
            for word, (start, end) in zip(words, encoding.offsets, strict=True)
            if word >= 0 and WORD.search(text[start:end])
        }
        # A text of punctuation or emoji alone keeps those as its words.
        kept = sorted(spoken or {word for word in words if word >= 0})[: self._max_words]
        number = {word: i for i, word in enumerate(kept)}
        place = np.array([number.get(word, -1) for word in words], dtype=np.int64)
        if not kept:
            place[0] = 0
            return encoding.ids, place, np.array([[0, len(text)]], dtype=np.int32)
        spans = np.zeros((len(kept), 2), dtype=np.int32)
        for i in range(len(kept)):
            pieces = np.flatnonzero(place == i)
            spans[i] = encoding.offsets[pieces[0]][0], encoding.offsets[pieces[-1]][1]
        last = int(np.flatnonzero(place >= 0)[-1]) + 1
        if len(kept) == self._max_words:
            return encoding.ids[:last], place[:last], spans
        return encoding.ids, place, spans


class VocabularyTrunk:
    """The model's own word list; number 0 is every other word."""

    def __init__(self, config: TextConfig, vocabulary: Sequence[str]) -> None:
        self._numbers = {word: i for i, word in enumerate(vocabulary, start=1)}
        self._max_words = config.max_words

    def __call__(self, texts: Sequence[str]) -> list[TrunkText]:
        return [self._look_up(text) for text in texts]

    def _look_up(self, text: str) -> TrunkText:
        found = list(WORD.finditer(text))[: self._max_words]
        if not found:
            return TrunkText(
                np.array([UNKNOWN]), np.array([0]), np.array([[0, len(text)]], dtype=np.int32)
            )
        numbers = [self._numbers.get(match.group().lower(), UNKNOWN) for match in found]
        spans = np.array([match.span() for match in found], dtype=np.int32)
        return TrunkText(np.array(numbers), np.arange(len(found)), spans)


class PretrainedTail(nn.Module):
    """MiniLM's last layers, then the mean of each word's pieces."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.layers = bert.Layers(config.tuned_layers)

    def start_from_pretrained(self) -> None:
        """Fills the layers with the verified weights, where training starts."""
        first = bert.LAYERS - len(self.layers.layers)
        self.layers.load_state_dict(bert.load_layers(MINILM_WEIGHTS.locate(), first).state_dict())

    def forward(self, states: Tensor, mask: Tensor, words: Tensor) -> Tensor:
        """States (B, P, 384), mask (B, P), merging matrix (B, L, P) to words (B, L, 384)."""
        merged: Tensor = words @ self.layers(states, mask)
        return merged


class VocabularyTail(nn.Module):
    """300-d embeddings, trained from scratch."""

    def __init__(self, config: TextConfig, words: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words + 1, config.feature_size)

    def forward(self, states: Tensor, mask: Tensor, words: Tensor) -> Tensor:
        """Vocabulary numbers (B, P), mask (B, P), merging matrix (B, L, P) to (B, L, 300)."""
        merged: Tensor = words @ self.embedding(states)
        return merged


@dataclass(frozen=True)
class TextBatch:
    """Trunk texts padded together.

    states: (B, P, ...); mask: (B, P), True where a piece stands; words: (B, L, P), averages pieces
    to words; present: (B, L), True where a word stands; embeddings: (B, D), D 0 without a tower.
    """

    states: Tensor
    mask: Tensor
    words: Tensor
    present: Tensor
    embeddings: Tensor

    def to(self, device: str) -> "TextBatch":
        """The batch on a device."""
        parts = (self.states, self.mask, self.words, self.present, self.embeddings)
        return TextBatch(*(part.to(device) for part in parts))


def collate(texts: Sequence[TrunkText]) -> TextBatch:
    """Trunk texts to one padded batch; the merging matrix averages the pieces of each word."""
    states, mask = _padded([torch.from_numpy(text.states) for text in texts])
    length = max(len(text.spans) for text in texts)
    merge = np.zeros((len(texts), length, states.shape[1]), dtype=np.float32)
    for row, text in enumerate(texts):
        pieces = np.flatnonzero(text.words >= 0)
        merge[row, text.words[pieces], pieces] = 1
    merge /= np.maximum(merge.sum(2, keepdims=True), 1)
    words = torch.from_numpy(merge)
    return TextBatch(
        states.float() if states.is_floating_point() else states,
        mask,
        words,
        words.sum(2) > 0,
        torch.from_numpy(np.stack([text.embedding for text in texts])).float(),
    )


def encodable(text: str) -> str:
    """The text with one character in place of each lone surrogate, which can't be encoded."""
    return text.encode("utf-8", "replace").decode("utf-8")


def word_trunk(
    config: TextConfig,
    vocabulary: Sequence[str],
    device: str = "cpu",
    half: bool = False,
    traced: bool = False,
) -> TextTrunk:
    """The trunk of the words that a configuration names. half, traced: as of `PretrainedTrunk`."""
    if config.kind == "pretrained":
        return PretrainedTrunk(config, device, half, traced)
    return VocabularyTrunk(config, vocabulary)


def text_tail(config: TextConfig, vocabulary: Sequence[str]) -> PretrainedTail | VocabularyTail:
    """The trainable part that belongs to it."""
    if config.kind == "pretrained":
        return PretrainedTail(config)
    return VocabularyTail(config, len(vocabulary))


def build_vocabulary(captions: Iterable[str], minimum_count: int) -> tuple[str, ...]:
    """The words that at least `minimum_count` captions hold, most frequent first."""
    counts: Counter[str] = Counter()
    for caption in captions:
        counts.update({match.group().lower() for match in WORD.finditer(caption)})
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(word for word, count in ranked if count >= minimum_count)


def _padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    batch = nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    return batch, torch.arange(batch.shape[1])[None, :] < lengths[:, None]
