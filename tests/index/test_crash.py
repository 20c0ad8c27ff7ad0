"""kill -9 at any moment: what was acknowledged is there, nothing is half-written."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from index.embedded import EmbeddedIndex
from index.records import Record
from tests.index.crash_writer import DIMENSION, apply, operation
from tests.index.samples import FINGERPRINT, SMALL, same

ROOT = Path(__file__).parents[2]
ROUNDS = 8


def run_and_kill(folder: Path, first: int, moment: random.Random) -> int:
    """Starts a writer at operation `first`, kills it at a random moment, and returns the number of
    the first operation that it hadn't acknowledged.
    """
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.index.crash_writer", str(folder), str(first)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    with writer:
        lines = [writer.stdout.readline() for _ in range(moment.randint(1, 12))]
        until = time.perf_counter() + moment.uniform(0, 0.02)
        while time.perf_counter() < until:
            pass
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
    assert writer.returncode == -signal.SIGKILL, "the writer died by itself"
    whole = [int(line) for line in lines if line.endswith(b"\n")]
    assert whole == list(range(first, first + len(whole)))
    return first + len(whole)


def is_committed(index: EmbeddedIndex, number: int) -> bool:
    """Whether an operation has happened, told by the one item that no other operation changes."""
    upserts, deletes = operation(number)
    if upserts:
        return index.get("image", upserts[0].id) is not None
    return index.get("image", deletes[0]) is None


def test_everything_acknowledged_survives_kill_9_and_nothing_is_half_written(
    folder: Path,
) -> None:
    moment = random.Random(7)
    truth: dict[str, Record] = {}
    done = 0
    for _ in range(ROUNDS):
        acknowledged = run_and_kill(folder, done, moment)
        for number in range(done, acknowledged):
            apply(truth, number)
        done = acknowledged
        with EmbeddedIndex.open(folder, FINGERPRINT, DIMENSION, plan=SMALL) as index:
            if is_committed(index, done):
                # The operation in flight was committed and not yet acknowledged.
                apply(truth, done)
                done += 1
            assert index.verify().problems == ()
            assert [one.id for one in index.list("image", limit=1000)] == sorted(truth)
            for id_, given in truth.items():
                assert same(index.get("image", id_), given)
                assert index.search("image", given.vector[None], 1).ids == [[id_]]
    assert done > ROUNDS
