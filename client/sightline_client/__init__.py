"""Typed Python client of Sightline, the image-text retrieval service.

>>> from sightline_client import Client
>>> client = Client("http://127.0.0.1:8000")
>>> client.url
'http://127.0.0.1:8000'
>>> client.close()
"""

from sightline_client import errors, searches
from sightline_client.async_client import AsyncClient
from sightline_client.client import Client
from sightline_client.collection import NewImage, NewText
from sightline_client.errors import (
    ProblemError,
    SightlineError,
    TimedOutError,
    UnexpectedAnswerError,
    UnreachableError,
)
from sightline_client.picture import PictureSource, data_url
from sightline_client.retry import Retry
from sightline_client.settings import VERSION

__version__ = VERSION

__all__ = [
    "AsyncClient",
    "Client",
    "NewImage",
    "NewText",
    "PictureSource",
    "ProblemError",
    "Retry",
    "SightlineError",
    "TimedOutError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "data_url",
    "errors",
    "searches",
]
