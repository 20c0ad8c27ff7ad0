"""Shared by the benchmarks: medians of repeated calls, and where they were measured."""

import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path


def median_ms(call: Callable[[], object], repeats: int = 30, warm_up: int = 5) -> float:
    """Median milliseconds of a call."""
    for _ in range(warm_up):
        call()
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        taken.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(taken)


def machine() -> str:
    """The processor's name, for the line that says where a figure comes from."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
