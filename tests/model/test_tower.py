"""Hugging Face towers with random weights, saved and read back."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from model.config import ModelConfig, RegionConfig
from model.errors import ConfigError
from model.regions import extractor, tail
from model.tower import VisionTower, tower_fingerprint
from tests.model.samples import drawing, sizes
from tests.model.towers import (
    ALONE,
    EMBEDDING,
    NO_PATCHES,
    drop_tensors,
    picture_embeddings,
    tower_model,
    tower_regions,
    write_tower,
)

KINDS = (*EMBEDDING, *ALONE)


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: write_tower(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


def of(folder: Path, pixels: int = 64, size: int = 32) -> ModelConfig:
    return sizes(tower_regions(folder, pixels, size))


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


@pytest.mark.parametrize("kind", ["clip", "siglip2", "dinov2_with_registers"])
def test_the_last_tokens_are_the_patches_in_reading_order(towers, kind: str) -> None:
    tower = VisionTower(of(towers[kind]))
    plain = np.full((1, 64, 64, 3), 128, dtype=np.uint8)
    spotted = plain.copy()
    spotted[0, 16:32, 48:64] = [255, 0, 0]  # the patch in row 1, column 3
    change = np.abs(tower.look(spotted)[0].astype(float) - tower.look(plain)[0]).sum(-1)[0]
    assert int(change.argmax()) == 1 * 4 + 3


@pytest.mark.parametrize("file", ["preprocessor_config.json", "processor_config.json"])
def test_pixels_are_normalised_as_the_preprocessor_says(tmp_path: Path, file: str) -> None:
    folder = write_tower(tmp_path / "tower", "vit")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    plain, _ = VisionTower(of(folder)).look(pixels)
    settings = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.4, 0.4]}
    section = {"image_processor": settings} if file == "processor_config.json" else settings
    (folder / file).write_text(json.dumps(section))
    assert not np.allclose(VisionTower(of(folder)).look(pixels)[0], plain)


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
        VisionTower(sizes(RegionConfig(kind="tower")))
    with pytest.raises(ConfigError, match=r"holds no config\.json"):
        VisionTower(of(tmp_path))


@pytest.mark.parametrize("kind", NO_PATCHES)
def test_a_tower_without_a_token_for_each_patch_is_refused(tmp_path: Path, kind: str) -> None:
    folder = write_tower(tmp_path, kind)
    with pytest.raises(ConfigError, match=rf"it holds {kind}, which gives no token for each patch"):
        extractor(of(folder)).trunk([drawing(0)])


# Files name a layer's tensors otherwise than transformers does once they are loaded.
@pytest.mark.parametrize(
    ("kind", "part", "named"), [("vit", "layer.1.", "layers.1."), ("clip", *["text_model."] * 2)]
)
def test_weights_that_lack_tensors_are_refused(
    tmp_path: Path, kind: str, part: str, named: str
) -> None:
    folder = write_tower(tmp_path, kind)
    drop_tensors(folder, part)
    with pytest.raises(ConfigError, match=rf"{folder}: its weights lack \d+ tensors, {named}"):
        VisionTower(of(folder))


def test_a_pooler_that_nobody_asks_may_be_missing(tmp_path: Path) -> None:
    folder = write_tower(tmp_path, "vit")
    whole = extractor(of(folder)).trunk([drawing(0)])
    drop_tensors(folder, "pooler.")
    np.testing.assert_array_equal(extractor(of(folder)).trunk([drawing(0)]), whole)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b'{"model_type": "vit", "hidd'),
        ("config.json", b'{"model_type": "nonsense"}'),
        ("config.json", b'{"model_type": "vit", "hidden_size": "many"}'),
        ("preprocessor_config.json", b"{"),
        ("preprocessor_config.json", b"[]"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, file: str, content: bytes) -> None:
    folder = write_tower(tmp_path, "vit")
    (folder / file).write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^{folder / file}: "):
        VisionTower(of(folder))


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_weights_that_were_cut_are_named(tmp_path: Path, kept: int) -> None:
    folder = write_tower(tmp_path, "vit")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(ConfigError, match=rf"^{folder}: "):
        VisionTower(of(folder))


def test_the_fingerprint_is_that_of_the_weights(towers) -> None:
    found = {kind: tower_fingerprint(tower_regions(folder)) for kind, folder in towers.items()}
    assert len(set(found.values())) == len(KINDS)
    assert found["clip"] == tower_fingerprint(tower_regions(towers["clip"], pixels=96))


@pytest.mark.parametrize("pixels", [64, 96])
@pytest.mark.parametrize("kind", ["clip", "siglip", "siglip2"])
def test_behind_the_patches_stands_the_embedding_that_transformers_gives(
    towers, kind: str, pixels: int
) -> None:
    config = tower_model(towers[kind], EMBEDDING[kind], pixels)
    tower = extractor(config)
    arrays = tower.trunk([drawing(0), drawing(1)])
    assert arrays.shape == (2, *tower.shape) == (2, (pixels // 16) ** 2 * 32 + EMBEDDING[kind])
    embeddings = arrays[:, -EMBEDDING[kind] :].astype(np.float32)
    expected = picture_embeddings(towers[kind], kind, range(2), pixels)
    np.testing.assert_allclose(embeddings, expected, atol=1e-3)
    assert abs(embeddings[0] - embeddings[1]).max() > 0.01

    alone = extractor(of(towers[kind], pixels))
    np.testing.assert_array_equal(
        tail(config)(torch.from_numpy(arrays)), alone.trunk([drawing(0), drawing(1)])
    )
    assert tower.name != alone.name


@pytest.mark.parametrize("kind", ALONE)
def test_a_tower_without_a_text_tower_is_no_first_stage(towers, kind: str) -> None:
    with pytest.raises(ConfigError, match=rf"first_stage: tower needs .* text .* holds {kind}"):
        extractor(tower_model(towers[kind], 32))


@pytest.mark.parametrize("kind", EMBEDDING)
def test_global_vectors_of_another_size_than_the_embeddings_are_refused(towers, kind: str) -> None:
    sizes_named = rf"model\.dimension: 12, but the tower's embeddings have {EMBEDDING[kind]}"
    with pytest.raises(ConfigError, match=sizes_named):
        extractor(tower_model(towers[kind], 12))
