"""Region extractors: a picture in, candidate regions out, in two steps.

The frozen *trunk* turns pictures into arrays that are worth caching; the *tail* is the part of the
network that turns those into region features and may be tuned. Boxes belong to the extractor.
"""

from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from model import efficientnet
from model.config import ModelConfig, RegionConfig
from model.errors import ConfigError
from model.picture import fit
from model.tower import VisionTower
from model.views import laid_over, served_view


class RegionExtractor(Protocol):
    """One of the kinds: grid, tower, precomputed."""

    @property
    def name(self) -> str:
        """What the cached arrays depend on; part of the cache's folder name."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what `trunk` gives for one picture."""

    def trunk(self, pictures: list[Image.Image]) -> np.ndarray:
        """Pictures to float16 arrays (B, *shape)."""

    def boxes(self) -> np.ndarray | None:
        """Boxes (R, 4) as fractions of the picture; None when each picture has its own."""


def grid_boxes(side: int) -> np.ndarray:
    """Boxes [x0, y0, x1, y1] of a side x side grid, row by row, (side * side, 4) float32.

    >>> grid_boxes(2)[1].tolist()
    [0.5, 0.0, 1.0, 0.5]
    """
    rows, columns = np.divmod(np.arange(side * side), side)
    return np.stack([columns, rows, columns + 1, rows + 1], axis=1).astype(np.float32) / side


class GridExtractor:
    """Cells of EfficientNet-Lite2's last map (Jiang et al., CVPR 2020: grid features)."""

    def __init__(self, config: RegionConfig, device: str = "cpu") -> None:
        self._config, self._device = config, device
        self._trunk = efficientnet.load_trunk().to(device)

    @property
    def name(self) -> str:
        return f"grid-efficientnet-lite2-block{efficientnet.CUT_BLOCK}-{self._config.pixels}px"

    @property
    def shape(self) -> tuple[int, ...]:
        side = -(-self._config.pixels // 16)
        return (120, side, side)

    def trunk(self, pictures: list[Image.Image]) -> np.ndarray:
        pixels = np.stack([fit(picture, self._config.pixels) for picture in pictures])
        batch = torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            activations = self._trunk(batch).to(torch.float16).contiguous()
        result: np.ndarray = activations.cpu().numpy()
        return result

    def boxes(self) -> np.ndarray | None:
        return grid_boxes(self._config.side)


class ServedViews:
    """What another extractor gives of each view that a picture is served in, stacked."""

    def __init__(self, inner: RegionExtractor, views: int) -> None:
        self._inner, self._views = inner, views

    @property
    def name(self) -> str:
        return f"{self._inner.name}-{self._views}views"

    @property
    def shape(self) -> tuple[int, ...]:
        return (self._views, *self._inner.shape)

    def trunk(self, pictures: list[Image.Image]) -> np.ndarray:
        return np.stack(
            [
                self._inner.trunk([served_view(picture, number) for picture in pictures])
                for number in range(self._views)
            ],
            axis=1,
        )

    def boxes(self) -> np.ndarray | None:
        return self._inner.boxes()


class GridTail(nn.Module):
    """The tuned blocks, then the map pooled to side x side regions."""

    def __init__(self, config: RegionConfig) -> None:
        super().__init__()
        self.tail = efficientnet.load_tail(pretrained=False)
        self.pool = nn.AdaptiveAvgPool2d(config.side)
        self.early = config.early

    def start_from_imagenet(self) -> None:
        """Fills the blocks with the verified ImageNet weights, where training starts."""
        self.tail.load_state_dict(efficientnet.load_tail(pretrained=True).state_dict())

    def forward(self, activations: Tensor) -> Tensor:
        """Activations to region features (B, side * side, 1280 or 1400).

        activations: (B, 120, h, w), or (B, views, 120, h, w) of the views that are served.
        """
        if activations.ndim == 4:
            activations = activations[:, None]
        maps = torch.stack([self.tail(view) for view in activations.unbind(1)], dim=1)
        features: Tensor = self.pool(laid_over(maps))
        if self.early:
            features = torch.cat([features, self.pool(laid_over(activations))], dim=1)
        return features.flatten(2).transpose(1, 2)


class UntunedGridExtractor:
    """Regions from ImageNet's own last blocks behind a grid's trunk: nothing is left to tune."""

    def __init__(self, inner: RegionExtractor, config: RegionConfig, device: str) -> None:
        self._inner, self._config, self._device = inner, config, device
        self._tail = GridTail(config).to(device).eval().requires_grad_(False)
        self._tail.start_from_imagenet()

    @property
    def name(self) -> str:
        return f"{self._inner.name}-{self._config.side}x{self._config.feature_size}"

    @property
    def shape(self) -> tuple[int, ...]:
        return (self._config.side**2, self._config.feature_size)

    def trunk(self, pictures: list[Image.Image]) -> np.ndarray:
        activations = torch.from_numpy(self._inner.trunk(pictures)).float().to(self._device)
        with torch.inference_mode():
            features = self._tail(activations).to(torch.float16).contiguous()
        result: np.ndarray = features.cpu().numpy()
        return result

    def boxes(self) -> np.ndarray | None:
        return self._inner.boxes()


class TowerExtractor:
    """Patch tokens of a Hugging Face vision tower in a local folder (CLIP, SigLIP, DINOv2 ...)."""

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


class PrecomputedExtractor:
    """Features made elsewhere (bottom-up attention); pictures can't be encoded from pixels."""

    def __init__(self, config: RegionConfig) -> None:
        self._config = config

    @property
    def name(self) -> str:
        return f"precomputed-{self._config.feature_size}"

    @property
    def shape(self) -> tuple[int, ...]:
        return (36, self._config.feature_size)

    def trunk(self, pictures: list[Image.Image]) -> np.ndarray:
        raise ConfigError(
            "this model reads precomputed region features and has no network that makes them from "
            "a photo; index a data set in the precomputed format, or use a grid or tower model"
        )

    def boxes(self) -> np.ndarray | None:
        return None


def extractor(config: ModelConfig, device: str = "cpu") -> RegionExtractor:
    """The extractor that a configuration names, its network on a device, for training."""
    return _extractor(config, device, views=1)


def served_extractor(config: ModelConfig, device: str = "cpu") -> RegionExtractor:
    """What pictures are encoded with outside training: in all views that are served."""
    return _extractor(config, device, config.regions.served_views)


def _extractor(config: ModelConfig, device: str, views: int) -> RegionExtractor:
    match config.regions.kind:
        case "grid":
            grid = GridExtractor(config.regions, device)
            seen = ServedViews(grid, views) if views > 1 else grid
            tuned = config.regions.tuned
            return seen if tuned else UntunedGridExtractor(seen, config.regions, device)
        case "tower":
            tower = EmbeddingTowerExtractor if config.first_stage == "tower" else TowerExtractor
            return tower(config, device)
        case "precomputed":
            return PrecomputedExtractor(config.regions)


def tail(config: ModelConfig) -> nn.Module:
    """The part between cached arrays and region features, which trains where it has weights."""
    if config.first_stage == "tower":
        return PatchTail(config)
    grid = config.regions.kind == "grid" and config.regions.tuned
    return GridTail(config.regions) if grid else nn.Identity()


def some_regions(features: Tensor, kept: float) -> tuple[Tensor, Tensor]:
    """Region features (B, R, F) and which of them count, (B, R), each with probability `kept`."""
    # An absent region of a precomputed file is a row of zeros.
    present = features.abs().sum(-1) > 0
    return features, _dropped(present | ~present.any(1, keepdim=True), kept)


def _dropped(present: Tensor, kept: float) -> Tensor:
    """Each region stays with probability `kept`; a picture that would lose all keeps all."""
    if kept >= 1:
        return present
    stays = present & (torch.rand(present.shape, device=present.device) < kept)
    return torch.where(stays.any(1, keepdim=True), stays, present)
