"""The processes that train one model together under `torchrun`, one a GPU, or one alone.

Every rank draws the same batches and encodes its share of them. Texts are gathered, so that each
rank scores its pictures with the whole batch; the scores are gathered too, so that all ranks have
the same loss. Gathering keeps gradients, and the mean of the ranks' gradients is the gradient of
the loss: k ranks take the steps that one would.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal

import torch
import torch.distributed.nn.functional
from torch import Tensor, distributed, nn

from model.alignment import Codes, Nodes
from model.errors import ConfigError

# Ranks wait for the first one while it extracts features or validates, which may take hours; one
# that died is noticed by torchrun, which ends the others.
LONGEST_WAIT = timedelta(days=2)


class Ranks:
    """One process alone, on one device."""

    rank = 0
    count = 1

    def __init__(self, device: str) -> None:
        self.device = device

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes, validates and reports."""
        return self.rank == 0

    def gather(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """The rows of all ranks in their order; rank r has counts[r] of them. Keeps gradients."""
        return rows

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Each gradient becomes its mean over the ranks."""

    def agree(self, numbers: Sequence[float]) -> list[float]:
        """The first rank's numbers, on all ranks."""
        return list(numbers)

    def wait(self) -> None:
        """Returns when all ranks are here."""

    @contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """The first rank does what is inside before the others, who find it in the cache."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()


class ManyRanks(Ranks):
    """One of several processes, joined by torch.distributed."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self.rank, self.count = distributed.get_rank(), distributed.get_world_size()

    def gather(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        gathered: Tensor = _Gather.apply(rows, counts, self.rank)  # type: ignore[no-untyped-call]
        return gathered

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        gradients = [p.grad for p in parameters if p.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(together)
        sizes = [gradient.numel() for gradient in gradients]
        parts = torch.split(together / self.count, sizes)
        for gradient, mean in zip(gradients, parts, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def agree(self, numbers: Sequence[float]) -> list[float]:
        shared = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        distributed.broadcast(shared, src=0)
        return shared.tolist()

    def wait(self) -> None:
        # A barrier of NCCL would have to be told the device; this works for both back ends.
        self.agree([0.0])


def training_device(device: Literal["auto", "cpu", "cuda"]) -> str:
    """The device that `training.device` comes to on this machine, "cpu" or "cuda".

    Raises ConfigError when a GPU is asked for and there is none.
    """
    usable = torch.cuda.is_available()
    if device == "cuda" and not usable:
        raise ConfigError("training.device is cuda, but torch finds no usable GPU")
    return "cuda" if usable and device != "cpu" else "cpu"


def measuring_device(device: Literal["auto", "cpu", "cuda"]) -> str:
    """Where a finished run is encoded and measured: where it trained, or, of a run that insisted on
    a GPU and is looked at on a machine without one, on the CPU.
    """
    return training_device("auto" if device == "cuda" else device)


@contextmanager
def ranks(device: Literal["auto", "cpu", "cuda"]) -> Iterator[Ranks]:
    """The ranks of this run: those that `torchrun` started, or one alone.

    Raises ConfigError as `training_device` does.
    """
    kind = training_device(device)
    if not distributed.is_available() or not distributed.is_torchelastic_launched():
        yield Ranks(kind)
        return
    if kind == "cuda":
        number = distributed.get_node_local_rank()
        if number >= torch.cuda.device_count():
            raise ConfigError(
                f"torchrun started process {number} of this machine, which has "
                f"{torch.cuda.device_count()} GPUs: one process a GPU"
            )
        torch.cuda.set_device(number)
        kind = f"cuda:{number}"
    back_end = "gloo" if kind == "cpu" else "nccl"
    # torch.distributed.nn has the group that exists when it's first imported, which optimisers do,
    # among its default arguments: that group would never be let go, and its threads, still running
    # when the interpreter ends, now and then abort the process. So it's imported above.
    distributed.init_process_group(back_end, timeout=LONGEST_WAIT)
    try:
        yield ManyRanks(kind)
    finally:
        distributed.destroy_process_group()


def gather_codes(ranks: Ranks, codes: Codes, counts: Sequence[int], nodes: int) -> Codes:
    """The codes of all ranks in their order, padded to so many nodes an item; keeps gradients."""
    if ranks.count == 1:
        return codes

    def whole(rows: Tensor) -> Tensor:
        missing = rows.new_zeros((len(rows), nodes - rows.shape[1], *rows.shape[2:]))
        return ranks.gather(torch.cat([rows, missing], dim=1), counts)

    def whole_nodes(part: Nodes) -> Nodes:
        return Nodes(whole(part.vectors), whole(part.mask), whole(part.weights))

    return Codes(
        ranks.gather(codes.global_, counts),
        whole_nodes(codes.entity),
        whole_nodes(codes.relation),
        ranks.gather(codes.tags, counts),
        whole(codes.kept),
        whole(codes.saliency),
        ranks.gather(codes.concepts, counts),
    )


class _Gather(torch.autograd.Function):
    """All ranks' rows; backwards each rank gets the sum of what the ranks say of its rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: Sequence[int], rank: int) -> Tensor:
        start = sum(counts[:rank])
        ctx.own = slice(start, start + counts[rank])
        # Booleans travel as bytes: not every back end carries them.
        carried = rows.to(torch.uint8) if rows.dtype == torch.bool else rows
        padded = carried.new_zeros((max(counts), *rows.shape[1:]))
        padded[: len(rows)] = carried
        parts = [torch.empty_like(padded) for _ in counts]
        distributed.all_gather(parts, padded)
        whole = torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])
        return whole.to(rows.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        gradient = gradients[0].contiguous().clone()
        distributed.all_reduce(gradient)
        return gradient[ctx.own], None, None
