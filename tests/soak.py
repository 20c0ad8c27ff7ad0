"""`make soak`: the crash, load and robustness tests of the suite, many times longer.

Stops at the first thing that is wrong, with the seed and the moment, and exit status 1.
"""

import argparse
import logging
import os
import platform
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import faiss

from index.embedded import EmbeddedIndex
from model.toy import write_toy_bundle
from tests.end_to_end.busy import keep_busy
from tests.end_to_end.contract import hold_to_contract
from tests.end_to_end.crash import crash_servers
from tests.end_to_end.damaged import upload_damaged
from tests.helpers import ServerStarter
from tests.index.crash import crash
from tests.index.load import run
from tests.index.samples import DIMENSION, FINGERPRINT, SMALL

SECONDS_BETWEEN_LINES = 30.0
# What memory and times may grow to once the service is warm.
DAMAGED_GROWTH = 1.10
BUSY_GROWTH = 1.05
BUSY_SLOWER = 1.5


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="of the writing index")
    parser.add_argument("--server-kills", type=int, default=10, help="of the server")
    parser.add_argument("--seconds", type=float, default=60, help="of searches beside writes")
    parser.add_argument("--contract-cases", type=int, default=400, help="for each operation")
    parser.add_argument("--damaged-files", type=int, default=5000, help="that are uploaded")
    parser.add_argument("--busy-seconds", type=float, default=1200, help="of clients over HTTP")
    parser.add_argument("--busy-clients", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    # Each damaged segment is a warning, and there are to be many.
    logging.getLogger("index").setLevel(logging.ERROR)
    print(
        f"seed {asked.seed}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
        f" FAISS {faiss.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    parts: tuple[tuple[float, Callable[[argparse.Namespace, Path], None]], ...] = (
        (asked.kills, index_killed),
        (asked.server_kills, server_killed),
        (asked.seconds, index_loaded),
        (asked.contract_cases, contract_held),
        (asked.damaged_files, damaged_files),
        (asked.busy_seconds, busy_clients),
    )
    for amount, part in parts:
        if amount:
            with tempfile.TemporaryDirectory() as name:
                part(asked, Path(name))
    print("nothing was lost, nothing came back, every answer was of one state, nothing failed")


def index_killed(asked: argparse.Namespace, folder: Path) -> None:
    """The writing index, killed in the middle."""
    began = time.monotonic()
    done = crash(folder / "index", asked.kills, asked.seed, Lines("index"))
    report("index killed", began, asdict(done))


def server_killed(asked: argparse.Namespace, folder: Path) -> None:
    """The server, killed in the middle."""
    began = time.monotonic()
    with servers(folder) as start:
        served = crash_servers(start, asked.server_kills, asked.seed, Lines("server"))
    report("server killed", began, asdict(served))


def index_loaded(asked: argparse.Namespace, folder: Path) -> None:
    """Searches beside writes, in one process."""
    began = time.monotonic()
    with EmbeddedIndex.open(folder / "load", FINGERPRINT, DIMENSION, plan=SMALL) as index:
        load = run(index, asked.seconds, searchers=8, writers=2)
        assert index.verify().problems == ()
    report("8 searchers, 2 writers", began, asdict(load))


def contract_held(asked: argparse.Namespace, folder: Path) -> None:
    """What the OpenAPI document says, and what it doesn't."""
    began = time.monotonic()
    with servers(folder) as start:
        held = hold_to_contract(start, folder / "report", asked.contract_cases, asked.seed)
    report("held to the OpenAPI document", began, asdict(held))


def damaged_files(asked: argparse.Namespace, folder: Path) -> None:
    """Damaged pictures."""
    began = time.monotonic()
    with servers(folder) as start:
        damage = upload_damaged(start(), asked.damaged_files, asked.seed, Lines("damaged files"))
    report("damaged files", began, asdict(damage))
    assert damage.end_mib <= damage.warm_mib * DAMAGED_GROWTH or not damage.warm_mib


def busy_clients(asked: argparse.Namespace, folder: Path) -> None:
    """Clients that search and write over HTTP."""
    began = time.monotonic()
    with servers(folder) as start:
        busy = keep_busy(start(), asked.busy_seconds, asked.busy_clients, asked.seed)
    print(busy.table)
    facts = {"p99 of quarter 4 to 2": round(busy.slower, 2), "memory": round(busy.larger, 3)}
    report(f"{asked.busy_clients} clients", began, facts)
    assert busy.slower <= BUSY_SLOWER, "answers became slower"
    assert busy.larger <= BUSY_GROWTH, "memory grew"


@contextmanager
def servers(folder: Path) -> Iterator[ServerStarter]:
    """Starts servers that log nothing of what is asked of them."""
    quiet = {"SIGHTLINE_LOG_LEVEL": "error"}
    starter = ServerStarter(write_toy_bundle(folder / "bundle"), folder / "server", quiet)
    try:
        yield starter
    finally:
        starter.close()


class Lines:
    """Prints how far it is, now and then."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._last = time.monotonic()

    def __call__(self, tally: Any) -> None:
        if time.monotonic() - self._last > SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            print(f"  {self._what}: {tally}", flush=True)


def report(what: str, began: float, facts: dict[str, Any]) -> None:
    told = ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in facts.items())
    print(f"{what} ({time.monotonic() - began:.0f} s): {told}", flush=True)


def _shown(value: Any) -> str:
    match value:
        case dict():
            return " ".join(f"{key}: {number:,}" for key, number in sorted(value.items()))
        case float():
            return f"{value:,.2f}"
        case int():
            return f"{value:,}"
        case _:
            return f"({value})"


if __name__ == "__main__":
    main()
