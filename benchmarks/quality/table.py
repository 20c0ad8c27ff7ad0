"""The records as the tables of `docs/quality.md`: mean and spread over the seeds of each row."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plan import SECTIONS, Row

STAGES = ("global only", "two-stage, 100 candidates", "exhaustive")
HEAD = (
    "| {section} | seeds | global only | two-stage | exhaustive "
    "| no offsets: global only | two-stage | exhaustive |\n|---|---|---|---|---|---|---|---|"
)


def tables(records: Path) -> str:
    """Markdown of every section; a row without a record says so."""
    parts = []
    for section, rows in SECTIONS.items():
        lines = [_line(row, records) for row in rows]
        parts.append("\n".join([HEAD.format(section=section), *lines]))
    return "\n\n".join(parts) + "\n"


def _line(row: Row, records: Path) -> str:
    found = [
        _rows(json.loads(file.read_text()), row)
        for seed in row.seeds
        if (file := records / f"{row.config}-{seed}" / "result.json").is_file()
    ]
    cells = [_cell(found, stage + suffix) for suffix in ("", " (no offsets)") for stage in STAGES]
    return f"| {row.label} | {len(found)} | " + " | ".join(cells) + " |"


def _rows(result: dict[str, Any], row: Row) -> dict[str, Any]:
    rows: dict[str, Any] = (result["trained"] if row.trained else result)["rows"]
    return rows


def _cell(found: Sequence[dict[str, Any]], row: str) -> str:
    sums = [one[row]["rsum"] for one in found if row in one]
    if not sums:
        return ""
    spread = f" ± {statistics.stdev(sums):.1f}" if len(sums) > 1 else ""
    return f"{statistics.mean(sums):.1f}{spread}"
