"""Every setting, in one frozen object, read once at start from flags and `SIGHTLINE_*` variables.

Nothing below this file reads the environment, except for OpenTelemetry's own (`tracing.py`).
"""

import ipaddress
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.logs import LogFormat

MEBIBYTE = 1024 * 1024
Device = Literal["auto", "cpu", "cuda"]
Codec = Literal["auto", "float16", "int8", "compact"]


class Settings(BaseSettings):
    """Settings of the service and of the command line. Units are in the names."""

    model_config = SettingsConfigDict(env_prefix="SIGHTLINE_", frozen=True, extra="forbid")

    bundle: Path = Field(
        Path(__file__).resolve().parent.parent / "bundle",
        description="Folder of the trained model.",
    )
    data_dir: Path = Field(Path("data"), description="Folder of the catalog and its vectors.")
    codec: Codec = Field(
        "auto",
        description="How region and word vectors are stored: `float16`, `int8` or `compact`. A "
        "collection keeps the codec that it began with; `auto` is the collection's own, and `int8` "
        "for a new one.",
    )
    device: Device = Field(
        "auto",
        description="Where the model and the vectors run. `cuda` without a usable GPU is an error "
        "at start.",
    )

    device_cache_mib: int = Field(
        0,
        ge=0,
        le=1024 * 1024,
        description="Memory on a GPU, in MiB, for the region and word vectors of the items that "
        "were re-ranked last and are among the hot records. With some the GPU re-ranks, with 0 "
        "the CPU does, which is faster for a hundred candidates. Not used on a CPU.",
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    allow_open_network: bool = Field(
        False,
        description="Listen on an address that is not loopback, and answer under any host name, "
        "also without API keys: for a container whose port is published on loopback, or behind a "
        "proxy that checks.",
    )
    keys_file: Path | None = Field(
        None,
        description="File of API keys, one `name access sha256:digest` a line, as `sightline key` "
        "writes it. With keys, requests need one, and the service may listen on any address.",
    )
    keys: str | None = Field(
        None, description="The same entries, separated by commas, beside those of the file."
    )
    shutdown_grace_s: int = Field(
        10, ge=0, le=600, description="Time that running requests get to finish on shutdown."
    )
    drain_delay_s: int = Field(
        0,
        ge=0,
        le=600,
        description="Time that the service goes on answering after SIGTERM, while `/readyz` says "
        "that it is about to stop: what a load balancer needs to notice. A second signal skips it.",
    )
    client_timeout_s: int = Field(
        30,
        ge=1,
        le=3600,
        description="Time after which a connection is closed if its request isn't complete, or its "
        "answer not taken, and less than 16 KiB a second moved.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        description="Least severe log line that is written. Each request has one, of level `info`.",
    )
    log_format: LogFormat = Field(
        "text", description="`text` for people, or `json`: one object a line."
    )

    torch_threads: int = Field(
        1,
        ge=1,
        le=256,
        description="Threads inside one encoding or re-ranking. With both cores of a small "
        "machine busy, more than one makes torch wait for itself.",
    )
    faiss_threads: int = Field(1, ge=1, le=256, description="Threads inside one vector search.")
    hot_records_mib: int = Field(
        128,
        ge=0,
        le=1_048_576,
        description="MiB for region and word vectors that were fetched lately, so that they are "
        "not read and decoded again; 0 for none.",
    )
    encoder_workers: int = Field(
        2, ge=1, le=256, description="Pictures or texts that are decoded and encoded at once."
    )
    encoder_queue: int = Field(
        64, ge=0, description="Encodings that may wait; beyond it requests get 503."
    )
    search_workers: int = Field(2, ge=1, le=256, description="Searches that run at once.")
    search_queue: int = Field(
        128, ge=0, description="Searches and reads that may wait; beyond it requests get 503."
    )
    write_queue: int = Field(
        64, ge=0, description="Writes that may wait for the one writer; beyond it, 503."
    )
    retry_after_s: int = Field(1, ge=1, le=3600, description="`Retry-After` of a 503.")
    encode_batch_pictures: int = Field(
        8, ge=1, le=256, description="Pictures of one bulk request that are encoded together."
    )
    encode_batch_texts: int = Field(
        64, ge=1, le=1024, description="Texts of one bulk request that are encoded together."
    )
    encode_batch_queries: int = Field(
        32,
        ge=1,
        le=1024,
        description="Sentences of searches that wait at once and are encoded together; none waits "
        "for others.",
    )

    remembered_queries: int = Field(
        256,
        ge=0,
        le=100_000,
        description="Sentences of searches that stay encoded, some 20 kB each, for further pages "
        "and for the same words with other filters.",
    )

    default_candidates: int = Field(
        100, ge=1, le=100_000, description="Candidates of the first stage when none are asked for."
    )
    max_candidates: int = Field(
        1000, ge=1, le=100_000, description="Largest `candidates`, and so the largest `k`."
    )
    max_paging_depth: int = Field(
        10_000,
        ge=1,
        le=100_000,
        description="Places of the ranking that the pages of one search reach.",
    )
    max_text_characters: int = Field(
        1000, ge=1, le=100_000, description="Longest text that is stored."
    )
    max_bulk_texts: int = Field(1000, ge=1, le=100_000, description="Texts of one bulk request.")
    max_batch_queries: int = Field(
        256, ge=1, le=100_000, description="Searches of one batch request."
    )
    max_batch_results: int = Field(
        25_600,
        ge=1,
        description="Results that the searches of one batch request ask for together: the sum of "
        "their `k`, ten times that of those with `explain`.",
    )
    max_embedded_inputs: int = Field(
        1000, ge=1, le=100_000, description="Inputs of one request for embeddings."
    )
    max_rerank_documents: int = Field(
        1000, ge=1, le=100_000, description="Documents of one re-ranking request."
    )
    max_bulk_pictures: int = Field(
        256,
        ge=1,
        le=100_000,
        description="Pictures of one bulk request; each over 1 MiB holds a file open meanwhile.",
    )
    max_json_bytes: int = Field(
        8 * MEBIBYTE, ge=1024, description="Body of a request that carries no picture."
    )
    max_body_bytes: int = Field(
        48 * MEBIBYTE, ge=1024, description="Body of a request that may carry pictures."
    )
    max_bulk_body_bytes: int = Field(
        512 * MEBIBYTE, ge=1024, description="Body of a bulk upload of pictures."
    )
    max_picture_bytes: int = Field(32 * MEBIBYTE, ge=1024, description="One picture's file.")
    max_picture_pixels: int = Field(
        64_000_000, ge=1, description="Width times height of a picture."
    )
    max_picture_side_pixels: int = Field(
        20_000, ge=1, description="Width, and height, of a picture."
    )
    thumbnail_side_pixels: int = Field(
        384, ge=16, le=4096, description="Longer side of the stored thumbnail."
    )

    @property
    def named_codec(self) -> str | None:
        """The codec that is asked for by name; None for `auto`."""
        return None if self.codec == "auto" else self.codec

    @property
    def has_keys(self) -> bool:
        """Whether requests need a key."""
        return self.keys_file is not None or self.keys is not None

    @property
    def faces_the_network(self) -> bool:
        """Whether other machines may ask, under any host name, since keys or a proxy guard it."""
        return self.allow_open_network or self.has_keys

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.default_candidates > self.max_candidates:
            raise ValueError(
                f"default_candidates ({self.default_candidates}) is above "
                f"max_candidates ({self.max_candidates})"
            )
        if not self.faces_the_network and not is_loopback(self.host):
            raise ValueError(
                f"host {self.host} is reachable from other machines and there are no API keys; "
                "listen on 127.0.0.1, make a key with `sightline key` and set SIGHTLINE_KEYS_FILE, "
                "or set SIGHTLINE_ALLOW_OPEN_NETWORK=true if something in front of the service "
                "keeps strangers out"
            )
        return self


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
