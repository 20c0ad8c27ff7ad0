"""Ways through the page that leave what is shown, and ways back: none of them loses anything."""

import re

from playwright.sync_api import Page, expect

from tests.end_to_end.visiting import CLIPPING, HOLIDAY, drop, ids, search, transfer


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
    for photo in (HOLIDAY, CLIPPING):
        drop(page, "search", photo)
        expect(page.locator("#photo .sentence").first).to_be_visible()
    page.reload()
    expect(page.locator(".contact-sheet")).to_be_visible()
    drop(page, "search", CLIPPING)
    expect(page.locator("#photo .sentence").first).to_be_visible()

    for _ in range(2):
        page.go_back()
        expect(page.locator(".contact-sheet")).to_be_visible()
        expect(page.get_by_alt_text("Your photo")).to_be_hidden()
    page.go_forward()
    page.go_forward()
    expect(page.get_by_alt_text("Your photo")).to_be_visible()


def test_a_new_answer_is_seen_from_its_beginning(page: Page) -> None:
    page.set_viewport_size({"width": 700, "height": 500})
    prints = search(page, "two dogs")
    before = ids(prints)
    page.mouse.wheel(0, 20_000)
    page.wait_for_function("() => scrollY > 300")

    search(page, "a green field")

    expect(page.locator("#words .word").nth(1)).to_have_text("green")
    assert ids(prints) != before
    assert page.evaluate("scrollY") == 0
    page.get_by_role("button", name="Refine").click()
    page.mouse.wheel(0, 200)
    page.wait_for_function("() => scrollY > 100")
    page.get_by_label("Leave out what shows").fill("snow")
    expect(page.locator(".changes")).to_be_visible()
    assert page.evaluate("scrollY") > 100, "what is only refined stays where it is"


def test_a_photo_that_arrives_closes_what_was_opened_large(page: Page) -> None:
    search(page).first.get_by_role("button").click()
    expect(page.locator("#detail")).to_be_visible()
    page.evaluate(
        """(clipboardData) => document.body.dispatchEvent(
            new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }))""",
        transfer(page, CLIPPING),
    )
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.get_by_alt_text("Your photo")).to_be_visible()

    page.go_back()
    page.locator("#pictures .frame").first.click()
    carried = transfer(page, HOLIDAY)
    page.dispatch_event("#detail", "dragenter", {"dataTransfer": carried})
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator("#landing")).to_be_visible()
    page.dispatch_event("#landing", "dragleave", {"dataTransfer": carried})

    page.locator("#pictures .frame").first.click()
    expect(page.locator("#detail")).to_be_visible()
    page.go_back()
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator(".contact-sheet")).to_be_visible()
