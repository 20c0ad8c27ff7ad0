"""Damaged picture files, one after the other, to a real server: each is refused or stored.

Used by `test_damaged.py` with some hundreds, and by `make soak` with thousands.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

import httpx

from tests.helpers import Server
from tests.mutations import Mutant, mutants
from tests.process import resident_mib

WARM_FILES = 500
ANSWERS = (200, 201, 413, 415, 422)
LONGEST_S = 10.0


@dataclass
class Damage:
    """What became of the files. slowest_s: the longest answer, slowest: to which file.

    warm_mib, end_mib: resident memory after the first 500 files, and after the last.
    """

    files: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: str = ""
    warm_mib: float = 0.0
    end_mib: float = 0.0


def upload_damaged(server: Server, count: int, seed: int, tell: Callable[[Damage], None]) -> Damage:
    """Uploads so many, and deletes what was stored, so that the collection doesn't grow.

    Raises AssertionError at the first answer that isn't one of `ANSWERS` within `LONGEST_S`, with
    the seed and the number of the file. tell: called after each file.
    """
    damage = Damage()
    with httpx.Client(base_url=server.url, timeout=LONGEST_S) as client:
        for mutant in islice(mutants(count, seed), count):
            try:
                _upload(client, mutant, damage)
            except BaseException as error:
                error.add_note(f"seed {seed}, file {damage.files}: {mutant.name}")
                raise
            damage.files += 1
            if damage.files == WARM_FILES:
                damage.warm_mib = resident_mib(server.process.pid)
            tell(damage)
    damage.end_mib = resident_mib(server.process.pid)
    return damage


def _upload(client: httpx.Client, mutant: Mutant, damage: Damage) -> None:
    began = time.monotonic()
    answer = client.put("/images/damaged", files={"image": ("damaged", mutant.data)})
    took = time.monotonic() - began
    assert answer.status_code in ANSWERS, (answer.status_code, answer.text)
    damage.statuses[answer.status_code] += 1
    if took > damage.slowest_s:
        damage.slowest_s, damage.slowest = took, mutant.name
    if answer.status_code in (200, 201):
        assert client.delete("/images/damaged").status_code == 204
