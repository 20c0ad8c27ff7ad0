"""The page in a real browser, against a real server: what a person does and what they see."""

import base64
import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import (
    Browser,
    FilePayload,
    JSHandle,
    Locator,
    Page,
    Route,
    expect,
)

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
}


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


@pytest.fixture(scope="module")
def server(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real server process with an empty collection, one for all tests of the page."""
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
        yield address[0]
        process.terminate()


def wait_until_ready(url: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            httpx.get(f"{url}/readyz", timeout=5).raise_for_status()
            return
        except httpx.HTTPError:
            assert time.monotonic() < deadline, f"{url} was not ready within {seconds} s"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def filled(server: str) -> str:
    """The server with a few pictures and sentences in its collection."""
    with httpx.Client(base_url=server, timeout=30) as client:
        for name, look in PICTURES.items():
            files = {"image": (f"{name}.jpg", draw(*look), "image/jpeg")}
            client.put(f"/images/{name}", files=files).raise_for_status()
        items = [{"id": f"page-{i}", "text": text} for i, text in enumerate(SENTENCES)]
        client.post("/texts:bulk", json={"items": items}).raise_for_status()
    return server


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about: script errors, policy violations, lost requests."""
    return []


@pytest.fixture
def page(browser: Browser, filled: str, complaints: list[str]) -> Iterator[Page]:
    """The page at desktop width, with the start on screen. Complaints of the browser fail."""
    yield from visit(browser, filled, complaints, {"width": 1280, "height": 860})


@pytest.fixture
def phone(browser: Browser, filled: str, complaints: list[str]) -> Iterator[Page]:
    yield from visit(browser, filled, complaints, {"width": 360, "height": 740}, touch=True)


def visit(
    browser: Browser, url: str, complaints: list[str], size: Any, touch: bool = False
) -> Iterator[Page]:
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


def search(page: Page, query: str = QUERY) -> Locator:
    """Types a query and waits for its pictures; gives the pictures."""
    page.get_by_label("Describe the picture").fill(query)
    expect(page.locator("#words:not(.stale) .word").first).to_be_visible()
    return page.locator("#pictures .print")


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


def test_typing_shows_pictures_with_their_probability(page: Page) -> None:
    prints = search(page)

    expect(prints).not_to_have_count(0)
    assert prints.count() >= len(PICTURES)
    for probability in prints.locator(".probability").all_inner_texts():
        assert re.fullmatch(r"[<>]?\s?\d{1,3}\s%", probability)
    width = prints.first.locator("img").evaluate("(image) => image.naturalWidth")
    assert width > 0
    expect(page.locator(".timing")).to_contain_text("re-ranked")
    expect(page.get_by_role("status").first).to_contain_text("match")


def test_pointing_at_a_word_lights_its_regions_on_each_picture(page: Page) -> None:
    prints = search(page)
    expect(lit_overlays(page)).to_have_count(0)

    page.locator("#words").get_by_role("button", name="kite").hover()

    expect(lit_overlays(page)).to_have_count(prints.count())
    darkest, lightest = brightness(lit_overlays(page).first)
    assert lightest < 10 < darkest, "one place is lit, the rest is dimmed"
    expect(page.locator("#sightlines line")).not_to_have_count(0)
    expect(page.locator("#query-mirror .lit")).to_have_text("kite")

    page.mouse.move(2, 2)
    expect(lit_overlays(page)).to_have_count(0)
    expect(page.locator("#sightlines line")).to_have_count(0)


def test_the_spotlight_lies_on_the_box_that_was_attended_to(page: Page) -> None:
    found = page.evaluate(
        """async () => {
            const { heatMap, peak, SIDE } = await import("/page/heat.js");
            const { outline } = await import("/page/contours.js");
            const map = heatMap([
                { box: [0.5, 0, 0.75, 0.25], weight: 0.7 },
                { box: [0, 0.75, 0.25, 1], weight: 0.2 },
            ]);
            const at = (x, y) => map[Math.floor(y * SIDE) * SIDE + Math.floor(x * SIDE)];
            const line = outline(map, 0.6).match(/[0-9.]+/g).map(Number);
            return {
                peak: peak(map), strong: at(0.625, 0.125), weak: at(0.125, 0.875),
                nothing: at(0.9, 0.9),
                across: [line.filter((_, i) => i % 2 === 0), line.filter((_, i) => i % 2 === 1)],
            };
        }"""
    )

    x, y = found["peak"]
    assert 0.5 < x < 0.75 and 0 <= y < 0.25
    assert found["strong"] > 0.95
    assert found["weak"] == pytest.approx(0.2 / 0.7, abs=0.1)
    assert found["nothing"] == 0
    xs, ys = found["across"]
    assert 0.45 < min(xs) < max(xs) < 0.8 and max(ys) < 0.3, "the line runs around the strong box"


def test_the_words_of_the_query_itself_can_be_pointed_at(page: Page) -> None:
    search(page)
    box = page.locator("#query-mirror span", has_text="sea").bounding_box()
    assert box is not None

    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    expect(page.locator("#words .word.lit")).to_have_text("sea")
    expect(lit_overlays(page)).not_to_have_count(0)


def test_characters_beyond_16_bits_do_not_shift_the_words(page: Page) -> None:
    search(page, "😀😀 kite 🪁 sea")

    page.locator("#words").get_by_role("button", name="sea", exact=True).hover()

    expect(page.locator("#query-mirror .lit")).to_have_text("sea")


def test_everything_works_with_the_keyboard_alone(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type(QUERY)
    words = page.locator("#words .word")
    expect(words.first).to_be_visible()

    for _ in range(6):
        page.keyboard.press("Tab")
        if words.first.evaluate("(word) => word === document.activeElement"):
            break
    expect(words.first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(words.nth(1)).to_be_focused()
    expect(words.nth(1)).to_have_class(re.compile(r"\blit\b"))
    expect(lit_overlays(page)).not_to_have_count(0)

    page.keyboard.press("Tab")
    frames = page.locator("#pictures .frame")
    expect(frames.first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(frames.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_be_visible()
    expect(page.locator("#detail .steps")).to_contain_text("2 of")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#detail .steps")).to_contain_text("3 of")
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(frames.nth(2)).to_be_focused()


def test_an_opened_picture_explains_why_it_was_found(page: Page) -> None:
    search(page).first.get_by_role("button").click()
    detail = page.get_by_role("dialog")

    expect(detail.locator(".chance b")).to_have_text(re.compile(r"\d\s%$"))
    expect(detail.locator(".layers li")).to_have_count(4)
    expect(detail.locator(".rank")).to_contain_text("after re-ranking")
    expect(detail.locator(".chips .word")).to_have_count(1 + len(QUERY.split()))
    expect(detail.locator(".overlay")).to_have_class(re.compile(r"\blit\b"))

    spotlight = "(canvas) => canvas.toDataURL()"
    whole = detail.locator(".overlay").evaluate(spotlight)
    kite = detail.locator(".chips").get_by_role("button", name=re.compile("kite"))
    kite.hover()
    expect(kite).to_have_class(re.compile(r"\blit\b"))
    assert detail.locator(".overlay").evaluate(spotlight) != whole

    detail.get_by_role("button", name="Close").click()
    expect(detail).to_be_hidden()


def test_a_dropped_photo_finds_sentences_that_point_back_at_it(page: Page) -> None:
    drop(page, "search", HOLIDAY)

    sentences = page.locator("#photo .sentence")
    expect(sentences).not_to_have_count(0)
    assert set(SENTENCES) & {text.strip() for text in sentences.all_inner_texts()}
    expect(page.get_by_alt_text("Your photo")).to_be_visible()
    expect(page.locator("#photo .probability").first).to_contain_text("%")

    word = sentences.first.locator(".word").first
    expect(word).to_have_attribute("data-hue", re.compile(r"[0-5]"))
    word.hover()
    expect(page.locator("#photo .overlay")).to_have_class(re.compile(r"\blit\b"))
    expect(page.locator("#sightlines line")).to_have_count(1)

    page.get_by_role("button", name=re.compile("^Place 1")).hover()
    expect(page.locator("#photo .word.answers")).not_to_have_count(0)


def test_a_pasted_photo_is_searched_with_and_can_be_kept(page: Page) -> None:
    carried = transfer(page, CLIPPING)
    page.evaluate(
        """(clipboardData) => document.body.dispatchEvent(
            new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }))""",
        carried,
    )

    expect(page.locator("#photo .sentence")).not_to_have_count(0)
    page.get_by_role("button", name="Add it to the collection").click()
    expect(page.locator("#tray li", has_text="clipping.png")).to_contain_text("added")


def test_photos_are_added_and_found(page: Page, filled: str, complaints: list[str]) -> None:
    before = httpx.get(f"{filled}/stats").json()["counts"]["image"]

    drop(page, "add", HOLIDAY, NOT_A_PICTURE)

    tray = page.get_by_role("complementary", name="Photos being added")
    expect(tray.locator("li", has_text="holiday.jpg")).to_contain_text("added")
    expect(tray.locator("li.failed")).to_contain_text("picture")
    expect(tray.get_by_role("status")).to_have_text("1 photo is in the collection, 1 refused")
    expect(page.locator("#counts")).to_contain_text(f"{before + 1} pictures")
    titles = search(page).locator(".title")
    expect(titles.filter(has_text="holiday")).to_have_count(1)
    # The browser itself logs the refusal of the second file.
    assert [c for c in complaints if not c.startswith("Failed to load resource")] == []
    complaints.clear()


def test_a_refused_photo_is_told_in_words(page: Page, complaints: list[str]) -> None:
    page.set_input_files("#photo-file", NOT_A_PICTURE.for_input())

    expect(page.get_by_role("alert")).to_contain_text("picture")
    assert [c for c in complaints if not c.startswith("Failed to load resource")] == []
    complaints.clear()


def test_the_address_holds_the_query_and_back_returns(page: Page) -> None:
    search(page, "two dogs")
    expect(page).to_have_url(re.compile(r"\?q=two\+dogs$"))
    page.keyboard.press("Enter")
    search(page, "a green field")
    expect(page).to_have_url(re.compile(r"\?q=a\+green\+field$"))

    page.go_back()
    expect(page.get_by_label("Describe the picture")).to_have_value("two dogs")
    expect(page.locator("#words .word").first).to_have_text("two")
    page.reload()
    expect(page.locator("#pictures .print").first).to_be_visible()
    page.go_back()
    expect(page.locator(".contact-sheet")).to_be_visible()


def test_the_latest_query_wins_and_the_earlier_one_is_given_up(page: Page) -> None:
    held: list[Route] = []

    def hold_dogs(route: Route) -> None:
        if "two dogs" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/search/text-to-image", hold_dogs)
    area = page.get_by_label("Describe the picture")
    with page.expect_request("**/search/text-to-image") as first:
        area.fill("two dogs")
    with page.expect_event("requestfailed") as given_up:
        area.fill("a green field")

    assert given_up.value == first.value
    expect(page.locator("#words .word").nth(1)).to_have_text("green")


def test_a_service_that_is_gone_is_told_in_words(page: Page, complaints: list[str]) -> None:
    page.route("**/search/text-to-image", lambda route: route.abort())

    page.get_by_label("Describe the picture").fill(QUERY)

    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    complaints.clear()


def test_a_phone_shows_it_all_without_sideways_scrolling(phone: Page) -> None:
    def overflow() -> int:
        width: int = phone.evaluate("document.documentElement.scrollWidth - innerWidth")
        return width

    assert overflow() == 0
    prints = search(phone)
    assert overflow() == 0
    phone.locator("#words .word").nth(1).tap()
    expect(lit_overlays(phone)).to_have_count(prints.count())
    prints.first.get_by_role("button").tap()
    expect(phone.get_by_role("dialog")).to_be_visible()
    assert overflow() == 0
    phone.get_by_role("button", name="Close").tap()
    phone.set_input_files("#photo-file", HOLIDAY.for_input())
    expect(phone.locator("#photo .sentence").first).to_be_visible()
    assert overflow() == 0


def test_what_the_policy_forbids_is_complained_of(page: Page, complaints: list[str]) -> None:
    # The other tests use all of the page; any violation there fails them as it does here.
    with page.expect_console_message(lambda said: said.text.startswith("policy: img-src")):
        page.evaluate(
            """() => {
                document.body.setAttribute("style", "color: red");
                document.body.append(Object.assign(new Image(), { src: "https://other.example/" }));
                const script = Object.assign(document.createElement("script"), { text: "1" });
                document.head.append(script);
            }"""
        )
    for directive in ("style-src-attr", "img-src", "script-src-elem"):
        assert any(c.startswith(f"policy: {directive}") for c in complaints), directive
    complaints.clear()


def test_dark_mode_follows_the_system(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    dark = page.evaluate(ground)

    def mean(colour: str) -> float:
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3

    assert mean(light) > 200 and mean(dark) < 60
