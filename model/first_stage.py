"""Global vectors that come from elsewhere than the encoders of the fine layers.

The two stages of a search gain from each other what they err on differently. Where both look
through the same tuned networks they err on the same queries (`docs/quality.md`).
"""

from torch import Tensor, nn
from torch.nn import functional

from model import regions
from model.config import ModelConfig
from model.encoders import GlobalPictureEncoder, GlobalTextEncoder
from model.regions import some_regions
from model.words import TextBatch, text_tail


class OwnFirstStage(nn.Module):
    """Two tails and two encoders that make nothing but global vectors."""

    def __init__(self, config: ModelConfig, vocabulary: tuple[str, ...]) -> None:
        super().__init__()
        self.picture_tail = regions.tail(config)
        self.text_tail = text_tail(config.text, vocabulary)
        self.picture_encoder = GlobalPictureEncoder(config)
        self.text_encoder = GlobalTextEncoder(config)

    def pictures(self, arrays: Tensor, kept: float) -> Tensor:
        """Trunk arrays (B, *shape), regions kept with probability `kept`, to (B, D), unit rows."""
        vectors: Tensor = self.picture_encoder(*some_regions(self.picture_tail(arrays), kept))
        return vectors

    def texts(self, batch: TextBatch) -> Tensor:
        """A padded batch of trunk texts to (B, D), unit rows."""
        features = self.text_tail(batch.states, batch.mask, batch.words)
        vectors: Tensor = self.text_encoder(features, batch.present)
        return vectors


class TowerFirstStage:
    """The tower's own embeddings, frozen, which the trunk arrays of both sides carry."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension

    def pictures(self, arrays: Tensor, kept: float) -> Tensor:
        """Trunk arrays (B, R * F + D) to (B, D), unit rows; dropped regions play no part."""
        return functional.normalize(arrays[:, -self._dimension :], dim=-1)

    def texts(self, batch: TextBatch) -> Tensor:
        """A padded batch of trunk texts to (B, D), unit rows."""
        return functional.normalize(batch.embeddings, dim=-1)


def first_stage(
    config: ModelConfig, vocabulary: tuple[str, ...]
) -> OwnFirstStage | TowerFirstStage | None:
    """What gives the global vectors; None where the encoders of the fine layers do."""
    match config.first_stage:
        case "shared":
            return None
        case "own":
            return OwnFirstStage(config, vocabulary)
        case "tower":
            return TowerFirstStage(config.dimension)
