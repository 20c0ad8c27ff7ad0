"""Networks as graphs that run without the interpreter's lock.

Every step of a network that Python takes lets go of that lock and has to get it again. A sentence
takes hundreds of steps, none long; while other threads answer requests, that wait is as long as the
steps (docs/decisions/0018). A graph is one step.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn


class Traced:
    """The graph of a module, for inputs of any lengths; without gradients."""

    def __init__(self, module: nn.Module, *example: Tensor) -> None:
        """example: inputs that the module is run with once. What it does may not depend on their
        values or lengths but by operations on tensors.
        """
        with warnings.catch_warnings(), torch.no_grad():
            # TorchScript is deprecated (decision 18). What else it warns of, lengths that may have
            # become constants, is also told of lines of torch that are in order: tests compare.
            warnings.simplefilter("ignore")
            self._graph = torch.jit.trace(module.eval(), example, check_trace=False)  # type: ignore[no-untyped-call]

    @torch.inference_mode()
    def __call__(self, *inputs: Tensor) -> Any:
        """What the module makes of the inputs, to the last bit: a tensor, or a tuple of such."""
        # Optimising a graph takes longer than running it, and starts again with other lengths.
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            return self._graph(*inputs)
