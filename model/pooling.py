"""How the vectors of an item's nodes become one vector."""

import torch
from torch import Tensor, nn

POSITION_SIZE = 32
LONGEST_PERIOD = 10_000.0


class GeneralisedPoolingOperator(nn.Module):
    """Generalised pooling operator (VSE∞, Chen et al., CVPR 2021, section 3.2).

    Each coordinate is sorted over the nodes, and position k of the order gets a weight that a small
    Bi-GRU over position encodings learned: mean, maximum and top-k are special cases.
    """

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.GRU(POSITION_SIZE, POSITION_SIZE, batch_first=True, bidirectional=True)
        self.score = nn.Linear(POSITION_SIZE, 1, bias=False)

    def forward(self, vectors: Tensor, present: Tensor) -> Tensor:
        """Vectors (B, N, D) and which of them are there, (B, N) bool, to (B, D)."""
        # Absent nodes sort behind all others and weigh nothing.
        ordered = vectors.masked_fill(~present[:, :, None], -torch.inf).sort(1, descending=True)
        counts = present.sum(1)
        there = torch.arange(vectors.shape[1], device=vectors.device)[None, :] < counts[:, None]
        values = ordered.values.masked_fill(~there[:, :, None], 0.0)
        pooled: Tensor = (self._weights(counts, there)[:, :, None] * values).sum(1)
        return pooled

    def _weights(self, counts: Tensor, there: Tensor) -> Tensor:
        places = _positions(there.shape[1], there.device).expand(there.shape[0], -1, -1)
        packed = nn.utils.rnn.pack_padded_sequence(
            places, counts.cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = nn.utils.rnn.pad_packed_sequence(
            self.recurrent(packed)[0], batch_first=True, total_length=there.shape[1]
        )
        forwards, backwards = states.chunk(2, dim=-1)
        logits: Tensor = self.score((forwards + backwards) / 2).squeeze(-1)
        weights: Tensor = logits.masked_fill(~there, -torch.inf).softmax(-1)
        return weights


def _positions(count: int, device: torch.device) -> Tensor:
    """Sine and cosine encodings of 0..count-1, (count, 32) (Vaswani et al., NeurIPS 2017)."""
    half = torch.arange(POSITION_SIZE // 2, device=device) / (POSITION_SIZE // 2)
    angles = torch.arange(count, device=device)[:, None] / LONGEST_PERIOD ** half[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)
