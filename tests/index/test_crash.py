"""kill -9 at any moment: what was acknowledged is there, nothing is half-written."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from index.embedded import EmbeddedIndex
from index.records import Record
from tests.index.crash_writer import DIMENSION, apply
from tests.index.samples import FINGERPRINT, same

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


def test_everything_acknowledged_survives_kill_9_and_nothing_is_half_written(
    folder: Path,
) -> None:
    moment = random.Random(7)
    truth: dict[str, Record] = {}
    done = 0
    for _ in range(ROUNDS):
        lines = run_and_kill(folder, done, moment)
        with EmbeddedIndex.open(folder, FINGERPRINT, DIMENSION) as index:
            generation = index.stats()["generation"]
            # The operation in flight may have been committed but not yet acknowledged.
            assert generation in (lines, lines + 1)
            for number in range(done, generation):
                apply(truth, number)
            done = generation
            assert index.verify().problems == ()
            assert [one.id for one in index.list("image", limit=1000)] == sorted(truth)
            for id_, given in truth.items():
                assert same(index.get("image", id_), given)
                assert index.search("image", given.vector[None], 1).ids == [[id_]]
    assert done > ROUNDS
