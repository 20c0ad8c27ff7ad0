"""Is it up, is it ready, what does it hold; tags; and the page.

A service whose pools are full is ready all the same, and tells how full they are. So what watches
it waits for no pool: `readyz`, `stats` and `metrics` are no coroutines, and since they read the
disk, the framework runs them on threads beside the pools.
"""

import time
from dataclasses import asdict

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import FileResponse, PlainTextResponse

from service import __version__
from service.collectors import exposition
from service.errors import DrainingError
from service.listing import tags
from service.pages import PAGE_FOLDER
from service.parameters import JsonFilter, KindOf, only_parameters
from service.running import Service
from service.schemas import Tags
from service.status import DeviceCache, Health, IndexStats, Readiness, Stats

router = APIRouter()


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The web page."""
    return FileResponse(PAGE_FOLDER / "index.html", headers={"Cache-Control": "no-cache"})


@router.get("/tags", tags=["images"], dependencies=[Depends(only_parameters("kind", "filter"))])
async def get_tags(service: Service, kind: KindOf = "image", filter: JsonFilter = None) -> Tags:
    """The tags of the stored items with their counts, most frequent first."""
    return await service.searchers.run(tags, service.collection, kind, filter)


@router.get("/healthz", tags=["operations"])
async def healthz() -> Health:
    """The process is up."""
    return Health()


@router.get("/readyz", tags=["operations"])
def readyz(service: Service) -> Readiness:
    """The model and the index are loaded and answer, and nobody told the service to stop."""
    if service.drain.begun:
        raise DrainingError("the service was told to stop; send new requests elsewhere")
    collection = service.collection
    stats = collection.index.stats()
    return Readiness(
        model=collection.matcher.name,
        fingerprint=collection.matcher.fingerprint,
        device=collection.device,
        scorer=collection.matcher.scorer,
        index_device=stats["device"],
        generation=stats["generation"],
        images=stats["counts"]["image"],
        texts=stats["counts"]["text"],
        engine=stats["engine"],
        faiss_index={kind: parts["faiss_index"] for kind, parts in stats["segments"].items()},
    )


@router.get("/stats", tags=["operations"])
def stats(service: Service) -> Stats:
    """Counts, sizes, and how busy the pools are."""
    collection = service.collection
    found = collection.index.stats()
    return Stats(
        version=__version__,
        model=collection.matcher.name,
        fingerprint=collection.matcher.fingerprint,
        device=collection.device,
        scorer=collection.matcher.scorer,
        device_cache={
            kind: DeviceCache(**asdict(usage))
            for kind, usage in collection.matcher.device_cache().items()
        },
        uptime_s=round(time.monotonic() - service.started, 1),
        counts=found["counts"],
        index=IndexStats.model_validate(found),
        queues={name: pool.load() for name, pool in service.pools.items()},
    )


@router.get("/metrics", tags=["operations"], response_class=PlainTextResponse)
def metrics(service: Service) -> Response:
    """Everything that is measured, in Prometheus's text format.

    It waits for no queue, so it answers when all of them are full.
    """
    return Response(exposition(service), media_type=CONTENT_TYPE_PLAIN_0_0_4)
