"""Small data sets, sizes and codes that the tests of the model room share."""

import base64
import contextlib
import json
import resource
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageDraw

from model.alignment import Codes, Nodes
from model.config import (
    HubnessConfig,
    ModelConfig,
    RegionConfig,
    RunConfig,
    TextConfig,
    TrainingConfig,
)

COLOURS = {
    "red": (214, 40, 40),
    "green": (42, 160, 72),
    "blue": (40, 80, 210),
    "yellow": (240, 205, 50),
    "white": (245, 245, 245),
    "black": (15, 15, 15),
}
SHAPES = ("square", "circle", "stripe")
REGIONS = 36
FEATURES = 24

TINY_TEXT = TextConfig(
    kind="vocabulary", feature_size=16, recurrent_size=8, minimum_count=1, max_words=12
)
TINY_HUBNESS = HubnessConfig(
    global_captions=40, global_pictures=12, fine_captions=20, fine_pictures=8, strengths=(0.5,)
)
TINY_TRAINING = TrainingConfig(
    epochs=2, batch_pictures=6, learning_rate=4e-3, backbone_rate=1e-4, views=2, ema=0.9
)


def sizes(regions: RegionConfig) -> ModelConfig:
    """The smallest model that still has every layer."""
    return ModelConfig(
        regions=regions,
        text=TINY_TEXT,
        dimension=16,
        fine_dimension=12,
        head_size=16,
        attention_size=8,
        keep=4,
        relations=2,
        tags=8,
    )


GRID_RUN = RunConfig(
    model=sizes(RegionConfig(kind="grid", pixels=64, side=2)),
    hubness=TINY_HUBNESS,
    training=TINY_TRAINING,
)
PRECOMPUTED_RUN = RunConfig(
    model=sizes(RegionConfig(kind="precomputed", feature_size=FEATURES)),
    hubness=TINY_HUBNESS,
    training=TINY_TRAINING,
)
# Nothing is dropped at random, so that one process and several can be compared. Batches of seven
# pictures don't divide evenly.
WITHOUT_CHANCE = PRECOMPUTED_RUN.model_copy(
    update={
        "model": PRECOMPUTED_RUN.model.model_copy(update={"dropout": 0.0}),
        "training": TINY_TRAINING.model_copy(
            update={"kept_regions": 1.0, "kept_words": 1.0, "batch_pictures": 7}
        ),
    }
)


def scene(number: int) -> tuple[str, str, str]:
    """A colour, a shape and the colour behind it; neighbouring numbers differ."""
    names = list(COLOURS)
    colour = names[number % len(names)]
    behind = names[(number + 1 + number // len(names) % (len(names) - 1)) % len(names)]
    return colour, SHAPES[number % len(SHAPES)], behind


def captions_of(number: int) -> list[str]:
    """Five sentences about scene `number`."""
    colour, shape, behind = scene(number)
    return [
        f"a {colour} {shape} lies on a {behind} ground",
        f"one {shape}, {colour}, before {behind} paper",
        f"the {shape} is {colour} and the paper {behind}",
        f"{behind} paper holds a {colour} {shape}",
        f"somebody painted a {colour} {shape} on {behind} ground",
    ]


def drawing(number: int) -> Image.Image:
    """The picture of scene `number`."""
    colour, shape, behind = scene(number)
    picture = Image.new("RGB", (80, 60), COLOURS[behind])
    pen = ImageDraw.Draw(picture)
    left = 10 + number % 7
    match shape:
        case "square":
            pen.rectangle((left, 15, left + 30, 45), fill=COLOURS[colour])
        case "circle":
            pen.ellipse((left, 15, left + 30, 45), fill=COLOURS[colour])
        case _:
            pen.rectangle((0, 25, 80, 35), fill=COLOURS[colour])
    return picture


def write_captioned_folder(folder: Path, training: int = 18, validation: int = 8) -> Path:
    """A folder with `captions.jsonl` and JPEG files, splits train and val."""
    (folder / "images").mkdir(parents=True)
    lines = []
    for number in range(training + validation):
        name = f"images/{number}.jpg"
        drawing(number).save(folder / name, quality=92)
        split = "train" if number < training else "val"
        lines.append({"image": name, "captions": captions_of(number), "split": split})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "captions.jsonl").write_text(text, encoding="utf-8")
    return folder


def scene_features(number: int) -> np.ndarray:
    """Region features (36, FEATURES) float32 in which colour, shape and background can be read."""
    colour, shape, behind = scene(number)
    random = np.random.default_rng(number)
    features = random.normal(0, 0.05, (REGIONS, FEATURES)).astype(np.float32)
    names = list(COLOURS)
    features[:12, names.index(colour)] += 1
    features[:12, 6 + SHAPES.index(shape)] += 1
    features[12:, 9 + names.index(behind)] += 1
    return features


def scene_boxes(number: int) -> np.ndarray:
    """Boxes (36, 4) float32 as fractions."""
    corners = np.sort(np.random.default_rng(number).random((REGIONS, 2, 2)), axis=1)
    return corners.reshape(REGIONS, 4).astype(np.float32)


def scene_size(number: int) -> tuple[int, int]:
    """Width and height of the photo that a scene was taken from, in pixels."""
    return 400 + 20 * (number % 6), 300 + 10 * (number % 4)


def write_precomputed_split(
    folder: Path,
    split: str,
    numbers: range,
    repeats: int = 1,
    boxes: Literal["fractions", "pixels"] | None = "fractions",
    ids: bool = False,
) -> None:
    """One split as it is published.

    repeats=5 gives each caption a row of features; boxes in pixels come with the photos' sizes;
    ids are numbers as of MSCOCO, one a picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    features = np.stack([scene_features(n) for n in numbers]).repeat(repeats, axis=0)
    np.save(folder / f"{split}_ims.npy", features)
    lines = [caption for n in numbers for caption in captions_of(n)]
    (folder / f"{split}_caps.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    corners = np.stack([scene_boxes(n) for n in numbers])
    if boxes == "pixels":
        sizes = np.array([scene_size(n) for n in numbers])
        corners = (corners * np.tile(sizes, 2)[:, None, :]).astype(np.float32)
        np.save(folder / f"{split}_img_sizes.npy", sizes.repeat(repeats, axis=0))
    if boxes is not None:
        np.save(folder / f"{split}_boxes.npy", corners.repeat(repeats, axis=0))
    if ids:
        names = "".join(f"{scene_id(n)}\n" for n in numbers)
        (folder / f"{split}_ids.txt").write_text(names, encoding="utf-8")


def scene_id(number: int) -> int:
    """What a data set calls the photo of a scene."""
    return 391_895 + 7 * number


def region_line(number: int, regions: int = REGIONS) -> str:
    """A scene as a line of a bottom-up region file."""
    width, height = scene_size(number)
    boxes = scene_boxes(number)[:regions] * np.array([width, height, width, height])
    matrices = (boxes.astype(np.float32), scene_features(number)[:regions])
    encoded = [base64.b64encode(matrix.tobytes()).decode() for matrix in matrices]
    return "\t".join(map(str, (scene_id(number), width, height, regions, *encoded)))


def write_split_file(file: Path, splits: Mapping[str, Sequence[int]]) -> Path:
    """Karpathy's JSON for some scenes, as of MSCOCO: six sentences each, line breaks in them."""
    images = [
        {
            "cocoid": scene_id(number),
            "filename": f"COCO_val2014_{scene_id(number):012}.jpg",
            "split": split,
            "sentences": [{"raw": f"{c}\n"} for c in [*captions_of(number), "a sixth one"]],
        }
        for split, numbers in splits.items()
        for number in numbers
    ]
    file.write_text(json.dumps({"images": images, "dataset": "coco"}), encoding="utf-8")
    return file


def write_vocabulary(file: Path, words: Sequence[str]) -> Path:
    """A vocabulary as it is published, the numbers 0 to 3 reserved."""
    listed = ["<pad>", "<start>", "<end>", "<unk>", *words]
    vocabulary = {
        "word2idx": {word: number for number, word in enumerate(listed)},
        "idx2word": {str(number): word for number, word in enumerate(listed)},
        "idx": len(listed),
    }
    file.write_text(json.dumps(vocabulary), encoding="utf-8")
    return file


def write_precomputed_folder(folder: Path, training: int = 18, validation: int = 12) -> Path:
    """The field's precomputed format, splits train and dev."""
    write_precomputed_split(folder, "train", range(training))
    write_precomputed_split(folder, "dev", range(training, training + validation))
    return folder


def nodes(random: np.random.Generator, lengths: list[int], size: int, padded: int = 0) -> Nodes:
    """Random nodes, `lengths[i]` of item i, garbage where none stands."""
    longest = max(lengths) + padded
    vectors = random.normal(size=(len(lengths), longest, size)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    mask = np.arange(longest)[None, :] < np.array(lengths)[:, None]
    weights = random.random((len(lengths), longest)).astype(np.float32) * mask
    weights /= weights.sum(1, keepdims=True)
    return Nodes(*(torch.from_numpy(array) for array in (vectors, mask, weights)))


def codes(random: np.random.Generator, lengths: list[int], tags: int = 5) -> Codes:
    """Random codes of items with so many entity nodes, and one relation node fewer (at least 1)."""
    entity = nodes(random, lengths, 6)
    vectors = random.normal(size=(len(lengths), 7)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Codes(
        torch.from_numpy(vectors),
        entity,
        nodes(random, [max(1, length - 1) for length in lengths], 6),
        torch.from_numpy(random.normal(size=(len(lengths), tags)).astype(np.float32)),
        torch.arange(max(lengths)).expand(len(lengths), -1),
        entity.weights,
        torch.empty(len(lengths), 0),
    )


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Lets no file of this process grow beyond so many bytes, as a full disk would."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def quantised(rows: np.ndarray) -> np.ndarray:
    """What an index gives back: int8 with a scale a row for matrices, float16 for other floats."""
    if rows.dtype.kind != "f":
        return rows
    if rows.ndim != 2:
        return rows.astype(np.float16)
    scale = np.abs(rows).max(axis=1, keepdims=True) / 127
    return np.round(rows / np.maximum(scale, 1e-12)).astype(np.int8) * scale.astype(np.float32)
