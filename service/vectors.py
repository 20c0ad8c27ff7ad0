"""Vectors for other systems: texts and pictures to global vectors of length 1."""

import base64
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from model.errors import PictureError, PictureTooLargeError
from model.matcher import Encoded
from service.collection import Collection
from service.encode import DATA_URL, encode_picture, encode_texts, from_base64
from service.errors import FieldProblem, InvalidFieldsError, NotFoundError
from service.exchange import Embedding, Embeddings, EmbeddingsQuery, Usage
from service.fields import length_problem, without_surrogates
from service.running import Running


async def embeddings(service: Running, asked: EmbeddingsQuery) -> bytes:
    """The answer as JSON. Raises InvalidFieldsError, NotFoundError and PictureError."""
    collection = service.collection
    check_model(collection, asked.model)
    inputs = _inputs(asked.input, service)
    collection.metrics.request_items("/v1/embeddings", len(inputs))
    own = collection.matcher.dimension - 1
    if asked.dimensions not in (None, own):
        detail = f"the vectors have {own} numbers and can't be shortened"
        raise InvalidFieldsError.one("/dimensions", detail)
    size = batch_size(service, any(map(is_picture, inputs)))
    encoded: list[Encoded] = []
    for start in range(0, len(inputs), size):
        batch = [
            (f"/input/{start + n}" if isinstance(asked.input, list) else "/input", text)
            for n, text in enumerate(inputs[start : start + size])
        ]
        encoded += await service.encoders.run(encode_all, collection, batch, to_store=False)
    return await service.encoders.run(partial(_written, collection, asked, inputs, encoded))


def encode_all(
    collection: Collection, inputs: Sequence[tuple[str, str]], to_store: bool
) -> list[Encoded]:
    """Texts, and pictures as `data:` URLs, each with a JSON pointer for errors; in order.

    to_store: as of `Matcher.encode_texts`. Raises InvalidFieldsError and PictureTooLargeError.
    """
    texts = [text for _, text in inputs if not is_picture(text)]
    coded = iter(encode_texts(collection, texts, to_store))
    return [
        picture_of(collection, text, pointer, to_store) if is_picture(text) else next(coded)
        for pointer, text in inputs
    ]


def picture_of(collection: Collection, text: str, pointer: str, to_store: bool) -> Encoded:
    """A picture in base64. Raises InvalidFieldsError and PictureTooLargeError."""
    try:
        return encode_picture(collection, from_base64(text, pointer), to_store)
    except PictureTooLargeError:
        raise
    except PictureError as error:
        raise InvalidFieldsError.one(pointer, str(error)) from error


def batch_size(service: Running, has_pictures: bool) -> int:
    """How many inputs are one job of an encoder."""
    settings = service.settings
    return settings.encode_batch_pictures if has_pictures else settings.encode_batch_texts


def is_picture(text: str) -> bool:
    """Whether a text is a `data:` URL in base64."""
    return DATA_URL.match(text) is not None


def check_model(collection: Collection, name: str | None) -> None:
    """Raises NotFoundError unless the model is the one that is served, or none is named."""
    served = collection.matcher.name
    if name not in (None, served):
        raise NotFoundError(f"there is no model {name!r} here, but {served!r}", "/model")


def text_problem(value: Any, limit: int) -> str | None:
    """What is wrong with one text or `data:` URL, if anything is."""
    if not isinstance(value, str):
        return "expected a text, or a picture as a data: URL; tokens are not accepted"
    return None if is_picture(value) else length_problem(value, limit)


def _inputs(given: Any, service: Running) -> list[str]:
    values = given if isinstance(given, list) else [given]
    limit = service.settings.max_embedded_inputs
    if not 1 <= len(values) <= limit:
        detail = f"1 to {limit:,} inputs in one request, not {len(values):,}"
        raise InvalidFieldsError.one("/input", detail)
    longest = service.settings.max_text_characters
    problems = [
        FieldProblem(f"/input/{n}" if isinstance(given, list) else "/input", wrong)
        for n, value in enumerate(values)
        if (wrong := text_problem(value, longest)) is not None
    ]
    if problems:
        raise InvalidFieldsError(problems)
    return [without_surrogates(value) for value in values]


def _written(
    collection: Collection,
    asked: EmbeddingsQuery,
    inputs: Sequence[str],
    encoded: Sequence[Encoded],
) -> bytes:
    vectors = [item.query[:-1] for item in encoded]
    words = sum(1 if is_picture(text) else len(text.split()) for text in inputs)
    answer = Embeddings(
        data=[
            Embedding(index=index, embedding=_number_list(vector, asked.encoding_format))
            for index, vector in enumerate(vectors)
        ],
        model=collection.matcher.name,
        usage=Usage(prompt_tokens=words, total_tokens=words),
    )
    return answer.model_dump_json().encode()


def _number_list(vector: np.ndarray, encoding: str) -> list[float] | str:
    if encoding == "float":
        numbers: list[float] = vector.tolist()
        return numbers
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
