"""Regions that are the cells of a convolutional network's last map (Jiang et al., CVPR 2020)."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from model import efficientnet
from model.config import RegionConfig
from model.half import HalfNetwork, in_half
from model.picture import fit
from model.region_extractor import RegionExtractor, grid_boxes
from model.views import laid_over, served_views


class GridExtractor:
    """EfficientNet-Lite2 up to the blocks that may be tuned."""

    def __init__(self, config: RegionConfig, device: str = "cpu", half: bool = False) -> None:
        self._config, self._device = config, device
        self._trunk = efficientnet.load_trunk().to(device)
        if half:
            self._trunk.rest = HalfNetwork(self._trunk.rest)

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
        views = [
            self._inner.trunk([view.of(picture) for picture in pictures])
            for view in served_views(self._views)
        ]
        return np.stack(views, axis=1)

    def boxes(self) -> np.ndarray | None:
        return self._inner.boxes()


class GridTail(nn.Module):
    """The tuned blocks, then the map pooled to side x side regions."""

    def __init__(self, config: RegionConfig) -> None:
        super().__init__()
        self.tail = efficientnet.load_tail(pretrained=False)
        self.pool = nn.AdaptiveAvgPool2d(config.side)

    def start_from_imagenet(self) -> None:
        """Fills the blocks with the verified ImageNet weights, where training starts."""
        self.tail.load_state_dict(efficientnet.load_tail(pretrained=True).state_dict())

    def forward(self, activations: Tensor) -> Tensor:
        """Activations to region features (B, side * side, 1280).

        activations: (B, 120, h, w), or (B, views, 120, h, w) of the views that are served.
        """
        if activations.ndim == 4:
            activations = activations[:, None]
        maps = torch.stack([self.tail(view) for view in activations.unbind(1)], dim=1)
        features: Tensor = self.pool(laid_over(maps))
        return features.flatten(2).transpose(1, 2)


class UntunedGridExtractor:
    """Regions from ImageNet's own last blocks behind a grid's trunk: nothing is left to tune."""

    def __init__(
        self, inner: RegionExtractor, config: RegionConfig, device: str, half: bool = False
    ) -> None:
        self._inner, self._config, self._device = inner, config, device
        self._tail = GridTail(config).to(device).eval().requires_grad_(False)
        self._tail.start_from_imagenet()
        if half:
            in_half(self._tail)

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
