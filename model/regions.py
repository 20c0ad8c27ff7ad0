"""Which extractor a configuration names, and the tail that stands between it and the heads."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from model.config import ModelConfig, RegionConfig
from model.errors import ConfigError
from model.grid import GridExtractor, GridTail, ServedViews, UntunedGridExtractor
from model.patches import EmbeddingTowerExtractor, PatchTail, TowerExtractor
from model.region_extractor import RegionExtractor


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


def served_extractor(
    config: ModelConfig, device: str = "cpu", half: bool = False
) -> RegionExtractor:
    """What pictures are encoded with outside training: in all views that are served.

    half: a grid's networks compute in bfloat16 (`model/half.py`).
    """
    return _extractor(config, device, config.regions.served_views, half)


def _extractor(config: ModelConfig, device: str, views: int, half: bool = False) -> RegionExtractor:
    match config.regions.kind:
        case "grid":
            grid = GridExtractor(config.regions, device, half)
            seen = ServedViews(grid, views) if views > 1 else grid
            tuned = config.regions.tuned
            return seen if tuned else UntunedGridExtractor(seen, config.regions, device, half)
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
