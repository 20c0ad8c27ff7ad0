"""Several sentences and pictures asked as one query.

For parts of weights w and global vectors v:

    first stage = sum a * (first stage of the part),  a = w / |sum of all w v|
    total       = sum b * (total of the part), b = w / |sum of w v of what is asked for|,
                  less what each part that is excluded costs
    probability = product of P for each part asked for, and of 1 - P for each that is excluded

The first stage is one inner product with the sum of the parts' own queries, so an index finds it.
To rank by such a difference, too, would put first what is like neither: what an excluded sentence
takes off is what its match probability P says (`Logistic.cost_of_excluded`). A part of the
items' own kind has no fine layers, since none are trained between two sentences or two pictures:
its total is its cosine with the weight of the global layer, and it has no probability, so if it is
excluded its total counts b.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model.alignment import SMALLEST
from model.matcher import Encoded, Kind, Matcher, Scores

# So that in the first stage what is asked for outweighs what is excluded, and a sentence that is
# asked for and excluded at once leaves its own direction.
EXCLUDED = -0.5
VECTOR = "vector"

Candidates = Sequence[Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Part:
    """One sentence or picture of a query. weight: below 0 for what is excluded."""

    encoded: Encoded
    kind: Kind
    weight: float = 1.0


class Scorer(Protocol):
    """What re-ranking asks: a `Matcher` for one query, a `Composition` for several parts."""

    def score(
        self, query: Encoded, query_kind: Kind, first_stage: np.ndarray, candidates: Candidates
    ) -> Scores:
        """One query against candidates of the other kind."""
        ...

    def global_scores(self, first_stage: np.ndarray, candidates: Candidates) -> np.ndarray:
        """Cosines of the global vectors, (n,)."""
        ...

    def first_stage_probability(
        self, query: Encoded, query_kind: Kind, first_stage: np.ndarray, candidates: Candidates
    ) -> np.ndarray:
        """Match probabilities of (n,) results that were not re-ranked."""
        ...


class Composition:
    """The parts of one query for items of one kind.

    As a `Scorer` it asks for its own parts, whatever query is named, and takes the candidates'
    stored vectors among their arrays, under the name `VECTOR`.
    """

    def __init__(self, matcher: Matcher, parts: Sequence[Part], target: Kind) -> None:
        self._matcher = matcher
        self._across = [part for part in parts if part.kind != target]
        self._alike = [part for part in parts if part.kind == target]
        self._asked_length = _length([part for part in parts if part.weight > 0])
        queries = [part.weight * part.encoded.query.astype(np.float64) for part in self._across]
        queries += [
            part.weight * part.encoded.query_same_kind.astype(np.float64) for part in self._alike
        ]
        self.query: np.ndarray = (np.sum(queries, axis=0) / _length(parts)).astype(np.float32)

    @property
    def can_be_reranked(self) -> bool:
        """Whether a part is of the other kind than the items, so that there are fine layers."""
        return bool(self._across)

    def score(
        self, query: Encoded, query_kind: Kind, first_stage: np.ndarray, candidates: Candidates
    ) -> Scores:
        """All parts against candidates; the fine layers are those of what is asked for."""
        vectors = self._vectors(candidates)
        sums = np.zeros((5, len(candidates)), np.float64)
        probability = np.ones(len(candidates), np.float32)
        excluded: list[tuple[Part, np.ndarray]] = []
        for part in self._across:
            own = vectors @ part.encoded.query
            scores = self._matcher.score(part.encoded, part.kind, own, candidates)
            if part.weight < 0:
                excluded.append((part, scores.probability))
                continue
            probability *= scores.probability
            concept = np.zeros(len(candidates)) if scores.concept is None else scores.concept
            layers = (scores.total, scores.entity, scores.relation, scores.semantic, concept)
            sums += part.weight / self._asked_length * np.stack(layers)
        # What is only asked to be like a picture has no probability to fall from.
        is_known = len(excluded) < len(self._across)
        for part, shown in excluded:
            asked = probability if is_known else np.zeros_like(probability)
            sums[0] += self._matcher.direction(part.kind).total.cost_of_excluded(asked, shown)
            probability = probability * (1 - shown)
        for part in self._alike:
            cosines = vectors @ part.encoded.query_same_kind
            sums[0] += self._matcher.global_weight * part.weight / self._asked_length * cosines
        total, entity, relation, semantic, concept = sums.astype(np.float32)
        return Scores(
            total=total,
            global_=self.global_scores(first_stage, candidates),
            entity=entity,
            relation=relation,
            semantic=semantic,
            concept=concept if self._matcher.config.concepts else None,
            probability=probability,
        )

    def global_scores(self, first_stage: np.ndarray, candidates: Candidates) -> np.ndarray:
        """Cosines of the whole query with the candidates, (n,)."""
        cosines: np.ndarray = self._vectors(candidates)[:, :-1] @ self.query[:-1]
        return cosines

    def first_stage_probability(
        self, query: Encoded, query_kind: Kind, first_stage: np.ndarray, candidates: Candidates
    ) -> np.ndarray:
        """Match probabilities of (n,) results that were not re-ranked."""
        vectors = self._vectors(candidates)
        probability = np.ones(len(candidates), np.float32)
        for part in self._across:
            found = self._matcher.first_stage_probability(
                part.encoded, part.kind, vectors @ part.encoded.query, candidates
            )
            probability *= _asked_or_excluded(found, part)
        return probability

    def _vectors(self, candidates: Candidates) -> np.ndarray:
        stored = [candidate[VECTOR] for candidate in candidates]
        return np.array(stored, np.float32).reshape(-1, len(self.query))


def _length(parts: Sequence[Part]) -> float:
    """Of the weighted sum of their global vectors; a single part stays what it is, to the bit."""
    if len(parts) == 1 and parts[0].weight == 1:
        return 1.0
    whole = sum(part.weight * part.encoded.query[:-1].astype(np.float64) for part in parts)
    return max(float(np.linalg.norm(whole)), SMALLEST)


def _asked_or_excluded(probability: np.ndarray, part: Part) -> np.ndarray:
    return probability if part.weight > 0 else 1 - probability
