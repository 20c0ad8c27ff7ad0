"""Many items in one request: prepared and written in batches, each with an outcome of its own."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from index.errors import ClosedError, StorageError
from index.records import Kind
from model.errors import PictureError
from service.bodies import checked
from service.collection import Collection
from service.errors import DuplicateError, InvalidFieldsError, OverloadedError
from service.failures import note
from service.fields import check_id, without_surrogates
from service.ingest import NewPicture, NewText, Outcome, Prepared, prepare_pictures, prepare_texts
from service.problems import problem_of
from service.running import Running
from service.schemas import (
    BulkOutcome,
    BulkPictureItem,
    BulkPicturesForm,
    BulkResponse,
    BulkTextItem,
    BulkTexts,
)
from service.uploads import picture_bytes, stem_of

New = TypeVar("New", NewPicture, NewText)

# What keeps a batch from being stored, and would keep the next one.
ENDING = (OverloadedError, StorageError, ClosedError)


async def add_texts(service: Running, request: BulkTexts) -> BulkResponse:
    """Stores each text that is in order.

    Raises InvalidFieldsError for too many of them, and one of ENDING if it stored nothing.
    """
    limit = service.settings.max_bulk_texts
    if len(request.items) > limit:
        detail = f"at most {limit:,} items in one request, not {len(request.items):,}"
        raise InvalidFieldsError.one("/items", detail)
    service.collection.metrics.request_items("/texts:bulk", len(request.items))
    taken: set[str] = set()
    size = service.settings.encode_batch_texts

    async def batches() -> AsyncIterator[list[NewText | Outcome]]:
        for start in range(0, len(request.items), size):
            yield [_text(value, taken) for value in request.items[start : start + size]]

    return _response(await _add(service, "text", batches(), prepare_texts))


async def add_pictures(service: Running, form: BulkPicturesForm) -> BulkResponse:
    """Stores each picture that is in order; files are read a batch at a time.

    Raises InvalidFieldsError if `items` hasn't an entry for each file, and one of ENDING if it
    stored nothing.
    """
    parts = form.images if isinstance(form.images, list) else [form.images]
    entries: Sequence[Any] = [None] * len(parts) if form.items is None else form.items
    if len(entries) != len(parts):
        detail = f"one entry for each file: {len(parts)}, not {len(entries)}"
        raise InvalidFieldsError.one("/items", detail)
    service.collection.metrics.request_items("/images:bulk", len(parts))
    taken: set[str] = set()
    size = service.settings.encode_batch_pictures

    async def batches() -> AsyncIterator[list[NewPicture | Outcome]]:
        for start in range(0, len(parts), size):
            pairs = zip(parts[start : start + size], entries[start : start + size], strict=True)
            yield [await _picture(part, entry, taken, service) for part, entry in pairs]

    return _response(await _add(service, "image", batches(), prepare_pictures))


def _text(value: Any, taken: set[str]) -> NewText | Outcome:
    try:
        item = checked(BulkTextItem, value)
        id_ = _taken(item.id, taken)
        return NewText(item.text, id_, item.metadata, adds_metadata=id_ is None)
    except (InvalidFieldsError, DuplicateError) as error:
        return Outcome(_id_in(value), error=error)


async def _picture(
    part: Any, entry: Any, taken: set[str], service: Running
) -> NewPicture | Outcome:
    name: str | None = None
    try:
        item = BulkPictureItem() if entry is None else checked(BulkPictureItem, entry)
        data = await picture_bytes(part, "/image", service.settings)
        name = item.id if item.id is not None else _id_from(stem_of(part))
        return NewPicture(data, _taken(name, taken), item.metadata)
    except (InvalidFieldsError, DuplicateError, PictureError) as error:
        return Outcome(name or _id_in(entry), error=error)


async def _add(
    service: Running,
    kind: Kind,
    batches: AsyncIterator[list[New | Outcome]],
    prepare: Callable[[Collection, Sequence[New]], list[Prepared]],
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    end: Exception | None = None
    async for batch in batches:
        good = [item for item in batch if not isinstance(item, Outcome)]
        added: list[Outcome] = []
        if good and end is None:
            try:
                added = await service.add(kind, partial(prepare, service.collection, good))
            except ENDING as error:
                # Once something is stored, the answer has to say what, and what to send again.
                if all(outcome.error is not None for outcome in outcomes):
                    raise
                end = error
                note(error, service.collection.metrics)
        if end is not None:
            added = [Outcome(item.id, error=end) for item in good]
        stored = iter(added)
        outcomes += [item if isinstance(item, Outcome) else next(stored) for item in batch]
    return outcomes


def _response(outcomes: Sequence[Outcome]) -> BulkResponse:
    items = []
    for index, outcome in enumerate(outcomes):
        problem = None if outcome.error is None else problem_of(outcome.error)
        status = problem.status if problem else 201 if outcome.created else 200
        items.append(BulkOutcome(index=index, id=outcome.id, status=status, error=problem))
    return BulkResponse(
        items=items,
        created=sum(item.status == 201 for item in items),
        replaced=sum(item.status == 200 for item in items),
        failed=sum(item.error is not None for item in items),
    )


def _taken(id_: str | None, taken: set[str]) -> str | None:
    if id_ in taken:
        raise DuplicateError(f"an earlier item of this request has the id {id_!r}")
    if id_ is not None:
        taken.add(id_)
    return id_


def _id_from(stem: str) -> str:
    try:
        return check_id(stem)
    except ValueError as error:
        raise InvalidFieldsError.one("/id", f"from the file's name: {error}") from error


def _id_in(value: Any) -> str | None:
    found = value.get("id") if isinstance(value, dict) else None
    return without_surrogates(found) if isinstance(found, str) else None
