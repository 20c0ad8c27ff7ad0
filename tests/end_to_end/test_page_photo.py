"""A photo asks: for sentences, for pictures like it, with a part of it, together with words."""

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.end_to_end.visiting import (
    CLIPPING,
    HOLIDAY,
    PICTURES,
    QUERY,
    SENTENCES,
    drop,
    ids,
    search,
    transfer,
)


def body_of(request: Request) -> dict[str, object]:
    asked: dict[str, object] = json.loads(request.post_data or "{}")
    return asked


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


def test_a_picture_of_the_collection_finds_its_sentences_and_is_in_the_address(page: Page) -> None:
    page.get_by_role("button", name="Find sentences for picture beach").click()

    expect(page.locator("#photo .sentence").first).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?like=beach$"))
    page.reload()
    expect(page.locator("#photo .sentence").first).to_be_visible()
    expect(page.get_by_role("button", name="Add it to the collection")).to_have_count(0)


def test_a_sentence_that_was_found_finds_its_pictures(page: Page) -> None:
    page.get_by_role("button", name="Find sentences for picture beach").click()
    item = page.locator("#photo .sentences li").first
    sentence = item.locator(".sentence").inner_text().strip()

    item.get_by_role("button", name="Find pictures for").click()

    expect(page.locator("#pictures .print").first).to_be_visible()
    expect(page.get_by_label("Describe the picture")).to_have_value(sentence)


def test_more_like_this_finds_other_pictures_by_likeness(page: Page) -> None:
    search(page).first.get_by_role("button").click()
    page.get_by_role("dialog").get_by_role("button", name="More like this").click()

    alike = page.locator("#photo .print")
    expect(alike.first).to_be_visible()
    assert page.evaluate("document.activeElement.id") == "content", "the keyboard goes on here"
    [asked] = parse_qs(urlsplit(page.url).query)["like"]
    assert asked in PICTURES
    assert asked not in ids(alike)
    assert re.fullmatch(r"\u2212?\d\.\d\d", alike.first.locator(".probability").inner_text())
    expect(page.locator("#photo .pictures .verdict")).to_contain_text("most alike first")
    page.get_by_role("button", name="Its sentences").click()
    expect(page.locator("#photo .sentence").first).to_be_visible()


def test_words_are_added_to_a_photo_and_taken_away(page: Page) -> None:
    page.goto(f"{page.url}?like=kite&find=pictures")
    expect(page.locator("#photo .print").first).to_be_visible()

    with page.expect_request("**/search/image-to-image") as sent:
        page.get_by_label("Describe the picture").fill("at night")
    assert body_of(sent.value)["query"] == "at night"
    assert body_of(sent.value)["image_id"] == "kite"
    expect(page.locator("#photo .probability").first).to_contain_text("%")
    page.locator("#words").get_by_role("button", name="night").hover()
    expect(page.locator("#photo .overlay.lit").first).to_be_visible()

    page.get_by_role("button", name="Put it away").click()
    expect(page.locator("#pictures .print").first).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?q=at\+night$"))


def test_a_photo_dropped_on_a_sentence_asks_together_with_it(page: Page) -> None:
    search(page)
    drop(page, "together", HOLIDAY)

    expect(page.locator("#photo .print").first).to_be_visible()
    expect(page.get_by_label("Describe the picture")).to_have_value(QUERY)
    expect(page.locator("#photo .probability").first).to_contain_text("%")


@pytest.mark.parametrize("source", ["stored", "dropped"])
def test_a_part_is_drawn_with_the_pointer(page: Page, source: str) -> None:
    if source == "stored":
        page.goto(f"{page.url}?like=beach")
    else:
        drop(page, "search", HOLIDAY)
    expect(page.locator("#photo .sentence").first).to_be_visible()
    page.get_by_role("button", name="Ask about a part").click()
    box = page.locator(".drawing").bounding_box()
    assert box is not None

    with page.expect_request("**/search/image-to-text") as sent:
        page.mouse.move(box["x"] + box["width"] * 0.02, box["y"] + box["height"] * 0.02)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.6, steps=3)
        page.mouse.up()
        expect(page).to_have_url(re.compile("region=0.02"))

    assert sent.value.response() is not None
    expect(page.get_by_role("application")).to_have_attribute(
        "aria-label", re.compile(r"from 2 to 20.% across and 2 to 60.% down")
    )
    [region] = parse_qs(urlsplit(page.url).query)["region"]
    assert [float(edge) for edge in region.split(",")] == pytest.approx(
        [0.02, 0.02, 0.2, 0.6], abs=0.01
    )
    expect(page.locator("#photo .sentence").first).to_be_visible()


def test_a_part_is_moved_and_sized_with_the_keys(page: Page) -> None:
    page.goto(f"{page.url}?like=beach")
    part = page.get_by_role("button", name="Ask about a part")
    part.press("Enter")
    box = page.get_by_role("application")
    expect(box).to_be_focused()
    expect(page).to_have_url(re.compile("region=0.250%2C0.250%2C0.750%2C0.750"))

    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    expect(page).to_have_url(re.compile("region=0.200%2C0.250%2C0.700%2C0.800"))

    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"\?like=beach$"))
    expect(part).to_be_focused()
    expect(box).to_be_hidden()


def test_the_picture_that_asks_is_no_step_that_others_moved(page: Page) -> None:
    def in_the_order_of_the_first_stage(route: Route) -> None:
        # Two pages; the picture that asks comes first, and re-ranking moves nothing.
        asked = json.loads(route.request.post_data or "{}")
        is_further = asked.pop("cursor", None) is not None
        answer = route.fetch(post_data=json.dumps(asked)).json()
        results = sorted(answer["results"], key=lambda result: result["id"] != "kite")
        for rank, result in enumerate(results, start=1):
            result["rank_before"] = rank
        page_of = results[6:] if is_further else results[:6]
        following = {} if is_further else {"next_cursor": "further"}
        answer.pop("next_cursor", None)
        route.fulfill(json={**answer, "results": page_of, **following})

    page.route("**/search/image-to-image", in_the_order_of_the_first_stage)
    page.goto(f"{page.url}?like=kite&find=pictures&q=night")
    page.mouse.wheel(0, 20_000)

    moved = page.locator("#photo .print .moved")
    expect(moved.nth(6)).to_be_attached()
    assert set(moved.all_text_contents()) == {""}


def test_a_picture_alone_is_told_that_there_are_no_others(page: Page) -> None:
    def only_itself(route: Route) -> None:
        answer = route.fetch().json()
        itself = [result for result in answer["results"] if result["id"] == "kite"]
        answer.pop("next_cursor", None)
        route.fulfill(json={**answer, "results": itself})

    page.route("**/search/image-to-image", only_itself)
    page.goto(f"{page.url}?like=kite&find=pictures")

    expect(page.locator("#photo .pictures .verdict")).to_contain_text("No other pictures")
