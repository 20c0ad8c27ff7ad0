"""What is searched, made from the main segments and the catalog, and compared with the catalog."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from index.catalog import Catalog
from index.device import UsedDevice, nearest_on
from index.errors import DamagedError, StorageError
from index.parts import Parts
from index.reads import VectorPart
from index.records import Kind
from index.segment import Segment
from index.segments import Segments
from index.vectors import Vectors, View, empty_view

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loader:
    """Makes the parts of a kind and the writer's delta from what is on disk."""

    catalog: Catalog
    segments: Segments
    dimension: int
    device: UsedDevice
    threads: int

    def load(self, kind: Kind) -> tuple[Parts, Vectors]:
        """The main segment that the catalog names, if it is whole, and the rest as the delta.

        A segment that can't be used is logged and left out: everything is in the delta then, until
        the next one is built. Raises DamagedError when the catalog is damaged.
        """
        token = self.catalog.segments().get(kind)
        opened = None if token is None else self._opened(kind, token)
        if opened is None:
            return self.made(None, empty_view(self.dimension), self._delta(kind, 0))
        segment, there = opened
        last = int(segment.view.numbers[-1])
        return self.made(segment, segment.view.only(there), self._delta(kind, last))

    def made(
        self, segment: Segment | None, main_view: View, delta: Vectors
    ) -> tuple[Parts, Vectors]:
        """Parts that search these on the device in use."""
        parts = Parts(
            main=segment,
            main_view=main_view,
            flat_main=nearest_on(self.device, self.threads),
            delta=delta.view,
            flat_delta=nearest_on(self.device, self.threads),
        )
        return parts, delta

    def _opened(self, kind: Kind, token: str) -> tuple[Segment, np.ndarray] | None:
        """The segment, and the numbers of those of its items that the catalog still holds."""
        try:
            segment = self.segments.open(token)
            there = self.catalog.numbers(kind, int(segment.view.numbers[-1]))
            if not segment.view.holds(there).all():
                raise DamagedError(f"segment {token} lacks items that the catalog holds")
        except (DamagedError, StorageError) as error:
            log.warning(
                "the main segment of kind %s can't be used and will be built again, reading the"
                " catalog: %s",
                kind,
                error,
            )
            return None
        return segment, there

    def _delta(self, kind: Kind, after: int) -> Vectors:
        delta = Vectors(self.dimension)
        for part in self.catalog.vectors(kind, after):
            delta.publish(delta.prepare((), part.numbers.tolist(), part.ids, part.vectors))
        return delta


def problems(
    catalog: Catalog, segments: Segments, parts_of: Mapping[Kind, Parts]
) -> tuple[str, ...]:
    """A sentence for everything that is damaged, or differs between catalog and what is searched.

    The caller holds the writer's lock. Raises StorageError.
    """
    checks = [catalog.damage()]
    for kind, parts in parts_of.items():
        checks += [_damage_of(segments, parts), _disagreements(catalog, kind, parts)]
    found: list[str] = []
    for check in checks:
        try:
            found.extend(check)
        except DamagedError as error:
            found.append(str(error))
    return tuple(dict.fromkeys(found))


def _damage_of(segments: Segments, parts: Parts) -> Iterator[str]:
    if parts.main is not None:
        segments.check(parts.main.token)
    yield from ()


def _disagreements(catalog: Catalog, kind: Kind, parts: Parts) -> Iterator[str]:
    count = 0
    for part in catalog.vectors(kind):
        count += len(part.ids)
        missing = np.ones(len(part.ids), bool)
        for view in (parts.main_view, parts.delta):
            rows = view.rows_of(part.numbers)
            rows = rows[view.alive[rows]]
            places = np.searchsorted(part.numbers, view.numbers[rows])
            missing[places] = False
            yield from _differences(kind, view, rows, part, places)
        for place in np.flatnonzero(missing).tolist():
            yield f"{kind} {part.ids[place]!r} is in the catalog and not in FAISS"
    if parts.count != count:
        yield f"FAISS holds {parts.count:,} items of kind {kind}, the catalog {count:,}"


def _differences(
    kind: Kind, view: View, rows: np.ndarray, part: VectorPart, places: np.ndarray
) -> Iterator[str]:
    """Between rows of a view and the items at these places of the catalog's part."""
    differs = (view.matrix[rows] != part.vectors[places]).any(axis=1)
    for place in places[differs].tolist():
        yield f"{kind} {part.ids[place]!r} has another vector in FAISS than in the catalog"
    for row, place in zip(rows.tolist(), places.tolist(), strict=True):
        if view.ids[row] != part.ids[place]:
            yield f"{kind} {part.ids[place]!r} is called {view.ids[row]!r} in FAISS"
