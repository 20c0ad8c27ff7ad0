"""Kills a writing process again and again, damages what is derived, and looks at what is left.

Used by `test_crash.py` with a few kills, and by `make soak` with many.
"""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from index.embedded import EmbeddedIndex
from index.records import KINDS, Kind, Record
from tests.index.crash_writer import (
    DIMENSION,
    OPENING,
    WRITERS,
    Operation,
    State,
    apply,
    operation,
)
from tests.index.samples import FINGERPRINT, SMALL, same

ROOT = Path(__file__).parents[2]


@dataclass
class Tally:
    """What happened. unacknowledged: operations that were committed in the moment of a kill."""

    kills: int = 0
    at_opening: int = 0
    acknowledged: int = 0
    unacknowledged: int = 0
    damaged: int = 0
    items_checked: int = 0


def crash(folder: Path, kills: int, seed: int, tell: Callable[[Tally], None]) -> Tally:
    """Runs and kills a writer so many times. Raises AssertionError, with the seed and the number of
    the kill, at the first thing that is not as it was acknowledged.

    tell: called after each kill.
    """
    moment = random.Random(seed)
    truth: list[State] = [{} for _ in range(WRITERS)]
    done = [0] * WRITERS
    tally = Tally()
    for _ in range(kills):
        try:
            _crash_once(folder, seed, moment, truth, done, tally)
        except BaseException as error:
            error.add_note(f"seed {seed}, kill {tally.kills}")
            raise
        tell(tally)
    return tally


def _crash_once(
    folder: Path,
    seed: int,
    moment: random.Random,
    truth: list[State],
    done: list[int],
    tally: Tally,
) -> None:
    first = list(done)
    _run_and_kill(folder, seed, moment, done)
    tally.kills += 1
    tally.at_opening += first == done
    for writer in range(WRITERS):
        tally.acknowledged += done[writer] - first[writer]
        for number in range(first[writer], done[writer]):
            apply(truth[writer], operation(seed, writer, number))
    if moment.random() < 0.5:
        tally.damaged += _damage(folder / "segments", moment)
    with EmbeddedIndex.open(folder, FINGERPRINT, DIMENSION, plan=SMALL) as index:
        stored = _stored(index)
        for writer in range(WRITERS):
            own = {key: one for key, one in stored.items() if key[1].startswith(f"w{writer}-")}
            in_flight = operation(seed, writer, done[writer])
            if _has_happened(own, truth[writer], in_flight):
                apply(truth[writer], in_flight)
                done[writer] += 1
                tally.unacknowledged += 1
        _check_searches(index, {key: one for own in truth for key, one in own.items()})
        assert index.verify().problems == ()
        tally.items_checked += len(stored)


def _run_and_kill(folder: Path, seed: int, moment: random.Random, done: list[int]) -> None:
    """Lets a writer go on, kills it at a random moment, and counts what it acknowledged."""
    command = [sys.executable, "-m", "tests.index.crash_writer", str(folder), str(seed)]
    at_opening = moment.random() < 0.15
    with subprocess.Popen(
        [*command, *map(str, done)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        lines = [
            process.stdout.readline() for _ in range(1 if at_opening else moment.randint(2, 60))
        ]
        until = time.perf_counter() + moment.uniform(0, 0.03)
        while time.perf_counter() < until:
            pass
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL, "the writer ended by itself"
    assert lines[0] == f"{OPENING}\n"
    for line in lines[1:]:
        if line.endswith("\n"):
            writer, number = map(int, line.split())
            assert number == done[writer], "an acknowledgement is missing"
            done[writer] += 1


def _damage(segments: Path, moment: random.Random) -> int:
    """Cuts, flips bits in, or removes a few of the derived files; returns how many."""
    files = sorted(file for file in segments.rglob("*") if file.is_file())
    chosen = moment.sample(files, min(len(files), moment.randint(1, 3)))
    for file in chosen:
        content = bytearray(file.read_bytes())
        match moment.randrange(3):
            case 0:
                file.write_bytes(content[: moment.randint(0, len(content))])
            case 1:
                for _ in range(moment.randint(1, 8) if content else 0):
                    content[moment.randrange(len(content))] ^= 1 << moment.randrange(8)
                file.write_bytes(content)
            case _:
                file.unlink()
    return len(chosen)


def _stored(index: EmbeddedIndex) -> dict[tuple[Kind, str], Record]:
    found: dict[tuple[Kind, str], Record] = {}
    for kind in KINDS:
        for listed in index.list(kind, limit=1000):
            item = index.get(kind, listed.id)
            assert item is not None, f"{kind} {listed.id} is listed and not there"
            found[kind, listed.id] = item
    return found


def _has_happened(own: Mapping[tuple[Kind, str], Record], before: State, last: Operation) -> bool:
    """Whether a writer's items are those after its unacknowledged operation, rather than before.

    Raises AssertionError when they are neither.
    """
    if _is(own, before):
        return False
    after = dict(before)
    apply(after, last)
    assert _is(own, after), (
        f"lost: {sorted(before.keys() - own.keys())}, back: {sorted(own.keys() - before.keys())},"
        f" other: {[key for key in own.keys() & before.keys() if not same(own[key], before[key])]},"
        f" in flight: {last}"
    )
    return True


def _is(own: Mapping[tuple[Kind, str], Record], state: State) -> bool:
    return own.keys() == state.keys() and all(same(own[key], one) for key, one in state.items())


def _check_searches(index: EmbeddedIndex, truth: State) -> None:
    """Everything is found where its vector is, and nothing else is found."""
    for kind in KINDS:
        ids = [id_ for of, id_ in truth if of == kind]
        assert index.count(kind) == len(ids)
        if ids:
            vectors = np.stack([truth[kind, id_].vector for id_ in ids])
            assert index.search(kind, vectors, 1).ids == [[id_] for id_ in ids]
            assert sorted(index.search(kind, vectors[:1], 999).ids[0]) == sorted(ids)
