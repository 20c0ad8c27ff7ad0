"""The whole network: cached trunk arrays of both sides in, codes and layer scores out."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from model import regions
from model.alignment import Alignment, Codes
from model.config import ModelConfig
from model.encoders import PictureEncoder, TextEncoder
from model.first_stage import FirstStage
from model.words import PretrainedTail, TextBatch, text_tail


class Network(nn.Module):
    """Two tails, two encoders, one alignment; with `first_stage = "own"` the global vectors come
    from tails and encoders beside them.
    """

    def __init__(self, config: ModelConfig, vocabulary: tuple[str, ...]) -> None:
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        self.picture_tail = regions.tail(config.regions)
        self.text_tail = text_tail(config.text, vocabulary)
        self.picture_encoder = PictureEncoder(config)
        self.text_encoder = TextEncoder(config)
        self.alignment = Alignment(config.tags, config.assignment, config.directions)
        self.first_stage = FirstStage(config, vocabulary) if config.first_stage == "own" else None

    def start_from_pretrained(self) -> None:
        """Fills all tails with the weights that training starts from."""
        for part in self.modules():
            if isinstance(part, regions.GridTail):
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

    def pictures(self, arrays: Tensor, kept: float = 1.0) -> Codes:
        """Trunk arrays (B, *shape) to picture codes; `kept` < 1 drops regions at random."""
        features, present = _some(self.picture_tail(arrays), kept)
        codes = self.picture_encoder.codes(features, present)
        if self.first_stage is None:
            return codes
        features, present = _some(self.first_stage.picture_tail(arrays), kept)
        return replace(codes, global_=self.first_stage.pictures(features, present))

    def texts(self, batch: TextBatch) -> Codes:
        """A padded batch of trunk texts to text codes."""
        features = self.text_tail(batch.states, batch.mask, batch.words)
        codes = self.text_encoder.codes(features, batch.present)
        if self.first_stage is None:
            return codes
        return replace(codes, global_=self.first_stage.texts(batch))


def _some(features: Tensor, kept: float) -> tuple[Tensor, Tensor]:
    """Region features and which of them count, (B, R)."""
    # An absent region of a precomputed file is a row of zeros.
    present = features.abs().sum(-1) > 0
    return features, _dropped(present | ~present.any(1, keepdim=True), kept)


def _dropped(present: Tensor, kept: float) -> Tensor:
    """Each region stays with probability `kept`; a picture that would lose all keeps all."""
    if kept >= 1:
        return present
    stays = present & (torch.rand(present.shape, device=present.device) < kept)
    return torch.where(stays.any(1, keepdim=True), stays, present)
