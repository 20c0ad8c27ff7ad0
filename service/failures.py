"""What goes wrong on the service's side: logged, and counted where it is the disk that refuses.

A client is told the same, of its whole request or of one item of many.
"""

import logging
from http import HTTPStatus

from index.errors import StorageError, StorageFullError
from service.metrics import Metrics
from service.problems import kind_of

log = logging.getLogger("sightline.failures")


def note(error: Exception, metrics: Metrics, request_id: str | None = None) -> None:
    """Logs an error that a client is told and that isn't the client's, and counts a disk's."""
    is_of_disk = isinstance(error, StorageError)
    if is_of_disk or kind_of(error).status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s", error, extra={"request_id": request_id})
    if is_of_disk:
        metrics.storage_error("full" if isinstance(error, StorageFullError) else "refused")
