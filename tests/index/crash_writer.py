"""Writes numbered operations until it is killed, and prints each number once it is acknowledged.

Run by `test_crash.py` as `python -m tests.index.crash_writer FOLDER FIRST`.
"""

import sys
from pathlib import Path

import numpy as np

from index.embedded import EmbeddedIndex
from index.records import Record
from tests.index.samples import FINGERPRINT, SMALL, record

DIMENSION = 64


def operation(number: int) -> tuple[list[Record], list[str]]:
    """What operation `number` upserts, or else the ids that it deletes; each changes something."""
    rng = np.random.default_rng(number)
    if number % 4 == 3:
        # The operation before it wrote its own id, so there is always something to delete.
        return [], [f"own{number - 1}", *(f"i{n}" for n in rng.integers(0, 60, 5))]
    some = [f"i{n}" for n in rng.choice(60, rng.integers(1, 30), replace=False)]
    ids = [f"own{number}", *some]
    return [
        record(id_, seed=number * 100 + n, dimension=DIMENSION) for n, id_ in enumerate(ids)
    ], []


def apply(truth: dict[str, Record], number: int) -> None:
    """The same operation on a dictionary."""
    upserts, deletes = operation(number)
    for id_ in deletes:
        truth.pop(id_, None)
    truth.update({one.id: one for one in upserts})


def main() -> None:
    folder, number = Path(sys.argv[1]), int(sys.argv[2])
    index = EmbeddedIndex.open(folder, FINGERPRINT, DIMENSION, plan=SMALL)
    while True:
        upserts, deletes = operation(number)
        if upserts:
            index.upsert(upserts)
        else:
            index.delete("image", deletes)
        print(number, flush=True)
        number += 1


if __name__ == "__main__":
    main()
