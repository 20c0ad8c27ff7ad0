"""Everyday sentences that describe none of the gallery's photos.

A photo has to find its own captions among them.
"""

from dataclasses import dataclass

from service.gallery.manifest import lines


@dataclass(frozen=True)
class Sentence:
    """One line of `sentences.jsonl`."""

    id: str
    text: str


def sentences() -> tuple[Sentence, ...]:
    """All of them, in the order of the list."""
    return tuple(Sentence(**line) for line in lines("sentences.jsonl"))
