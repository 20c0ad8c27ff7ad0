"""`make soak`: the crash and load tests of the suite, many times longer.

Stops at the first thing that is wrong, with the seed and the moment, and exit status 1.
"""

import argparse
import logging
import os
import platform
import sqlite3
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import faiss

from index.embedded import EmbeddedIndex
from model.toy import write_toy_bundle
from tests.end_to_end.crash import crash_servers
from tests.helpers import ServerStarter
from tests.index.crash import crash
from tests.index.load import run
from tests.index.samples import DIMENSION, FINGERPRINT, SMALL

SECONDS_BETWEEN_LINES = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="of the writing index")
    parser.add_argument("--server-kills", type=int, default=10, help="of the server")
    parser.add_argument("--seconds", type=float, default=60, help="of searches beside writes")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    # Each damaged segment is a warning, and there are to be many.
    logging.getLogger("index").setLevel(logging.ERROR)
    print(
        f"seed {asked.seed}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
        f" FAISS {faiss.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.kills:
            began = time.monotonic()
            done = crash(folder / "index", asked.kills, asked.seed, Lines("index"))
            report("index killed", began, asdict(done))
        if asked.server_kills:
            starter = ServerStarter(write_toy_bundle(folder / "bundle"), folder / "server")
            began = time.monotonic()
            try:
                served = crash_servers(starter, asked.server_kills, asked.seed, Lines("server"))
            finally:
                starter.close()
            report("server killed", began, asdict(served))
        if asked.seconds:
            began = time.monotonic()
            with EmbeddedIndex.open(folder / "load", FINGERPRINT, DIMENSION, plan=SMALL) as index:
                load = run(index, asked.seconds, searchers=8, writers=2)
                assert index.verify().problems == ()
            report("8 searchers, 2 writers", began, asdict(load))
    print("nothing was lost, nothing came back, every answer was of one state")


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
    told = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in facts.items())
    print(f"{what} ({time.monotonic() - began:.0f} s): {told}", flush=True)


if __name__ == "__main__":
    main()
