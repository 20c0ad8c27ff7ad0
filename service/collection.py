"""A loaded model and an open collection: what the service and the command line both work on."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from index.embedded import EmbeddedIndex
from index.engine import Index
from index.plan import Plan
from index.staging import codec_of
from model.bundle import Bundle, load_bundle
from model.codecs import DEFAULT_CODEC
from model.matcher import Matcher
from service.errors import StartError
from service.metrics import Metrics
from service.settings import Device, Settings

log = logging.getLogger(__name__)

# Compiled matrix products that oneDNN keeps; it reads this when it compiles the first.
ONEDNN_PRIMITIVES = "256"


@dataclass(frozen=True)
class Collection:
    """The model, the index that holds what it encoded, the settings of both, what is measured."""

    settings: Settings
    matcher: Matcher
    index: Index
    device: Literal["cpu", "cuda"]
    metrics: Metrics = field(default_factory=Metrics)


@contextmanager
def open_collection(settings: Settings) -> Iterator[Collection]:
    """Loads the bundle and opens the data directory; closes it at the end.

    Raises BundleError, StartError, ConfigError when the device hasn't the memory of
    `device_cache_mib`, and what opening an index raises (LockedError when another
    process has it, FingerprintError when another model made its rows, CodecError when another codec
    stored them, DamagedError ...).
    """
    bundle = load_bundle(settings.bundle)
    device = resolve_device(settings.device)
    index = EmbeddedIndex.open(
        settings.data_dir,
        bundle.fingerprint,
        bundle.stored_dimension,
        codec=settings.named_codec,
        device=settings.device,
        threads=settings.faiss_threads,
        plan=Plan(as_queries=_as_queries),
        hot_bytes=settings.hot_records_mib * 2**20,
    )
    try:
        codec = index.codec or settings.named_codec or DEFAULT_CODEC
        matcher = _matcher(bundle, settings, codec, settings.device_cache_mib)
        _bring_up_to_date(index, matcher, settings.data_dir)
        yield Collection(settings, matcher, index, device)
    finally:
        index.close()


def _bring_up_to_date(index: EmbeddedIndex, matcher: Matcher, folder: Path) -> None:
    """What a version before the codecs stored is stored anew, and a new collection gets its codec.

    A kill in between leaves a collection that the next opening goes on with.
    """
    if index.codec is None and index.count("image") + index.count("text"):
        log.warning(
            "%s is of an earlier version: storing its region and word vectors anew as %s",
            folder,
            matcher.codec,
        )
    changed = index.recode(matcher.codec, matcher.recoded)
    if changed:
        log.warning("%s: %s items stored anew", folder, f"{changed:,}")


def _as_queries(vectors: np.ndarray) -> np.ndarray:
    """Stored vectors as a query of the other kind: the hubness offset counts in full."""
    return np.hstack([vectors[:, :-1], np.ones((len(vectors), 1), np.float32)])


def load_matcher(settings: Settings, codec: str = DEFAULT_CODEC) -> Matcher:
    """The model on the device that the settings name, to encode with. Raises BundleError or
    StartError.
    """
    return _matcher(load_bundle(settings.bundle), settings, codec)


def codec_to_keep(settings: Settings) -> str:
    """The codec that is asked for, or else the one that the collection has, or else the default."""
    return settings.named_codec or codec_of(settings.data_dir) or DEFAULT_CODEC


def _matcher(bundle: Bundle, settings: Settings, codec: str, cache_mib: int = 0) -> Matcher:
    torch.set_num_threads(settings.torch_threads)
    # Its own default is 1,024: one for each size of matrix that batches bring, 270 MiB in all.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", ONEDNN_PRIMITIVES)
    device = resolve_device(settings.device)
    # On a CPU the nodes are where they are scored.
    cache_mib = 0 if device == "cpu" else cache_mib
    batch = settings.encode_batch_pictures
    return Matcher(bundle, device, batch, codec, device_cache_mib=cache_mib)


def resolve_device(device: Device) -> Literal["cpu", "cuda"]:
    """Where the model runs. Raises StartError for `cuda` without a usable GPU."""
    usable = torch.cuda.is_available()
    if device == "cuda" and not usable:
        raise StartError("device: cuda was asked for, but torch finds no usable NVIDIA GPU")
    return "cuda" if usable and device != "cpu" else "cpu"
