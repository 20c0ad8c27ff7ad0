"""Region features to picture codes, word features to text codes (`docs/method.md` 1 and 2)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.alignment import SMALLEST, Codes, Nodes
from model.config import ModelConfig
from model.pooling import GeneralisedPoolingOperator


class Head(nn.Module):
    """A linear map plus a small residual MLP."""

    def __init__(self, inputs: int, outputs: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.residual = nn.Sequential(
            nn.Linear(inputs, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, outputs)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        out: Tensor = self.linear(features) + self.residual(features)
        return out


class Weighting(nn.Module):
    """The learned importance of each node among its item's."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, features: Tensor, mask: Tensor, prior: Tensor | None = None) -> Tensor:
        """Features (B, N, inputs), mask (B, N), log prior (B, N): weights (B, N) summing to 1."""
        logits: Tensor = self.score(features).squeeze(-1)
        if prior is not None:
            logits = logits + prior
        weights: Tensor = logits.masked_fill(~mask, -torch.inf).softmax(-1)
        return weights


class EqualWeighting(nn.Module):
    """Every node counts the same."""

    def forward(self, features: Tensor, mask: Tensor, prior: Tensor | None = None) -> Tensor:
        """Mask (B, N) to weights (B, N) summing to 1; features and prior play no part."""
        weights: Tensor = mask / mask.sum(1, keepdim=True)
        return weights


class WeightedPooling(Weighting):
    """One vector from an item's node vectors, each weighed by what its features say."""

    def pooled(
        self, features: Tensor, vectors: Tensor, mask: Tensor, prior: Tensor | None = None
    ) -> Tensor:
        """Features (B, N, inputs), vectors (B, N, D), mask and log prior (B, N) to (B, D)."""
        pooled: Tensor = (self(features, mask, prior)[:, :, None] * vectors).sum(1)
        return pooled


class GeneralisedPooling(GeneralisedPoolingOperator):
    """The same place filled by VSE∞'s operator, which looks at the vectors alone."""

    def pooled(
        self, features: Tensor, vectors: Tensor, mask: Tensor, prior: Tensor | None = None
    ) -> Tensor:
        """Vectors (B, N, D) and mask (B, N) to (B, D); features and prior play no part."""
        pooled: Tensor = self(vectors, mask)
        return pooled


class GlobalPictureEncoder(nn.Module):
    """Salient self-attention over the candidate regions, then one vector from all of them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size, hidden, dropout = config.regions.feature_size, config.head_size, config.dropout
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)
        self.query = nn.Linear(size, config.attention_size)
        self.key = nn.Linear(size, config.attention_size)
        self.context_norm = nn.LayerNorm(size)
        self.global_head = Head(size, config.dimension, hidden, dropout)
        self.global_context = nn.Linear(size, config.dimension, bias=False)
        self.gates = nn.Parameter(torch.zeros(1))
        self.global_weighting = _pooling(size, config)

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Region features (B, R, F) and which of them are there, (B, R) bool, to (B, D), unit."""
        return functional.normalize(self._pooled(self._look(features, present)), dim=-1)

    def _look(self, features: Tensor, present: Tensor) -> "_Looked":
        regions = self.dropout(self.norm(features))
        attention = self._attention(regions, present)
        saliency = (attention * present[:, :, None]).sum(1) / present.sum(1, keepdim=True)
        context = self.context_norm(attention @ regions)
        return _Looked(regions, context, present, saliency, saliency.clamp_min(SMALLEST).log())

    def _pooled(self, looked: "_Looked") -> Tensor:
        vectors = self.global_head(looked.regions) + self.gates[0] * self.global_context(
            looked.context
        )
        pooled: Tensor = self.global_weighting.pooled(
            looked.regions, vectors, looked.present, looked.prior
        )
        return pooled

    def _attention(self, regions: Tensor, present: Tensor) -> Tensor:
        query, key = self.query(regions), self.key(regions)
        logits = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
        attention: Tensor = logits.masked_fill(~present[:, None, :], -torch.inf).softmax(-1)
        return attention


@dataclass(frozen=True)
class _Looked:
    """Candidate regions (B, R, F), what each sees of the others, which are there, how salient
    each is, and the logarithm of that as a prior of its weight.
    """

    regions: Tensor
    context: Tensor
    present: Tensor
    saliency: Tensor
    prior: Tensor


class PictureEncoder(GlobalPictureEncoder):
    """The same, with one head for each layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        size, hidden, dropout = config.regions.feature_size, config.head_size, config.dropout
        self.keep, self.relations = config.keep, config.relations
        self.entity_head = Head(size, config.fine_dimension, hidden, dropout)
        self.entity_context = nn.Linear(size, config.fine_dimension, bias=False)
        self.relation_head = Head(2 * size, config.fine_dimension, hidden, dropout)
        self.gates = nn.Parameter(torch.zeros(2))
        self.entity_weighting = _weighting(size, config)
        self.relation_weighting = _weighting(2 * size, config)
        self.tag_head = nn.Linear(config.dimension, config.tags)

    def codes(self, features: Tensor, present: Tensor) -> Codes:
        """Region features (B, R, F) and which of them are there, (B, R) bool, to codes."""
        looked = self._look(features, present)
        entity, kept = self._entity(looked)
        pooled = self._pooled(looked)
        return Codes(
            global_=functional.normalize(pooled, dim=-1),
            entity=entity,
            relation=self._relation(looked),
            tags=self.tag_head(self.dropout(pooled)),
            kept=kept,
            saliency=looked.saliency.gather(1, kept),
            concepts=pooled.new_empty(pooled.shape[0], 0),
        )

    def _entity(self, looked: _Looked) -> tuple[Nodes, Tensor]:
        kept = _most_salient(looked.saliency, looked.present, self.keep)
        regions, context = _take(looked.regions, kept), _take(looked.context, kept)
        mask = looked.present.gather(1, kept)
        vectors = self.entity_head(regions) + self.gates[1] * self.entity_context(context)
        weights = self.entity_weighting(regions, mask, looked.prior.gather(1, kept))
        return Nodes(functional.normalize(vectors, dim=-1), mask, weights), kept

    def _relation(self, looked: _Looked) -> Nodes:
        kept = _most_salient(looked.saliency, looked.present, self.relations)
        pairs = torch.cat([_take(looked.regions, kept), _take(looked.context, kept)], dim=-1)
        mask = looked.present.gather(1, kept)
        vectors = functional.normalize(self.relation_head(pairs), dim=-1)
        return Nodes(vectors, mask, self.relation_weighting(pairs, mask))


class GlobalTextEncoder(nn.Module):
    """Bi-GRU over the word features, beside them, then one vector from all of them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        text, hidden, dropout = config.text, config.head_size, config.dropout
        self.norm = nn.LayerNorm(text.feature_size)
        self.dropout = nn.Dropout(dropout)
        self.recurrent = (
            nn.GRU(text.feature_size, text.recurrent_size, batch_first=True, bidirectional=True)
            if text.recurrent_size
            else None
        )
        size = text.feature_size + text.recurrent_size
        self.global_head = Head(size, config.dimension, hidden, dropout)
        self.global_weighting = _pooling(size, config)

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Word features (B, L, W) and which words are there, (B, L) bool, to (B, D), unit."""
        return functional.normalize(self._pooled(self._words(features, present), present), dim=-1)

    def _words(self, features: Tensor, present: Tensor) -> Tensor:
        return self._with_context(self.dropout(self.norm(features)), present)

    def _pooled(self, words: Tensor, present: Tensor) -> Tensor:
        pooled: Tensor = self.global_weighting.pooled(words, self.global_head(words), present)
        return pooled

    def _with_context(self, words: Tensor, present: Tensor) -> Tensor:
        if self.recurrent is None:
            return words
        packed = nn.utils.rnn.pack_padded_sequence(
            words, present.sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = nn.utils.rnn.pad_packed_sequence(
            self.recurrent(packed)[0], batch_first=True, total_length=words.shape[1]
        )
        forwards, backwards = states.chunk(2, dim=-1)
        return torch.cat([words, (forwards + backwards) / 2], dim=-1)


class TextEncoder(GlobalTextEncoder):
    """The same, with one head for each layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        hidden, dropout = config.head_size, config.dropout
        size = config.text.feature_size + config.text.recurrent_size
        self.phrase = config.phrase
        self.entity_head = Head(size, config.fine_dimension, hidden, dropout)
        self.relation_head = Head(size, config.fine_dimension, hidden, dropout)
        self.entity_weighting = _weighting(size, config)
        self.relation_weighting = _weighting(size, config)
        self.tag_head = nn.Linear(config.dimension + size, config.tags)

    def codes(self, features: Tensor, present: Tensor) -> Codes:
        """Word features (B, L, W) and which words are there, (B, L) bool, to codes."""
        words = self._words(features, present)
        pooled = self._pooled(words, present)
        entity = Nodes(
            functional.normalize(self.entity_head(words), dim=-1),
            present,
            self.entity_weighting(words, present),
        )
        weighted = (entity.weights[:, :, None] * words).sum(1)
        order = torch.arange(present.shape[1], device=present.device)
        return Codes(
            global_=functional.normalize(pooled, dim=-1),
            entity=entity,
            relation=self._relation(words, present),
            tags=self.tag_head(self.dropout(torch.cat([pooled, weighted], dim=-1))),
            kept=order.expand(present.shape),
            saliency=entity.weights,
            concepts=pooled.new_empty(pooled.shape[0], 0),
        )

    def _relation(self, words: Tensor, present: Tensor) -> Nodes:
        phrases, mask = windows(words, present, self.phrase)
        vectors = functional.normalize(self.relation_head(phrases), dim=-1)
        return Nodes(vectors, mask, self.relation_weighting(phrases, mask))


def _pooling(inputs: int, config: ModelConfig) -> WeightedPooling | GeneralisedPooling:
    if config.pooling == "generalised":
        return GeneralisedPooling()
    return WeightedPooling(inputs, config.attention_size)


def _weighting(inputs: int, config: ModelConfig) -> Weighting | EqualWeighting:
    if config.node_weights == "equal":
        return EqualWeighting()
    return Weighting(inputs, config.attention_size)


def windows(words: Tensor, present: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Means of `size` neighbouring words, (B, L, W), and which of them are whole, (B, L).

    Window i starts at word i. A text shorter than a window has one: all its words.
    """
    filled = functional.pad(words * present[:, :, None], (0, 0, 0, size - 1))
    counted = functional.pad(present, (0, size - 1))
    length = present.shape[1]
    total = torch.stack([filled[:, i : i + length] for i in range(size)]).sum(0)
    count = torch.stack([counted[:, i : i + length] for i in range(size)]).sum(0)
    whole = count == size
    whole[:, 0] = True
    return total / count.clamp_min(1)[:, :, None], whole


def _most_salient(saliency: Tensor, present: Tensor, count: int) -> Tensor:
    ranked = saliency.masked_fill(~present, -1.0)
    if count >= saliency.shape[1]:
        order = torch.arange(saliency.shape[1], device=saliency.device)
        return order.expand(saliency.shape)
    return ranked.topk(count, dim=1).indices.sort(dim=1).values


def _take(features: Tensor, kept: Tensor) -> Tensor:
    return features.gather(1, kept[:, :, None].expand(-1, -1, features.shape[2]))
