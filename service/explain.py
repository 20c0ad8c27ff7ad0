"""Step 5 of a search, when asked for: which words are found in which regions."""

from collections.abc import Mapping, Sequence

import numpy as np

from model.matcher import Matcher
from service.answers import (
    Explanation,
    RegionSaliency,
    RegionWeight,
    SharedConcept,
    TagProbability,
    WordExplanation,
)


def explain(
    matcher: Matcher,
    sentence: str,
    text: Mapping[str, np.ndarray],
    picture: Mapping[str, np.ndarray],
) -> Explanation:
    """Why a sentence and a picture match; `text` and `picture` are the arrays of both sides."""
    found = matcher.explain(text, picture)
    return Explanation(
        words=[
            WordExplanation(
                text=sentence[word.start : word.end],
                start=word.start,
                end=word.end,
                score=word.score,
                regions=[
                    RegionWeight(box=_box(box), weight=float(weight))
                    for box, weight in word.regions
                ],
            )
            for word in found.words
        ],
        regions=[
            RegionSaliency(box=_box(box), saliency=float(saliency))
            for box, saliency in found.regions
        ],
        tags=_tags(found.tags),
        concepts=_concepts(found.concepts),
    )


def shared(
    matcher: Matcher, query: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]
) -> Explanation:
    """Why two sentences, or two pictures, match: what both are about. Words aren't compared."""
    tags, concepts = matcher.shared(query, found)
    return Explanation(words=[], regions=[], tags=_tags(tags), concepts=_concepts(concepts))


def _tags(found: Sequence[tuple[str, float]]) -> list[TagProbability]:
    return [TagProbability(tag=tag, probability=probability) for tag, probability in found]


def _concepts(found: Sequence[tuple[str, float]]) -> list[SharedConcept]:
    return [SharedConcept(concept=concept, share=share) for concept, share in found]


def _box(box: object) -> list[float]:
    return [round(float(side), 4) for side in np.asarray(box, dtype=np.float64)]
