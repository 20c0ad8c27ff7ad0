"""What both clients are made with."""

from typing import Any

import httpx

from sightline_client.call import Call
from sightline_client.retry import Retry

URL = "http://127.0.0.1:8000"
TIMEOUT_S = 60.0
# A picture takes a quarter of a second on a core of its own, which it seldom has.
SECONDS_AN_ITEM = 2.0
RETRY = Retry()
VERSION = "0.1.0"


def http_settings(url: str, api_key: str | None, timeout_s: float) -> dict[str, Any]:
    """What httpx's clients take.

    Raises ValueError for a URL that can't be one, and for a key that no header can hold.
    """
    try:
        httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url}: {error}") from error
    headers = {"User-Agent": f"sightline-client/{VERSION}"}
    if api_key is not None:
        if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise ValueError("an API key holds printable ASCII characters without spaces")
        headers["Authorization"] = f"Bearer {api_key}"
    return {"base_url": url.rstrip("/"), "headers": headers, "timeout": timeout_s}


def timeout_of(call: Call[Any], timeout_s: float) -> httpx.Timeout:
    """The time for each step of a request; an answer to many items takes longer for each."""
    further = max(call.items - 1, 0)
    return httpx.Timeout(timeout_s, read=timeout_s + SECONDS_AN_ITEM * further)
