"""A loaded model and an open collection: what the service and the command line both work on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from index.embedded import EmbeddedIndex
from index.engine import Index
from index.plan import Plan
from model.bundle import load_bundle
from model.matcher import Matcher
from service.errors import StartError
from service.settings import Device, Settings


@dataclass(frozen=True)
class Collection:
    """The model, the index that holds what it encoded, and the settings of both."""

    settings: Settings
    matcher: Matcher
    index: Index
    device: Literal["cpu", "cuda"]


@contextmanager
def open_collection(settings: Settings) -> Iterator[Collection]:
    """Loads the bundle and opens the data directory; closes it at the end.

    Raises BundleError, StartError, and what opening an index raises (LockedError when another
    process has it, FingerprintError when another model made its rows, DamagedError ...).
    """
    matcher = load_matcher(settings)
    index = EmbeddedIndex.open(
        settings.data_dir,
        matcher.fingerprint,
        matcher.dimension,
        device=settings.device,
        threads=settings.faiss_threads,
        plan=Plan(as_queries=_as_queries),
    )
    try:
        yield Collection(settings, matcher, index, resolve_device(settings.device))
    finally:
        index.close()


def _as_queries(vectors: np.ndarray) -> np.ndarray:
    """Stored vectors as a query of the other kind: the hubness offset counts in full."""
    return np.hstack([vectors[:, :-1], np.ones((len(vectors), 1), np.float32)])


def load_matcher(settings: Settings) -> Matcher:
    """The model on the device that the settings name. Raises BundleError or StartError."""
    torch.set_num_threads(settings.torch_threads)
    device = resolve_device(settings.device)
    return Matcher(load_bundle(settings.bundle), device, settings.encode_batch_pictures)


def resolve_device(device: Device) -> Literal["cpu", "cuda"]:
    """Where the model runs. Raises StartError for `cuda` without a usable GPU."""
    usable = torch.cuda.is_available()
    if device == "cuda" and not usable:
        raise StartError("device: cuda was asked for, but torch finds no usable NVIDIA GPU")
    return "cuda" if usable and device != "cpu" else "cpu"
