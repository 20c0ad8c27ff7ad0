"""Ways through the page that leave what is shown, and ways back: none of them loses anything."""

import re

from playwright.sync_api import Page, expect

from tests.end_to_end.visiting import CLIPPING, HOLIDAY, drop, search


def test_skipping_to_the_pictures_keeps_a_photo_that_asks(page: Page) -> None:
    drop(page, "search", HOLIDAY)
    expect(page.locator("#photo .sentence").first).to_be_visible()

    page.get_by_role("link", name="Skip to the pictures").press("Enter")

    expect(page.locator("#content")).to_be_focused()
    # The browser tells of a step of the history before it draws again.
    page.evaluate("new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")
    expect(page.get_by_alt_text("Your photo")).to_be_visible()


def test_the_wordmark_opens_another_tab_and_leaves_this_one(page: Page) -> None:
    search(page, "two dogs")

    with page.context.expect_page() as opened:
        page.locator("#home").click(modifiers=["Control"])

    expect(opened.value.locator(".contact-sheet")).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?q=two\+dogs$"))
    expect(page.locator("#pictures .print").first).to_be_visible()


def test_a_photo_of_an_earlier_visit_is_never_taken_for_one_of_this(page: Page) -> None:
    drop(page, "search", HOLIDAY)
    expect(page.locator("#photo .sentence").first).to_be_visible()
    page.reload()
    expect(page.locator(".contact-sheet")).to_be_visible()
    drop(page, "search", CLIPPING)
    expect(page.locator("#photo .sentence").first).to_be_visible()

    page.go_back()

    expect(page.locator(".contact-sheet")).to_be_visible()
    expect(page.get_by_alt_text("Your photo")).to_be_hidden()
    page.go_forward()
    expect(page.get_by_alt_text("Your photo")).to_be_visible()
