"""What a text query costs in-process, step by step, with 100 candidates re-ranked.

usage: search_steps.py [--data FOLDER] [--split val] [--pictures 1000] [--queries 500]

Loads pictures of a captioned split into a collection in a temporary folder, then asks captions one
after the other on one thread. Prints the median of each step, and the whole search as a ratio to
the first stage alone. Without the data set it says so and measures nothing.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from _timing import machine

from model.dataset import Example, read_split
from model.errors import DataError
from service.asking import ask_collection
from service.collection import Collection, open_collection
from service.ingest import NewPicture, prepare_pictures, store
from service.settings import Settings

BATCH = 16


def load(collection: Collection, examples: tuple[Example, ...]) -> float:
    """Stores the pictures; returns how many a second."""
    begun = time.perf_counter()
    for start in range(0, len(examples), BATCH):
        part = examples[start : start + BATCH]
        pictures = [NewPicture(e.image.read_bytes(), e.image.stem) for e in part if e.image]
        for outcome in store(collection, "image", prepare_pictures(collection, pictures)):
            if outcome.error is not None:
                raise outcome.error
    return len(examples) / (time.perf_counter() - begun)


def medians(collection: Collection, captions: list[str], rerank: bool) -> dict[str, float]:
    """Median milliseconds of every step of a search."""
    steps = defaultdict(list)
    for caption in captions:
        answer = ask_collection(collection, caption, None, {"k": 10, "rerank": rerank})
        for name, value in answer.took_ms.model_dump().items():
            steps[name].append(value)
    return {name: statistics.median(values) for name, values in steps.items()}


def main() -> None:
    """Prints the table and the ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data/flickr8k"))
    parser.add_argument("--split", default="val")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--queries", type=int, default=500)
    options = parser.parse_args()
    try:
        examples = read_split(options.data, options.split).examples[: options.pictures]
    except DataError as error:
        sys.exit(f"nothing measured: {error}")
    captions = [example.captions[0] for example in examples][: options.queries]
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), device="cpu")
        with open_collection(settings) as collection:
            rate = load(collection, examples)
            medians(collection, captions[:20], rerank=True)
            alone = medians(collection, captions, rerank=False)
            both = medians(collection, captions, rerank=True)
    print(
        f"{len(examples)} pictures ({rate:.1f} a second loaded), {len(captions)} captions, "
        f"100 candidates re-ranked, one thread, {machine()}; median ms"
    )
    for name in both:
        print(f"  {name:8} {both[name]:7.2f}   first stage alone {alone[name]:7.2f}")
    print(f"two-stage / first stage alone: {both['total'] / alone['total']:.2f} x")


if __name__ == "__main__":
    main()
