"""What writes did to the vectors, gathered until they are committed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from index.records import KINDS, Kind


@dataclass
class VectorChanges:
    """Of one kind: numbers that went; numbers, ids and vectors, (d,) float32, that came."""

    removed: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    vectors: list[np.ndarray] = field(default_factory=list)


class Changes:
    """What one write did, or several in their order."""

    def __init__(self) -> None:
        self.touched = False
        self.renewed: set[tuple[Kind, str]] = set()
        self.of: dict[Kind, VectorChanges] = {kind: VectorChanges() for kind in KINDS}

    def renew(self, kind: Kind, ids: Sequence[str]) -> None:
        """Items that were there are something else now, or gone."""
        self.touched = True
        self.renewed.update((kind, item_id) for item_id in ids)

    def remove(self, kind: Kind, numbers: Sequence[int], ids: Sequence[str]) -> None:
        """The items with these numbers, and these ids, are gone."""
        self.renew(kind, ids)
        self.of[kind].removed.extend(numbers)

    def add(
        self, kind: Kind, numbers: Sequence[int], ids: Sequence[str], vectors: Sequence[np.ndarray]
    ) -> None:
        """Items came: the number, id and vector of each."""
        self.touched = True
        self.of[kind].numbers.extend(numbers)
        self.of[kind].ids.extend(ids)
        self.of[kind].vectors.extend(vectors)

    def follow_with(self, later: "Changes") -> None:
        """Takes in what a later write did."""
        self.touched |= later.touched
        self.renewed |= later.renewed
        for kind, theirs in later.of.items():
            ours = self.of[kind]
            ours.removed.extend(theirs.removed)
            ours.numbers.extend(theirs.numbers)
            ours.ids.extend(theirs.ids)
            ours.vectors.extend(theirs.vectors)
