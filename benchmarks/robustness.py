"""What bad regions cost, with and without the semantic layer.

usage: robustness.py [--bundle bundle] [--data FOLDER] [--split val] [--pictures 1000]

A detector that errs is simulated on the regions of every photo: half of them dropped, half taken
from the neighbouring cell, half taken from another photo. Concepts come from elsewhere and stay
whole. Layer weights and strength of the offsets are fitted on the photos as they are, then applied
to the damaged ones. Prints rsum of exhaustive scoring, and the share of it that each damage leaves.
"""

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from model.alignment import CONCEPT
from model.bundle import load_bundle
from model.coding import code_pictures, code_texts
from model.config import HubnessConfig
from model.dataset import read_split
from model.errors import DataError
from model.evaluate import BankScores, Fitted, PairScores, fit_fusion, score_pairs
from model.first_stage import OwnFirstStage
from model.network import Network
from model.recall import recall
from model.trunk_arrays import caption_arrays, picture_arrays

SETS = {
    "entity": ("entity",),
    "entity + semantic": ("entity", "semantic"),
    "global": ("global",),
    "global + semantic": ("global", "semantic"),
    "all but semantic": ("global", "entity", "relation"),
    "all four": ("global", "entity", "relation", "semantic"),
    "all but semantic, and concepts": ("global", "entity", "relation", CONCEPT),
    "all four and concepts": ("global", "entity", "relation", "semantic", CONCEPT),
}
DAMAGES = ("none", "dropped", "neighbour's", "another photo's")


class DamagedTail(nn.Module):
    """A tail half of whose regions, others for each photo, are not what they should be."""

    def __init__(self, tail: nn.Module, damage: str) -> None:
        super().__init__()
        self.tail, self.damage = tail, damage
        self.random = torch.Generator().manual_seed(0)

    def forward(self, arrays: Tensor) -> Tensor:
        """Trunk arrays to region features (B, R, F); a dropped region is a row of zeros."""
        features: Tensor = self.tail(arrays)
        hit = torch.rand(features.shape[:2], generator=self.random).argsort(1)
        hit = (hit < features.shape[1] // 2)[:, :, None]
        wrong = {
            "none": features,
            "dropped": torch.zeros_like(features),
            "neighbour's": features.roll(1, dims=1),
            "another photo's": features.roll(1, dims=0),
        }[self.damage]
        return torch.where(hit, wrong, features)


def damage_tails(network: Network, damage: str) -> None:
    """Puts a damaged tail in front of every stage that has one; both draw the same regions."""
    network.picture_tail = DamagedTail(network.picture_tail, damage)
    if isinstance(network.first_stage, OwnFirstStage):
        network.first_stage.picture_tail = DamagedTail(network.first_stage.picture_tail, damage)


def rsum(pairs: PairScores, bank: BankScores, fitted: Fitted) -> float:
    """rsum with weights that were fitted elsewhere."""
    with_offsets = bank.offsets(pairs, fitted.fusion)
    return recall(*with_offsets.total(fitted.fusion, fitted.strength), pairs.owners).rsum


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", type=Path, default=Path("bundle"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data/flickr8k"))
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    parser.add_argument("--split", default="val")
    parser.add_argument("--pictures", type=int, default=1000)
    options = parser.parse_args()
    try:
        split = read_split(options.data, options.split)
    except DataError as error:
        sys.exit(f"nothing measured: {error}")
    bundle = load_bundle(options.bundle)
    sets = {
        name: layers
        for name, layers in SETS.items()
        if bundle.config.concepts or CONCEPT not in layers
    }
    # Cached whole, as other measurements use them.
    arrays = picture_arrays(bundle.config, split, options.cache, None, lambda *_: None)
    captions = caption_arrays(
        bundle.config, bundle.vocabulary, split.captions, options.cache, lambda *_: None
    )
    split = split.first(options.pictures)
    arrays = arrays.take(slice(len(split.examples)))
    texts = code_texts(bundle.network(), captions[: len(split.captions)])
    fitted: dict[str, Fitted] = {}
    print(f"{bundle.name}, {len(split.examples)} photos of {options.split}: rsum (share left)")
    print("| layers | " + " | ".join(DAMAGES) + " |")
    print("|---" * (len(DAMAGES) + 1) + "|")
    lines: dict[str, list[str]] = {name: [] for name in sets}
    for damage in DAMAGES:
        network = bundle.network()
        damage_tails(network, damage)
        pairs, bank = score_pairs(
            network,
            code_pictures(network, arrays),
            texts,
            split.owners,
            bundle.bank,
            bundle.scoring.beta,
        )
        for name, layers in sets.items():
            if damage == "none":
                fitted[name] = fit_fusion(pairs, bank, HubnessConfig().strengths, layers)
            found, whole = rsum(pairs, bank, fitted[name]), fitted[name].recall.rsum
            lines[name].append(f"{found:.1f} ({found / whole:.2f})")
    for name, cells in lines.items():
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
