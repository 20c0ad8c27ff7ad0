"""Photos on their way into the collection: progress, refusals, cancelling, trying again."""

import re
from hashlib import sha256
from pathlib import Path

import httpx
from playwright.sync_api import Page, Route, expect

from tests.end_to_end.visiting import (
    CLIPPING,
    HOLIDAY,
    NOT_A_PICTURE,
    Photo,
    busy_once,
    draw,
    drop,
    forgive_refusals,
    search,
)

LATER = [
    Photo(f"later-{i}.jpg", draw((160, 120), f"#{i}{i}4488", "#446644", "#ffffff"))
    for i in range(5)
]
ALBUM = Photo("album.jpg", draw((170, 130), "#aa7799", "#447744", "#112233"))
UNTITLED = Photo("untitled.jpg", draw((180, 130), "#77aa99", "#774444", "#332211"))
JOINING = Photo("joining.jpg", draw((190, 130), "#9977aa", "#777744", "#223311"))


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
    forgive_refusals(complaints)


def test_few_are_sent_at_once_and_the_rest_can_be_cancelled(page: Page) -> None:
    held: list[Route] = []
    page.route("**/images", lambda route: held.append(route))

    drop(page, "add", *LATER)
    tray = page.get_by_role("complementary", name="Photos being added")
    expect(tray.locator("li.sending")).to_have_count(3)
    expect(tray.locator("li.waiting")).to_have_count(2)

    tray.get_by_role("button", name="Cancel later-0.jpg").click()
    expect(tray.locator("li", has_text="later-0.jpg")).to_contain_text("cancelled")
    expect(tray.locator("li.sending")).to_have_count(3)
    tray.get_by_role("button", name="Cancel all").click()

    expect(tray.locator("li.cancelled")).to_have_count(5)
    expect(tray.get_by_role("status")).to_have_text("5 cancelled")
    assert len(held) == 4, "one was never sent"


def test_what_failed_can_be_tried_again(page: Page, complaints: list[str]) -> None:
    page.route("**/images", lambda route: route.abort())
    drop(page, "add", *LATER[:2])
    tray = page.get_by_role("complementary", name="Photos being added")
    expect(tray.locator("li.failed")).to_have_count(2)
    expect(tray.locator("li.failed").first).to_contain_text("does not answer")

    page.unroute("**/images")
    tray.get_by_role("button", name="Try later-1.jpg again").click()
    expect(tray.locator("li.added")).to_have_count(1)
    tray.get_by_role("button", name="Try failed again").click()

    expect(tray.locator("li.added")).to_have_count(2)
    expect(tray.get_by_role("status")).to_have_text("2 photos are in the collection")
    forgive_refusals(complaints)


def test_a_busy_service_is_waited_for_while_adding(page: Page, complaints: list[str]) -> None:
    busy_once(page, "**/images")
    drop(page, "add", CLIPPING)
    drop(page, "add", HOLIDAY)

    tray = page.get_by_role("complementary", name="Photos being added")
    expect(tray.locator("li", has_text="clipping.png")).to_contain_text("again in 1 s")
    expect(tray.locator("li.added")).to_have_count(2)
    forgive_refusals(complaints)


def test_progress_is_shown_while_sending(page: Page) -> None:
    page.route("**/images", lambda route: None)
    drop(page, "add", HOLIDAY)

    row = page.locator("#tray li")
    expect(row.locator(".state")).to_have_text(re.compile(r"\d+.% sent|looking at it"))
    page.get_by_role("button", name="Cancel holiday.jpg").click()
    expect(row.get_by_role("button", name="Try holiday.jpg again")).to_be_focused()


def test_a_photo_that_is_there_keeps_what_was_told_of_it(page: Page, filled: str) -> None:
    drop(page, "add", ALBUM)
    tray = page.get_by_role("complementary", name="Photos being added")
    expect(tray.locator("li.added")).to_have_count(1)
    item = f"{filled}/images/{sha256(ALBUM.content).hexdigest()}"
    assert httpx.get(item).json()["metadata"] == {"title": "album"}
    told = {"title": "The harbour", "year": 1987}
    httpx.patch(f"{item}/metadata", json=told).raise_for_status()

    drop(page, "add", ALBUM)

    expect(tray.locator("li.added .state")).to_have_text(["added", "was there already"])
    assert httpx.get(item).json()["metadata"] == told


def test_a_title_that_fails_is_an_upload_that_failed(
    page: Page, filled: str, complaints: list[str]
) -> None:
    page.route(
        "**/metadata", lambda route: route.fulfill(status=403, json={"title": "Titles are closed"})
    )
    drop(page, "add", UNTITLED)
    row = page.locator("#tray li")
    expect(row).to_have_class("failed")
    expect(row).to_contain_text("Titles are closed")
    page.unroute("**/metadata")

    row.get_by_role("button", name="Try untitled.jpg again").click()

    expect(row).to_have_class("added")
    item = httpx.get(f"{filled}/images/{sha256(UNTITLED.content).hexdigest()}").json()
    assert item["metadata"] == {"title": "untitled"}
    forgive_refusals(complaints)


def test_what_added_nothing_asks_nothing_again(page: Page, complaints: list[str]) -> None:
    search(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    held: list[Route] = []
    page.route("**/images", lambda route: held.append(route))
    drop(page, "add", *LATER[:3])
    expect(page.locator("#tray li.sending")).to_have_count(3)

    page.get_by_role("button", name="Cancel all").press("Enter")

    expect(page.locator("#tray li.cancelled")).to_have_count(3)
    expect(page.get_by_role("list", name="Photos")).to_be_focused()
    page.unroute("**/images")
    drop(page, "add", NOT_A_PICTURE)
    expect(page.locator("#tray li.failed")).to_have_count(1)
    assert not [url for url in asked if "/search/" in url or "/stats" in url]
    forgive_refusals(complaints)


def test_what_was_added_joins_the_first_page_and_the_focus_stays(page: Page) -> None:
    frames = search(page).get_by_role("button")
    found = frames.count()
    third = page.locator("#pictures .print").nth(2).get_attribute("data-id")
    frames.nth(2).focus()

    page.set_input_files("#collection-files", JOINING.for_input())

    expect(frames).to_have_count(found + 1)
    expect(
        page.locator(f'#pictures .print[data-id="{third}"]').get_by_role("button")
    ).to_be_focused()


def test_further_pages_stay_when_photos_are_added(page: Page, filled: str) -> None:
    before = httpx.get(f"{filled}/stats").json()["counts"]["image"]
    search(page)
    page.goto(f"{page.url}&depth=10")
    page.mouse.wheel(0, 20_000)
    prints = page.locator("#pictures .print")
    expect(prints).to_have_count(before)

    page.set_input_files("#collection-files", LATER[4].for_input())

    expect(page.get_by_role("alert").first).to_contain_text("added since this search")
    expect(prints).to_have_count(before)
    page.get_by_role("button", name="Search again").press("Enter")
    expect(page.get_by_role("alert").first).to_be_hidden()
    expect(page.locator("#content")).to_be_focused()


def test_a_tray_that_was_put_away_comes_back_with_what_failed(
    page: Page, complaints: list[str]
) -> None:
    held: list[Route] = []
    page.route("**/images", lambda route: held.append(route))
    with page.expect_request("**/images"):
        drop(page, "add", HOLIDAY)
    tray = page.get_by_role("complementary", name="Photos being added")
    tray.get_by_role("button", name="Close").press("Enter")
    expect(tray).to_be_hidden()
    expect(page.get_by_role("button", name="Add photos").first).to_be_focused()

    held[0].abort()

    expect(tray.locator("li.failed")).to_contain_text("does not answer")
    forgive_refusals(complaints)


def test_a_dropped_folder_is_left_out_and_told(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "holidays"
    folder.mkdir()
    wire = page.context.new_cdp_session(page)
    for step in ("dragEnter", "dragOver", "drop"):
        data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
        wire.send("Input.dispatchDragEvent", {"type": step, "x": 300, "y": 400, "data": data})

    expect(page.locator("#tray").get_by_role("status")).to_have_text(
        "1 folder left out: drop the photos in it"
    )
    expect(page.locator("#landing")).to_be_hidden()
    expect(page.locator(".contact-sheet")).to_be_visible()
