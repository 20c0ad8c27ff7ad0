"""Trained weights as the arrays of a file: whole in fp16, or compact in four bits each.

Compact, the tuned tails are stored as what training changed of the pretrained networks, which is
little and so keeps its precision; a reader adds it to the pretrained files again.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from model import four_bits
from model.grid import GridTail
from model.network import Network
from model.words import PretrainedTail

# Embeddings of the concepts' names, which aren't a weight of the network.
CONCEPT_NAMES = "concepts.names"
CODES, SCALES = ".four_bits", ".scales"
# Vectors (biases, norms, gates) are few and weigh much: they stay whole.
LEAST_DIMENSIONS = 2


def to_arrays(network: Network, compact: bool) -> dict[str, np.ndarray]:
    """Named arrays for a safetensors file."""
    state = network.state_dict()
    arrays: dict[str, np.ndarray] = {}
    if network.concepts is not None:
        arrays[CONCEPT_NAMES] = _whole(network.concepts.names)
    if not compact:
        return arrays | {name: _whole(value) for name, value in state.items()}
    for name, start in _starts(network).items():
        if state[name].ndim < LEAST_DIMENSIONS:
            arrays[name] = _whole(state[name])
        else:
            change = (state[name].detach().cpu() - start).numpy()
            arrays[name + CODES], arrays[name + SCALES] = four_bits.encode(change)
    return arrays


def to_state(arrays: Mapping[str, np.ndarray], network: Network) -> dict[str, Tensor]:
    """The state that `to_arrays` wrote, for a network of the same sizes.

    Raises ValueError when compact arrays don't fit the network.
    """
    if not any(name.endswith(CODES) for name in arrays):
        return {
            name: torch.from_numpy(array).float()
            for name, array in arrays.items()
            if name != CONCEPT_NAMES
        }
    state: dict[str, Tensor] = {}
    for name, start in _starts(network).items():
        if name in arrays:
            state[name] = torch.from_numpy(arrays[name]).float()
        elif name + CODES in arrays:
            try:
                change = four_bits.decode(
                    arrays[name + CODES], arrays[name + SCALES], tuple(start.shape)
                )
            except (KeyError, ValueError) as error:
                raise ValueError(f"{name}: {error}") from error
            state[name] = start + torch.from_numpy(change)
    return state


def _whole(value: Tensor) -> np.ndarray:
    return np.ascontiguousarray(value.detach().cpu().half().numpy())


def _starts(network: Network) -> dict[str, Tensor]:
    """Each weight where training started: the pretrained networks' for the tails, else 0."""
    fresh = Network(network.config, network.vocabulary)
    fresh.start_from_pretrained()
    tuned = tuple(
        f"{name}."
        for name, part in fresh.named_modules()
        if isinstance(part, (GridTail, PretrainedTail))
    )
    return {
        name: value if name.startswith(tuned) else torch.zeros_like(value)
        for name, value in fresh.state_dict().items()
    }
