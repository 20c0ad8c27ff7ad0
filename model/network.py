"""The whole network: cached trunk arrays of both sides in, codes and layer scores out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from model import regions
from model.alignment import Alignment, Codes
from model.concepts import Concepts
from model.config import ModelConfig
from model.encoders import PictureEncoder, TextEncoder
from model.first_stage import first_stage
from model.grid import GridTail
from model.half import in_half
from model.regions import some_regions
from model.words import PretrainedTail, TextBatch, text_tail


class Network(nn.Module):
    """Two tails, two encoders, one alignment, and where the global vectors don't come from these
    encoders, the first stage that gives them.

    concepts: what tells the concepts of what it encodes outside training; None without such.
    """

    def __init__(self, config: ModelConfig, vocabulary: tuple[str, ...]) -> None:
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        self.picture_tail = regions.tail(config)
        self.text_tail = text_tail(config.text, vocabulary)
        self.picture_encoder = PictureEncoder(config)
        self.text_encoder = TextEncoder(config)
        self.alignment = Alignment(config.tags, config.assignment, config.directions)
        self.first_stage = first_stage(config, vocabulary)
        # Not a module of this one: nothing of it trains or is stored with the weights.
        self.concepts: Concepts | None = None

    def start_from_pretrained(self) -> None:
        """Fills all tails with the weights that training starts from."""
        for part in self.modules():
            if isinstance(part, GridTail):
                part.start_from_imagenet()
            elif isinstance(part, PretrainedTail):
                part.start_from_pretrained()

    def start_tags_at(self, frequency: np.ndarray) -> None:
        """Sets the tag biases to each tag's share of pictures, (T,) in 0..1."""
        share = torch.from_numpy(frequency).float().clamp(1e-4, 1 - 1e-4)
        for head in (self.picture_encoder.tag_head, self.text_encoder.tag_head):
            with torch.no_grad():
                head.weight.mul_(0.1)
                head.bias.copy_(share.logit())

    def in_half(self) -> Self:
        """Itself as `model/half.py` makes it, for encoding on a CPU; not to train any more."""
        if self.concepts is not None:
            self.concepts.in_half()
        return in_half(self)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        if self.concepts is not None:
            self.concepts.apply(fn)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def pictures(self, arrays: Tensor, kept: float = 1.0) -> Codes:
        """Trunk arrays (B, *shape) to picture codes; `kept` < 1 drops regions at random."""
        codes = self.picture_encoder.codes(*some_regions(self.picture_tail(arrays), kept))
        if self.first_stage is None:
            return codes
        return replace(codes, global_=self.first_stage.pictures(arrays, kept))

    def texts(self, batch: TextBatch) -> Codes:
        """A padded batch of trunk texts to text codes."""
        features = self.text_tail(batch.states, batch.mask, batch.words)
        codes = self.text_encoder.codes(features, batch.present)
        if self.first_stage is None:
            return codes
        return replace(codes, global_=self.first_stage.texts(batch))
