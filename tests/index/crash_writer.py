"""Several threads that write until the process is killed; each acknowledgement is printed.

Run by `crash.py` as `python -m tests.index.crash_writer FOLDER SEED FIRST...`, with the number of
the first operation of each thread. What a thread does follows from seed, thread and number, and
touches the thread's own items only.
"""

import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from index.embedded import EmbeddedIndex
from index.records import KINDS, Kind, Record
from tests.index.samples import FINGERPRINT, SMALL, record

DIMENSION = 64
WRITERS = 3
IDS_A_WRITER = 20
OPENING = "opening"

State = dict[tuple[Kind, str], Record]


@dataclass(frozen=True, eq=False)
class Operation:
    """One call. upserts; or ids to delete; or the metadata that an item gets; or nothing of these,
    a call that changes no item.
    """

    upserts: Sequence[Record] = ()
    kind: Kind = "image"
    deletes: Sequence[str] = ()
    metadata: tuple[str, int] | None = None
    care: str = ""


def operation(seed: int, writer: int, number: int) -> Operation:
    """What a writer does as its operation of this number."""
    rng = np.random.default_rng((seed, writer, number))
    kind = KINDS[rng.integers(2)]
    ids = [f"w{writer}-{n:02d}" for n in rng.choice(IDS_A_WRITER, rng.integers(1, 13), False)]
    match int(rng.integers(20)):
        case 0 if writer == 0:
            return Operation(care="compact")
        case 1 if writer == 0 and number % 3 == 0:
            return Operation(care="rebuild")
        case 2 | 3 | 4:
            return Operation(kind=kind, metadata=(ids[0], number))
        case 5 | 6 | 7 | 8 | 9:
            return Operation(kind=kind, deletes=ids)
        case _:
            kinds = [KINDS[n] for n in rng.integers(2, size=len(ids))]
            seeds = rng.integers(2**31, size=len(ids)).tolist()
            return Operation([unit(*each) for each in zip(ids, kinds, seeds, strict=True)])


def unit(id_: str, kind: Kind, seed: int) -> Record:
    """A record with a vector of length 1, so that nothing is nearer to it than itself."""
    made = record(id_, kind, seed=seed, dimension=DIMENSION)
    return replace(made, vector=made.vector / np.linalg.norm(made.vector))


def apply(truth: State, operation: Operation) -> None:
    """The same operation on a dictionary."""
    for id_ in operation.deletes:
        truth.pop((operation.kind, id_), None)
    if operation.metadata is not None:
        id_, number = operation.metadata
        if (operation.kind, id_) in truth:
            changed = replace(truth[operation.kind, id_], metadata={"number": number})
            truth[operation.kind, id_] = changed
    truth.update({(one.kind, one.id): one for one in operation.upserts})


def perform(index: EmbeddedIndex, operation: Operation) -> None:
    """The operation itself."""
    if operation.upserts:
        index.upsert(operation.upserts)
    elif operation.deletes:
        index.delete(operation.kind, operation.deletes)
    elif operation.metadata is not None:
        id_, number = operation.metadata
        index.update_metadata(operation.kind, id_, {"number": number})
    elif operation.care == "compact":
        index.compact()
    else:
        assert index.rebuild().ok


def write(index: EmbeddedIndex, seed: int, writer: int, number: int) -> None:
    """Performs and acknowledges without end."""
    while True:
        perform(index, operation(seed, writer, number))
        # One write to the pipe, which holds it whatever becomes of this process.
        os.write(1, f"{writer} {number}\n".encode())
        number += 1


def main() -> None:
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    os.write(1, f"{OPENING}\n".encode())
    index = EmbeddedIndex.open(folder, FINGERPRINT, DIMENSION, plan=SMALL)
    for writer, first in enumerate(sys.argv[3:]):
        threading.Thread(target=write, args=(index, seed, writer, int(first))).start()


if __name__ == "__main__":
    # A writer that fails ends the process, and so is noticed.
    threading.excepthook = lambda failed: (
        sys.__excepthook__(failed.exc_type, failed.exc_value, failed.exc_traceback),
        os._exit(1),
    )
    main()
