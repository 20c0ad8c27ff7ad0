"""Whole splits through the network, batch by batch, and scores of every pair in blocks."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from model.alignment import (
    CONCEPT,
    LAYERS,
    Alignment,
    Codes,
    LayerScores,
    Nodes,
    concept_agreement,
)
from model.lengths import of_like_length
from model.network import Network
from model.progress import Progress, silent
from model.traced import Traced
from model.words import TextBatch, TrunkText, collate

TextCoder = Callable[[TextBatch], Codes]

BLOCK_TEXTS = 200
BLOCK_PICTURES = 50


class Rows(Protocol):
    """Trunk arrays in order: an array, or a file that is read part by part."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> np.ndarray: ...


@torch.inference_mode()
def code_pictures(
    network: Network, arrays: Rows, batch: int = 32, progress: Progress = silent
) -> Codes:
    """Trunk arrays (N, *shape) to codes, in order."""
    parts = []
    device = _device(network)
    for start in range(0, len(arrays), batch):
        part = torch.from_numpy(np.array(arrays[start : start + batch])).float().to(device)
        codes = network.pictures(part)
        if network.concepts is not None:
            codes = replace(codes, concepts=network.concepts.pictures(part))
        parts.append(codes)
        progress(min(start + batch, len(arrays)), len(arrays))
    return concatenate(parts)


def text_coder(network: Network) -> TextCoder:
    """What codes a padded batch on the network's device, concepts included."""

    def coded(together: TextBatch) -> Codes:
        codes = network.texts(together)
        if network.concepts is None:
            return codes
        return replace(codes, concepts=network.concepts.texts(together))

    return coded


def traced_text_coder(network: Network, texts: Sequence[TrunkText]) -> TextCoder:
    """The same as a graph, for a network on a CPU. texts: some of different lengths to trace."""
    graph = Traced(_OfTensors(network), *_tensors(collate(texts)))

    def coded(together: TextBatch) -> Codes:
        return Codes.of(*graph(*_tensors(together)))

    return coded


@torch.inference_mode()
def code_texts(
    network: Network, texts: Sequence[TrunkText], batch: int = 128, coder: TextCoder | None = None
) -> Codes:
    """Trunk texts to codes, in order; each batch holds texts of like length.

    coder: what does it instead of the network's own `text_coder`.
    """
    return _by_length(coder or text_coder(network), _device(network), texts, batch)


def texts_by_length(network: Network, texts: Sequence[TrunkText], batch: int) -> Codes:
    """The same for training, with gradients: padding would cost as much as words."""
    return _by_length(network.texts, _device(network), texts, batch)


def _by_length(coded: TextCoder, device: str, texts: Sequence[TrunkText], batch: int) -> Codes:
    groups = of_like_length([len(text.states) for text in texts], batch)
    parts = [coded(collate([texts[i] for i in group]).to(device)) for group in groups]
    order = [i for group in groups for i in group]
    back = torch.tensor(order, device=device).argsort()
    return take(concatenate(parts), back)


def take(codes: Codes, rows: slice | Tensor) -> Codes:
    """The codes of some items."""
    return codes.map(lambda part: part[rows])


def single_precision(codes: Codes) -> Codes:
    """The codes in float32, in which they are compared whatever they were computed in."""
    return codes.map(lambda part: part.float() if part.is_floating_point() else part)


def concatenate(parts: Sequence[Codes]) -> Codes:
    """Codes one after the other, padded to the largest node count."""
    return Codes(
        torch.cat([p.global_ for p in parts]),
        _concatenate_nodes([p.entity for p in parts]),
        _concatenate_nodes([p.relation for p in parts]),
        torch.cat([p.tags for p in parts]),
        _padded([p.kept for p in parts]),
        _padded([p.saliency for p in parts]),
        torch.cat([p.concepts for p in parts]),
    )


@torch.inference_mode()
def score_all(
    alignment: Alignment,
    pictures: Codes,
    texts: Codes,
    progress: Progress = silent,
    layers: Collection[str] = LAYERS,
) -> dict[str, np.ndarray]:
    """All four layers for every pair, each (I, T) float32, texts of like length together.

    Layers that are not named stay 0. "concept" is a fifth where both sides have concepts.
    """
    count = (len(pictures.global_), len(texts.global_))
    scores = {name: np.empty(count, dtype=np.float32) for name in LAYERS}
    if pictures.concepts.shape[1] and texts.concepts.shape[1]:
        agreement = concept_agreement(pictures.concepts, texts.concepts)
        scores[CONCEPT] = agreement.cpu().numpy()
    done = 0
    for rows, part in by_length(texts, BLOCK_TEXTS):
        for first in range(0, count[0], BLOCK_PICTURES):
            some = slice(first, first + BLOCK_PICTURES)
            scored: LayerScores = alignment(take(pictures, some), part, layers)
            columns = rows.numpy()
            for name, value in (
                ("global", scored.global_),
                ("entity", scored.entity),
                ("relation", scored.relation),
                ("semantic", scored.semantic),
            ):
                scores[name][some, columns] = value.cpu().numpy()
        done += len(rows)
        progress(done, count[1])
    return scores


class _OfTensors(nn.Module):
    """The coding of texts as a module that takes and gives nothing but tensors."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, *batch: Tensor) -> tuple[Tensor, ...]:
        return text_coder(self.network)(TextBatch(*batch)).tensors


def _tensors(batch: TextBatch) -> tuple[Tensor, ...]:
    return batch.states, batch.mask, batch.words, batch.present, batch.embeddings


def _device(network: Network) -> str:
    return str(next(network.parameters()).device)


def by_length(texts: Codes, block: int) -> Iterator[tuple[Tensor, Codes]]:
    """Texts of like length together, padding cut off: rows (block,) and their codes."""
    # The last node of either layer: word dropout may leave a phrase where it took the word.
    lengths = torch.maximum(*(_lengths(n.mask) for n in (texts.entity, texts.relation))).cpu()
    order = lengths.argsort(stable=True)
    for start in range(0, len(order), block):
        rows = order[start : start + block]
        part = take(texts, rows.to(texts.global_.device))
        yield rows, _trimmed(part, int(lengths[rows].max()))


def _lengths(mask: Tensor) -> Tensor:
    return mask.cumsum(1).argmax(1) + 1


def _trimmed(codes: Codes, length: int) -> Codes:
    def shorter(nodes: Nodes) -> Nodes:
        return Nodes(nodes.vectors[:, :length], nodes.mask[:, :length], nodes.weights[:, :length])

    return Codes(
        codes.global_,
        shorter(codes.entity),
        shorter(codes.relation),
        codes.tags,
        codes.kept[:, :length],
        codes.saliency[:, :length],
        codes.concepts,
    )


def _concatenate_nodes(parts: Sequence[Nodes]) -> Nodes:
    return Nodes(
        _padded([p.vectors for p in parts]),
        _padded([p.mask for p in parts]),
        _padded([p.weights for p in parts]),
    )


def _padded(parts: Sequence[Tensor]) -> Tensor:
    longest = max(part.shape[1] for part in parts)
    padded = [
        torch.cat(
            [part, part.new_zeros((part.shape[0], longest - part.shape[1], *part.shape[2:]))], dim=1
        )
        for part in parts
    ]
    return torch.cat(padded)
