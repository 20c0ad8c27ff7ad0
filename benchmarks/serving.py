"""What HTTP adds to a search, and what encoding waiting sentences together gives.

usage: serving.py [--data FOLDER] [--split val] [--pictures 300] [--clients 16] [--seconds 8]
                  [--device cpu]

Loads pictures of a captioned split and asks captions in-process, one after the other. Then two
servers have the same collection: one encodes the sentences that wait together, one encodes them one
by one, on its two encoders. One client asks the first for the median over HTTP and for the rate of
one query at a time; then so many clients ask at once, each its next caption as soon as it has an
answer, of the two servers in turns. Clients and servers share the machine. Any answer but 200 ends
it. Without the data set it says so and measures nothing.
"""

import argparse
import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

from _timing import machine
from search_steps import load, medians

from model.dataset import read_split
from model.errors import DataError
from service.collection import open_collection
from service.settings import Settings

ROUNDS = 3
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


@contextmanager
def server(folder: Path, together: int, device: str) -> Iterator[int]:
    """The port of a server that encodes so many waiting sentences together."""
    environment = {
        **os.environ,
        "SIGHTLINE_DEVICE": device,
        "SIGHTLINE_ENCODE_BATCH_QUERIES": str(together),
        # The captions come round again, and each is to count as new.
        "SIGHTLINE_REMEMBERED_QUERIES": "0",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "service", "serve", "--data-dir", str(folder), "--port", "0"]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        told = next(found for line in process.stdout if (found := ADDRESS.search(line)))
        yield int(told[1])
    finally:
        process.terminate()
        process.communicate()


class Client:
    """One connection that asks one search after the other."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, caption: str) -> float:
        """Milliseconds of one search; the answer has to be 200."""
        begun = time.perf_counter()
        body = json.dumps({"query": caption})
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/search/text-to-image", body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{answer.status}: {content!r}")
        return (time.perf_counter() - begun) * 1e3


def at_once(
    port: int, captions: Sequence[str], clients: int, seconds: float
) -> tuple[float, float]:
    """Answers a second, and the median of their milliseconds, of so many clients."""
    begun = time.perf_counter()

    def work(number: int) -> list[float]:
        client, taken = Client(port), []
        for caption in cycle(captions[number::clients]):
            if time.perf_counter() > begun + seconds:
                break
            taken.append(client.ask(caption))
        return taken

    with ThreadPoolExecutor(clients) as threads:
        taken = [one for own in threads.map(work, range(clients)) for one in own]
    return len(taken) / (time.perf_counter() - begun), statistics.median(taken)


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data/flickr8k"))
    parser.add_argument("--split", default="val")
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    try:
        examples = read_split(options.data, options.split).examples[: options.pictures]
    except DataError as error:
        sys.exit(f"nothing measured: {error}")
    captions = [caption for example in examples for caption in example.captions]
    with tempfile.TemporaryDirectory() as name:
        folder, copy = Path(name) / "data", Path(name) / "copy"
        with open_collection(Settings(data_dir=folder, device=options.device)) as collection:
            load(collection, examples)
            medians(collection, captions[:20], rerank=True)
            inside = medians(collection, captions[:200], rerank=True)["total"]
        shutil.copytree(folder, copy)
        together = Settings().encode_batch_queries
        with (
            server(folder, together, options.device) as batching,
            server(copy, 1, options.device) as alone,
        ):
            client = Client(batching)
            for caption in captions[:20]:
                client.ask(caption)
            outside = statistics.median(client.ask(caption) for caption in captions[:200])
            ways = {
                "one query at a time": (batching, 1),
                f"{options.clients} clients, sentences one by one": (alone, options.clients),
                f"{options.clients} clients, up to {together} together": (
                    batching,
                    options.clients,
                ),
            }
            measured: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
            for _ in range(ROUNDS):
                for name, (port, clients) in ways.items():
                    measured[name].append(at_once(port, captions, clients, options.seconds))
    print(
        f"{len(examples)} pictures, captions of {options.split}, up to 100 candidates re-ranked, "
        f"two encoders and two searchers of one thread, {machine()}\n"
        f"in-process p50 {inside:.1f} ms, over HTTP {outside:.1f} ms: {outside / inside:.2f} x"
    )
    rates = {}
    for name, rounds in measured.items():
        rates[name], waited = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"  {name:35} {rates[name]:6.1f} a second, p50 {waited:.0f} ms")
    single, one_by_one, batched = rates.values()
    print(f"together / one query at a time: {batched / single:.2f} x")
    print(f"together / sentences one by one: {batched / one_by_one:.2f} x")


if __name__ == "__main__":
    main()
