"""Packed nodes of a layer that stay on a torch device between queries, in a fixed number of slots.

A slot belongs to one stored block, known by the identity of its array: who keeps blocks hands the
same array out again, and a new one for an item that was written anew. Nothing else is known of it,
so an array in a slot must never be written to. The reference is weak. A slot is free again once its
array is gone, before anything is looked up: an id that Python gives to another array is never
taken for the first. Where no slot is free, the least recently used one is taken.

Locking. Searching threads share the slots. One lock guards who has which slot, and it is held until
the copy of what is missing and the gather of what was asked for are both issued, so no slot that
one thread is about to read is given away by another. On a GPU a gather may run later than it was
issued: all threads use the device's one default stream, which runs it before any copy that the lock
let be issued after it. It leaves tensors of its own. What dies can die anywhere, also on a thread
that has the lock, so it takes none: it leaves its address in a queue that the next who has the lock
reads.
"""

import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from model.alignment import Nodes
from model.packed_nodes import FLOAT16, PackedNodes

# A node in a slot: its scale, its weight, its row, in whole words, which are what is copied.
WORD_BYTES = 4
WORDS_BEFORE_ROW = 2


@dataclass(frozen=True)
class Usage:
    """Slots, how many have a block, and how often a block was found in one, or copied there."""

    slots: int = 0
    used: int = 0
    hits: int = 0
    misses: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.slots + other.slots,
            self.used + other.used,
            self.hits + other.hits,
            self.misses + other.misses,
        )


@dataclass(frozen=True)
class NodeShape:
    """What fits into a slot: up to `width` nodes of `dimension` numbers, as float16 or int8."""

    width: int
    dimension: int
    float16: bool

    @property
    def node(self) -> np.dtype[np.void]:
        """One node as it lies in a slot."""
        row = np.dtype((np.float16 if self.float16 else np.int8, (self.dimension,)))
        words = WORDS_BEFORE_ROW + -(-row.itemsize // WORD_BYTES)
        return np.dtype(
            {
                "names": ["scale", "weight", "row"],
                "formats": [np.float32, np.float32, row],
                "offsets": [0, WORD_BYTES, WORDS_BEFORE_ROW * WORD_BYTES],
                "itemsize": words * WORD_BYTES,
            }
        )

    @property
    def slot_bytes(self) -> int:
        """Bytes of a slot."""
        return self.width * self.node.itemsize

    def fits(self, item: PackedNodes) -> bool:
        """Whether a slot can have it. Rows of four bits are kept as int8."""
        return (
            item.count <= self.width
            and item.dimension == self.dimension
            and (item.layout == FLOAT16) == self.float16
        )


@dataclass(frozen=True)
class _Tenant:
    block: "weakref.ref[np.ndarray]"
    slot: int
    count: int


class ResidentNodes:
    """So many slots on one device, for blocks of one shape."""

    def __init__(self, slots: int, shape: NodeShape, device: str | torch.device) -> None:
        """Takes the memory of all slots. Raises RuntimeError where the device hasn't that much."""
        self.slots, self.shape = slots, shape
        words = shape.node.itemsize // WORD_BYTES
        # Zeros, because what lies behind an item's last node is read before it is masked.
        self._words = torch.zeros(slots, shape.width, words, dtype=torch.int32, device=device)
        self._lock = threading.Lock()
        self._free = list(range(slots))
        # By the id of the array, least recently used first.
        self._tenants: OrderedDict[int, _Tenant] = OrderedDict()
        self._gone: deque[int] = deque()
        self._hits = self._misses = 0

    def usage(self) -> Usage:
        """As of now."""
        with self._lock:
            self._free_the_gone()
            return Usage(self.slots, len(self._tenants), self._hits, self._misses)

    def known(self, blocks: Sequence[np.ndarray]) -> list[bool]:
        """Which blocks have a slot, and so were read and fit; they may lose it at any time."""
        with self._lock:
            self._free_the_gone()
            return [self._tenant(block) is not None for block in blocks]

    def nodes(self, blocks: Sequence[np.ndarray]) -> Nodes:
        """Blocks, 1 to `slots` of them, that all fit, as nodes that the alignment takes.

        Those that have no slot get one, all copied at once. Raises PackedNodesError for other
        bytes.
        """
        with self._lock:
            self._free_the_gone()
            missing = {id(block): block for block in blocks if not self._touched(block)}
            if missing:
                self._admit(list(missing.values()))
            self._misses += len(missing)
            self._hits += len(blocks) - len(missing)
            tenants = [self._tenants[id(block)] for block in blocks]
            counts = [tenant.count for tenant in tenants]
            asked = torch.tensor([[tenant.slot for tenant in tenants], counts])
            places, lengths = asked.to(self._words.device)
            # Nodes beyond the longest are never read.
            words = self._words[:, : max(counts)].index_select(0, places)
        return self._read(words, lengths)

    def _tenant(self, block: np.ndarray) -> _Tenant | None:
        tenant = self._tenants.get(id(block))
        return tenant if tenant is not None and tenant.block() is block else None

    def _touched(self, block: np.ndarray) -> bool:
        """Whether the block has a slot; it is the last to lose it now."""
        if self._tenant(block) is None:
            return False
        self._tenants.move_to_end(id(block))
        return True

    def _free_the_gone(self) -> None:
        while self._gone:
            # Its slot may have been taken meanwhile.
            tenant = self._tenants.pop(self._gone.popleft(), None)
            if tenant is not None:
                self._free.append(tenant.slot)

    def _admit(self, blocks: Sequence[np.ndarray]) -> None:
        """Gives each block a slot; what this query found in a slot was touched and keeps it."""
        items = [PackedNodes(block) for block in blocks]
        # What may fail comes before a slot is taken.
        copied = torch.from_numpy(self._packed(items)).to(self._words.device)
        slots = [self._free.pop() if self._free else self._least_used() for _ in blocks]
        places = torch.tensor(slots).to(self._words.device)
        self._words[:, : copied.shape[1]].index_copy_(0, places, copied)
        for block, item, slot in zip(blocks, items, slots, strict=True):
            self._tenants[id(block)] = _Tenant(self._watched(block), slot, item.count)

    def _least_used(self) -> int:
        _, tenant = self._tenants.popitem(last=False)
        return tenant.slot

    def _watched(self, block: np.ndarray) -> "weakref.ref[np.ndarray]":
        gone, address = self._gone, id(block)
        return weakref.ref(block, lambda _: gone.append(address))

    def _packed(self, items: Sequence[PackedNodes]) -> np.ndarray:
        """(n, longest, words) int32."""
        longest = max(item.count for item in items)
        nodes = np.zeros((len(items), longest), self.shape.node)
        for own, item in zip(nodes, items, strict=True):
            own["scale"][: item.count] = item.scales
            own["weight"][: item.count] = item.weights
            own["row"][: item.count] = item.rows
        return nodes.view(np.int32).reshape(len(items), longest, -1)

    def _read(self, words: torch.Tensor, counts: torch.Tensor) -> Nodes:
        """Words (n, longest, words) of items of these counts (n,) as nodes, 0 where none stands."""
        mask = torch.arange(words.shape[1], device=words.device) < counts[:, None]
        floats = words[:, :, :WORDS_BEFORE_ROW].view(torch.float32)
        scales, weights = floats.masked_fill(~mask[:, :, None], 0).unbind(-1)
        stored = torch.float16 if self.shape.float16 else torch.int8
        rows = words[:, :, WORDS_BEFORE_ROW:].view(stored)[:, :, : self.shape.dimension]
        return Nodes(rows.float() * scales[:, :, None], mask, weights)
