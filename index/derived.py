"""The vectors in memory, made from the snapshot or from the catalog, and compared with it."""

import logging
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from index.catalog import Catalog
from index.errors import DamagedError
from index.records import KINDS, Kind
from index.snapshot import Part, Snapshot
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
    for kind, ids, values in catalog.vectors():
        found[kind] += len(ids)
        for item_id, value in zip(ids, values, strict=True):
            searched = vectors[kind].vector(item_id)
            if searched is None:
                yield f"{kind} {item_id!r} is in the catalog and not in FAISS"
            elif not np.array_equal(searched, value):
                yield f"{kind} {item_id!r} has another vector in FAISS than in the catalog"
    for kind in KINDS:
        if vectors[kind].view.count != found[kind]:
            yield (
                f"FAISS holds {vectors[kind].view.count:,} items of kind {kind},"
                f" the catalog {found[kind]:,}"
            )


def _made(parts: Iterable[Part], counts: Mapping[Kind, int], dimension: int) -> dict[Kind, Vectors]:
    made = {kind: Vectors(dimension, capacity=counts[kind] * 9 // 8) for kind in KINDS}
    for kind, ids, values in parts:
        made[kind].publish(made[kind].prepare((), ids, values))
    return made
