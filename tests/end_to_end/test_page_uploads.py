"""Photos on their way into the collection: progress, refusals, cancelling, trying again."""

import re

import httpx
from playwright.sync_api import Page, Route, expect

from tests.end_to_end.visiting import (
    CLIPPING,
    HOLIDAY,
    NOT_A_PICTURE,
    Photo,
    draw,
    drop,
    forgive_refusals,
    search,
)

LATER = [
    Photo(f"later-{i}.jpg", draw((160, 120), f"#{i}{i}4488", "#446644", "#ffffff"))
    for i in range(5)
]


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
    busy = iter([True])

    def refuse_once(route: Route) -> None:
        if next(busy, False):
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"title": "Busy"})
        else:
            route.continue_()

    page.route("**/images", refuse_once)
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
