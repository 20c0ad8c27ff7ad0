"""Every baseline and every part of the method, trained on the same data and measured on val.

usage: python benchmarks/quality [--data FOLDER] [--only NAME ...] [--seeds N ...] [--table]

Trains what `plan.py` lists and has no record in `docs/runs/quality` yet, then prints the tables.
Stop it at any time: the next start goes on after the last finished epoch. `--table` trains nothing.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from measure import record
from plan import SECTIONS
from table import tables

RECORDS = Path(__file__).parents[2] / "docs" / "runs" / "quality"


def main() -> None:
    """Trains what is missing, one run after the other, and prints the tables."""
    parser = argparse.ArgumentParser(prog="quality")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/flickr8k"))
    parser.add_argument("--runs", type=Path, default=Path("runs/quality"))
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    parser.add_argument("--only", nargs="+", help="rows by the name of their configuration")
    parser.add_argument("--seeds", nargs="+", type=int, help="of the planned seeds, these")
    parser.add_argument("--table", action="store_true", help="print what was measured before")
    options = parser.parse_args()
    rows = [row for section in SECTIONS.values() for row in section]
    unknown = set(options.only or ()) - {row.config for row in rows}
    if unknown:
        sys.exit(f"--only: no row is called {', '.join(sorted(unknown))}")
    if not options.table:
        tell = partial(print, file=sys.stderr, flush=True)
        # Seed by seed, so that a table of one seed is whole before the next is begun.
        for seed in sorted({seed for row in rows for seed in row.seeds}):
            for row in rows:
                if (
                    seed in row.seeds
                    and (options.only is None or row.config in options.only)
                    and (options.seeds is None or seed in options.seeds)
                ):
                    record(
                        row.config,
                        seed,
                        options.data,
                        options.runs,
                        options.cache,
                        RECORDS,
                        tell,
                    )
    print(tables(RECORDS))


if __name__ == "__main__":
    main()
