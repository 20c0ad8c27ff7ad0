"""A running service as the command line asks it: errors in words, patience when it is busy."""

import time
from types import TracebackType
from typing import Any, Self

import httpx

from service.errors import ServiceError

TIMEOUT_S = 120.0
LONGEST_WAIT_WHILE_BUSY_S = 120.0


class RemoteError(ServiceError):
    """The service can't be reached, or refused; `status` is None when no answer came."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Remote:
    """A service at a URL, asked with a key if there is one. May be used from several threads."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self._url = url.rstrip("/")
        if key is not None and not key.isascii():
            raise RemoteError("the key has characters that no key has")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=self._url, timeout=TIMEOUT_S, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def ask(self, method: str, path: str, **body: Any) -> httpx.Response:
        """The answer; waits and asks again while the service is busy. Raises RemoteError."""
        give_up = time.monotonic() + LONGEST_WAIT_WHILE_BUSY_S
        while True:
            try:
                response = self._client.request(method, path, **body)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise RemoteError(f"{self._url}: {error}") from error
            if response.status_code != 503 or time.monotonic() >= give_up:
                break
            time.sleep(_seconds(response.headers.get("Retry-After", "1")))
        if response.is_error:
            raise RemoteError(_words(response), response.status_code)
        return response


def _words(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{response.url} answered {response.status_code} {response.reason_phrase}"


def _seconds(retry_after: str) -> float:
    return min(float(retry_after), 10.0) if retry_after.isdecimal() else 1.0
