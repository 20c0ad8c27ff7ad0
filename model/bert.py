"""all-MiniLM-L6-v2: six BERT layers, their first part frozen (and cached), the rest tunable.

Architecture: Devlin et al., "BERT", NAACL 2019, post-norm. Weights: the package named in
`model/pretrained.py`, Apache-2.0. Position and segment embeddings are added as in the original.
"""

from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

LAYERS = 6
WIDTH = 384
HEADS = 12
INNER = 1536
WORD_PIECES = 30522
POSITIONS = 512
EPSILON = 1e-12


class Layer(nn.Module):
    """Self-attention and feed-forward, each followed by its residual's layer norm."""

    def __init__(self) -> None:
        super().__init__()
        self.query_key_value = nn.Linear(WIDTH, 3 * WIDTH)
        self.attended = nn.Linear(WIDTH, WIDTH)
        self.attended_norm = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.inner = nn.Linear(WIDTH, INNER)
        self.outer = nn.Linear(INNER, WIDTH)
        self.outer_norm = nn.LayerNorm(WIDTH, eps=EPSILON)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """States (B, L, 384) and a mask (B, L), True where a piece stands, to states."""
        batch, length, _ = states.shape
        heads = self.query_key_value(states).view(batch, length, 3, HEADS, WIDTH // HEADS)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        # In bfloat16 torch's fused attention is five times as slow backwards on a CPU.
        logits = query @ key.transpose(2, 3) / (WIDTH // HEADS) ** 0.5
        weights = logits.masked_fill(~mask[:, None, None, :], -torch.inf).softmax(-1)
        attended = weights.to(value.dtype) @ value
        attended = attended.transpose(1, 2).reshape(batch, length, WIDTH)
        states = self.attended_norm(states + self.attended(attended))
        inner = functional.gelu(self.inner(states))
        normed: Tensor = self.outer_norm(states + self.outer(inner))
        return normed


class Layers(nn.Module):
    """Consecutive layers of the network."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer() for _ in range(count))

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """States (B, L, 384) through every layer."""
        for layer in self.layers:
            states = layer(states, mask)
        return states


class Trunk(nn.Module):
    """Embeddings and the first layers: what a cache holds the output of."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.pieces = nn.Embedding(WORD_PIECES, WIDTH)
        self.positions = nn.Embedding(POSITIONS, WIDTH)
        self.segment = nn.Parameter(torch.zeros(WIDTH))
        self.norm = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.layers = Layers(layers)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Word-piece ids (B, L) and their mask to states (B, L, 384)."""
        places = torch.arange(ids.shape[1], device=ids.device)
        states = self.pieces(ids) + self.positions(places) + self.segment
        out: Tensor = self.layers(self.norm(states), mask)
        return out


def load_trunk(weights: Path, layers: int) -> Trunk:
    """Embeddings and the first `layers` layers, frozen."""
    trunk = Trunk(layers)
    with safe_open(weights, framework="pt") as file:
        state = {
            "pieces.weight": file.get_tensor("embeddings.word_embeddings.weight"),
            "positions.weight": file.get_tensor("embeddings.position_embeddings.weight"),
            "segment": file.get_tensor("embeddings.token_type_embeddings.weight")[0],
            "norm.weight": file.get_tensor("embeddings.LayerNorm.weight"),
            "norm.bias": file.get_tensor("embeddings.LayerNorm.bias"),
        }
    trunk.load_state_dict(state | _layer_state(weights, 0, layers, "layers."))
    return trunk.eval().requires_grad_(False)


def load_layers(weights: Path, first: int) -> Layers:
    """The layers from `first` on, where tuning starts."""
    layers = Layers(LAYERS - first)
    layers.load_state_dict(_layer_state(weights, first, LAYERS, ""))
    return layers


def _layer_state(weights: Path, first: int, end: int, prefix: str) -> dict[str, Tensor]:
    names = {
        "attended": "attention.output.dense",
        "attended_norm": "attention.output.LayerNorm",
        "inner": "intermediate.dense",
        "outer": "output.dense",
        "outer_norm": "output.LayerNorm",
    }
    state = {}
    with safe_open(weights, framework="pt") as file:
        for number in range(first, end):
            theirs, ours = f"encoder.layer.{number}", f"{prefix}layers.{number - first}"
            for part in ("weight", "bias"):
                for mine, name in names.items():
                    state[f"{ours}.{mine}.{part}"] = file.get_tensor(f"{theirs}.{name}.{part}")
                state[f"{ours}.query_key_value.{part}"] = torch.cat(
                    [
                        file.get_tensor(f"{theirs}.attention.self.{name}.{part}")
                        for name in ("query", "key", "value")
                    ]
                )
    return state
