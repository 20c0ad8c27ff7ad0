"""The layers of alignment: one definition for training, evaluation, re-ranking and explanations.

Attention between the nodes of two sides follows SCAN (Lee et al., ECCV 2018, eq. 1-5) with the
attended vectors never built: for weights a_i over the nodes v_j of the other side,
`e_i . c_i = sum_j a_ij S_ij` and `|c_i|^2 = a_i^T G a_i`, where `G = v v^T` belongs to one item.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

Assignment = Literal["soft", "hard"]
Directions = Literal["both", "word-to-region", "region-to-word"]

LAYERS = ("global", "entity", "relation", "semantic")
# The layer that nothing trains, of models that have it.
CONCEPT = "concept"
LEAK = 0.1
SMALLEST = 1e-6
# What two sides agree on that share no concept at all.
LEAST_AGREEMENT = 1e-5
SHOWN_SHARPNESS = 10.0


@dataclass(frozen=True)
class Nodes:
    """Fine-grained vectors of a batch of items: regions, words, contexts or phrases.

    vectors: (B, N, d), unit rows; mask: (B, N) bool, True where a node stands, at least one a row;
    weights: (B, N), the importance of a node among its item's, summing to 1.
    """

    vectors: Tensor
    mask: Tensor
    weights: Tensor

    def __getitem__(self, rows: slice | Tensor) -> "Nodes":
        """The nodes of some of the items."""
        return self.map(lambda part: part[rows])

    def map(self, function: Callable[[Tensor], Tensor]) -> "Nodes":
        """The same done to vectors, mask and weights."""
        return Nodes(function(self.vectors), function(self.mask), function(self.weights))

    def only(self, kept: Tensor) -> "Nodes":
        """Without the nodes where `kept` (B, N) is False, weights summing to 1 again."""
        mask = self.mask & kept
        weights = self.weights * mask
        total = weights.sum(1, keepdim=True).clamp_min(SMALLEST)
        return Nodes(self.vectors, mask, weights / total)


@dataclass(frozen=True)
class Codes:
    """What an encoder gives for a batch of pictures or of texts.

    global_: (B, D), unit rows; entity and relation: nodes; tags: (B, T) logits;
    kept: (B, K) indices of the nodes among the candidates; saliency: (B, K) of the kept nodes;
    concepts: (B, 1000) probabilities, or (B, 0) of a model without them and in training.
    """

    global_: Tensor
    entity: Nodes
    relation: Nodes
    tags: Tensor
    kept: Tensor
    saliency: Tensor
    concepts: Tensor

    def map(self, function: Callable[[Tensor], Tensor]) -> "Codes":
        """The same done to every tensor."""
        return Codes(
            function(self.global_),
            self.entity.map(function),
            self.relation.map(function),
            function(self.tags),
            function(self.kept),
            function(self.saliency),
            function(self.concepts),
        )

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Every tensor, in the order of `map`."""
        found: list[Tensor] = []

        def note(part: Tensor) -> Tensor:
            found.append(part)
            return part

        self.map(note)
        return tuple(found)

    @classmethod
    def of(cls, *tensors: Tensor) -> Self:
        """The codes of which these are the `tensors`."""
        global_, *nodes = tensors
        return cls(global_, Nodes(*nodes[:3]), Nodes(*nodes[3:6]), *nodes[6:])

    def to(self, device: str) -> "Codes":
        """The codes on a device."""
        return self.map(lambda part: part.to(device))


def attention(similarity: Tensor, other: Tensor, temperature: Tensor) -> Tensor:
    """Weights over the other side's nodes, (..., own, other), each row summing to 1 (SCAN eq. 3-4).

    similarity: (..., own, other) cosines, 0 in the rows of absent own nodes; other: the mask of the
    other side, broadcast against it. Similarities go through a leaky ReLU and are l2-normalised
    over the own side before the softmax.
    """
    positive = functional.leaky_relu(similarity, LEAK)
    sharpness = temperature * (positive.square().sum(-2, keepdim=True) + SMALLEST**2).rsqrt()
    weights: Tensor = (positive * sharpness).masked_fill(~other, -torch.inf).softmax(-1)
    return weights


def attended_cosine(similarity: Tensor, weights: Tensor, gram: Tensor) -> Tensor:
    """cos(e_i, sum_j a_ij v_j), (..., own), from S, a and the other side's Gram matrix."""
    dot: Tensor = torch.linalg.vecdot(weights, similarity)
    length = torch.linalg.vecdot(weights @ gram, weights).clamp_min(SMALLEST).sqrt()
    cosine: Tensor = dot / length
    return cosine


def node_alignment(
    regions: Nodes, words: Nodes, word_temperature: Tensor, region_temperature: Tensor
) -> tuple[Tensor, Tensor]:
    """Every picture with every text: word-to-region and region-to-word scores, each (I, T)."""
    region_vectors = regions.vectors * regions.mask[:, :, None]
    word_vectors = words.vectors * words.mask[:, :, None]
    (pictures, count, _), (texts, length, _) = region_vectors.shape, word_vectors.shape
    similarity = torch.einsum("tld,ikd->itlk", word_vectors, region_vectors)
    region_gram = region_vectors @ region_vectors.transpose(1, 2)
    word_gram = word_vectors @ word_vectors.transpose(1, 2)

    over_regions = attention(similarity, regions.mask[:, None, None, :], word_temperature)
    relevance = attended_cosine(
        similarity.reshape(pictures, texts * length, count),
        over_regions.reshape(pictures, texts * length, count),
        region_gram,
    ).view(pictures, texts, length)
    word_to_region = (relevance * words.weights).sum(-1)

    turned = similarity.transpose(2, 3).contiguous()
    over_words = attention(turned, words.mask[None, :, None, :], region_temperature)
    relevance = attended_cosine(turned, over_words, word_gram)
    region_to_word = (relevance * regions.weights[:, None, :]).sum(-1)
    return word_to_region, region_to_word


def hardest_alignment(regions: Nodes, words: Nodes) -> tuple[Tensor, Tensor]:
    """Hard assignment, both directions, each (I, T) (CHAN, Pan et al., CVPR 2023, eq. 4)."""
    similarity = torch.einsum("tld,ikd->itlk", words.vectors, regions.vectors)
    nearest_region = similarity.masked_fill(~regions.mask[:, None, None, :], -torch.inf).amax(3)
    nearest_word = similarity.masked_fill(~words.mask[None, :, :, None], -torch.inf).amax(2)
    return (
        (nearest_region * words.weights).sum(-1),
        (nearest_word * regions.weights[:, None, :]).sum(-1),
    )


def semantic_alignment(picture_tags: Tensor, text_tags: Tensor, importance: Tensor) -> Tensor:
    """Cosine of two tag predictions, (I, T), each tag weighted by its learned importance.

    picture_tags: (I, tags) and text_tags: (T, tags) probabilities; importance: (tags,), positive.
    """
    left = functional.normalize(picture_tags * importance, dim=-1)
    right = functional.normalize(text_tags * importance, dim=-1)
    return left @ right.T


def concept_agreement(pictures: Tensor, texts: Tensor) -> Tensor:
    """How likely both sides mean one concept, on a logarithmic scale from 0 to 1, (I, T).

    pictures: (I, C) and texts: (T, C), probabilities. With C = 0 all is 0.
    """
    shared = pictures @ texts.T
    return 1 - (shared + LEAST_AGREEMENT).log() / math.log(LEAST_AGREEMENT)


@dataclass(frozen=True)
class LayerScores:
    """The four layers for every picture with every text, each (I, T)."""

    global_: Tensor
    entity: Tensor
    relation: Tensor
    semantic: Tensor


class Alignment(nn.Module):
    """The learned parameters of scoring: attention temperatures and the importance of tags."""

    def __init__(
        self, tags: int, assignment: Assignment = "soft", directions: Directions = "both"
    ) -> None:
        super().__init__()
        self.assignment, self.directions = assignment, directions
        # Entity word-to-region and region-to-word, then the same for relations; as in SCAN.
        self.log_temperatures = nn.Parameter(torch.tensor([9.0, 4.0, 9.0, 4.0]).log())
        self.log_importance = nn.Parameter(torch.zeros(tags))

    def entity(self, regions: Nodes, words: Nodes) -> Tensor:
        """One direction or the mean of both, (I, T)."""
        return self._both(regions, words, 0)

    def relation(self, contexts: Nodes, phrases: Nodes) -> Tensor:
        """The same between region contexts and phrases, (I, T)."""
        return self._both(contexts, phrases, 2)

    def semantic(self, picture_tags: Tensor, text_tags: Tensor) -> Tensor:
        """Agreement of two tag predictions given as probabilities, (I, T)."""
        return semantic_alignment(picture_tags, text_tags, self.log_importance.exp())

    def word_regions(self, regions: Nodes, words: Nodes) -> tuple[Tensor, Tensor]:
        """What an explanation shows of one picture and one text.

        Weights (L, K), where each word is found: a softmax over its cosines with the regions, from
        which all scores are computed. The attention of the score itself is no good as a picture:
        it weighs a region by how much one word has more of it than the other words have, and so
        spares the places that several words share, the motorcycle in "a red motorcycle".
        Relevance (L,): each word's term of the score, a cosine.
        """
        similarity = (words.vectors[0] * words.mask[0, :, None]) @ regions.vectors[0].T
        there = similarity.masked_fill(~regions.mask[0], -torch.inf)
        weights: Tensor = (SHOWN_SHARPNESS * there).softmax(-1)
        if self.assignment == "hard":
            return weights, there.amax(1)
        attended = attention(similarity, regions.mask[0], self.log_temperatures[0].exp())
        gram = regions.vectors[0] @ regions.vectors[0].T
        return weights, attended_cosine(similarity, attended, gram)

    def forward(
        self, pictures: Codes, texts: Codes, layers: Collection[str] = LAYERS
    ) -> LayerScores:
        """The named layers for every pair; those that are not named stay 0."""
        nothing = pictures.global_.new_zeros(len(pictures.global_), len(texts.global_))
        return LayerScores(
            pictures.global_ @ texts.global_.T if "global" in layers else nothing,
            self.entity(pictures.entity, texts.entity) if "entity" in layers else nothing,
            self.relation(pictures.relation, texts.relation) if "relation" in layers else nothing,
            self.semantic(pictures.tags.sigmoid(), texts.tags.sigmoid())
            if "semantic" in layers
            else nothing,
        )

    def _both(self, pictures: Nodes, texts: Nodes, first: int) -> Tensor:
        if self.assignment == "hard":
            forwards, backwards = hardest_alignment(pictures, texts)
        else:
            temperatures = self.log_temperatures.exp()
            forwards, backwards = node_alignment(
                pictures, texts, temperatures[first], temperatures[first + 1]
            )
        match self.directions:
            case "word-to-region":
                return forwards
            case "region-to-word":
                return backwards
            case "both":
                return (forwards + backwards) / 2
