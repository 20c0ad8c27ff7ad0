"""Encoding in bfloat16, on a CPU that multiplies it twice as fast.

Linear maps and recurrent layers, of which a sentence is mostly made, have their weights in it; what
lies between them, the sums of residuals, norms and softmaxes, stays in float32. A convolutional
network is in bfloat16 from block to block, but for its first blocks: they see pixels, whose fine
differences are lost in it. What comes out is float32 everywhere.
"""

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from model import efficientnet

Module = TypeVar("Module", bound=nn.Module)


def is_quick(device: str) -> bool:
    """Whether this device is a CPU with instructions for bfloat16 (AVX512-BF16)."""
    return device == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


class HalfLinear(nn.Module):
    """A linear map with its weights in bfloat16; float32 (..., in) to float32 (..., out)."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach().bfloat16(), requires_grad=False)
        bias = linear.bias
        self.bias = None if bias is None else nn.Parameter(bias.detach().bfloat16(), False)

    def forward(self, features: Tensor) -> Tensor:
        return functional.linear(features.bfloat16(), self.weight, self.bias).float()


class HalfGRU(nn.Module):
    """A recurrent layer with its weights in bfloat16, over packed sequences of float32."""

    def __init__(self, recurrent: nn.GRU) -> None:
        super().__init__()
        self.recurrent = recurrent.bfloat16().requires_grad_(False)

    def forward(self, packed: PackedSequence) -> tuple[PackedSequence, Tensor]:
        states, last = self.recurrent(packed._replace(data=packed.data.bfloat16()))
        return states._replace(data=states.data.float()), last.float()


class HalfNetwork(nn.Module):
    """A convolutional network that computes in bfloat16; float32 in, float32 out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, activations: Tensor) -> Tensor:
        with torch.autocast(activations.device.type, torch.bfloat16):
            out: Tensor = self.network(activations)
        return out.float()


def in_half(module: Module) -> Module:
    """The module itself, its parts of those kinds replaced by such; not trainable any more."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear):
            setattr(module, name, HalfLinear(child))
        elif isinstance(child, nn.GRU):
            setattr(module, name, HalfGRU(child))
        elif isinstance(child, efficientnet.Tail):
            setattr(module, name, HalfNetwork(child))
        else:
            in_half(child)
    return module
