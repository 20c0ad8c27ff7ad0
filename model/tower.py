"""Any Hugging Face vision tower in a local folder: its patch tokens are the regions.

Needs the extra `tower` (transformers). Nothing is downloaded; weights are read from safetensors
files only. CLIP and SigLIP folders hold two towers, of which this takes the vision one.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.config import RegionConfig
from model.errors import ConfigError
from model.pretrained import file_sha256

HALF = [0.5, 0.5, 0.5]


class VisionTower:
    """Patch tokens of the last layer, frozen."""

    def __init__(self, regions: RegionConfig, device: str = "cpu") -> None:
        try:
            from transformers import AutoModel
        except ImportError as error:
            raise ConfigError(
                "regions.kind tower needs transformers: install sightline[tower]"
            ) from error
        path, pixels = tower_folder(regions), regions.pixels
        model: Any = AutoModel.from_pretrained(
            path, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        self._model = getattr(model, "vision_model", model).eval().requires_grad_(False).to(device)
        config = self._model.config
        if pixels % config.patch_size:
            raise ConfigError(
                f"regions.pixels: {pixels} is no multiple of the tower's patches of "
                f"{config.patch_size} pixels"
            )
        self.pixels = pixels
        self.side = pixels // config.patch_size
        self.feature_size = int(config.hidden_size)
        if self.feature_size != regions.feature_size:
            raise ConfigError(
                f"regions.feature_size: {regions.feature_size}, but the tower's patches have "
                f"{self.feature_size}"
            )
        self.fingerprint = tower_fingerprint(regions)
        self._resized = pixels != config.image_size
        mean, spread = _normalisation(path)
        self._mean = torch.tensor(mean, device=device).view(1, 3, 1, 1)
        self._spread = torch.tensor(spread, device=device).view(1, 3, 1, 1)

    @torch.inference_mode()
    def patches(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (B, side, side, 3) uint8 to patch tokens (B, patches, feature_size) float16."""
        batch = torch.from_numpy(pixels).to(self._mean.device).permute(0, 3, 1, 2).float() / 255
        options = {"interpolate_pos_encoding": True} if self._resized else {}
        output = self._model(pixel_values=(batch - self._mean) / self._spread, **options)
        # A class token and registers, where a tower has them, stand before the patches.
        tokens = output.last_hidden_state[:, -(self.side**2) :]
        patches: np.ndarray = tokens.to(torch.float16).cpu().numpy()
        return patches


def _normalisation(folder: Path) -> tuple[list[float], list[float]]:
    file = folder / "preprocessor_config.json"
    if not file.is_file():
        return HALF, HALF
    settings = json.loads(file.read_text(encoding="utf-8"))
    return settings.get("image_mean", HALF), settings.get("image_std", HALF)


def tower_folder(regions: RegionConfig) -> Path:
    """The folder that a configuration names. Raises ConfigError if there is no tower in it."""
    if regions.folder is None:
        raise ConfigError("regions.folder: a tower needs the folder that holds it")
    folder = Path(regions.folder)
    if not (folder / "config.json").is_file():
        raise ConfigError(f"regions.folder: {folder} holds no config.json")
    return folder


def tower_fingerprint(regions: RegionConfig) -> str:
    """SHA-256 over the tower's configuration and weights. Raises ConfigError."""
    folder = tower_folder(regions)
    names = sorted(p for p in folder.iterdir() if p.suffix in (".json", ".safetensors"))
    lines = [f"{path.name} {file_sha256(path)}" for path in names]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
