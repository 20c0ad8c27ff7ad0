"""A bundle made ready to answer: encodes pictures and texts, scores candidates, explains.

Everything that leaves is plain numpy, so that an index can keep it. A matcher is never changed
after it is made, but for what it keeps on a device under locks (`resident.py`), so threads may
share it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from model.alignment import CONCEPT, Codes, Nodes
from model.bank import Offsets, bank_offsets, picture_bank_scores, text_bank_scores
from model.bundle import Bundle
from model.calibration import Direction
from model.codecs import DEFAULT_CODEC, make_codec, tag_probabilities
from model.coding import code_pictures, code_texts, text_coder, traced_text_coder
from model.concepts import concept_names
from model.config import ModelConfig
from model.explanation import Box, Explanation, WordExplanation
from model.fused import MOST_NODES, TORCH, FusedScorer, Layer, variant
from model.fused import Kind as Kind
from model.half import is_quick
from model.packed_nodes import PackedNodes, batch_of
from model.regions import served_extractor
from model.resident import Usage
from model.resident_pools import pools_within, usage_of
from model.stored_concepts import CONCEPTS, agreements, shared_concepts, to_bytes
from model.text_trunk import text_trunk

BOX_STEPS = 65535
EXAMPLES = ("a dog", "two dogs run along a beach")
MOST_REGIONS_SHOWN = 9
LAYERS_OF_NODES: tuple[Layer, ...] = ("entity", "relation")
WEIGHTS = "_weights"


@dataclass(frozen=True)
class Encoded:
    """One picture or text, ready to be stored or to search.

    vector: (D + 1,) float32, what an index stores, its last coordinate minus the hubness offset;
    query: (D + 1,), finds items of the other kind by inner product; query_same_kind: (D + 1,),
    finds items of its own kind; arrays: what scoring needs of it, by name, "entity" and "relation"
    as blocks of `packed_nodes.py`.
    """

    vector: np.ndarray
    query: np.ndarray
    query_same_kind: np.ndarray
    arrays: dict[str, np.ndarray]


@dataclass(frozen=True)
class Scores:
    """Scores of n candidates, each (n,) float32; the layers without hubness offsets.

    concept: None where the model has no such layer.
    """

    total: np.ndarray
    global_: np.ndarray
    entity: np.ndarray
    relation: np.ndarray
    semantic: np.ndarray
    concept: np.ndarray | None
    probability: np.ndarray


class Matcher:
    """Encoders and scores of one bundle on one device, nodes kept by one codec."""

    def __init__(
        self,
        bundle: Bundle,
        device: str = "cpu",
        batch_size: int = 16,
        codec: str = DEFAULT_CODEC,
        half: bool | None = None,
        device_cache_mib: int = 0,
    ) -> None:
        """codec: one of `codecs.CODECS`. half: whether to encode in bfloat16 (`half.py`), None for
        where that is quicker. device_cache_mib: memory on the device for nodes that stay there
        between queries; a GPU scores if it has some, or if the kernel can't. Raises ConfigError for
        another codec, and where the device hasn't that memory.
        """
        self.fingerprint, self.name, self.tags = bundle.fingerprint, bundle.name, bundle.tags
        self.config, self.report = bundle.config, bundle.report
        self.dimension = bundle.stored_dimension
        self._scoring, self._batch_size, self._device = bundle.scoring, batch_size, device
        self._bank = bundle.bank.to(device)
        half = is_quick(device) if half is None else half
        network = bundle.network().to(device)
        self._network = network.in_half() if half else network
        self._extractor = served_extractor(bundle.config, device, half)
        self._concept_names = concept_names() if bundle.config.concepts else ()
        traced = device == "cpu"
        self._text_trunk = text_trunk(bundle.config, bundle.vocabulary, device, half, traced)
        self._text_coder = text_coder(self._network)
        if traced:
            self._text_coder = traced_text_coder(self._network, self._text_trunk(EXAMPLES))
        self._codec = make_codec(codec, bundle.bank)
        wanted = device != "cpu" and device_cache_mib > 0
        scored_by = TORCH if wanted else _variant(bundle.config, codec)
        budget = device_cache_mib if scored_by == TORCH else 0
        self._pools = pools_within(budget, bundle.config, self._codec, device)
        self._scorer = FusedScorer(self._network.alignment, scored_by, self._pools)

    @property
    def codec(self) -> str:
        """How the node vectors of an item are kept."""
        return self._codec.name

    @property
    def scorer(self) -> str:
        """What computes the node layers: a variant of the kernel, or torch."""
        return self._scorer.variant

    def device_cache(self) -> dict[Kind, Usage]:
        """How the memory for nodes on the device is used, by the kind of the items there."""
        return usage_of(self._pools)

    @property
    def global_weight(self) -> float:
        """How much the first stage counts in a total (`fusion.py`)."""
        return self._scoring.fusion.global_

    def no_match_below(self, query_kind: Kind) -> float:
        """A best probability under this says that nothing in the collection matches the query."""
        return self.direction(query_kind).no_match_below

    def encode_pictures(
        self, pictures: Sequence[Image.Image], to_store: bool = True
    ) -> list[Encoded]:
        """Upright RGB pictures to codes. Raises ConfigError for a model of precomputed features.

        to_store: with False the hubness offsets stay 0, since a query needs none and they take
        time, and the nodes are kept as exactly as scoring can use.
        """
        if not pictures:
            return []
        boxes = self._extractor.boxes()
        encoded: list[Encoded] = []
        for start in range(0, len(pictures), self._batch_size):
            arrays = self._extractor.trunk(list(pictures[start : start + self._batch_size]))
            codes = code_pictures(self._network, arrays, self._batch_size)
            shared = None if boxes is None else boxes[None]
            encoded += self.picture_records(codes, shared, to_store)
        return encoded

    def encode_texts(self, texts: Sequence[str], to_store: bool = True) -> list[Encoded]:
        """Texts to codes; any string is accepted. to_store: as for pictures."""
        if not texts:
            return []
        trunk = self._text_trunk(texts)
        codes = code_texts(self._network, trunk, coder=self._text_coder)
        if to_store:
            found = self._offsets(text_bank_scores(self._network, self._bank, codes))
        else:
            found = _no_offsets(len(texts))
        encoded = self._records(codes, found, to_store)
        for item, text in zip(encoded, trunk, strict=True):
            item.arrays["spans"] = text.spans
        return encoded

    @staticmethod
    def from_stored(vector: np.ndarray, arrays: Mapping[str, np.ndarray]) -> Encoded:
        """A stored item as a query again; vector and arrays as an index kept them."""
        return _encoded(vector[:-1], vector[-1], dict(arrays))

    def picture_records(
        self, codes: Codes, boxes: np.ndarray | None, to_store: bool = True
    ) -> list[Encoded]:
        """Codes of pictures with the boxes of their candidates, (B or 1, R, 4) in 0..1."""
        if to_store:
            found = self._offsets(picture_bank_scores(self._network, self._bank, codes))
        else:
            found = _no_offsets(len(codes.global_))
        encoded = self._records(codes, found, to_store)
        kept, saliency = codes.kept.cpu().numpy(), codes.saliency.cpu().numpy()
        present = codes.entity.mask.cpu().numpy()
        for i, item in enumerate(encoded):
            item.arrays["saliency"] = saliency[i][present[i]]
            if boxes is not None:
                own = boxes[i if len(boxes) > 1 else 0][kept[i][present[i]]]
                item.arrays["boxes"] = np.round(own.clip(0, 1) * BOX_STEPS).astype(np.uint16)
        return encoded

    def recoded(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | None:
        """Arrays that a version before the codecs stored, as this matcher would; None for its own.

        Such arrays hold node vectors as floats, "entity" beside "entity_weights".
        """
        if f"entity{WEIGHTS}" not in arrays:
            return None
        new = {name: array for name, array in arrays.items() if not name.endswith(WEIGHTS)}
        for layer in LAYERS_OF_NODES:
            weights = arrays[f"{layer}{WEIGHTS}"]
            new[layer] = self._codec.stored(layer, arrays[layer], weights)
        new["tags"] = self._codec.stored_tags(arrays["tags"])
        return new

    @torch.inference_mode()
    def score(
        self,
        query: Encoded,
        query_kind: Kind,
        first_stage: np.ndarray,
        candidates: Sequence[Mapping[str, np.ndarray]],
    ) -> Scores:
        """One query against candidates of the other kind.

        first_stage: (n,) inner products that the index found; candidates: their stored arrays.
        Raises PackedNodesError for arrays that aren't this codec's.
        """
        if not len(candidates):
            nothing = np.zeros(0, dtype=np.float32)
            concept = nothing if self.config.concepts else None
            return Scores(nothing, nothing, nothing, nothing, nothing, concept, nothing)
        scores: dict[str, np.ndarray] = {
            layer: self._scorer.score(
                layer, query.arrays[layer], query_kind, [item[layer] for item in candidates]
            )
            for layer in LAYERS_OF_NODES
        }
        own, others = self._tags([query.arrays]), self._tags(candidates)
        pictures, texts = (own, others) if query_kind == "image" else (others, own)
        semantic = self._network.alignment.semantic(pictures, texts)
        scores["semantic"] = semantic.flatten().cpu().numpy()
        if self.config.concepts:
            scores[CONCEPT] = agreements(query.arrays, candidates)
        offsets = _offsets_of(candidates)
        fusion, strength = self._scoring.fusion, np.float32(self._scoring.strength)
        total = (
            np.float32(fusion.global_) * first_stage
            + fusion.fine(scores)
            - strength * offsets[:, 1]
        ).astype(np.float32)
        return Scores(
            total=total,
            global_=self.global_scores(first_stage, candidates),
            entity=scores["entity"],
            relation=scores["relation"],
            semantic=scores["semantic"],
            concept=scores.get(CONCEPT),
            probability=self.direction(query_kind).total.probability(
                total, _word_counts(query, query_kind, candidates)
            ),
        )

    def global_scores(
        self, first_stage: np.ndarray, candidates: Sequence[Mapping[str, np.ndarray]]
    ) -> np.ndarray:
        """Cosines of the global vectors, (n,): the first stage without its hubness offsets."""
        offsets = _offsets_of(candidates)[:, 0]
        scores: np.ndarray = first_stage + np.float32(self._scoring.strength) * offsets
        return scores.astype(np.float32)

    def first_stage_probability(
        self,
        query: Encoded,
        query_kind: Kind,
        first_stage: np.ndarray,
        candidates: Sequence[Mapping[str, np.ndarray]],
    ) -> np.ndarray:
        """Match probabilities of (n,) results that were not re-ranked."""
        return self.direction(query_kind).first_stage.probability(
            first_stage, _word_counts(query, query_kind, candidates)
        )

    @torch.inference_mode()
    def explain(
        self, text: Mapping[str, np.ndarray], picture: Mapping[str, np.ndarray]
    ) -> Explanation:
        """Where the words of a text are found in a picture, from the stored arrays of both."""
        weights, relevance = self._network.alignment.word_regions(
            self._nodes(picture), self._nodes(text)
        )
        boxes = _boxes(picture)
        shares = weights.cpu().numpy()
        words = []
        for number, (start, end) in enumerate(text["spans"].tolist()):
            strongest = np.argsort(-shares[number], kind="stable")[:MOST_REGIONS_SHOWN]
            regions = [(boxes[j], float(shares[number, j])) for j in strongest if boxes]
            words.append(WordExplanation(start, end, float(relevance[number]), regions))
        saliency = picture["saliency"].astype(np.float32).tolist()
        regions = list(zip(boxes, saliency, strict=True)) if boxes else []
        return Explanation(words, regions, *self.shared(text, picture))

    def shared(
        self, one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]
    ) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
        """Tags and concepts of two items of any kind, as in an explanation."""
        both = np.minimum(tag_probabilities(one["tags"]), tag_probabilities(other["tags"]))
        tags = self._strongest_tags(both, limit=8, at_least=0.3)
        names = self._concept_names
        return tags, shared_concepts(one, other, names) if names else []

    def top_tags(
        self, arrays: Mapping[str, np.ndarray], limit: int = 8, at_least: float = 0.3
    ) -> list[tuple[str, float]]:
        """The tags an item most likely has, most likely first."""
        return self._strongest_tags(tag_probabilities(arrays["tags"]), limit, at_least)

    def _strongest_tags(
        self, probabilities: np.ndarray, limit: int, at_least: float
    ) -> list[tuple[str, float]]:
        order = np.argsort(-probabilities, kind="stable")[:limit]
        return [
            (self.tags[i], float(probabilities[i])) for i in order if probabilities[i] >= at_least
        ]

    def direction(self, query_kind: Kind) -> Direction:
        """What scores of queries of this kind mean."""
        calibration = self._scoring.calibration
        return calibration.text_to_image if query_kind == "text" else calibration.image_to_text

    def _offsets(self, scores: Mapping[str, np.ndarray]) -> Offsets:
        return bank_offsets(scores, self._scoring.fusion, self._scoring.beta)

    def _records(self, codes: Codes, found: Offsets, to_store: bool) -> list[Encoded]:
        global_ = codes.global_.cpu().numpy()
        tags = codes.tags.sigmoid().cpu().numpy()
        pack = self._codec.stored if to_store else self._codec.asking
        layers = dict(zip(LAYERS_OF_NODES, (codes.entity, codes.relation), strict=True))
        blocks = {
            layer: [pack(layer, *nodes) for nodes in _each(of_layer)]
            for layer, of_layer in layers.items()
        }
        encoded = []
        for i, vector in enumerate(global_):
            own = self._codec.stored_tags(tags[i])
            arrays = {"tags": own, "offsets": np.array([found.global_[i], found.fine[i]])}
            arrays.update({layer: of_layer[i] for layer, of_layer in blocks.items()})
            offset = -np.float32(self._scoring.strength) * found.global_[i]
            if self.config.concepts:
                arrays[CONCEPTS] = to_bytes(codes.concepts[i].cpu().numpy())
            encoded.append(_encoded(vector, offset, arrays))
        return encoded

    def _nodes(self, arrays: Mapping[str, np.ndarray]) -> Nodes:
        return batch_of([PackedNodes(arrays["entity"])], self._device)

    def _tags(self, items: Sequence[Mapping[str, np.ndarray]]) -> Tensor:
        stacked = tag_probabilities(np.stack([item["tags"] for item in items]))
        return torch.from_numpy(stacked).to(self._device)


def _variant(config: ModelConfig, codec: str) -> str:
    """What scores: the fastest kernel here, if it can read what the model and the codec make."""
    most = max(config.keep, config.relations, config.text.max_words)
    return TORCH if codec == "float16" or most > MOST_NODES else variant()


def _each(nodes: Nodes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Vectors (N, d) and weights (N,) of the nodes that are there, item by item."""
    vectors, weights, mask = (a.cpu().numpy() for a in (nodes.vectors, nodes.weights, nodes.mask))
    for own, weight, there in zip(vectors, weights, mask, strict=True):
        yield own[there], weight[there]


def _offsets_of(candidates: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    """Global and fine offset of each candidate, (n, 2) float32."""
    stored = [candidate["offsets"] for candidate in candidates]
    return np.array(stored, dtype=np.float32).reshape(-1, 2)


def _word_counts(
    query: Encoded, query_kind: Kind, candidates: Sequence[Mapping[str, np.ndarray]]
) -> np.ndarray:
    """Words of the text of each pair, (n,), or (1,) where the query is that text."""
    texts = [query.arrays] if query_kind == "text" else candidates
    return np.array([len(text["spans"]) for text in texts])


def _no_offsets(items: int) -> Offsets:
    zeros = np.zeros(items, dtype=np.float32)
    return Offsets(zeros, zeros)


def _encoded(direction: np.ndarray, offset: np.float32, arrays: dict[str, np.ndarray]) -> Encoded:
    return Encoded(
        vector=np.append(direction, offset).astype(np.float32),
        query=np.append(direction, 1).astype(np.float32),
        query_same_kind=np.append(direction, 0).astype(np.float32),
        arrays=arrays,
    )


def _boxes(picture: Mapping[str, np.ndarray]) -> list[Box]:
    """The boxes of the kept regions as fractions; none where the features came without boxes."""
    if "boxes" not in picture:
        return []
    rows = (picture["boxes"].astype(np.float64) / BOX_STEPS).round(4).tolist()
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in rows]
