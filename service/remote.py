"""A running service as the command line asks it: the Python client, with more patience."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import ServiceError
from sightline_client import Client, Retry, SightlineError

TIMEOUT_S = 120.0
PATIENCE = Retry(busy_s=120.0)


class RemoteError(ServiceError):
    """The service can't be reached, or refused."""


@contextmanager
def connected(url: str, key: str | None) -> Iterator[Client]:
    """A client of the service at a URL. key: an API key, for a service that asks for one.

    Raises RemoteError for whatever the client raises inside.
    """
    try:
        client = Client(url, api_key=key, timeout_s=TIMEOUT_S, retry=PATIENCE)
    except (ValueError, ImportError) as error:  # the latter for a proxy of the environment
        raise RemoteError(str(error)) from error
    try:
        with client:
            yield client
    except SightlineError as error:
        raise RemoteError(str(error)) from error
