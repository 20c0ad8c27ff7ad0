"""What is trained and compared: one line a row of the table in `docs/quality.md`."""

from dataclasses import dataclass

THREE_SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Row:
    """config: the file in `configs/quality` without its ending; label: what the table calls it."""

    config: str
    label: str
    seeds: tuple[int, ...] = THREE_SEEDS


# The same features for all: nothing of either pretrained network is tuned.
FROZEN = (
    Row("frozen-scan-t2i", "SCAN, word to region"),
    Row("frozen-scan-i2t", "SCAN, region to word"),
    Row("frozen-vse-infinity", "VSE∞"),
    Row("frozen-chan", "CHAN"),
    Row("frozen-full", "all four layers (ours)"),
)
TUNED = (
    Row("tuned-global", "global layer alone"),
    Row("tuned-full", "all four layers (ours)"),
)
SECTIONS = {"frozen features": FROZEN, "tuned networks": TUNED}
