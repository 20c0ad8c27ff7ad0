"""Whoever asks: by keyboard, by touch, with a screen reader, in the dark, without movement."""

import re
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.visiting import (
    DESKTOP,
    PHONE,
    QUERY,
    Photo,
    draw,
    lit_overlays,
    overflow,
    refine,
    search,
    visit,
)

GARDEN = Photo("garden.jpg", draw((200, 150), "#88cc99", "#226633", "#ee99bb"))
GROUND = "getComputedStyle(document.body).backgroundColor"


def mean(colour: str) -> float:
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


def barriers(page: Page) -> list[str]:
    """What axe finds that keeps somebody out: its serious and critical violations."""
    found = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {node['target']}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_keeps_anybody_out(
    browser: Browser,
    filled: str,
    complaints: list[str],
    size: dict[str, int],
    scheme: Literal["light", "dark"],
) -> None:
    for page in visit(browser, filled, complaints, size, touch=size is PHONE):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert barriers(page) == []
        prints = search(page)
        refine(page)
        page.locator(".facet").first.click()
        expect(page.locator(".chosen .one")).to_be_visible()
        expect(page.locator(".changes")).to_be_visible()
        assert barriers(page) == []
        prints.first.get_by_role("button").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert barriers(page) == []
        page.get_by_role("button", name="Find its sentences").click()
        expect(page.locator("#photo .sentence").first).to_be_visible()
        page.get_by_role("button", name="Ask about a part").click()
        page.set_input_files("#collection-files", GARDEN.for_input())
        expect(page.locator("#tray .added")).to_be_visible()
        assert barriers(page) == []


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
    expect(page.get_by_role("button", name="Refine")).to_be_focused()
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


def test_an_arrow_goes_to_the_next_word_however_often_was_asked(page: Page) -> None:
    for query in ("two dogs on a beach", "a green field of grass", QUERY):
        search(page, query)
        expect(page.locator("#words .word").nth(1)).to_have_text(query.split()[1])
    words = page.locator("#words .word")
    expect(words.first).to_have_attribute("tabindex", "0")
    words.first.focus()

    page.keyboard.press("ArrowRight")

    expect(words.nth(1)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(words.nth(2)).to_be_focused()
    assert words.evaluate_all("(all) => all.filter((word) => word.tabIndex === 0).length") == 1


def test_arrows_with_another_key_are_the_browsers(page: Page) -> None:
    search(page)
    words = page.locator("#words .word")
    words.first.focus()
    page.keyboard.press("Control+ArrowRight")
    expect(words.first).to_be_focused()

    page.locator("#pictures .frame").first.press("Enter")
    page.keyboard.press("Control+ArrowRight")
    expect(page.locator("#detail .steps")).to_contain_text("1 of")


def test_dark_mode_follows_the_system(page: Page) -> None:
    light = page.evaluate(GROUND)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    dark = page.evaluate(GROUND)

    assert mean(light) > 200 and mean(dark) < 60


def test_the_switch_chooses_light_or_dark_and_is_remembered(page: Page) -> None:
    switch = page.get_by_role("button", name="Dark colours")
    expect(switch).to_have_attribute("aria-pressed", "false")

    switch.press("Enter")
    expect(switch).to_have_attribute("aria-pressed", "true")
    assert mean(page.evaluate(GROUND)) < 60
    page.reload()
    expect(switch).to_have_attribute("aria-pressed", "true")
    assert mean(page.evaluate(GROUND)) < 60
    switch.press("Enter")
    assert mean(page.evaluate(GROUND)) > 200


def test_escape_closes_the_refinements_and_gives_the_focus_back(page: Page) -> None:
    search(page)
    refine(page)
    page.get_by_label("Candidates to re-rank").focus()

    page.keyboard.press("Escape")

    expect(page.locator("#refinements")).to_be_hidden()
    expect(page.get_by_role("button", name="Refine")).to_be_focused()


def test_what_was_found_is_announced(page: Page) -> None:
    search(page)
    status = page.get_by_role("status").first
    expect(status).to_have_text(re.compile(r"^.+\. Best match .*%\.$"))
    refine(page)
    page.get_by_label("Candidates to re-rank").press("Home")
    expect(status).to_have_text(re.compile("moved|stayed"))


def test_nothing_moves_for_who_wants_stillness(page: Page) -> None:
    search(page)
    refine(page)
    page.get_by_label("Candidates to re-rank").press("Home")
    expect(page.locator(".changes")).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0


def test_a_phone_shows_it_all_without_sideways_scrolling(phone: Page) -> None:
    assert overflow(phone) == 0
    line = phone.get_by_label("Describe the picture").bounding_box()
    assert line is not None
    assert line["height"] > 30, "there is room to type in"
    prints = search(phone)
    assert overflow(phone) == 0
    phone.locator("#words .word").nth(1).tap()
    expect(lit_overlays(phone)).to_have_count(prints.count())
    refine(phone)
    assert overflow(phone) == 0
    prints.first.get_by_role("button").tap()
    expect(phone.get_by_role("dialog")).to_be_visible()
    assert overflow(phone) == 0
    phone.get_by_role("button", name="Close").tap()
    phone.set_input_files("#photo-file", GARDEN.for_input())
    expect(phone.locator("#photo .sentence").first).to_be_visible()
    phone.get_by_role("button", name="Ask about a part").tap()
    phone.get_by_role("button", name="Pictures like it").tap()
    expect(phone.locator("#photo .print").first).to_be_visible()
    assert overflow(phone) == 0
    phone.set_input_files("#collection-files", GARDEN.for_input())
    expect(phone.locator("#tray .added")).to_be_visible()
    assert overflow(phone) == 0
