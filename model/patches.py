"""Regions that are the patch tokens of a Hugging Face vision tower in a local folder."""

import numpy as np
from PIL import Image
from torch import Tensor, nn

from model.config import ModelConfig
from model.picture import fit
from model.region_extractor import grid_boxes
from model.tower import VisionTower


class TowerExtractor:
    """The patch tokens of a picture (CLIP, SigLIP, DINOv2 ...)."""

    def __init__(self, config: ModelConfig, device: str = "cpu") -> None:
        self._tower = VisionTower(config, device)

    @property
    def name(self) -> str:
        return f"tower-{self._tower.fingerprint[:16]}-{self._tower.pixels}px"

    @property
    def shape(self) -> tuple[int, ...]:
        return (self._tower.side**2, self._tower.feature_size)

    def trunk(self, pictures: list[Image.Image]) -> np.ndarray:
        return self._look(pictures)[0]

    def boxes(self) -> np.ndarray | None:
        return grid_boxes(self._tower.side)

    def _look(self, pictures: list[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
        pixels = np.stack([fit(picture, self._tower.pixels) for picture in pictures])
        return self._tower.look(pixels)


class EmbeddingTowerExtractor(TowerExtractor):
    """The patch tokens of a picture one after the other, and behind them the tower's embedding."""

    def __init__(self, config: ModelConfig, device: str = "cpu") -> None:
        super().__init__(config, device)
        self._dimension = config.dimension

    @property
    def name(self) -> str:
        return f"{super().name}-embedding"

    @property
    def shape(self) -> tuple[int, ...]:
        patches, size = super().shape
        return (patches * size + self._dimension,)

    def trunk(self, pictures: list[Image.Image]) -> np.ndarray:
        patches, embeddings = self._look(pictures)
        return np.concatenate([patches.reshape(len(patches), -1), embeddings], axis=1)


class PatchTail(nn.Module):
    """The patch tokens out of such an array; nothing trains."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.feature_size, self.dimension = config.regions.feature_size, config.dimension

    def forward(self, arrays: Tensor) -> Tensor:
        """Arrays (B, R * F + D) to region features (B, R, F)."""
        return arrays[:, : -self.dimension].reshape(len(arrays), -1, self.feature_size)
