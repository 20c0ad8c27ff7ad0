"""What both clients are made with."""

import re
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

    Raises ValueError for a URL that can't be one of a service, and for a key that no header can
    hold.
    """
    address = _address(url)
    if not (isinstance(timeout_s, int | float) and timeout_s > 0):
        raise ValueError(f"timeout_s: seconds above 0, not {timeout_s!r}")
    headers = {"User-Agent": f"sightline-client/{VERSION}"}
    settings = {
        "base_url": str(address.copy_with(userinfo=b"")).rstrip("/"),
        "headers": headers,
        "timeout": timeout_s,
    }
    if address.userinfo:
        # Messages and logs tell the URL, so what only a proxy in front asks for isn't part of it.
        settings["auth"] = httpx.BasicAuth(address.username, address.password)
    if api_key is not None:
        if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise ValueError("an API key holds printable ASCII characters without spaces")
        if address.userinfo:
            headers["X-API-Key"] = api_key
        else:
            headers["Authorization"] = f"Bearer {api_key}"
    return settings


def _address(url: str) -> httpx.URL:
    shown = re.sub(r"^([\w+.-]+://)?.*@", r"\1", url)
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        # httpx quotes what it can't read, which may be a part of the password.
        words = error if shown == url else "the URL can't be read"
        raise ValueError(f"{shown}: {words}") from None
    if address.scheme not in ("http", "https") or not address.host:
        raise ValueError(f"{shown}: a service's URL begins with http:// or https:// and a host")
    if address.query or address.fragment:
        raise ValueError(f"{shown}: a service's URL has no query and no fragment")
    return address


def timeout_of(call: Call[Any], timeout_s: float) -> httpx.Timeout:
    """The time for each step of a request; an answer to many items takes longer for each."""
    further = max(call.items - 1, 0)
    return httpx.Timeout(timeout_s, read=timeout_s + SECONDS_AN_ITEM * further)
