"""Schemathesis over the OpenAPI document of a real server: what fits it, what doesn't, sequences.

Used by `test_contract.py` with a few cases an operation, and by `make soak` with more.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from service.keys import Key, digest_of, new_key
from tests.helpers import ServerStarter

FOLDER = Path(__file__).resolve().parent
CHECKS = "tests.end_to_end.contract_checks"
PHASES = ("examples", "coverage", "fuzzing", "stateful")


@dataclass(frozen=True)
class Contract:
    """What was asked: requests, and the operations that they went to."""

    cases: int
    operations: int


def hold_to_contract(start: ServerStarter, folder: Path, cases: int, seed: int) -> Contract:
    """Asks so many times for each operation and sequence, besides what the document lists.

    folder: for what Schemathesis writes. Raises AssertionError with its report, which has a curl
    command for each failure.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = new_key()
    server = start(SIGHTLINE_KEYS=Key("contract", "write", digest_of(key.encode())).line)
    report = folder / "report.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli"),
            *("--config-file", str(FOLDER / "schemathesis.toml")),
            *("run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {key}"),
            *("--max-examples", str(cases), "--seed", str(seed), "--phases", ",".join(PHASES)),
            *("--report", "json", "--report-json-path", str(report), "--no-color"),
        ],
        cwd=folder,
        env={
            **os.environ,
            "SIGHTLINE_CONTRACT_KEY": key,
            "SIGHTLINE_CONTRACT_CHECKS": CHECKS,
            "PYTHONPATH": str(FOLDER.parent.parent),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(report.read_text(encoding="utf-8"))
    skipped = [name for name in PHASES if told["phases"][name]["status"] != "success"]
    assert skipped == [], f"not run: {skipped}\n{done.stdout}"
    assert told["complete"], done.stdout
    return Contract(told["test_cases"]["generated"], told["operations"]["tested"])
