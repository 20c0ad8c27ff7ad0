"""The page of a service that has keys: it asks for one, and works with it as without."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from service.keys import Key, digest_of
from tests.helpers import Server, ServerStarter, jpeg

READER, WRITER = "sl_the-reader-of-the-page", "sl_the-writer-of-the-page"
ENTRIES = f"{Key('reader', 'read', digest_of(READER.encode())).line}, " + (
    Key("writer", "write", digest_of(WRITER.encode())).line
)
# The page's wordings for refusals; a browser logs each of them as an error of its own.
REFUSED = re.compile(r"Failed to load resource: .* status of 40[13]")


@pytest.fixture(scope="module")
def locked(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a key that reads and one that writes, three pictures and two sentences."""
    starter = ServerStarter(toy_bundle, tmp_path_factory.mktemp("locked") / "data")
    server = starter(SIGHTLINE_KEYS=ENTRIES)
    headers = {"Authorization": f"Bearer {WRITER}"}
    with httpx.Client(base_url=server.url, timeout=30, headers=headers) as client:
        for name in range(3):
            files = {"image": ("p.jpg", jpeg(name), "image/jpeg")}
            client.put(f"/images/p{name}", files=files).raise_for_status()
        items = [{"text": "A red kite over the sea"}, {"text": "Two dogs on a beach"}]
        client.post("/texts:bulk", json={"items": items}).raise_for_status()
    yield server
    starter.close()


@pytest.fixture(params=["desktop", "phone"])
def page(browser: Browser, locked: Server, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page at its first visit. Complaints of the browser but for refusals fail."""
    phone = request.param == "phone"
    width, height = (360, 740) if phone else (1280, 860)
    context = browser.new_context(
        viewport={"width": width, "height": height}, has_touch=phone, reduced_motion="reduce"
    )
    context.add_init_script(
        """addEventListener("securitypolicyviolation", (event) =>
               console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));"""
    )
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console",
        lambda message: (
            complaints.append(message.text)
            if message.type == "error" and not REFUSED.match(message.text)
            else None
        ),
    )
    opened.set_default_timeout(20_000)
    opened.goto(locked.url)
    yield opened
    context.close()
    assert complaints == []


def give(page: Page, key: str, remember: bool = False) -> None:
    """Answers the dialog with the keyboard alone."""
    field = page.get_by_role("dialog", name="This collection needs a key").get_by_label("Key")
    expect(field).to_be_focused()
    page.keyboard.type(key)
    if remember:
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
    page.keyboard.press("Enter")


def loaded(page: Page, selector: str) -> int:
    """How many pictures are drawn."""
    count: int = page.locator(selector).evaluate_all(
        "(images) => images.filter((image) => image.complete && image.naturalWidth > 0).length"
    )
    return count


def search(page: Page) -> None:
    page.get_by_label("Describe the picture").fill("a red kite over the sea")
    expect(page.locator("#words:not(.stale) .word").first).to_be_visible()


def test_a_key_is_asked_for_and_everything_is_seen_with_it(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    give(page, "sl_wrong/key")
    expect(page.get_by_role("alert").filter(has_text="doesn't know the key")).to_be_visible()
    give(page, READER)

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".contact-sheet img")).to_have_count(3)
    expect(page.locator("#counts")).to_contain_text("3 pictures")
    search(page)
    expect(page.locator("#pictures .print")).to_have_count(3)
    page.wait_for_function(
        """() => [...document.querySelectorAll("#pictures img")].every(
            (image) => image.complete && image.naturalWidth > 0)"""
    )
    assert loaded(page, "#pictures img") == 3
    page.locator("#pictures .frame").first.click()
    expect(page.locator("#detail img")).to_have_js_property("naturalWidth", 96)
    page.get_by_role("button", name="Find its sentences").click()
    expect(page.locator("#photo .sentence")).to_have_count(2)
    assert not [url for url in asked if READER in url], "a key never stands in an address"


def test_a_key_that_may_only_read_is_told_so_when_it_adds(page: Page) -> None:
    give(page, READER)
    expect(page.locator(".contact-sheet img").first).to_be_visible()

    photo = {"name": "new.jpg", "mimeType": "image/jpeg", "buffer": jpeg(7)}
    page.set_input_files("#collection-files", photo)  # type: ignore[arg-type]

    expect(page.locator("#tray li.failed")).to_contain_text("may only read")


def test_a_key_that_may_write_adds(page: Page, locked: Server) -> None:
    give(page, WRITER)
    expect(page.locator(".contact-sheet img").first).to_be_visible()

    photo = {"name": "added.jpg", "mimeType": "image/jpeg", "buffer": jpeg(8)}
    page.set_input_files("#collection-files", photo)  # type: ignore[arg-type]

    expect(page.locator("#tray li.added")).to_contain_text("added")
    headers = {"X-API-Key": WRITER}
    # As it was, for the other tests.
    [added] = {
        item["id"] for item in httpx.get(f"{locked.url}/images", headers=headers).json()["items"]
    } - {"p0", "p1", "p2"}
    httpx.delete(f"{locked.url}/images/{added}", headers=headers).raise_for_status()


def test_a_key_is_kept_for_the_visit_or_for_longer_and_forgotten(page: Page) -> None:
    give(page, READER)
    expect(page.locator(".contact-sheet img").first).to_be_visible()
    page.reload()
    expect(page.locator(".contact-sheet img").first).to_be_visible()
    assert page.evaluate("localStorage.length") == 0

    page.get_by_role("button", name="Forget it").click()
    give(page, READER, remember=True)
    expect(page.locator(".contact-sheet img").first).to_be_visible()
    another = page.context.new_page()
    another.goto(page.url)
    expect(another.locator(".contact-sheet img").first).to_be_visible()

    page.get_by_role("button", name="Forget it").click()
    expect(page.get_by_role("dialog", name="This collection needs a key")).to_be_visible()
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_without_a_key_the_page_says_what_it_needs(page: Page) -> None:
    expect(page.get_by_role("dialog", name="This collection needs a key")).to_be_visible()
    width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width == 0

    page.get_by_role("button", name="Not now").click()

    expect(page.get_by_role("alert")).to_contain_text("needs a key")
    page.get_by_label("Describe the picture").fill("a dog")
    give(page, READER)
    expect(page.locator("#pictures .print")).to_have_count(3)


def test_a_browser_that_forbids_storage_keeps_the_key_for_the_page(page: Page) -> None:
    page.add_init_script(
        """for (const name of ["localStorage", "sessionStorage"]) {
               Object.defineProperty(window, name, {
                   get() { throw new DOMException("storage is forbidden", "SecurityError"); },
               });
           }"""
    )
    page.reload()
    give(page, READER)

    expect(page.locator(".contact-sheet img")).to_have_count(3)
    search(page)
    page.get_by_role("button", name="Forget it").click()
    expect(page.get_by_role("dialog", name="This collection needs a key")).to_be_visible()
