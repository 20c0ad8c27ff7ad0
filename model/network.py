"""The whole network: cached trunk arrays of both sides in, codes and layer scores out."""

import numpy as np
import torch
from torch import Tensor, nn

from model import regions
from model.alignment import Alignment, Codes
from model.config import ModelConfig
from model.encoders import PictureEncoder, TextEncoder
from model.words import PretrainedTail, TextBatch, text_tail


class Network(nn.Module):
    """Two tails, two encoders, one alignment."""

    def __init__(self, config: ModelConfig, vocabulary: tuple[str, ...]) -> None:
        super().__init__()
        self.config = config
        self.picture_tail = regions.tail(config.regions)
        self.text_tail = text_tail(config.text, vocabulary)
        self.picture_encoder = PictureEncoder(config)
        self.text_encoder = TextEncoder(config)
        self.alignment = Alignment(config.tags, config.assignment, config.directions)

    def start_from_pretrained(self) -> None:
        """Fills both tails with the weights that training starts from."""
        if isinstance(self.picture_tail, regions.GridTail):
            self.picture_tail.start_from_imagenet()
        if isinstance(self.text_tail, PretrainedTail):
            self.text_tail.start_from_pretrained()

    def start_tags_at(self, frequency: np.ndarray) -> None:
        """Sets the tag biases to each tag's share of pictures, (T,) in 0..1."""
        share = torch.from_numpy(frequency).float().clamp(1e-4, 1 - 1e-4)
        for head in (self.picture_encoder.tag_head, self.text_encoder.tag_head):
            with torch.no_grad():
                head.weight.mul_(0.1)
                head.bias.copy_(share.logit())

    def pictures(self, arrays: Tensor, kept: float = 1.0) -> Codes:
        """Trunk arrays (B, *shape) to picture codes; `kept` < 1 drops regions at random."""
        features = self.picture_tail(arrays)
        # An absent region of a precomputed file is a row of zeros.
        present = features.abs().sum(-1) > 0
        present = _dropped(present | ~present.any(1, keepdim=True), kept)
        codes: Codes = self.picture_encoder(features, present)
        return codes

    def texts(self, batch: TextBatch) -> Codes:
        """A padded batch of trunk texts to text codes."""
        features = self.text_tail(batch.states, batch.mask, batch.words)
        codes: Codes = self.text_encoder(features, batch.present)
        return codes


def _dropped(present: Tensor, kept: float) -> Tensor:
    """Each region stays with probability `kept`; a picture that would lose all keeps all."""
    if kept >= 1:
        return present
    stays = present & (torch.rand(present.shape, device=present.device) < kept)
    return torch.where(stays.any(1, keepdim=True), stays, present)
