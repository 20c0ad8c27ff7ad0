"""One search from the command line, of a folder or of a service; the answer is the same."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.matcher import Encoded, Kind
from service.bodies import checked
from service.collection import Collection
from service.encode import encode_picture, encode_text
from service.remote import Remote
from service.results import answer
from service.schemas import PictureQuery, SearchResponse, TextQuery
from service.search import ask_of, search


def ask_collection(
    collection: Collection, words: str, picture: Path | None, options: Mapping[str, Any]
) -> SearchResponse:
    """Asks an open collection. Raises InvalidFieldsError or PictureError."""
    kind: Kind = "text" if picture is None else "image"
    query: Encoded
    if picture is None:
        text = checked(TextQuery, {"query": words, **options})
        ask = ask_of(text, collection, time.perf_counter())
        query = encode_text(collection, text.query)
        words = text.query
    else:
        ask = ask_of(checked(PictureQuery, dict(options)), collection, time.perf_counter())
        query = encode_picture(collection, picture.read_bytes())
    found = search(collection, query, kind, ask, time.perf_counter() - ask.begun)
    return answer(collection, query, kind, words, ask, found)


def ask_service(
    remote: Remote, words: str, picture: Path | None, options: Mapping[str, Any]
) -> SearchResponse:
    """Asks a running service. Raises RemoteError."""
    if picture is None:
        reply = remote.ask("POST", "/search/text-to-image", json={"query": words, **options})
    else:
        form = {name: json.dumps(value) for name, value in options.items()}
        files = {"image": (picture.name, picture.read_bytes())}
        reply = remote.ask("POST", "/search/image-to-text", files=files, data=form)
    return SearchResponse.model_validate_json(reply.content)
