"""Makes the pictures of docs/how-it-works.md again.

usage: python docs/figures/make.py

Weights and scores are those of the shipped bundle on the sample gallery, times those that the
README gives. Takes half a minute on one core.
"""

import base64
import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from drawing import Drawing
from PIL import Image

from model.alignment import attention
from model.bundle import Bundle, load_bundle
from model.matcher import Encoded, Matcher
from model.packed_nodes import PackedNodes, batch_of
from model.picture import decode
from service.gallery.photos import photos

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ATTENDED = ("astronaut", "a smiling astronaut in an orange suit")
SHOWN_WORDS = ("smiling", "astronaut", "suit")
SHOWN_REGIONS = ((0, 2, "the head"), (4, 0, "the sleeve"), (2, 5, "beside her"))  # row, column
SCORED = "a red motorcycle in a garage"
GRID = 6
PHOTO_SIDE = 204


@dataclass
class Gallery:
    """The sample gallery, encoded by the shipped bundle."""

    bundle: Bundle
    matcher: Matcher
    pictures: dict[str, Encoded]
    files: dict[str, bytes]


def main() -> None:
    """Writes four SVG files beside this script."""
    gallery = _gallery()
    drawings = {
        "two-stages": two_stages(),
        "attention": words_and_regions(gallery),
        "layers": layers(gallery),
        "segments": segments(),
    }
    for name, drawing in drawings.items():
        (HERE / f"{name}.svg").write_text(drawing.svg(), encoding="utf-8")


def _gallery() -> Gallery:
    bundle = load_bundle(ROOT / "bundle")
    matcher = Matcher(bundle)
    files = {photo.id: photo.read() for photo in photos()}
    encoded = matcher.encode_pictures([decode(file) for file in files.values()])
    return Gallery(bundle, matcher, dict(zip(files, encoded, strict=True)), files)


def two_stages() -> Drawing:
    """The way of a sentence through both stages, and where the time goes."""
    found = re.search(
        r"takes (\d+) ms .*encode ([\d.]+), search ([\d.]+), fetch ([\d.]+), re-rank ([\d.]+)",
        (ROOT / "README.md").read_text(encoding="utf-8"),
    )
    assert found is not None, "README.md gives no times of the steps of a search"
    total, *steps = (float(step) for step in found.groups())
    drawing = Drawing(
        860, 330, "The way of a sentence through both stages, with the time of each step"
    )
    drawing.text(24, 34, "one sentence, 100 candidates", "strong")
    words = [
        ("encode", ["the sentence becomes", "one global vector and", "a vector for each word"]),
        ("search", ["FAISS compares the", "global vector with", "all: 100 candidates"]),
        ("fetch", ["their region vectors", "and tags are read", "from the catalog"]),
        ("re-rank", ["words against regions,", "phrases, tags and", "concepts: one score"]),
    ]
    x = 24.0
    for number, ((title, lines), time) in enumerate(zip(words, steps, strict=True)):
        drawing.box(x, 50, 176, 104, title, lines)
        drawing.text(x + 164, 73, f"{time:g} ms", "small end")
        if number:
            drawing.arrow(f"{x - 34:g},102 {x - 4:g},102")
        x += 212
    drawing.line("24,176 24,184 412,184 412,176")
    drawing.text(218, 204, "first stage: every item, roughly", "middle soft small")
    drawing.line("448,176 448,184 836,184 836,176")
    drawing.text(642, 204, "second stage: a hundred items, closely", "middle soft small")
    drawing.text(24, 244, f"{total:g} ms, to scale", "small strong")
    x, kinds = 24.0, ("accent", "warm", "faint", "tip")
    for time, kind in zip(steps, kinds, strict=True):
        width = 812 * time / sum(steps)
        drawing.rectangle(x, 256, width, 26, kind)
        x += width
    drawing.text(36, 274, "encode", "small inverse")
    x = 520.0
    for name, kind, time in zip(("search", "fetch", "re-rank"), kinds[1:], steps[1:], strict=True):
        drawing.rectangle(x, 294, 12, 12, kind, round_=2)
        drawing.text(x + 18, 305, f"{name} {time:g}", "small soft")
        x += 108
    return drawing


def words_and_regions(gallery: Gallery) -> Drawing:
    """Which regions words attend to, and which words regions attend to."""
    name, sentence = ATTENDED
    [text] = gallery.matcher.encode_texts([sentence], to_store=False)
    picture = gallery.pictures[name].arrays
    regions, words = (
        batch_of([PackedNodes(arrays["entity"])], "cpu") for arrays in (picture, text.arrays)
    )
    with torch.inference_mode():
        similarity = words.vectors[0] @ regions.vectors[0].T
        temperatures = gallery.bundle.network().alignment.log_temperatures.exp()
        to_regions = attention(similarity, regions.mask[0], temperatures[0]).numpy()
        to_words = attention(similarity.T, words.mask[0], temperatures[1]).numpy()
    spelled = [sentence[start:end] for start, end in text.arrays["spans"].tolist()]
    cells = [_cell(box) for box in picture["boxes"]]

    drawing = Drawing(860, 656, f"Attention between the words of '{sentence}' and a photo")
    drawing.photo("photo", _small(gallery.files[name]), PHOTO_SIDE)
    drawing.text(24, 34, f"“{sentence}”", "strong")
    drawing.text(
        24, 58, "Each word attends to the 36 regions (spread evenly, each had 3%):", "small"
    )
    side = PHOTO_SIDE / GRID
    for number, word in enumerate(SHOWN_WORDS):
        x, weights = 24 + 280 * number, to_regions[spelled.index(word)]
        drawing.place("photo", x, 72)
        for (row, column), weight in zip(cells, weights, strict=True):
            if weight > 1 / len(weights):
                drawing.rectangle(
                    x + column * side,
                    72 + row * side,
                    side,
                    side,
                    "heat",
                    opacity=0.75 * float(weight / weights.max()),
                )
        drawing.text(x, 296, word, "strong")
        drawing.text(x, 313, f"{weights.max():.0%} in one region", "small soft")
    drawing.text(
        24, 352, "and each region attends to the words (spread evenly, each had 14%):", "small"
    )
    for number, (row, column, what) in enumerate(SHOWN_REGIONS):
        x, weights = 24 + 280 * number, to_words[cells.index((row, column))]
        drawing.place("photo", x, 366)
        drawing.rectangle(x + column * side, 366 + row * side, side, side, "marked")
        drawing.text(x, 590, what, "strong")
        for place, (word, weight) in enumerate(_strongest(spelled, weights)):
            y = 610 + 17 * place
            drawing.text(x, y, word, "small")
            drawing.rectangle(x + 74, y - 10, 300 * weight, 11, "accent")
            drawing.text(x + 80 + 300 * weight, y, f"{weight:.0%}", "small soft")
    return drawing


def _strongest(spelled: list[str], weights: np.ndarray) -> list[tuple[str, float]]:
    order = np.argsort(-weights, kind="stable")[:2]
    return [(spelled[i], float(weights[i])) for i in order]


def _cell(box: np.ndarray) -> tuple[int, int]:
    middle = (box[:2].astype(float) + box[2:]) / 2
    column, row = (middle / 65535 * GRID).astype(int)
    return int(row), int(column)


def _small(file: bytes) -> str:
    """A `data:` URL of the photo as the model sees it: squeezed to a square."""
    out = io.BytesIO()
    decode(file).resize((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.LANCZOS).save(
        out, "JPEG", quality=72, optimize=True
    )
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def layers(gallery: Gallery) -> Drawing:
    """How the score of the best result for one sentence is added up."""
    [text] = gallery.matcher.encode_texts([SCORED], to_store=False)
    pictures = list(gallery.pictures.values())
    first = np.stack([picture.vector for picture in pictures]) @ text.query
    scores = gallery.matcher.score(text, "text", first, [p.arrays for p in pictures])
    best = int(scores.total.argmax())
    fusion, strength = gallery.bundle.scoring.fusion, gallery.bundle.scoring.strength
    global_offset, fine_offset = (float(offset) for offset in pictures[best].arrays["offsets"])
    assert scores.concept is not None
    found = {
        "global": (float(scores.global_[best]), fusion.global_),
        "entity": (float(scores.entity[best]), fusion.entity),
        "relation": (float(scores.relation[best]), fusion.relation),
        "semantic": (float(scores.semantic[best]), fusion.semantic),
        "concept": (float(scores.concept[best]), fusion.concept),
    }
    rows = [
        (name, f"{score:.2f} × {weight:.2f}", score * weight)
        for name, (score, weight) in found.items()
    ]
    rows.append(("offset, first stage", "", -fusion.global_ * strength * global_offset))
    rows.append(("offset, second stage", "", -strength * fine_offset))
    drawing = Drawing(860, 400, f"How the layers of the best result for '{SCORED}' are added up")
    drawing.text(24, 34, f"“{SCORED}”, and the photo that is found first", "strong")
    drawing.text(24, 56, "score of a layer × its weight, one after the other", "small soft")
    scale, left, at = 340.0, 330.0, 0.0
    for number, (name, product, value) in enumerate(rows):
        y, start = 78 + 32 * number, min(at, at + value)
        drawing.text(24, y + 15, name, "strong" if product else "")
        drawing.text(270, y + 15, product, "small soft end")
        kind = "accent" if value > 0 else "warm"
        drawing.rectangle(left + scale * start, y, scale * abs(value), 22, kind)
        drawing.text(left + scale * max(at, at + value) + 8, y + 15, f"{value:+.2f}", "small")
        at += value
        drawing.line(f"{left + scale * at:g},{y + 22:g} {left + scale * at:g},{y + 32:g}", "dashed")
    y = 78 + 32 * len(rows)
    drawing.text(24, y + 15, "total", "strong")
    drawing.rectangle(left, y, scale * at, 22, "accent")
    probability = float(scores.probability[best])
    drawing.text(left + scale * at + 8, y + 15, f"{at:.2f}", "small strong")
    drawing.arrow(f"{left + scale * at + 44:g},{y + 11:g} {left + scale * at + 84:g},{y + 11:g}")
    drawing.text(left + scale * at + 92, y + 15, f"probability {probability:.2f}", "strong")
    drawing.text(
        24, 382, "The offsets take back what a photo gets from every sentence.", "small soft"
    )
    return drawing


def segments() -> Drawing:
    """Where vectors lie once a collection is large, and what a write changes."""
    drawing = Drawing(860, 420, "A main segment, a delta and rows that died")
    drawing.box(24, 40, 150, 84, "a write", ["put, replace", "or delete"])
    drawing.box(
        236, 40, 190, 84, "catalog", ["SQLite: the only truth.", "Synced, then acknowledged"]
    )
    drawing.arrow("174,82 232,82")
    drawing.box(
        488,
        40,
        348,
        84,
        "delta",
        ["in memory, searched exactly:", "what came since the last build"],
    )
    drawing.arrow("426,82 484,82")
    _rows(drawing, 716, 66, 6, dead=())
    drawing.box(
        236, 196, 190, 84, "builder", ["in the background: copies", "what is alive, tunes, swaps"]
    )
    drawing.arrow("331,124 331,192")
    drawing.box(
        488,
        166,
        348,
        144,
        "main segment",
        ["mapped files, inverted lists:", "most items. Never changed."],
    )
    drawing.arrow("426,238 484,238")
    _rows(drawing, 504, 238, 18, dead=(4, 11))
    drawing.text(504, 298, "what is replaced or deleted dies in a bitmap", "small soft")
    drawing.box(488, 344, 348, 56, "a search", ["reads both parts of one state: best of both"])
    drawing.arrow("662,310 662,340")
    drawing.line("836,82 850,82 850,372")
    drawing.arrow("850,372 840,372")
    drawing.lines(
        24,
        356,
        [
            "After a crash, the catalog is opened and the delta is read from it.",
            "A main segment that is missing or damaged is built again.",
        ],
    )
    return drawing


def _rows(drawing: Drawing, x: int, y: int, count: int, dead: tuple[int, ...]) -> None:
    for number in range(count):
        kind = "faint" if number in dead else "accent"
        drawing.rectangle(x + 17 * number, y, 13, 30, kind, round_=2)
        if number in dead:
            drawing.line(f"{x + 17 * number},{y} {x + 17 * number + 13},{y + 30}")


if __name__ == "__main__":
    main()
