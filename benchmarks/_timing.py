"""Shared by the benchmarks: medians of repeated calls, and where they were measured."""

import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping
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


def interleaved_ms(
    calls: Mapping[str, Callable[[], object]], repeats: int = 60, warm_up: int = 5
) -> dict[str, float]:
    """Median milliseconds of each call, in turns so that a busy moment meets them all.

    Each turn has another order, since what ran before leaves the caches to what runs next.
    """
    order = random.Random(0)
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(warm_up + repeats):
        for name, call in order.sample(sorted(calls.items()), len(calls)):
            begun = time.perf_counter()
            call()
            if repeat >= warm_up:
                taken[name].append((time.perf_counter() - begun) * 1e3)
    return {name: statistics.median(times) for name, times in taken.items()}


def machine() -> str:
    """The processor's name, for the line that says where a figure comes from."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
