"""Why a text and a picture match, in plain values."""

from dataclasses import dataclass

# Left, top, right, bottom as fractions of the upright picture.
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class WordExplanation:
    """A word at text[start:end], its relevance, and where it is found, strongest region first."""

    start: int
    end: int
    score: float
    regions: list[tuple[Box, float]]


@dataclass(frozen=True)
class Explanation:
    """Why a text and a picture match: words with regions, salient regions, tags of both, and the
    concepts that both mean, each with its share of their agreement.
    """

    words: list[WordExplanation]
    regions: list[tuple[Box, float]]
    tags: list[tuple[str, float]]
    concepts: list[tuple[str, float]]
