"""One search from the command line, of a folder or of a service; the answer is the same."""

import time
from pathlib import Path

from service.answers import SearchResponse
from service.bodies import checked
from service.collection import Collection
from service.queries import PictureQuery, TextQuery
from service.question import encode_question
from service.results import answer
from service.search import ask_of, search
from sightline_client import Client
from sightline_client.searches import Options


def ask_collection(
    collection: Collection, words: str, picture: Path | None, options: Options
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
    client: Client, words: str, picture: Path | None, options: Options
) -> SearchResponse:
    """Asks a running service. Raises SightlineError."""
    if picture is None:
        found = client.text_to_image(words, **options)
    else:
        found = client.image_to_text(picture, **options)
    return SearchResponse.model_validate(found.model_dump(exclude_unset=True))
