"""Embeddings and re-ranking for other systems."""

from fastapi import APIRouter, Request, Response

from service.bodies import documented, read_json
from service.exchange import Embeddings, EmbeddingsQuery, Reranked, RerankQuery
from service.relevance import relevance
from service.running import Service
from service.vectors import embeddings

router = APIRouter(tags=["exchange"])


@router.post(
    "/v1/embeddings", response_model=Embeddings, openapi_extra=documented(json=EmbeddingsQuery)
)
async def post_embeddings(request: Request, service: Service) -> Response:
    """Vectors of texts and pictures, in the shape of OpenAI's embeddings.

    They are the global vectors that the first stage compares, of length 1, without the hubness
    coordinate that the index adds.
    """
    asked = await read_json(request, EmbeddingsQuery, service.encoders)
    return Response(await embeddings(service, asked), media_type="application/json")


@router.post("/rerank", openapi_extra=documented(json=RerankQuery))
async def post_rerank(request: Request, service: Service) -> Reranked:
    """Documents in order for a query. They are given, not searched, and nothing is stored."""
    asked = await read_json(request, RerankQuery, service.encoders)
    return await relevance(service, asked)
