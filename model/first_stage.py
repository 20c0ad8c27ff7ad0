"""Global vectors from tuned networks of their own.

The two stages of a search gain from each other what they err on differently. Where both look
through the same tuned networks they err on the same queries (`docs/quality.md`).
"""

from torch import Tensor, nn

from model import regions
from model.config import ModelConfig
from model.encoders import GlobalPictureEncoder, GlobalTextEncoder
from model.words import TextBatch, text_tail


class FirstStage(nn.Module):
    """Two tails and two encoders that make nothing but global vectors."""

    def __init__(self, config: ModelConfig, vocabulary: tuple[str, ...]) -> None:
        super().__init__()
        self.picture_tail = regions.tail(config.regions)
        self.text_tail = text_tail(config.text, vocabulary)
        self.picture_encoder = GlobalPictureEncoder(config)
        self.text_encoder = GlobalTextEncoder(config)

    def pictures(self, features: Tensor, present: Tensor) -> Tensor:
        """Region features (B, R, F) and which regions are there, (B, R), to (B, D), unit rows."""
        vectors: Tensor = self.picture_encoder(features, present)
        return vectors

    def texts(self, batch: TextBatch) -> Tensor:
        """A padded batch of trunk texts to (B, D), unit rows."""
        features = self.text_tail(batch.states, batch.mask, batch.words)
        vectors: Tensor = self.text_encoder(features, batch.present)
        return vectors
