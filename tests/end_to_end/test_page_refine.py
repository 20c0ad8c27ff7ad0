"""Narrowing a search and looking deeper: tags, words to leave out, sliders, further pages."""

import json
import re

import httpx
from playwright.sync_api import Page, Route, expect

from tests.end_to_end.visiting import forgive_refusals, ids, refine, search


def test_a_tag_filters_is_in_the_address_and_can_be_taken_away(page: Page, filled: str) -> None:
    prints = search(page)
    everything = ids(prints)
    refine(page)
    counts = {t["tag"]: t["count"] for t in httpx.get(f"{filled}/tags").json()["tags"]}
    tag = min(counts, key=lambda name: (counts[name], name))
    facet = page.locator(f'.facet[data-tag="{tag}"]')
    expect(facet).to_have_text(f"{tag}{counts[tag]}")

    facet.click()
    expect(prints).to_have_count(counts[tag])
    expect(facet).to_have_attribute("aria-pressed", "true")
    expect(facet).to_be_focused()
    expect(page).to_have_url(re.compile(rf"tag={tag}$"))
    page.reload()
    expect(prints).to_have_count(counts[tag])

    page.get_by_role("button", name=f"Take away: {tag}").click()
    expect(prints).to_have_count(len(everything))
    assert ids(prints) == everything
    page.go_back()
    expect(prints).to_have_count(counts[tag])


def test_counts_are_those_of_what_is_left(page: Page, filled: str) -> None:
    search(page)
    refine(page)
    first = page.locator(".facet").first
    tag = first.get_attribute("data-tag")
    assert tag is not None
    first.click()

    left = httpx.get(f"{filled}/tags", params={"filter": json.dumps({"tag": tag})}).json()["tags"]
    expect(page.locator(".facet")).to_have_text([f"{t['tag']}{t['count']}" for t in left])


def test_without_re_ranking_the_first_stage_decides(page: Page) -> None:
    prints = search(page)
    before = ids(prints)
    refine(page)

    page.get_by_label("Candidates to re-rank").press("Home")

    expect(page.locator(".timing")).to_contain_text("0 re-ranked")
    expect(page.locator(".effect")).to_contain_text("Nothing was re-ranked")
    expect(page.locator(".stages dt")).to_have_text(["understand", "search", "fetch", "re-rank"])
    expect(page).to_have_url(re.compile("depth=0$"))
    changes = page.locator(".changes")
    expect(changes).to_have_text(re.compile("moved up|stayed the same"))
    assert ("stayed" in changes.inner_text()) == (ids(prints) == before)
    assert set(ids(prints)) == set(before)
    page.get_by_role("button", name="Take away: first stage only").click()
    expect(page.locator(".effect")).to_contain_text(re.compile(r"Re-ranking \d+ of \d+ candidates"))


def test_each_picture_tells_how_far_re_ranking_moved_it(page: Page) -> None:
    with page.expect_response("**/search/text-to-image") as answered:
        prints = search(page)
    moves = [
        result["rank_before"] - rank
        for rank, result in enumerate(answered.value.json()["results"], start=1)
    ]

    assert any(moves)
    marks = ["" if not m else f"\u2191{m}" if m > 0 else f"\u2193{-m}" for m in moves]
    assert prints.locator(".moved").all_text_contents() == marks


def test_a_least_probability_leaves_out_what_is_below_it(page: Page) -> None:
    prints = search(page)
    chances = [
        int(re.sub(r"\D", "", text)) for text in prints.locator(".probability").all_inner_texts()
    ]
    refine(page)
    least = page.get_by_label("Probability")
    least.press("Home")
    for _ in range(max(chances) // 5):
        least.press("ArrowRight")

    reached = max(chances) // 5 * 5
    expect(page.get_by_role("button", name=f"Take away: at least {reached}")).to_be_visible()
    expect(page).to_have_url(re.compile(f"least={reached}$"))
    expect(page.locator(".changes")).to_contain_text("dropped out")
    expect(page.locator(".dropped img")).not_to_have_count(0)
    for text in prints.locator(".probability").all_inner_texts():
        assert int(re.sub(r"\D", "", text)) >= reached


def test_words_are_left_out(page: Page) -> None:
    search(page)
    refine(page)

    with page.expect_request("**/search/text-to-image") as sent:
        page.get_by_label("Leave out what shows").fill("snow")

    assert json.loads(sent.value.post_data or "{}")["exclude"] == "snow"
    chosen = page.get_by_role("button", name="without \u201csnow\u201d")
    expect(chosen).to_be_visible()
    chosen.click()
    expect(chosen).to_have_count(0)
    expect(page.get_by_label("Leave out what shows")).to_have_value("")


def test_further_pages_follow_and_repeat_nothing(page: Page, filled: str) -> None:
    everything = httpx.get(f"{filled}/stats").json()["counts"]["image"]
    assert everything > 10
    search(page)
    page.goto(f"{page.url}&depth=10")
    prints = page.locator("#pictures .print")

    page.mouse.wheel(0, 20_000)

    expect(prints).to_have_count(everything)
    assert len(set(ids(prints))) == everything
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_after_an_empty_page_the_next_one_waits_for_the_button(page: Page) -> None:
    asked: list[str] = []

    def empty_pages(route: Route) -> None:
        body = route.request.post_data or ""
        if "cursor" not in body:
            route.continue_()
            return
        asked.append(body)
        answer = route.fetch().json()
        route.fulfill(json={**answer, "results": [], "next_cursor": f"page-{len(asked)}"})

    search(page)
    page.route("**/search/text-to-image", empty_pages)
    with page.expect_response(lambda response: "cursor" in (response.request.post_data or "")):
        page.goto(f"{page.url}&depth=10")
        page.mouse.wheel(0, 20_000)

    more = page.locator("#pictures .more")
    expect(more.get_by_role("button")).to_be_visible()
    expect(more).not_to_have_class(re.compile("busy"))
    # Two frames: a further request would have been sent by then.
    page.evaluate("new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")
    assert len(asked) == 1
    expect(page.locator("#pictures .print")).to_have_count(10)


def test_the_next_page_is_reached_by_the_keyboard(page: Page, complaints: list[str]) -> None:
    search(page)
    # A page that failed is not fetched again by itself, only by the button.
    page.route(
        "**/search/text-to-image",
        lambda route: (
            route.abort() if "cursor" in (route.request.post_data or "") else route.continue_()
        ),
    )
    page.goto(f"{page.url}&depth=10")
    page.mouse.wheel(0, 20_000)
    expect(page.get_by_role("alert")).to_be_visible()
    page.unroute("**/search/text-to-image")

    page.locator("#pictures").get_by_role("button", name="Show more").press("Enter")

    expect(page.locator("#pictures .frame").nth(10)).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#pictures .frame").nth(9)).to_be_focused()
    forgive_refusals(complaints)


def test_an_address_holds_it_all(page: Page) -> None:
    page.goto(f"{page.url}?q=kite&not=snow&depth=25&least=5")

    expect(page.locator("#pictures .verdict h2")).to_be_visible()
    expect(page.locator(".chosen .one")).to_have_text(
        ["without \u201csnow\u201d", re.compile("at least 5"), "25 candidates"]
    )
    page.get_by_role("button", name="Clear all").click()
    expect(page).to_have_url(re.compile(r"\?q=kite$"))
    expect(page.get_by_role("button", name="Refine")).to_be_focused()
