"""What each codec keeps of an item, in bytes, and what it loses of rsum.

usage: codecs.py [--bundle bundle] [--data FOLDER] [--split val] [--limit PICTURES] [--cache FOLDER]

Every codec re-ranks the same candidates, the first 100 of the first stage, with the nodes as it
stores them and queries as it asks them. rsum lost is against the float32 vectors scored by torch.
Bytes are those of the arrays of a record as the index packs them (without its global vector,
metadata and thumbnail), and of its region or word matrices alone. Pictures are encoded into a
temporary folder unless --cache names one. Without the data set it says so and measures nothing.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from _timing import machine

from index.packing import pack, unpack
from model.alignment import Alignment, Codes, Nodes
from model.bank import bank_offsets, picture_bank_scores, text_bank_scores
from model.bundle import Bundle, load_bundle
from model.codecs import CODECS, Codec, make_codec, tag_probabilities
from model.coding import code_pictures, code_texts, take
from model.dataset import Split, read_split
from model.errors import DataError
from model.fused import TORCH, FusedScorer, variant
from model.matcher import LAYERS_OF_NODES, Encoded, Matcher
from model.recall import Recall, recall
from model.regions import served_extractor
from model.trunk_arrays import caption_arrays, picture_arrays
from service.progress import progress

Kind = Literal["image", "text"]
CANDIDATES = 100
MEASURED_RECORDS = 100


@dataclass(frozen=True)
class Side:
    """One side of the split: its codes, first-stage and fine offsets, and each query's candidates.

    candidates: (n, C) rows of the other side; first: (n, C) their first-stage scores.
    """

    codes: Codes
    fine_offsets: np.ndarray
    candidates: np.ndarray
    first: np.ndarray


def encoded(bundle: Bundle, split: Split, cache: Path) -> tuple[Codes, Codes]:
    """Pictures and captions of the split."""
    network = bundle.network()
    with progress("pictures") as pictures, progress("captions") as captions:
        arrays = picture_arrays(bundle.config, split, cache, None, pictures)
        texts = caption_arrays(bundle.config, bundle.vocabulary, split.captions, cache, captions)
    return code_pictures(network, arrays), code_texts(network, texts)


def sides(bundle: Bundle, pictures: Codes, texts: Codes) -> dict[Kind, Side]:
    """Both sides with the candidates that the first stage finds for each of their items."""
    network, scoring = bundle.network(), bundle.scoring
    of_pictures, of_texts = (
        bank_offsets(scores, scoring.fusion, scoring.beta)
        for scores in (
            picture_bank_scores(network, bundle.bank, pictures),
            text_bank_scores(network, bundle.bank, texts),
        )
    )
    scores = (pictures.global_ @ texts.global_.T).numpy()
    strength = np.float32(scoring.strength)

    def side(codes: Codes, offsets: np.ndarray, first: np.ndarray) -> Side:
        count = min(CANDIDATES, first.shape[1])
        best = np.argpartition(-first, count - 1, axis=1)[:, :count]
        return Side(codes, offsets, best, np.take_along_axis(first, best, axis=1))

    return {
        "image": side(pictures, of_pictures.fine, scores - strength * of_texts.global_[None, :]),
        "text": side(texts, of_texts.fine, scores.T - strength * of_pictures.global_[None, :]),
    }


class Blocks:
    """One side as a codec keeps it, and as it asks."""

    def __init__(self, codec: Codec, codes: Codes) -> None:
        self.stored: dict[str, list[np.ndarray]] = {}
        self.asking: dict[str, list[np.ndarray]] = {}
        for layer in LAYERS_OF_NODES:
            items = list(_each(codes.entity if layer == "entity" else codes.relation))
            self.stored[layer] = [codec.stored(layer, *item) for item in items]
            self.asking[layer] = [codec.asking(layer, *item) for item in items]
        tags = codes.tags.sigmoid().numpy()
        kept = [unpack(pack({"tags": codec.stored_tags(own)}), "tags")["tags"] for own in tags]
        self.tags = torch.from_numpy(tag_probabilities(np.stack(kept)))


def by_codec(alignment: Alignment, codec: Codec, of: Mapping[Kind, Side]) -> dict[Kind, np.ndarray]:
    """The weighted layers' parts (3, n, C) of each query's candidates, as the codec scores them."""
    scorer = FusedScorer(alignment, TORCH if codec.name == "float16" else variant())
    blocks = {kind: Blocks(codec, side.codes) for kind, side in of.items()}
    found: dict[Kind, np.ndarray] = {}
    for kind, side in of.items():
        own, other = blocks[kind], blocks["text" if kind == "image" else "image"]
        parts = np.empty((3, *side.candidates.shape), np.float32)
        for query, rows in enumerate(side.candidates):
            for number, layer in enumerate(LAYERS_OF_NODES):
                items = [other.stored[layer][row] for row in rows]
                parts[number, query] = scorer.score(layer, own.asking[layer][query], kind, items)
            parts[2, query] = _semantic(alignment, kind, own.tags[query], other.tags[rows])
        found[kind] = parts
    return found


def in_float32(alignment: Alignment, of: Mapping[Kind, Side]) -> dict[Kind, np.ndarray]:
    """The same by torch, of vectors that nobody rounded."""
    found: dict[Kind, np.ndarray] = {}
    for kind, side in of.items():
        other = of["text" if kind == "image" else "image"].codes
        parts = np.empty((3, *side.candidates.shape), np.float32)
        for query, rows in enumerate(side.candidates):
            own = take(side.codes, slice(query, query + 1))
            items = take(other, torch.from_numpy(rows))
            pictures, texts = (own, items) if kind == "image" else (items, own)
            scored = alignment(pictures, texts, ("entity", "relation", "semantic"))
            for number, layer in enumerate((scored.entity, scored.relation, scored.semantic)):
                parts[number, query] = layer.flatten().numpy()
        found[kind] = parts
    return found


def rsum_of(
    bundle: Bundle, of: Mapping[Kind, Side], parts: Mapping[Kind, np.ndarray], owners: np.ndarray
) -> tuple[Recall, np.ndarray]:
    """Recall of the two stages, and all final scores in one row."""
    fusion, strength = bundle.scoring.fusion, np.float32(bundle.scoring.strength)
    whole, rows = {}, []
    for kind, side in of.items():
        other = of["text" if kind == "image" else "image"]
        fine = fusion.fine(dict(zip(("entity", "relation", "semantic"), parts[kind], strict=True)))
        total = np.float32(fusion.global_) * side.first + fine
        total -= strength * other.fine_offsets[side.candidates]
        scores = np.full((len(total), len(other.fine_offsets)), -np.inf, np.float32)
        np.put_along_axis(scores, side.candidates, total, axis=1)
        whole[kind] = scores
        rows.append(total.flatten())
    return recall(whole["image"], whole["text"].T, owners), np.concatenate(rows)


def bytes_of(items: Sequence[Encoded]) -> tuple[float, float]:
    """Mean bytes of a packed record, and of its region or word matrices."""
    records = [len(pack(item.arrays)) for item in items]
    matrices = [sum(len(item.arrays[layer]) for layer in LAYERS_OF_NODES) for item in items]
    return float(np.mean(records)), float(np.mean(matrices))


def _semantic(alignment: Alignment, kind: Kind, own: torch.Tensor, others: torch.Tensor) -> object:
    pictures, texts = (own[None], others) if kind == "image" else (others, own[None])
    return alignment.semantic(pictures, texts).flatten().numpy()


def _each(nodes: Nodes) -> list[tuple[np.ndarray, np.ndarray]]:
    vectors, weights, mask = (a.numpy() for a in (nodes.vectors, nodes.weights, nodes.mask))
    return [(v[m], w[m]) for v, w, m in zip(vectors, weights, mask, strict=True)]


@torch.inference_mode()
def measure(bundle: Bundle, split: Split, cache: Path) -> None:
    """Prints the table."""
    pictures, texts = encoded(bundle, split, cache)
    of = sides(bundle, pictures, texts)
    alignment = bundle.network().alignment
    exact, exact_scores = rsum_of(bundle, of, in_float32(alignment, of), split.owners)
    print(
        f"{bundle.name}, {len(split.examples):,} pictures and {len(split.captions):,} captions of"
        f" {split.name}, {CANDIDATES} candidates re-ranked by {variant()} (float16: torch),"
        f" {machine()}"
    )
    print(
        f"float32, two-stage: rsum {exact.rsum:.2f}; final scores spread {exact_scores.std():.3f}"
    )
    print("codec      image record  matrices   text record  matrices    rsum   lost   moved (rms)")
    boxes = served_extractor(bundle.config).boxes()
    for name in CODECS:
        parts = by_codec(alignment, make_codec(name, bundle.bank), of)
        found, scores = rsum_of(bundle, of, parts, split.owners)
        matcher = Matcher(bundle, codec=name)
        some = partial(take, rows=slice(MEASURED_RECORDS))
        shared = None if boxes is None else boxes[None]
        image = bytes_of(matcher.picture_records(some(pictures), shared))
        text = bytes_of(matcher.encode_texts(split.captions[:MEASURED_RECORDS]))
        moved = float(np.sqrt(np.square(scores - exact_scores).mean()))
        print(
            f"{name:10} {image[0]:12,.0f} {image[1]:9,.0f} {text[0]:13,.0f} {text[1]:9,.0f}"
            f" {found.rsum:7.2f} {exact.rsum - found.rsum:6.2f} {moved:13.4f}"
        )


def main() -> None:
    """Measures on what the options name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", type=Path, default=Path("bundle"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data/flickr8k"))
    parser.add_argument("--split", default="val")
    parser.add_argument("--limit", type=int, default=0, help="only so many pictures")
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        split = read_split(options.data, options.split)
    except DataError as error:
        sys.exit(f"nothing measured: {error}")
    if options.limit:
        split = split.first(options.limit)
    with tempfile.TemporaryDirectory() as folder:
        measure(load_bundle(options.bundle), split, options.cache or Path(folder))


if __name__ == "__main__":
    main()
