"""What is trained and compared: one line a row of the table in `docs/quality.md`."""

from dataclasses import dataclass

THREE_SEEDS = (0, 1, 2)
ONE_SEED = (0,)
SHIPPED_SEED = (1,)


@dataclass(frozen=True)
class Row:
    """config: the file in `configs/quality` without its ending; label: what the table calls it;
    trained: whether it tells of the trained layers alone, of a model that also has concepts.
    """

    config: str
    label: str
    seeds: tuple[int, ...] = THREE_SEEDS
    trained: bool = False


# The same features for all: nothing of either pretrained network is tuned.
FROZEN = (
    Row("frozen-scan-t2i", "SCAN, word to region"),
    Row("frozen-scan-i2t", "SCAN, region to word"),
    Row("frozen-vse-infinity", "VSE∞"),
    Row("frozen-chan", "CHAN"),
    Row("frozen-full", "the four trained layers (ours)", trained=True),
    Row("frozen-full", "the same and concepts (ours)"),
)
PARTS = (
    Row("frozen-shared", "one set of heads for both stages, distilled", ONE_SEED),
    Row("frozen-no-tags", "no tags", ONE_SEED),
    Row("frozen-tag-losses", "tag losses, no semantic score", ONE_SEED),
    Row("frozen-no-relation", "no relation layer", ONE_SEED),
    Row("frozen-hard", "hard assignment", ONE_SEED),
    Row("frozen-word-to-region", "word to region only", ONE_SEED),
    Row("frozen-equal-weights", "equal node weights", ONE_SEED),
    Row("frozen-random-batches", "no near neighbours in a batch", ONE_SEED),
)
TUNED = (
    Row("tuned-global", "global layer alone"),
    Row("tuned-full", "the four trained layers (ours)", trained=True),
    Row("tuned-full", "the same and concepts (ours)"),
    Row("tuned-large", "batches of 128, ten epochs: the four layers", SHIPPED_SEED, trained=True),
    Row("tuned-large", "the same and concepts (shipped)", SHIPPED_SEED),
    Row("tuned-shared", "one set of tuned networks for both stages, distilled", ONE_SEED),
)
SECTIONS = {
    "the same untuned features": FROZEN,
    "untuned features, ours with one thing changed": PARTS,
    "tuned networks": TUNED,
}
