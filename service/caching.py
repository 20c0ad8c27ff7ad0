"""HTTP validators (RFC 9110): a client's copy is never stale and rarely sent again."""

import hashlib

from fastapi import Response
from starlette.datastructures import Headers


def validated(data: bytes, media_type: str, caching: str, headers: Headers) -> Response:
    """The data with an entity tag of its content, or 304 if `If-None-Match` has that tag."""
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    sent = {"ETag": tag, "Cache-Control": caching}
    if matches(tag, ", ".join(headers.getlist("if-none-match"))):
        return Response(status_code=304, headers=sent)
    return Response(data, media_type=media_type, headers=sent)


def matches(tag: str, if_none_match: str) -> bool:
    """Weak comparison of an entity tag with a header's list.

    >>> matches('"a"', 'W/"b", W/"a"'), matches('"a"', "*"), matches('"a"', "")
    (True, True, False)
    """
    listed = (part.strip().removeprefix("W/") for part in if_none_match.split(","))
    return any(part in (tag, "*") for part in listed)
