"""Asks for a key before the body of a request is read. Plain ASGI, outside of `Gate`."""

import logging

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access import needed_access
from service.errors import MissingKeyError, ReadOnlyKeyError, ServiceError, UnknownKeyError
from service.keys import Access, Key, Keyring
from service.middleware import request_id_of
from service.problems import headers_of, problem_of, respond

log = logging.getLogger("sightline.keys")

BEARER = "bearer "


class Guard:
    """Lets requests through whose key is enough for them; without a keyring, all of them."""

    def __init__(self, app: ASGIApp, keyring: Keyring) -> None:
        self._app = app
        self._keyring = keyring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._keyring:
            refusal = self._refusal(scope, needed_access(scope["method"], scope["path"]))
            if refusal is not None:
                response = respond(problem_of(refusal), request_id_of(scope), headers_of(refusal))
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, needed: Access | None) -> ServiceError | None:
        if needed is None:
            return None
        presented = presented_key(Headers(scope=scope))
        if presented is None:
            return MissingKeyError(
                "this service needs a key: send it as `Authorization: Bearer KEY`"
            )
        key = self._keyring.find(presented)
        if key is None:
            _log(scope, "a key that nobody has was presented")
            return UnknownKeyError("there is no such key")
        scope["state"]["key_name"] = key.name
        return None if key.may(needed) else _read_only(scope, key)


def presented_key(headers: Headers) -> bytes | None:
    """The key of a request: that of `Authorization: Bearer`, else that of `X-API-Key`."""
    authorization = headers.get("authorization", "")
    key = authorization[len(BEARER) :] if authorization.lower().startswith(BEARER) else ""
    key = key.strip() or headers.get("x-api-key", "").strip()
    # Headers are read as Latin-1, which any byte is a character of.
    return key.encode("latin-1") or None


def _read_only(scope: Scope, key: Key) -> ReadOnlyKeyError:
    _log(scope, f"the key {key.name} was presented for a change and may only read")
    return ReadOnlyKeyError(
        f"the key {key.name} may only read; adding, changing and deleting need one that may write"
    )


def _log(scope: Scope, words: str) -> None:
    client = scope.get("client")
    origin = client[0] if client else "an unknown address"
    log.warning("%s, from %s", words, origin, extra={"request_id": request_id_of(scope)})
