"""The controls that narrow a search say what is asked, however fast they are used."""

import re

from playwright.sync_api import Page, Route, expect

from tests.end_to_end.visiting import refine, search


def hold_tags(page: Page) -> list[Route]:
    """Lets no answer with tags come any more; gives the requests that wait."""
    held: list[Route] = []
    page.route("**/tags?*", lambda route: held.append(route))
    return held


def test_two_tags_pressed_before_the_first_answer_both_count(page: Page) -> None:
    search(page)
    refine(page)
    hold_tags(page)
    first, second = page.locator(".facet").nth(0), page.locator(".facet").nth(1)

    first.click()
    expect(first).to_have_attribute("aria-pressed", "true")
    second.click()

    expect(second).to_have_attribute("aria-pressed", "true")
    tags = [facet.get_attribute("data-tag") for facet in (first, second)]
    expect(page.locator(".chosen .one")).to_have_text([str(tag) for tag in tags])
    first.click()
    expect(page.locator(".chosen .one")).to_have_text([str(tags[1])])


def test_tags_of_what_was_taken_away_meanwhile_are_given_up(page: Page) -> None:
    search(page)
    refine(page)
    hold_tags(page)
    facet = page.locator(".facet").last
    with page.expect_request("**/tags?*") as asked:
        facet.click()

    with page.expect_event("requestfailed") as given_up:
        page.get_by_role("button", name="Take away").click()

    assert given_up.value == asked.value
    expect(page.locator(".chosen .one")).to_have_count(0)
    expect(facet).to_have_attribute("aria-pressed", "false")


def test_a_tag_that_is_let_go_keeps_the_focus_however_rare_it_is(page: Page) -> None:
    search(page)
    refine(page)
    many = [{"tag": f"tag-{i}", "count": 40 - i} for i in range(30)]
    page.route("**/tags?*", lambda route: route.fulfill(json={"tags": many}))
    page.goto(f"{page.url}&tag=tag-28")
    page.get_by_role("button", name="Refine").click()
    rare = page.locator('.facet[data-tag="tag-28"]')
    expect(rare).to_have_attribute("aria-pressed", "true")

    rare.press("Enter")

    expect(page.locator(".chosen .one")).to_have_count(0)
    expect(rare).to_have_attribute("aria-pressed", "false")
    expect(rare).to_be_focused()


def test_words_to_leave_out_do_not_come_back_after_a_new_start(page: Page) -> None:
    search(page)
    refine(page)
    page.clock.install()
    page.get_by_label("Leave out what shows").fill("snow")

    # At once: before the typing has rested.
    page.evaluate(
        """() => {
            const field = document.getElementById("exclude");
            field.value = "snow on a field";
            field.dispatchEvent(new Event("input"));
            document.getElementById("home").click();
        }"""
    )
    page.clock.fast_forward(1000)

    expect(page.locator(".contact-sheet")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/(\?)?$"))
    assert page.locator("#exclude").input_value() == ""


def test_back_takes_away_the_words_to_leave_out_even_in_their_field(page: Page) -> None:
    search(page)
    refine(page)
    field = page.get_by_label("Leave out what shows")
    field.fill("snow")
    expect(page.get_by_role("button", name="without \u201csnow\u201d")).to_be_visible()
    expect(field).to_be_focused()

    page.go_back()

    expect(page.get_by_role("button", name="without \u201csnow\u201d")).to_have_count(0)
    expect(field).to_have_value("")


def test_words_to_leave_out_give_something_to_re_rank_pictures_by(page: Page) -> None:
    page.goto(f"{page.url}?like=kite&find=pictures")
    expect(page.locator("#photo .print").first).to_be_visible()
    page.get_by_role("button", name="Refine").click()
    depth = page.get_by_label("Candidates to re-rank")
    expect(depth).to_be_disabled()

    page.get_by_label("Leave out what shows").fill("snow")

    expect(page.locator(".effect")).to_contain_text(re.compile(r"Re-ranking \d+ of \d+"))
    expect(depth).to_be_enabled()
    depth.press("Home")
    expect(page.locator(".effect")).to_contain_text("Nothing was re-ranked")
