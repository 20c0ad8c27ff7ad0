"""Several sentences and pictures asked as one query: a weighted sum of what each alone would score.

For parts of weights w and global vectors v, and a = w / |sum w v|:

    first stage = sum a * (first stage of the part)
    total       = sum a * (total of the part)
    probability = product of P for each part asked for, and of 1 - P for each that is excluded

The first stage is one inner product with the sum of the parts' own queries, so an index finds it.
A part of the items' own kind has no fine layers, since none are trained between two sentences or
two pictures: its total is its cosine with the weight of the global layer, and it has no
probability.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model.alignment import SMALLEST
from model.matcher import Encoded, Kind, Matcher, Scores

# So that what is asked for always outweighs what is excluded, and a sentence that is asked for and
# excluded at once leaves its own direction.
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
        whole = sum(part.weight * part.encoded.query[:-1].astype(np.float64) for part in parts)
        # A single part stays what it is, to the last bit.
        length = max(float(np.linalg.norm(whole)), SMALLEST) if len(parts) > 1 else 1.0
        shares = [(part, part.weight / length) for part in parts]
        self._across = [(part, share) for part, share in shares if part.kind != target]
        self._alike = [(part, share) for part, share in shares if part.kind == target]
        queries = [share * part.encoded.query.astype(np.float64) for part, share in self._across]
        queries += [
            share * part.encoded.query_same_kind.astype(np.float64) for part, share in self._alike
        ]
        self.query: np.ndarray = np.sum(queries, axis=0).astype(np.float32)

    @property
    def can_be_reranked(self) -> bool:
        """Whether a part is of the other kind than the items, so that there are fine layers."""
        return bool(self._across)

    def score(
        self, query: Encoded, query_kind: Kind, first_stage: np.ndarray, candidates: Candidates
    ) -> Scores:
        """All parts against candidates; every score is the weighted sum of the parts' scores."""
        vectors = self._vectors(candidates)
        sums = np.zeros((5, len(candidates)), np.float64)
        probability = np.ones(len(candidates), np.float32)
        for part, share in self._across:
            own = vectors @ part.encoded.query
            scores = self._matcher.score(part.encoded, part.kind, own, candidates)
            concept = np.zeros(len(candidates)) if scores.concept is None else scores.concept
            layers = (scores.total, scores.entity, scores.relation, scores.semantic, concept)
            sums += share * np.stack(layers)
            probability *= _asked_or_excluded(scores.probability, share)
        for part, share in self._alike:
            cosines = vectors @ part.encoded.query_same_kind
            sums[0] += self._matcher.global_weight * share * cosines
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
        for part, share in self._across:
            found = self._matcher.first_stage_probability(
                part.encoded, part.kind, vectors @ part.encoded.query, candidates
            )
            probability *= _asked_or_excluded(found, share)
        return probability

    def _vectors(self, candidates: Candidates) -> np.ndarray:
        stored = [candidate[VECTOR] for candidate in candidates]
        return np.array(stored, np.float32).reshape(-1, len(self.query))


def _asked_or_excluded(probability: np.ndarray, share: float) -> np.ndarray:
    return probability if share > 0 else 1 - probability
