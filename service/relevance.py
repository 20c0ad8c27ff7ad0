"""Re-ranking for other systems: documents that need not be stored, in order for a query."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.matcher import Encoded, Kind
from service.collection import Collection
from service.encode import encode_texts
from service.errors import FieldProblem, InvalidFieldsError, NotFoundError
from service.exchange import Relevance, Reranked, RerankQuery
from service.fields import check_id, length_problem, without_surrogates
from service.running import Running
from service.vectors import (
    batch_size,
    check_model,
    encode_all,
    is_picture,
    picture_of,
    text_problem,
)

FORMS = ("text", "image", "image_id", "text_id")


@dataclass(frozen=True)
class Document:
    """One document: the form that it came in, and its text, base64 or id."""

    form: str
    value: str
    pointer: str

    @property
    def kind(self) -> Kind:
        """What it is."""
        return "image" if self.form.startswith("image") else "text"


async def relevance(service: Running, asked: RerankQuery) -> Reranked:
    """The documents, most relevant first.

    Raises InvalidFieldsError, NotFoundError and PictureTooLargeError.
    """
    collection = service.collection
    check_model(collection, asked.model)
    documents = _documents(asked, service)
    collection.metrics.request_items("/rerank", len(documents))
    query_text = without_surrogates(asked.query)
    [query] = await service.encoders.run(
        encode_all, collection, [("/query", query_text)], to_store=False
    )
    size = batch_size(service, any(document.form == "image" for document in documents))
    encoded: list[Encoded] = []
    for start in range(0, len(documents), size):
        batch = documents[start : start + size]
        encoded += await service.encoders.run(_encoded, collection, batch)
    query_kind: Kind = "image" if is_picture(query_text) else "text"
    scores = await service.searchers.run(
        _scores, collection, query, query_kind, documents[0].kind, encoded
    )
    best = sorted(range(len(documents)), key=lambda index: (-scores[index], index))
    return Reranked(
        model=collection.matcher.name,
        results=[
            Relevance(
                index=index,
                relevance_score=scores[index],
                document={documents[index].form: documents[index].value}
                if asked.return_documents
                else None,
            )
            for index in best[: asked.top_n]
        ],
    )


def _documents(asked: RerankQuery, service: Running) -> list[Document]:
    limit = service.settings.max_rerank_documents
    if len(asked.documents) > limit:
        detail = f"at most {limit:,} documents in one request, not {len(asked.documents):,}"
        raise InvalidFieldsError.one("/documents", detail)
    longest = service.settings.max_text_characters
    problems: list[FieldProblem] = []
    wrong = text_problem(asked.query, longest)
    if wrong is not None:
        problems.append(FieldProblem("/query", wrong))
    documents: list[Document] = []
    for number, value in enumerate(asked.documents):
        try:
            documents.append(_document(value, f"/documents/{number}", longest))
        except InvalidFieldsError as error:
            problems += error.problems
    if len({document.kind for document in documents}) > 1:
        # A probability and a cosine have no common order.
        detail = "the documents are all pictures, or all texts: their scores can't be compared"
        problems.append(FieldProblem("/documents", detail))
    if problems:
        raise InvalidFieldsError(problems)
    return documents


def _document(value: Any, pointer: str, longest: int) -> Document:
    if isinstance(value, str):
        value = {"image" if is_picture(value) else "text": value}
    if not isinstance(value, dict) or len(value) != 1 or not set(value) <= set(FORMS):
        detail = f"expected a text, a data: URL, or an object with one of {', '.join(FORMS)}"
        raise InvalidFieldsError.one(pointer, detail)
    [(form, content)] = value.items()
    inside = f"{pointer}/{form}"
    if not isinstance(content, str):
        raise InvalidFieldsError.one(inside, "expected a text")
    content = without_surrogates(content)
    if form == "text":
        # It is read as words, whatever it looks like.
        wrong = length_problem(content, longest)
        if wrong is not None:
            raise InvalidFieldsError.one(inside, wrong)
    elif form != "image":
        try:
            check_id(content)
        except ValueError as error:
            raise InvalidFieldsError.one(inside, str(error)) from error
    return Document(form, content, inside)


def _encoded(collection: Collection, documents: Sequence[Document]) -> list[Encoded]:
    matcher = collection.matcher
    texts = [document.value for document in documents if document.form == "text"]
    coded = iter(encode_texts(collection, texts))
    encoded = []
    for document in documents:
        match document.form:
            case "text":
                encoded.append(next(coded))
            case "image":
                encoded.append(picture_of(collection, document.value, document.pointer, True))
            case _:
                record = collection.index.get(document.kind, document.value)
                if record is None:
                    raise NotFoundError(
                        f"no {document.kind} has the id {document.value!r}", document.pointer
                    )
                encoded.append(matcher.from_stored(record.vector, record.arrays))
    return encoded


def _scores(
    collection: Collection,
    query: Encoded,
    query_kind: Kind,
    kind: Kind,
    documents: Sequence[Encoded],
) -> list[float]:
    vectors = np.stack([document.vector for document in documents])
    if query_kind == kind:
        cosines: list[float] = (vectors @ query.query_same_kind).tolist()
        return cosines
    arrays = [document.arrays for document in documents]
    scores = collection.matcher.score(query, query_kind, vectors @ query.query, arrays)
    probabilities: list[float] = scores.probability.tolist()
    return probabilities
