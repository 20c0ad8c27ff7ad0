"""What the service tells about itself over HTTP."""

from typing import Literal

from pydantic import BaseModel, Field

from service.schemas import is_none


class Health(BaseModel):
    """The process is up."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """The model and the index are loaded and answer."""

    ready: Literal[True] = True
    model: str
    fingerprint: str
    device: str = Field(description="Where the model really runs.")
    scorer: str = Field(
        description="What re-ranks: a variant of the kernel (`avx512-vnni`, `avx2`, `neon`, "
        "`portable`), or `torch`, which is many times slower on a CPU."
    )
    index_device: str = Field(description="Where the vectors really are searched.")
    generation: int
    images: int
    texts: int
    engine: str
    faiss_index: dict[str, str] = Field(examples=[{"image": "Flat", "text": "IVF512,SQ8"}])


class SegmentStats(BaseModel):
    """How one kind of item is searched."""

    faiss_index: str = Field(examples=["Flat", "IVF512,SQ8"])
    nprobe: int | None = Field(
        None, exclude_if=is_none, description="Lists that a search without a filter probes."
    )
    recall_when_built: float | None = Field(
        None, exclude_if=is_none, description="At 100, on held-out vectors."
    )
    main_rows: int = Field(description="Rows of the main segment, dead ones included.")
    main_dead: int = Field(description="Rows of it that were deleted or replaced since.")
    delta_rows: int = Field(description="Rows written since, which are searched exactly.")


class MeasuredRecall(BaseModel):
    """The first stage against an exact search, on a sample of live queries."""

    recall: float
    queries: int = Field(description="How many of the last queries were answered exactly, too.")


class HotRecordsStats(BaseModel):
    """What was fetched lately and is kept decoded."""

    records: int
    bytes: int
    most_bytes: int = Field(description="The setting `hot_records_mib`, in bytes.")
    hits: int = Field(description="How often a record was there.")
    misses: int


class IndexStats(BaseModel):
    """What the index says about itself."""

    engine: str
    faiss_version: str
    device: str = Field(description="Where the vectors really are searched.")
    threads: int
    fingerprint: str
    dimension: int
    format_version: int
    codec: str | None = Field(description="How region and word vectors are stored.")
    bytes_per_item: dict[str, int] = Field(
        description="Stored bytes of what the re-ranker reads of an item: the mean of the last "
        "hundred of each kind, 0 where there is none.",
        examples=[{"image": 15720, "text": 7050}],
    )
    counts: dict[str, int] = Field(examples=[{"image": 20, "text": 300}])
    generation: int = Field(description="Grows with every write and every new main segment.")
    writes_waiting: int
    segments: dict[str, SegmentStats]
    building: bool = Field(description="Whether a main segment is being built.")
    build_failures: dict[str, str] = Field(description="Why the last build of a kind failed.")
    measured_recall: dict[str, MeasuredRecall] = Field(
        description="Of each kind that has a main segment and was searched."
    )
    hot_records: HotRecordsStats
    bytes_on_disk: int
    bytes_in_memory: int = Field(description="Of vectors; mapped files are not counted.")


class DeviceCache(BaseModel):
    """Matrices that stay on the device between queries, two of an item: entities and relations.

    All 0 where re-ranking is done on a CPU.
    """

    slots: int = Field(description="Matrices that there is room for.")
    used: int = Field(description="Matrices that are there.")
    hits: int = Field(description="Times that a candidate's matrix was there, since the start.")
    misses: int = Field(description="Times that one was copied there to stay.")


class Stats(BaseModel):
    """Counts and sizes."""

    version: str
    model: str
    fingerprint: str
    device: str
    scorer: str = Field(description="What re-ranks; see `/readyz`.")
    device_cache: dict[str, DeviceCache] = Field(
        description="Of each kind of item: what of it is on the device."
    )
    uptime_s: float
    counts: dict[str, int] = Field(examples=[{"image": 20, "text": 300}])
    index: IndexStats
    queues: dict[str, dict[str, int]] = Field(
        description="Of each pool: workers, jobs running or waiting, and the most it takes."
    )
