"""The documentation pages work on a machine without a network: nothing comes from elsewhere."""

import re

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.helpers import Server


@pytest.mark.parametrize(
    ("path", "shown"), [("/docs", "/search/text-to-image"), ("/redoc", "Pictures for a sentence")]
)
def test_a_documentation_page_renders_without_a_network(
    server: Server, browser: Browser, path: str, shown: str
) -> None:
    page = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    page.goto(server.url + path)
    expect(page.get_by_text(shown).first).to_be_visible(timeout=30_000)
    page.close()
    elsewhere = [url for url in asked if not url.startswith((server.url, "data:", "blob:"))]
    assert elsewhere == []
    assert complaints == []


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc"])
def test_pages_load_nothing_from_elsewhere(server: Server, path: str) -> None:
    html = httpx.get(server.url + path).raise_for_status().text
    loaded = re.findall(r"""(?:src|href|url)\s*[=:(]\s*["']?([^"'\s)>]+)""", html)
    assert loaded
    assert [address for address in loaded if re.match(r"(?:[a-z]+:)?//", address)] == []
