"""The tag vocabulary: frequent content words of the training captions (`docs/method.md` 3)."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from model.dataset import Split

TOKEN = re.compile(r"[a-z]+")

# Function words, and words that describe the act of describing, tell nothing about a picture.
STOP_WORDS = frozenset(
    """
    a about above across after against all along also am among an and another any are around as at
    away be because been before behind being below beside between both but by can could did do does
    doing down during each either else few for from front get gets getting go goes going had has
    have having he her here hers him his how i if in inside into is it its itself just like look
    looking looks make makes making many me more most much my near next no nor not of off on one
    onto or other our out outside over own part past picture image photo photograph piece kind sort
    put same seen several she should side so some something such than that the their them then there
    these they thing things this those through to together top toward towards two three four five
    six under until up upon very was way were what when where which while who whose why will with
    within without would you your various different view shows shown showing taking takes take being
    back end set use using used lot bit com number whilst someone spot point day background
    """.split()
)
IRREGULAR = {
    "men": "man", "women": "woman", "children": "child", "feet": "foot", "leaves": "leaf",
    "teeth": "tooth", "ran": "run", "held": "hold", "worn": "wear", "lying": "lie", "sat": "sit",
    "clothes": "clothes", "glasses": "glasses", "pants": "pants", "shorts": "shorts",
    "jeans": "jeans", "building": "building", "buildings": "building", "clothing": "clothing",
    "railing": "railing", "evening": "evening", "wedding": "wedding", "ceiling": "ceiling",
    "crossing": "cross", "striped": "striped", "bed": "bed", "red": "red", "shed": "shed",
}  # fmt: skip


def base_form(word: str, counts: Mapping[str, int]) -> str:
    """A word without its plural or verb ending, spelled as the captions spell it.

    `counts` says how often each word stands in the captions: of the possible spellings of a stem
    the most frequent wins, and a word whose stem never occurs stays as it is.

    >>> counts = {"dog": 9, "chase": 5, "chas": 0, "run": 4, "jump": 3, "beach": 2, "pony": 1}
    >>> [base_form(word, counts) for word in ("dogs", "chasing", "running", "beaches", "ponies")]
    ['dog', 'chase', 'run', 'beach', 'pony']
    >>> base_form("morning", counts)
    'morning'
    """
    if word in IRREGULAR:
        return IRREGULAR[word]
    stems: list[str] = []
    if word.endswith("s") and not word.endswith("ss"):
        stems = [word[:-1]]
        stems += [word[:-2]] if word.endswith("es") else []
        stems += [word[:-3] + "y"] if word.endswith("ies") else []
    elif word.endswith(("ing", "ed")):
        stem = word[:-3] if word.endswith("ing") else word[:-2]
        stems = [stem, stem + "e"]
        stems += [stem[:-1]] if len(stem) > 2 and stem[-1] == stem[-2] else []
    best = max(stems, key=lambda stem: counts.get(stem, 0), default=word)
    return best if len(best) > 2 and counts.get(best, 0) > 0 else word


def word_counts(split: Split) -> Counter[str]:
    """For each word how many pictures' captions hold it, as `base_form` asks."""
    return Counter(
        token
        for example in split.examples
        for token in {t for caption in example.captions for t in TOKEN.findall(caption.lower())}
    )


def content_words_of(text: str, counts: Mapping[str, int]) -> set[str]:
    """The content words of one text, in their base forms."""
    return {
        base
        for token in TOKEN.findall(text.lower())
        if len(token) > 2
        and token not in STOP_WORDS
        and (base := base_form(token, counts)) not in STOP_WORDS
    }


def content_words(split: Split) -> list[set[str]]:
    """For each picture the content words of all its captions."""
    counts = word_counts(split)
    return [
        set().union(*(content_words_of(caption, counts) for caption in example.captions))
        for example in split.examples
    ]


def build_tags(words: Sequence[set[str]], count: int) -> tuple[str, ...]:
    """The `count` content words that describe most pictures, most frequent first."""
    pictures = Counter(word for found in words for word in found)
    ranked = sorted(pictures.items(), key=lambda item: (-item[1], item[0]))
    return tuple(word for word, _ in ranked[:count])


def tag_targets(words: Sequence[set[str]], tags: Sequence[str]) -> np.ndarray:
    """(pictures, tags) float32: 1 where any caption of the picture holds the tag."""
    targets = np.zeros((len(words), len(tags)), dtype=np.float32)
    for row, found in enumerate(words):
        targets[row] = [tag in found for tag in tags]
    return targets
