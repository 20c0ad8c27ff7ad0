"""Where `sightline index` puts pictures: a folder that is open here, or a running service."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from service.collection import Collection
from service.indexing import Added
from service.ingest import NewPicture, content_hash, prepare_pictures, store
from service.problems import TYPE_PREFIX
from sightline_client import Client, ProblemError
from sightline_client.errors import (
    ForbiddenError,
    NotFoundError,
    UnauthorizedError,
    UnexpectedAnswerError,
)

NOT_FOUND = f"{TYPE_PREFIX}not-found"


class OpenCollection:
    """A folder that this process has open. Encoding runs in parallel, writing one at a time."""

    finishes = True  # it is closed afterwards

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._writing = threading.Lock()
        self.workers = collection.settings.encoder_workers
        self.batch = collection.settings.encode_batch_pictures

    def add(self, named: Sequence[tuple[str, NewPicture]]) -> list[Added]:
        """Stores the pictures of a batch in one transaction."""
        prepared = prepare_pictures(self._collection, [picture for _, picture in named])
        with self._writing:
            outcomes = store(self._collection, "image", prepared)
        added = []
        for (name, _), outcome in zip(named, outcomes, strict=True):
            if outcome.error is not None:
                added.append(Added(name, "failed", error=str(outcome.error)))
            else:
                added.append(Added(name, "new" if outcome.created else "known", outcome.id))
        return added


class RunningService:
    """A service somewhere, through its REST API."""

    workers = 4
    batch = 1
    finishes = False

    def __init__(self, client: Client) -> None:
        self._client = client

    def add(self, named: Sequence[tuple[str, NewPicture]]) -> list[Added]:
        """Uploads those that the service hasn't got.

        Raises SightlineError for what would befall every picture: it can't be reached, wants
        another key, or isn't this service.
        """
        return [self._add(name, picture) for name, picture in named]

    def _add(self, name: str, picture: NewPicture) -> Added:
        try:
            there = self._metadata_of(content_hash(picture.data))
            # What is posted is added to what the service was told of the picture.
            nothing_new = there is not None and {**there, **(picture.metadata or {})} == there
            if nothing_new and picture.captions is None:
                return Added(name, "known", content_hash(picture.data))
            stored = self._client.post_image(
                picture.data, metadata=picture.metadata, captions=picture.captions
            )
        except (UnauthorizedError, ForbiddenError, NotFoundError):
            raise  # would befall every other picture too
        except ProblemError as error:
            return Added(name, "failed", error=str(error))
        return Added(name, "new" if stored.created else "known", stored.id)

    def _metadata_of(self, image_id: str) -> Mapping[str, Any] | None:
        """Of a picture of the service; None if it hasn't got it."""
        try:
            return self._client.get_image(image_id).metadata
        except NotFoundError as error:
            if error.type == NOT_FOUND:
                return None
            raise UnexpectedAnswerError(
                f"{self._client.url} answers, but there is no Sightline at this path: {error}"
            ) from error
