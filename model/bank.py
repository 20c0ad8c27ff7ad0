"""The query bank of a model: training captions and pictures, coded, that offsets are computed with.

It travels in the bundle, vectors as int8 with a scale a row, or in four bits a number.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model import four_bits
from model.alignment import Codes, Nodes
from model.coding import score_all, take
from model.config import HubnessConfig
from model.fusion import Fusion
from model.hubness import offsets
from model.network import Network

HIGHEST = 127


@dataclass(frozen=True)
class Bank:
    """Queries of both kinds: many global vectors (n, D), fewer whole codes for the fine score."""

    global_captions: Tensor
    global_pictures: Tensor
    captions: Codes
    pictures: Codes

    def to(self, device: str) -> "Bank":
        """The bank on a device."""
        return Bank(
            self.global_captions.to(device),
            self.global_pictures.to(device),
            self.captions.to(device),
            self.pictures.to(device),
        )


@dataclass(frozen=True)
class Offsets:
    """Hubness of a batch of items, each (items,) float32."""

    global_: np.ndarray
    fine: np.ndarray


def draw_rows(count: int, wanted: int, seed: int = 0) -> np.ndarray:
    """Which of `count` items of a split go into the bank, random but always the same."""
    return np.random.default_rng(seed).permutation(count)[:wanted]


def draw(pictures: Codes, captions: Codes, config: HubnessConfig) -> Bank:
    """The bank out of the codes of drawn items: their first ones are kept whole."""
    return Bank(
        captions.global_,
        pictures.global_,
        take(captions, slice(config.fine_captions)),
        take(pictures, slice(config.fine_pictures)),
    )


def picture_bank_scores(network: Network, bank: Bank, pictures: Codes) -> dict[str, np.ndarray]:
    """Each layer between pictures and the bank's captions, (pictures, bank)."""
    scores = score_all(network.alignment, pictures, bank.captions)
    scores["global"] = (pictures.global_ @ bank.global_captions.T).cpu().numpy()
    return scores


def text_bank_scores(network: Network, bank: Bank, texts: Codes) -> dict[str, np.ndarray]:
    """Each layer between texts and the bank's pictures, (texts, bank)."""
    scores = {
        name: layer.T for name, layer in score_all(network.alignment, bank.pictures, texts).items()
    }
    scores["global"] = (texts.global_ @ bank.global_pictures.T).cpu().numpy()
    return scores


def bank_offsets(scores: Mapping[str, np.ndarray], fusion: Fusion, beta: float) -> Offsets:
    """The offsets of items from their scores with the bank, for one choice of layer weights."""
    return Offsets(offsets(scores["global"], beta), offsets(fusion.fine(scores), beta))


def to_arrays(bank: Bank, compact: bool = False) -> dict[str, np.ndarray]:
    """Named arrays for a safetensors file; compact: in four bits a number."""
    arrays: dict[str, np.ndarray] = {}
    _put_rows(arrays, "global_captions", bank.global_captions, compact)
    _put_rows(arrays, "global_pictures", bank.global_pictures, compact)
    for name, codes in (("captions", bank.captions), ("pictures", bank.pictures)):
        _put_nodes(arrays, f"{name}.entity", codes.entity, compact)
        _put_nodes(arrays, f"{name}.relation", codes.relation, compact)
        arrays[f"{name}.tags"] = codes.tags.half().numpy()
        if codes.concepts.shape[1]:
            arrays[f"{name}.concepts"] = codes.concepts.half().numpy()
    return arrays


def from_arrays(arrays: Mapping[str, np.ndarray]) -> Bank:
    """The bank that `to_arrays` wrote, up to quantisation."""
    global_captions = _rows(arrays, "global_captions")
    dimension = global_captions.shape[1]
    return Bank(
        global_captions,
        _rows(arrays, "global_pictures"),
        _codes(arrays, "captions", dimension),
        _codes(arrays, "pictures", dimension),
    )


def _codes(arrays: Mapping[str, np.ndarray], name: str, dimension: int) -> Codes:
    entity = _nodes(arrays, f"{name}.entity")
    order = torch.arange(entity.mask.shape[1]).expand(entity.mask.shape)
    concepts = arrays.get(f"{name}.concepts", np.empty((len(entity.mask), 0), np.float16))
    # Fine scoring reads neither the global vectors nor the saliency of bank items.
    return Codes(
        torch.zeros(len(entity.mask), dimension),
        entity,
        _nodes(arrays, f"{name}.relation"),
        torch.from_numpy(arrays[f"{name}.tags"]).float(),
        order,
        entity.weights,
        torch.from_numpy(concepts).float(),
    )


def _put_nodes(arrays: dict[str, np.ndarray], name: str, nodes: Nodes, compact: bool) -> None:
    _put_rows(arrays, name, nodes.vectors[nodes.mask], compact)
    arrays[f"{name}.mask"] = nodes.mask.numpy()
    arrays[f"{name}.weights"] = nodes.weights.half().numpy()


def _nodes(arrays: Mapping[str, np.ndarray], name: str) -> Nodes:
    mask = torch.from_numpy(arrays[f"{name}.mask"])
    rows = _rows(arrays, name)
    vectors = torch.zeros(*mask.shape, rows.shape[1])
    vectors[mask] = rows
    weights = torch.from_numpy(arrays[f"{name}.weights"]).float()
    return Nodes(vectors, mask, weights / weights.sum(1, keepdim=True))


def _put_rows(arrays: dict[str, np.ndarray], name: str, rows: Tensor, compact: bool) -> None:
    if compact:
        codes, scales = four_bits.encode(rows.numpy())
        arrays[f"{name}.four_bits"], arrays[f"{name}.scale"] = codes, scales
        arrays[f"{name}.shape"] = np.array(rows.shape)
    else:
        scale = rows.abs().amax(1, keepdim=True).clamp_min(1e-12) / HIGHEST
        arrays[f"{name}.int8"] = (rows / scale).round().to(torch.int8).numpy()
        arrays[f"{name}.scale"] = scale.numpy()


def _rows(arrays: Mapping[str, np.ndarray], name: str) -> Tensor:
    scale = arrays[f"{name}.scale"]
    if f"{name}.four_bits" in arrays:
        shape = tuple(arrays[f"{name}.shape"].tolist())
        return torch.from_numpy(four_bits.decode(arrays[f"{name}.four_bits"], scale, shape))
    return torch.from_numpy(arrays[f"{name}.int8"]).float() * torch.from_numpy(scale)
