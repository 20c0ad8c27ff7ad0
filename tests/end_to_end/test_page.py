"""The page in a real browser, against a real server: what a person does and what they see."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.end_to_end.visiting import PICTURES, QUERY, brightness, lit_overlays, search


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
