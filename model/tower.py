"""Any Hugging Face vision tower in a local folder: its patch tokens are the regions.

Needs the extra `tower` (transformers). Nothing is downloaded; weights are read from safetensors
files only. CLIP and SigLIP folders hold two towers, of which this takes the vision one, with its
embedding of the whole picture; the other one is in `model/text_tower.py`.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.config import ModelConfig, RegionConfig
from model.errors import ConfigError
from model.pretrained import file_sha256

HALF = [0.5, 0.5, 0.5]
# Kinds whose tokens, padding and pooling `model/text_tower.py` knows.
WITH_TEXT_TOWER = ("clip", "siglip", "siglip2")
# Of the patches that it is shown it hides most, and shuffles the others.
HIDES_PATCHES = "vit_mae"
NAMED_TENSORS = 3


class VisionTower:
    """Patch tokens of the last layer, and the embedding of CLIP and SigLIP towers; frozen.

    Raises ConfigError as `load_tower` does, for a kind without a token for each patch, and for
    sizes that are not the tower's.
    """

    def __init__(self, config: ModelConfig, device: str = "cpu") -> None:
        regions = config.regions
        whole, pixels = load_tower(config), regions.pixels
        self._model = getattr(whole, "vision_model", whole).eval().requires_grad_(False).to(device)
        # SigLIP's pooled state is its embedding; CLIP's still has to be projected.
        self._projection = getattr(whole, "visual_projection", nn.Identity()).to(device)
        self._embeds = config.first_stage == "tower"
        settings = self._model.config
        given = [getattr(settings, name, None) for name in ("patch_size", "hidden_size")]
        if settings.model_type == HIDES_PATCHES or not all(isinstance(size, int) for size in given):
            raise self._no_patches()
        if pixels % settings.patch_size:
            raise ConfigError(
                f"regions.pixels: {pixels} is no multiple of the tower's patches of "
                f"{settings.patch_size} pixels"
            )
        self.pixels = pixels
        self.side = pixels // settings.patch_size
        self.feature_size = int(settings.hidden_size)
        if self.feature_size != regions.feature_size:
            raise ConfigError(
                f"regions.feature_size: {regions.feature_size}, but the tower's patches have "
                f"{self.feature_size}"
            )
        self.fingerprint = tower_fingerprint(regions)
        mean, spread = _normalisation(tower_folder(regions))
        self._mean = torch.tensor(mean, device=device).view(1, 3, 1, 1)
        self._spread = torch.tensor(spread, device=device).view(1, 3, 1, 1)

    @torch.inference_mode()
    def look(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (B, side, side, 3) uint8 to patch tokens (B, patches, feature_size) and embeddings
        (B, D), unit rows, D 0 where the first stage is not the tower's; both float16.

        Raises ConfigError if the tower gives another number of tokens than there are patches.
        """
        batch = torch.from_numpy(pixels).to(self._mean.device).permute(0, 3, 1, 2).float() / 255
        output = self._model(**self._inputs((batch - self._mean) / self._spread))
        patches = self._patches(output.last_hidden_state)
        embeddings = (
            functional.normalize(self._projection(output.pooler_output), dim=-1)
            if self._embeds
            else patches.new_empty(len(patches), 0)
        )
        return patches.half().cpu().numpy(), embeddings.half().cpu().numpy()

    def _patches(self, tokens: Tensor) -> Tensor:
        # Class, distillation and register tokens, where a tower has them, stand before the patches.
        leading = 2 + int(getattr(self._model.config, "num_register_tokens", 0))
        if tokens.ndim != 3 or not 0 <= tokens.shape[1] - self.side**2 <= leading:
            raise self._no_patches(f"; from {self.pixels} pixels it makes {tuple(tokens.shape)}")
        return tokens[:, -(self.side**2) :]

    def _no_patches(self, found: str = "") -> ConfigError:
        return ConfigError(
            f"regions.folder: it holds {self._model.config.model_type}, which gives no token for "
            f"each patch of a picture, as ViT, DINOv2, CLIP and SigLIP do{found}"
        )

    def _inputs(self, batch: Tensor) -> dict[str, Any]:
        settings = self._model.config
        if settings.model_type == "siglip2_vision_model":
            # SigLIP 2's NaFlex towers take patches of any grid instead of pixels.
            size = settings.patch_size
            patches = batch.unfold(2, size, size).unfold(3, size, size).permute(0, 2, 3, 4, 5, 1)
            flat = patches.reshape(len(batch), self.side**2, -1)
            shapes = torch.full((len(batch), 2), self.side, device=batch.device)
            mask = torch.ones(flat.shape[:2], dtype=torch.int64, device=batch.device)
            return {"pixel_values": flat, "spatial_shapes": shapes, "pixel_attention_mask": mask}
        if self.pixels == settings.image_size:
            return {"pixel_values": batch}
        return {"pixel_values": batch, "interpolate_pos_encoding": True}


def load_tower(config: ModelConfig) -> Any:
    """The model in the folder, float32.

    Raises ConfigError without transformers or a folder, when what it holds can't be read or lacks
    tensors, and, where the first stage is the tower's, if it has no text tower or gives embeddings
    of another size.
    """
    folder = tower_folder(config.regions)
    try:
        from transformers import AutoConfig, AutoModel
    except ImportError as error:
        raise ConfigError(
            "regions.kind tower needs transformers: install sightline[tower]"
        ) from error
    with naming(folder / "config.json"):
        settings = AutoConfig.from_pretrained(folder, local_files_only=True)
    if config.first_stage == "tower":
        _refuse_other_embeddings(settings, config)
    with naming(folder):
        model, loaded = AutoModel.from_pretrained(
            folder,
            config=settings,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    # What is missing has got random numbers. Regions and embeddings never come from this pooler.
    missing = sorted(name for name in loaded["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise ConfigError(
            f"regions.folder: {folder}: its weights lack {len(missing)} tensors, "
            f"{', '.join(missing[:NAMED_TENSORS])} among them"
        )
    return model


@contextlib.contextmanager
def naming(file: Path) -> Iterator[None]:
    """Turns what a library raises while it reads a file of a tower into ConfigError with its name.

    transformers, tokenizers and safetensors have kinds of errors of their own, up to bare ones.
    """
    try:
        yield
    except Exception as error:
        raise ConfigError(f"{file}: {error}") from error


def _refuse_other_embeddings(settings: Any, config: ModelConfig) -> None:
    if settings.model_type not in WITH_TEXT_TOWER:
        raise ConfigError(
            f"model.first_stage: tower needs image and text embeddings of one space, as in a CLIP "
            f"or SigLIP folder; {config.regions.folder} holds {settings.model_type}"
        )
    size = (
        settings.projection_dim
        if settings.model_type == "clip"
        else settings.text_config.projection_size
    )
    if size != config.dimension:
        raise ConfigError(
            f"model.dimension: {config.dimension}, but the tower's embeddings have {size}"
        )


def _normalisation(folder: Path) -> tuple[list[float], list[float]]:
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            with naming(folder / name):
                settings = json.loads((folder / name).read_text(encoding="utf-8"))
                # transformers 5 writes one file for tokenizer and pictures, the latter in a section
                settings = settings.get("image_processor", settings)
                return settings.get("image_mean", HALF), settings.get("image_std", HALF)
    return HALF, HALF


def tower_folder(regions: RegionConfig) -> Path:
    """The folder that a configuration names. Raises ConfigError if there is no tower in it."""
    if regions.folder is None:
        raise ConfigError("regions.folder: a tower needs the folder that holds it")
    folder = Path(regions.folder)
    if not (folder / "config.json").is_file():
        raise ConfigError(f"regions.folder: {folder} holds no config.json")
    return folder


def tower_fingerprint(regions: RegionConfig) -> str:
    """SHA-256 over the tower's configuration, tokenizer and weights. Raises ConfigError."""
    folder = tower_folder(regions)
    names = sorted(p for p in folder.iterdir() if p.suffix in (".json", ".safetensors"))
    lines = [f"{path.name} {file_sha256(path)}" for path in names]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
