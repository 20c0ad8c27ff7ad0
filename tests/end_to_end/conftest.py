"""A real browser, and one real server with a small collection for all tests of the page."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.end_to_end.visiting import (
    DESKTOP,
    PHONE,
    PICTURES,
    SENTENCES,
    draw,
    visit,
    wait_until_ready,
)
from tests.needs import lacks

CHROMIUM = Path("/usr/bin/chromium")


# For one module only: while Playwright runs, no asynchronous test can.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        lacks(f"{CHROMIUM} is missing: install Debian's chromium to see the page in a browser")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield started
        started.close()


@pytest.fixture(scope="session")
def filled(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server with a few pictures and sentences in its collection."""
    data = tmp_path_factory.mktemp("page")
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "service", "serve", "--device", "cpu", "--port", "0"),
            *("--data-dir", str(data), "--bundle", str(toy_bundle)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stdout is not None
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address is not None, "the server did not say where it answers"
        wait_until_ready(address[0])
        _fill(address[0])
        yield address[0]
        process.terminate()


def _fill(url: str) -> None:
    pictures = [
        ("images", (f"{name}.jpg", draw(*look), "image/jpeg")) for name, look in PICTURES.items()
    ]
    items = [{"id": f"page-{i}", "text": text} for i, text in enumerate(SENTENCES)]
    with httpx.Client(base_url=url, timeout=30) as client:
        assert client.post("/images:bulk", files=pictures).raise_for_status().json()["failed"] == 0
        client.post("/texts:bulk", json={"items": items}).raise_for_status()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about: script errors, policy violations, lost requests."""
    return []


@pytest.fixture
def page(browser: Browser, filled: str, complaints: list[str]) -> Iterator[Page]:
    """The page at desktop width, with the start on screen. Complaints of the browser fail."""
    yield from visit(browser, filled, complaints, DESKTOP)


@pytest.fixture
def phone(browser: Browser, filled: str, complaints: list[str]) -> Iterator[Page]:
    """The same on the smallest phone."""
    yield from visit(browser, filled, complaints, PHONE, touch=True)
