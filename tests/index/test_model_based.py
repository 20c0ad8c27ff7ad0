"""Any sequence of calls leaves the engine equal to a dictionary."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from index.embedded import EmbeddedIndex
from index.filter import Tagged
from index.records import KINDS, Kind, Record
from tests.index.samples import DIMENSION, FINGERPRINT, SMALL, best, record, same

kinds = st.sampled_from(KINDS)
ids = st.sampled_from([f"id{n}" for n in range(30)])
# Few distinct vectors, so that ties are common.
seeds = st.integers(0, 5)


class Engine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.index = self.opened()
        self.truth: dict[tuple[Kind, str], Record] = {}

    def opened(self) -> EmbeddedIndex:
        return EmbeddedIndex.open(Path(self.folder.name), FINGERPRINT, DIMENSION, plan=SMALL)

    def teardown(self) -> None:
        if hasattr(self, "index"):
            assert self.index.verify().problems == ()
            self.index.close()
            self.folder.cleanup()

    @rule(items=st.lists(st.tuples(kinds, ids, seeds), max_size=20))
    def upsert(self, items: list[tuple[Kind, str, int]]) -> None:
        expected = []
        records = [record(id_, kind, seed=seed, tags=(f"t{seed}",)) for kind, id_, seed in items]
        for one in records:
            expected.append((one.kind, one.id) not in self.truth)
            self.truth[one.kind, one.id] = one
        assert self.index.upsert(records) == expected

    @rule(kind=kinds, some=st.lists(ids, max_size=9))
    def delete(self, kind: Kind, some: list[str]) -> None:
        there = {id_ for id_ in some if (kind, id_) in self.truth}
        for id_ in there:
            del self.truth[kind, id_]
        assert self.index.delete(kind, some) == len(there)

    @rule()
    def reopen(self) -> None:
        self.index.close()
        self.index = self.opened()

    @rule()
    def rebuild(self) -> None:
        assert self.index.rebuild().ok

    @rule()
    def compact(self) -> None:
        self.index.compact()

    @rule(kind=kinds, seed=st.integers(0, 99), k=st.integers(1, 12))
    def search(self, kind: Kind, seed: int, k: int) -> None:
        query = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
        items = {id_: one.vector for (of, id_), one in self.truth.items() if of == kind}
        hits = self.index.search(kind, query[None], k)
        found = list(zip(hits.ids[0], hits.scores[0].tolist(), strict=True))
        assert found == best(items, query, k)
        tagged = {
            id_: one.vector
            for (of, id_), one in self.truth.items()
            if of == kind and {"t1", "t2"} & {*one.tags}
        }
        hits = self.index.search(kind, query[None], k, Tagged(("t1", "t2")))
        found = list(zip(hits.ids[0], hits.scores[0].tolist(), strict=True))
        assert found == best(tagged, query, k)

    @rule(kind=kinds, some=st.lists(ids, max_size=9))
    def fetch(self, kind: Kind, some: list[str]) -> None:
        for id_, found in zip(some, self.index.fetch(kind, some), strict=True):
            assert (found is not None) == ((kind, id_) in self.truth)
            if found is not None:
                assert found.content_hash == self.truth[kind, id_].content_hash
                assert same(self.index.get(kind, id_), self.truth[kind, id_])

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "index"):
            return
        for kind in KINDS:
            there = sorted(id_ for of, id_ in self.truth if of == kind)
            assert self.index.count(kind) == len(there)
            assert [one.id for one in self.index.list(kind)] == there
            tags = [one.tags[0] for (of, _), one in self.truth.items() if of == kind]
            assert self.index.tag_counts(kind) == {tag: tags.count(tag) for tag in tags}


TestEngine = Engine.TestCase
TestEngine.settings = settings(
    derandomize=True, deadline=None, max_examples=15, stateful_step_count=25
)
