"""Step 5 of a search, when asked for: which words are found in which regions."""

from collections.abc import Mapping

import numpy as np

from model.matcher import Matcher
from service.answers import (
    Explanation,
    RegionSaliency,
    RegionWeight,
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
        tags=[
            TagProbability(tag=tag, probability=float(probability))
            for tag, probability in found.tags
        ],
    )


def shared_tags(
    matcher: Matcher, query: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]
) -> Explanation:
    """Why two sentences, or two pictures, match: the tags of both. Their words aren't compared."""
    both = np.minimum(query["tags"].astype(np.float32), found["tags"].astype(np.float32))
    tags = [
        TagProbability(tag=tag, probability=float(probability))
        for tag, probability in matcher.top_tags({"tags": both})
    ]
    return Explanation(words=[], regions=[], tags=tags)


def _box(box: object) -> list[float]:
    return [round(float(side), 4) for side in np.asarray(box, dtype=np.float64)]
