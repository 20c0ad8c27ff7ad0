"""Where `sightline index` puts pictures: a folder that is open here, or a running service."""

import json
import threading
from collections.abc import Sequence

from service.collection import Collection
from service.indexing import Added
from service.ingest import NewPicture, content_hash, prepare_pictures, store
from service.remote import Remote, RemoteError


class OpenCollection:
    """A folder that this process has open. Encoding runs in parallel, writing one at a time."""

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

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def add(self, named: Sequence[tuple[str, NewPicture]]) -> list[Added]:
        """Uploads those that the service hasn't got. Raises RemoteError when it is unreachable."""
        return [self._add(name, picture) for name, picture in named]

    def _add(self, name: str, picture: NewPicture) -> Added:
        try:
            if picture.captions is None and self._has(picture):
                return Added(name, "known", content_hash(picture.data))
            fields = {"metadata": json.dumps(picture.metadata)}
            if picture.captions is not None:
                fields["captions"] = json.dumps(picture.captions)
            stored = self._remote.ask(
                "POST", "/images", files={"image": (name, picture.data)}, data=fields
            ).json()
        except RemoteError as error:
            # No answer, or a key that isn't enough: so it will be with every other file.
            if error.status in (None, 401, 403):
                raise
            return Added(name, "failed", error=str(error))
        return Added(name, "new" if stored["created"] else "known", stored["id"])

    def _has(self, picture: NewPicture) -> bool:
        try:
            item = self._remote.ask("GET", f"/images/{content_hash(picture.data)}").json()
        except RemoteError as error:
            if error.status != 404:
                raise
            return False
        return bool(item["metadata"] == picture.metadata)
