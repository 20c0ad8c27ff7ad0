"""One search from the command line, of a folder or of a service; the answer is the same."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.answers import SearchResponse
from service.bodies import checked
from service.collection import Collection
from service.queries import PictureQuery, TextQuery
from service.question import encode_question
from service.remote import Remote
from service.results import answer
from service.search import ask_of, search


def ask_collection(
    collection: Collection, words: str, picture: Path | None, options: Mapping[str, Any]
) -> SearchResponse:
    """Asks an open collection. Raises InvalidFieldsError or PictureError."""
    begun = time.perf_counter()
    if picture is None:
        text = checked(TextQuery, {"query": words, **options})
        ask = ask_of(text, collection, begun)
        question = encode_question(collection, "text-to-image", text)
    else:
        given = checked(PictureQuery, dict(options))
        ask = ask_of(given, collection, begun)
        question = encode_question(collection, "image-to-text", given, picture.read_bytes())
    found = search(collection, question, ask, time.perf_counter() - ask.begun)
    return answer(collection, question, ask, found)


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
