"""Hugging Face towers with random weights, saved and read back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.config import RegionConfig
from model.errors import ConfigError
from model.regions import extractor
from model.tower import VisionTower, tower_fingerprint
from tests.model.samples import drawing

transformers = pytest.importorskip("transformers", reason="needs the optional transformers")

VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 64,
    "patch_size": 16,
}
TEXT = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 50,
    "max_position_embeddings": 8,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
KINDS = ("clip", "siglip", "dinov2", "dinov2_with_registers", "vit")


def random_tower(kind: str) -> Any:
    # DINOv2 counts its inner size in multiples of the hidden one.
    bare = {key: value for key, value in VISION.items() if key != "intermediate_size"}
    match kind:
        case "clip":
            return transformers.CLIPModel(
                transformers.CLIPConfig(vision_config=VISION, text_config=TEXT, projection_dim=8)
            )
        case "siglip":
            return transformers.SiglipModel(
                transformers.SiglipConfig(vision_config=VISION, text_config=TEXT)
            )
        case "dinov2":
            return transformers.Dinov2Model(transformers.Dinov2Config(**bare))
        case "dinov2_with_registers":
            return transformers.Dinov2WithRegistersModel(
                transformers.Dinov2WithRegistersConfig(**bare)
            )
        case "vit":
            return transformers.ViTModel(transformers.ViTConfig(**VISION))
        case _:
            raise ValueError(kind)


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    transformers.set_seed(0)
    folders = {}
    for kind in KINDS:
        folders[kind] = tmp_path_factory.mktemp(kind)
        random_tower(kind).save_pretrained(folders[kind])
    return folders


def of(folder: Path, pixels: int = 64, size: int = 32) -> RegionConfig:
    return RegionConfig(kind="tower", folder=str(folder), pixels=pixels, feature_size=size)


@pytest.mark.parametrize("pixels", [64, 96])
@pytest.mark.parametrize("kind", KINDS)
def test_patches_of_any_tower_are_regions(towers, kind: str, pixels: int) -> None:
    tower = extractor(of(towers[kind], pixels))
    arrays = tower.trunk([drawing(0), drawing(1)])
    side = pixels // 16
    assert (arrays.shape, arrays.dtype) == ((2, side * side, 32), np.float16)
    assert tower.shape == (side * side, 32)
    assert np.isfinite(arrays).all()
    assert not np.allclose(arrays[0], arrays[1])
    boxes = tower.boxes()
    assert boxes is not None and boxes.shape == (side * side, 4)


@pytest.mark.parametrize("kind", ["clip", "dinov2_with_registers"])
def test_the_last_tokens_are_the_patches_in_reading_order(towers, kind: str) -> None:
    tower = VisionTower(of(towers[kind]))
    plain = np.full((1, 64, 64, 3), 128, dtype=np.uint8)
    spotted = plain.copy()
    spotted[0, 16:32, 48:64] = [255, 0, 0]  # the patch in row 1, column 3
    change = np.abs(tower.patches(spotted).astype(float) - tower.patches(plain)).sum(-1)[0]
    assert int(change.argmax()) == 1 * 4 + 3


def test_pixels_are_normalised_as_the_preprocessor_says(towers, tmp_path: Path) -> None:
    folder = tmp_path / "tower"
    random_tower("vit").save_pretrained(folder)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    plain = VisionTower(of(folder)).patches(pixels)
    settings = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.4, 0.4]}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    assert not np.allclose(VisionTower(of(folder)).patches(pixels), plain)


@pytest.mark.parametrize(
    ("pixels", "size", "message"),
    [
        (70, 32, "regions.pixels: 70 is no multiple of the tower's patches of 16"),
        (64, 768, "regions.feature_size: 768, but the tower's patches have 32"),
    ],
)
def test_sizes_that_do_not_fit_are_named(towers, pixels: int, size: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VisionTower(of(towers["clip"], pixels, size))


def test_a_folder_without_a_tower_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs the folder"):
        VisionTower(RegionConfig(kind="tower"))
    with pytest.raises(ConfigError, match=r"holds no config\.json"):
        VisionTower(of(tmp_path))


def test_the_fingerprint_is_that_of_the_weights(towers) -> None:
    found = {kind: tower_fingerprint(of(folder)) for kind, folder in towers.items()}
    assert len(set(found.values())) == len(KINDS)
    assert found["clip"] == tower_fingerprint(of(towers["clip"], pixels=96))
