"""Step 4 of a search: the candidates scored by all layers, as many as the deadline allows."""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from model.composition import Scorer
from model.matcher import Encoded, Kind

# With a deadline, candidates are scored in slices of about this long: a kernel's hundred candidates
# are one slice or two, torch's ten.
SLICE_S = 0.001
FIRST_SLICE = 16


# Both are tuples, since a search makes one of each for every candidate.
class StageScoresOf(NamedTuple):
    """The layers' scores of one candidate; None where the re-ranker didn't score it."""

    global_: float
    entity: float | None = None
    relation: float | None = None
    semantic: float | None = None
    concept: float | None = None


class Ranked(NamedTuple):
    """One candidate: its place after the first stage (from 0), its scores, its probability.

    probability: None where nothing tells what a score means.
    """

    place: int
    score: float
    probability: float | None
    stages: StageScoresOf


def first_stage_alone(
    matcher: Scorer,
    query: Encoded,
    query_kind: Kind,
    first_stage: np.ndarray,
    candidates: Sequence[Mapping[str, np.ndarray]],
    start: int = 0,
) -> list[Ranked]:
    """The candidates from `start` on as the first stage left them; first_stage: (n,) float32."""
    scores, left = first_stage[start:], candidates[start:]
    probabilities = matcher.first_stage_probability(query, query_kind, scores, left)
    cosines = matcher.global_scores(scores, left)
    listed = zip(scores.tolist(), probabilities.tolist(), cosines.tolist(), strict=True)
    return [
        Ranked(place, score, probability, StageScoresOf(cosine))
        for place, (score, probability, cosine) in enumerate(listed, start)
    ]


def rerank(
    matcher: Scorer,
    query: Encoded,
    query_kind: Kind,
    first_stage: np.ndarray,
    candidates: Sequence[Mapping[str, np.ndarray]],
    ids: Sequence[str],
    deadline: float | None = None,
) -> tuple[list[Ranked], int]:
    """Candidates best first, and how many were scored.

    first_stage: (n,) float32, descending. deadline: on `time.perf_counter`'s clock; candidates are
    scored best first in slices until the next slice would end after it. Those left follow the
    scored ones in the order of the first stage. Ties go by id.
    """
    size = FIRST_SLICE if deadline is not None else max(1, len(candidates))
    scored: list[Ranked] = []
    expected = 0.0
    while len(scored) < len(candidates):
        begun = time.perf_counter()
        if deadline is not None and begun + expected >= deadline:
            break
        start = len(scored)
        part = slice(start, start + size)
        scores = matcher.score(query, query_kind, first_stage[part], candidates[part])
        layers = [scores.global_, scores.entity, scores.relation, scores.semantic]
        if scores.concept is not None:
            layers.append(scores.concept)
        stages = zip(*(layer.tolist() for layer in layers), strict=True)
        scored += [
            Ranked(place, total, probability, StageScoresOf(*of_layers))
            for place, (total, probability, of_layers) in enumerate(
                zip(scores.total.tolist(), scores.probability.tolist(), stages, strict=True), start
            )
        ]
        took = time.perf_counter() - begun
        longer = 2 if took <= SLICE_S / 2 else 1
        size, expected = size * longer, took * longer
    best_first = sorted(scored, key=lambda ranked: (-ranked.score, ids[ranked.place]))
    left = first_stage_alone(matcher, query, query_kind, first_stage, candidates, start=len(scored))
    return best_first + left, len(scored)
