"""The vectors in memory, made from the snapshot or from the catalog, and compared with it."""

import logging
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from index.catalog import Catalog
from index.errors import DamagedError
from index.reads import VectorPart
from index.records import KINDS, Kind
from index.snapshot import Snapshot
from index.vectors import Vectors

log = logging.getLogger(__name__)


def load(catalog: Catalog, snapshot: Snapshot, dimension: int) -> dict[Kind, Vectors]:
    """From the snapshot when it is of the catalog's state and whole, else from the catalog.

    A damaged snapshot is logged and removed. Raises DamagedError when the catalog is damaged.
    """
    counts = catalog.counts()
    try:
        if snapshot.is_of(catalog.stamp(), counts):
            return _made(snapshot.parts(counts), counts, dimension)
    except (DamagedError, OSError) as error:
        log.warning("the snapshot of the vectors can't be used, reading the catalog: %s", error)
        # Its header names the present state, so it would pass for a good one when it is next saved.
        snapshot.remove()
    else:
        if any(counts.values()):
            log.info("no snapshot of the catalog's last state, reading the catalog")
    return from_catalog(catalog, dimension)


def from_catalog(catalog: Catalog, dimension: int) -> dict[Kind, Vectors]:
    """From the catalog. Raises DamagedError."""
    return _made(catalog.vectors(), catalog.counts(), dimension)


def disagreements(catalog: Catalog, vectors: Mapping[Kind, Vectors]) -> Iterator[str]:
    """A sentence for each difference between the catalog and what is searched.

    The caller holds the writer's lock. Raises DamagedError.
    """
    found = dict.fromkeys(KINDS, 0)
    for part in catalog.vectors():
        found[part.kind] += len(part.ids)
        view = vectors[part.kind].view
        for number, item_id, value in zip(part.numbers, part.ids, part.vectors, strict=True):
            rows = view.rows_of(number[None])
            if not view.alive[rows].any():
                yield f"{part.kind} {item_id!r} is in the catalog and not in FAISS"
            elif not np.array_equal(view.matrix[rows[0]], value):
                yield f"{part.kind} {item_id!r} has another vector in FAISS than in the catalog"
    for kind in KINDS:
        if vectors[kind].view.count != found[kind]:
            yield (
                f"FAISS holds {vectors[kind].view.count:,} items of kind {kind},"
                f" the catalog {found[kind]:,}"
            )


def _made(
    parts: Iterable[VectorPart], counts: Mapping[Kind, int], dimension: int
) -> dict[Kind, Vectors]:
    made = {kind: Vectors(dimension, capacity=counts[kind] * 9 // 8) for kind in KINDS}
    for part in parts:
        vectors = made[part.kind]
        vectors.publish(vectors.prepare((), part.numbers.tolist(), part.ids, part.vectors))
    return made
