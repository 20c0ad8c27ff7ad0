"""What a person does on the page: photos to drop, searching, dropping, looking."""

import base64
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, FilePayload, JSHandle, Locator, Page, Route, expect

QUERY = "a red kite over the sea"
SENTENCES = (
    "A red kite over the sea .",
    "Two dogs play on a beach",
    "A green field under a blue sky",
    "Someone reads a book by the window",
)
# Sky, ground and a thing, so that no two pictures are alike; each with a shape of its own.
PICTURES = {
    "kite": ((360, 240), "#88bbee", "#2266aa", "#dd2211"),
    "field": ((240, 320), "#aaccff", "#33aa33", "#eeee44"),
    "beach": ((300, 300), "#ffeecc", "#ddbb77", "#553311"),
    "night": ((400, 200), "#111133", "#222222", "#ffffff"),
    "brick": ((320, 240), "#bb7755", "#774433", "#99ddee"),
    "lawn": ((300, 220), "#cceeff", "#228822", "#ffffff"),
    "lamp": ((220, 300), "#332211", "#110800", "#ffdd66"),
    "snow": ((360, 260), "#dde8f0", "#ffffff", "#334455"),
    "rose": ((260, 260), "#224422", "#113311", "#cc2255"),
    "pond": ((380, 240), "#99bbaa", "#335566", "#ddeeff"),
    "dune": ((340, 220), "#ffddaa", "#cc9955", "#884422"),
    "port": ((300, 240), "#556677", "#223344", "#ff8833"),
}
DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 320, "height": 700}
START_SECONDS = 60.0


@dataclass(frozen=True)
class Photo:
    """A file as a person would drop it."""

    name: str
    content: bytes
    kind: str = "image/jpeg"

    def for_input(self) -> FilePayload:
        return {"name": self.name, "mimeType": self.kind, "buffer": self.content}


def draw(size: tuple[int, int], sky: str, ground: str, thing: str) -> bytes:
    width, height = size
    picture = Image.new("RGB", size, sky)
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, height * 0.6, width, height), fill=ground)
    pen.ellipse((width * 0.55, height * 0.2, width * 0.8, height * 0.5), fill=thing)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


HOLIDAY = Photo("holiday.jpg", draw((280, 210), "#77ccee", "#eeddaa", "#cc5588"))
CLIPPING = Photo("clipping.png", draw((200, 200), "#223344", "#445566", "#eeaa22"), "image/png")
NOT_A_PICTURE = Photo("notes.jpg", b"these are words, not a picture")


def wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(f"{url}/readyz", timeout=5).raise_for_status()
            return
        except httpx.HTTPError:
            assert time.monotonic() < deadline, f"{url} was not ready within {START_SECONDS} s"
            time.sleep(0.05)


def visit(
    browser: Browser, url: str, complaints: list[str], size: Any, touch: bool = False
) -> Iterator[Page]:
    """A visitor with the start on screen. What the browser complains about fails at the end."""
    context = browser.new_context(
        viewport=size, has_touch=touch, is_mobile=touch, reduced_motion="reduce"
    )
    context.add_init_script(
        """addEventListener("securitypolicyviolation", (event) =>
               console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));"""
    )
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    page.goto(url)
    expect(page.locator(".contact-sheet img").first).to_be_visible()
    yield page
    context.close()
    assert complaints == []


def forgive_refusals(complaints: list[str]) -> None:
    """The browser itself logs each request that is refused; anything else is a fault."""
    assert [c for c in complaints if not c.startswith("Failed to load resource")] == []
    complaints.clear()


def busy_once(page: Page, url: str) -> None:
    """Has the service refuse the first request to a URL as busy, for a second."""
    busy = iter([True])

    def refuse_once(route: Route) -> None:
        if next(busy, False):
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"title": "Busy"})
        else:
            route.continue_()

    page.route(url, refuse_once)


def search(page: Page, query: str = QUERY) -> Locator:
    """Types a query and waits for its pictures; gives the pictures."""
    page.get_by_label("Describe the picture").fill(query)
    expect(page.locator("#words:not(.stale) .word").first).to_be_visible()
    return page.locator("#pictures .print")


def ids(prints: Locator) -> list[str]:
    """The pictures, best first."""
    found: list[str] = prints.evaluate_all("(prints) => prints.map((print) => print.dataset.id)")
    return found


def refine(page: Page) -> None:
    """Opens the panel that narrows the search."""
    page.get_by_role("button", name="Refine").click()
    expect(page.locator(".facet").first).to_be_visible()


def lit_overlays(page: Page) -> Locator:
    return page.locator("#pictures .overlay.lit")


def transfer(page: Page, *photos: Photo) -> JSHandle:
    """What a drag from the desktop carries."""
    files = [(p.name, p.kind, base64.b64encode(p.content).decode()) for p in photos]
    return page.evaluate_handle(
        """(files) => {
            const carried = new DataTransfer();
            for (const [name, type, content] of files) {
                const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
                carried.items.add(new File([bytes], name, { type }));
            }
            return carried;
        }""",
        files,
    )


def drop(page: Page, zone: str, *photos: Photo) -> None:
    """Drags photos over the page and lets them go over a zone of the landing."""
    carried = transfer(page, *photos)
    page.dispatch_event("body", "dragenter", {"dataTransfer": carried})
    expect(page.locator("#landing")).to_be_visible()
    page.dispatch_event(f"#landing .zone.{zone}", "drop", {"dataTransfer": carried})
    expect(page.locator("#landing")).to_be_hidden()


def brightness(overlay: Locator) -> tuple[float, float]:
    """Darkest and lightest alpha of a spotlight, 0..255."""
    found: list[float] = overlay.evaluate(
        """(canvas) => {
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
            const alpha = data.filter((_, i) => i % 4 === 3);
            return [Math.max(...alpha), Math.min(...alpha)];
        }"""
    )
    return found[0], found[1]


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than the window it was opened in."""
    size = page.viewport_size
    assert size is not None
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return max(width - size["width"], 0)
