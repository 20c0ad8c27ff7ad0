"""Embeddings and re-ranking: nothing that they are given is stored."""

from collections.abc import Mapping, Sequence
from typing import Literal

from sightline_client.answers import Embeddings, Reranked
from sightline_client.call import Call, listed, model_reader, without_none

Document = str | Mapping[str, str]
"""A text, a `data:` URL, or an object with one of `text`, `image`, `image_id` and `text_id`."""


def embeddings(
    input: str | Sequence[str],
    *,
    encoding_format: Literal["float", "base64"] | None = None,
    model: str | None = None,
    dimensions: int | None = None,
    user: str | None = None,
) -> Call[Embeddings]:
    """Vectors of texts, and of pictures given as `data_url(picture)`."""
    body = {
        "input": input if isinstance(input, str) else list(input),
        "encoding_format": encoding_format,
        "model": model,
        "dimensions": dimensions,
        "user": user,
    }
    return Call(
        "POST",
        "/v1/embeddings",
        model_reader(Embeddings),
        json=without_none(body),
        items=1 if isinstance(input, str) else len(input),
    )


def rerank(
    query: str,
    documents: Sequence[Document],
    *,
    top_n: int | None = None,
    return_documents: bool | None = None,
    model: str | None = None,
) -> Call[Reranked]:
    """Documents in order for a query; they are all pictures, or all texts."""
    body = {
        "query": query,
        "documents": listed("documents", documents),
        "top_n": top_n,
        "return_documents": return_documents,
        "model": model,
    }
    return Call(
        "POST",
        "/rerank",
        model_reader(Reranked),
        json=without_none(body),
        items=1 + len(documents),
    )
