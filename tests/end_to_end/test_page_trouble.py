"""What goes wrong is told in words, and what can be done about it is offered."""

import json
import re

import httpx
from playwright.sync_api import Page, Route, expect

from tests.end_to_end.visiting import (
    NOT_A_PICTURE,
    QUERY,
    busy_once,
    forgive_refusals,
    ids,
    search,
)


def test_a_refused_photo_is_told_in_words(page: Page, complaints: list[str]) -> None:
    page.set_input_files("#photo-file", NOT_A_PICTURE.for_input())

    expect(page.get_by_role("alert")).to_contain_text("picture")
    forgive_refusals(complaints)


def test_a_service_that_is_gone_is_told_in_words(page: Page, complaints: list[str]) -> None:
    page.route("**/search/text-to-image", lambda route: route.abort())

    page.get_by_label("Describe the picture").fill(QUERY)

    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    page.unroute("**/search/text-to-image")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#pictures .print").first).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
    forgive_refusals(complaints)


def test_a_busy_service_is_asked_again_after_its_time(page: Page, complaints: list[str]) -> None:
    asked: list[Route] = []

    def refuse_once(route: Route) -> None:
        asked.append(route)
        if len(asked) == 1:
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"title": "Busy"})
        else:
            route.continue_()

    page.route("**/search/text-to-image", refuse_once)
    page.get_by_label("Describe the picture").fill(QUERY)

    expect(page.get_by_role("alert")).to_contain_text("busy. Asking again in 1")
    expect(page.locator("#pictures .print").first).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
    forgive_refusals(complaints)


def test_a_photo_over_the_limit_is_told_with_the_limit(page: Page, complaints: list[str]) -> None:
    # Made in the browser: to send so much through its wire takes half a minute.
    page.evaluate(
        """() => {
            const carried = new DataTransfer();
            const bytes = new Uint8Array(34_000_000);
            carried.items.add(new File([bytes], "big.jpg", { type: "image/jpeg" }));
            const input = document.getElementById("photo-file");
            input.files = carried.files;
            input.dispatchEvent(new Event("change"));
        }"""
    )

    expect(page.get_by_role("alert")).to_contain_text("The picture is too large")
    expect(page.get_by_role("alert")).to_contain_text("the limit is 33,554,432")
    forgive_refusals(complaints)


def test_an_improbable_answer_says_so_and_lists_the_nearest(page: Page) -> None:
    # The toy model is sure of nothing.
    prints = search(page)

    expect(page.locator("#pictures .verdict")).to_contain_text("Nothing here matches well")
    expect(page.get_by_role("status").first).to_contain_text("Nothing here matches well")
    expect(prints).not_to_have_count(0)


def test_nothing_reaching_the_probability_still_lists_the_nearest(page: Page) -> None:
    search(page)
    page.goto(f"{page.url}&least=95")

    verdict = page.locator("#pictures .verdict")
    expect(verdict).to_contain_text(re.compile("No picture reaches 95.%"))
    expect(page.locator("#pictures .print")).not_to_have_count(0)
    expect(page.locator("#pictures")).to_have_class(re.compile("faint"))


def test_pages_of_a_collection_that_has_changed_are_told(
    page: Page, filled: str, complaints: list[str]
) -> None:
    prints = search(page)
    page.route(
        "**/search/text-to-image",
        lambda route: (
            route.fulfill(status=410, json={"title": "The cursor's state of the index is gone"})
            if "cursor" in (route.request.post_data or "")
            else route.continue_()
        ),
    )
    page.goto(f"{page.url}&depth=10")
    page.mouse.wheel(0, 20_000)
    expect(page.get_by_role("alert")).to_contain_text("The collection has changed")
    page.unroute("**/search/text-to-image")

    page.get_by_role("button", name="Try again").click()
    page.mouse.wheel(0, 20_000)

    expect(prints).to_have_count(httpx.get(f"{filled}/stats").json()["counts"]["image"])
    expect(page.get_by_role("alert")).to_be_hidden()
    forgive_refusals(complaints)


def test_an_address_that_makes_no_sense_is_read_as_far_as_it_does(page: Page) -> None:
    page.goto(f"{page.url}?q=kite&region=a,b&depth=-3&least=900&find=gold")

    expect(page.locator("#pictures .print").first).to_be_visible()
    expect(page.locator(".chosen li")).to_have_count(0)


def test_a_picture_that_is_gone_is_told(page: Page, complaints: list[str]) -> None:
    page.goto(f"{page.url}?like=never-there")

    expect(page.get_by_role("alert")).to_contain_text("There is no such item")
    forgive_refusals(complaints)


def test_earlier_results_stay_until_the_new_ones_are_there(page: Page) -> None:
    prints = search(page, "two dogs")
    before = ids(prints)
    held: list[Route] = []
    page.route("**/search/text-to-image", lambda route: held.append(route))

    with page.expect_request("**/search/text-to-image"):
        page.get_by_label("Describe the picture").fill("a green field")
    assert ids(prints) == before
    [route] = held
    assert json.loads(route.request.post_data or "{}")["query"] == "a green field"
    route.continue_()

    expect(page.locator("#words .word").nth(1)).to_have_text("green")
    expect(page.locator("#words:not(.stale)")).to_be_visible()


def test_trying_again_gives_the_focus_on(page: Page, complaints: list[str]) -> None:
    page.route("**/search/text-to-image", lambda route: route.abort())
    page.get_by_label("Describe the picture").fill(QUERY)
    again = page.get_by_role("button", name="Try again")
    with page.expect_request("**/search/text-to-image"):
        again.press("Enter")
    expect(again).to_be_focused()
    page.unroute("**/search/text-to-image")

    again.press("Enter")

    expect(page.locator("#pictures .print").first).to_be_visible()
    expect(page.locator("#content")).to_be_focused()
    forgive_refusals(complaints)


def test_a_start_that_failed_is_read_again_when_it_is_seen_next(
    page: Page, complaints: list[str]
) -> None:
    page.route("**/stats", lambda route: route.abort())
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    search(page)
    expect(page.get_by_role("alert")).to_be_hidden()
    page.unroute("**/stats")

    page.go_back()

    expect(page.locator(".contact-sheet img").first).to_be_visible()
    expect(page.locator("#counts")).to_contain_text("pictures")
    forgive_refusals(complaints)


def test_a_busy_service_is_asked_for_the_start_again(page: Page, complaints: list[str]) -> None:
    busy_once(page, "**/stats")
    page.reload()

    expect(page.get_by_role("alert")).to_contain_text("busy. Asking again in 1")
    expect(page.locator(".contact-sheet img").first).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
    forgive_refusals(complaints)


def test_a_photo_that_could_not_be_seen_is_tried_again(page: Page, complaints: list[str]) -> None:
    page.route("**/images/beach/thumbnail", lambda route: route.abort())
    page.goto(f"{page.url}?like=beach")
    expect(page.locator("#photo .sentence").first).to_be_visible()
    picture = page.get_by_alt_text("The picture that asks")
    expect(picture).to_be_hidden()
    page.unroute("**/images/beach/thumbnail")

    page.get_by_role("button", name="Pictures like it").click()

    expect(picture).to_be_visible()
    forgive_refusals(complaints)


def test_no_page_of_an_old_answer_is_asked_for_while_a_new_one_comes(
    page: Page, complaints: list[str]
) -> None:
    held: list[Route] = []
    further: list[Route] = []

    def hold_the_second(route: Route) -> None:
        is_further = "cursor" in (route.request.post_data or "")
        if is_further:
            further.append(route)
        if is_further and not held:
            route.abort()
        elif further and not held:
            held.append(route)
        else:
            route.continue_()

    search(page)
    page.route("**/search/text-to-image", hold_the_second)
    page.goto(f"{page.url}&depth=10")
    page.mouse.wheel(0, 20_000)
    expect(page.get_by_role("alert")).to_be_visible()
    with page.expect_request("**/search/text-to-image"):
        page.get_by_role("button", name="Try again").click()

    page.locator("#pictures").get_by_role("button", name="Show more").click()

    expect(page.locator("#pictures .more")).not_to_have_class(re.compile("busy"))
    assert len(further) == 1
    held[0].continue_()
    expect(page.get_by_role("alert")).to_be_hidden()
    forgive_refusals(complaints)
