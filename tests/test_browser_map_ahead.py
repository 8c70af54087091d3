"""A click on the map is heard and ringed before Python answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from map_in_browser import (
    CHART,
    chart,
    choose,
    click,
    hand,
    open_map,
    overlay,
    play_by_click,
    playing,
    point_at,
    points,
)
from real_browser import (
    Browser,
    Locator,
    Page,
    opened,
    playwright,
    until,
    wait_for_rest,
    wait_for_sound,
)

pytestmark = pytest.mark.browser

_ENGINE = "window[Symbol.for('groove-space.engine')]"
_NOW = f"() => {_ENGINE}.now && [{_ENGINE}.now.key, {_ENGINE}.now.pattern.hits]"

_THREE_FRAMES = """
async () => {
    for (let drawn = 0; drawn < 3; drawn++) await new Promise(requestAnimationFrame);
}
"""
"""A space is drawn, and what lies under the pointer found, at a pace of the machine's own."""
_UNKNOWN_TO_PYTHON = """
(chart, id) => {
    for (const trace of chart._fullData.filter(({ customdata }) => customdata)) {
        trace.customdata = Array.from(trace.customdata, (own) => (own === id ? 999999999 : own));
    }
}
"""


class Line:
    """The connection of a page to its server, which can be held up."""

    def __init__(self) -> None:
        self.held: list[bytes | str] | None = None

    def hold(self, page: Page) -> None:
        """Keep what the browser says from the server from now on."""
        self.held = []
        page.evaluate("1")

    def release(self) -> None:
        held, self.held = self.held or [], None
        for message in held:
            self._server.send(message)

    def relay(self, line: playwright.WebSocketRoute) -> None:
        self._server = line.connect_to_server()
        line.on_message(self._pass_on)

    def _pass_on(self, message: bytes | str) -> None:
        if self.held is None:
            self._server.send(message)
        else:
            self.held.append(message)


@contextmanager
def map_open(browser: Browser, address: str) -> Iterator[tuple[Page, Line]]:
    """The Map page, once the browser has the notes of its points."""
    with opened(browser, address, viewport={"width": 1440, "height": 1000}) as page:
        line = Line()
        page.route_web_socket("**/_stcore/stream", line.relay)
        page.reload()
        wait_for_sound(page)
        open_map(page)
        play_by_click(page, points(page)[0])  # a rerun brings the notes
        until(lambda: page.evaluate(f"{_ENGINE}.ahead.has('map.deck')"), "the notes of all points")
        wait_for_rest(page)
        yield page, line


@pytest.fixture
def opened_map(serve, browser: Browser) -> Iterator[tuple[Page, Line]]:
    with map_open(browser, serve("fake")) as both:
        yield both


def heard(page: Page) -> tuple[str, list]:
    key, hits = page.evaluate(_NOW)
    return key, hits


def test_a_click_is_heard_before_python_knows_and_its_card_plays_on(
    opened_map: tuple[Page, Line],
) -> None:
    page, line = opened_map
    point = points(page)[-1]
    line.hold(page)
    wanted = click(page, point)
    until(lambda: heard(page)[0] == f"map.deck/{wanted}", "the point")
    _, ahead = heard(page)
    name = page.locator(".transport .name").inner_text()
    assert playing(page) is None, "its card is there before Python has drawn it"
    page.wait_for_function(f"{_ENGINE}.passes > 0.3")
    line.release()
    until(lambda: playing(page) == wanted, "its card")
    wait_for_rest(page)
    [card, *_] = hand(page).evaluate("deck => deck.deck.state.cards")
    assert ahead == card["hits"]
    assert name == card["name"]
    assert page.evaluate(f"{_ENGINE}.passes") > 0.3, "it began once more"


def test_of_several_quick_clicks_the_last_one_plays_and_no_answer_interrupts_it(
    opened_map: tuple[Page, Line],
) -> None:
    page, line = opened_map
    there = points(page)
    line.hold(page)
    first, last = click(page, there[-1]), click(page, there[len(there) // 2])
    page.wait_for_function(f"{_ENGINE}.passes > 0.3")
    keys: list[str] = []
    page.expose_function("tell", lambda key: keys.append(key))
    page.evaluate(f"{_ENGINE}.addEventListener('state', () => tell({_ENGINE}.now?.key))")
    line.release()
    until(lambda: playing(page) == last, "the last one's card")
    wait_for_rest(page)
    assert f"map.deck/{first}" not in keys
    assert page.evaluate(f"{_ENGINE}.passes") > 0.3


def test_what_is_stopped_before_python_answers_stays_silent(opened_map: tuple[Page, Line]) -> None:
    page, line = opened_map
    line.hold(page)
    wanted = click(page, points(page)[-1])
    until(lambda: heard(page)[0] == f"map.deck/{wanted}", "the point")
    page.locator(".transport .play").click()
    line.release()
    card = hand(page).locator(f"[data-card='{wanted}']")
    card.wait_for()
    wait_for_rest(page)
    assert playing(page) is None


def test_a_groove_that_was_edited_is_heard_as_edited(opened_map: tuple[Page, Line]) -> None:
    page, _ = opened_map
    there = points(page)
    edited = click(page, there[-1])
    until(lambda: playing(page) == edited, "the card")
    wait_for_rest(page)
    before = hand(page).evaluate("deck => deck.deck.state.cards[0].hits")
    hand(page).locator(".card .edit").first.click()
    hand(page).locator(".card canvas.editable").first.focus()
    page.keyboard.press("Enter")
    until(
        lambda: hand(page).evaluate("deck => deck.deck.state.cards[0].hits") != before, "the edit"
    )
    wait_for_rest(page)
    play_by_click(page, there[0])
    wait_for_rest(page)
    keys: list[tuple[str, int]] = []
    page.expose_function("tell", lambda key, n_hits: keys.append((key, n_hits)))
    page.evaluate(
        f"{_ENGINE}.addEventListener('state', () => "
        f"tell({_ENGINE}.now?.key, {_ENGINE}.now?.pattern.hits.length))"
    )
    play_by_click(page, there[-1])
    wait_for_rest(page)
    numbers = {n_hits for key, n_hits in keys if key == f"map.deck/{edited}"}
    assert numbers
    assert len(before) not in numbers


def test_where_hovering_plays_the_point_under_the_pointer_is_heard_and_not_selected(
    opened_map: tuple[Page, Line],
) -> None:
    page, _ = opened_map
    there = points(page)
    before = hand(page).evaluate("deck => deck.deck.state.cards[0].id")
    point_at(page, there[-1])
    assert heard(page)[0] == f"map.deck/{before}", "hovering plays, though nobody asked for it"
    page.locator(".st-key-map-hover label").click()
    point = there[len(there) // 2]

    def is_heard() -> bool:
        page.mouse.move(there[0]["x"], there[0]["y"])
        point_at(page, point)
        key = f"map.deck/point.{point['id']:.0f}"
        try:
            page.wait_for_function(f"{_ENGINE}.now.key === '{key}'", timeout=2_000)
        except playwright.TimeoutError:
            return False  # Python may not have turned it on yet
        return True

    until(is_heard, "the point")
    wait_for_rest(page)
    assert hand(page).evaluate("deck => deck.deck.state.cards[0].id") == before


def test_a_click_rings_a_point_or_a_mark_before_python_knows(opened_map: tuple[Page, Line]) -> None:
    page, line = opened_map
    point = points(page)[-1]
    line.hold(page)
    click(page, point)
    wait_for_ring(page, point["x"], point["y"])
    line.release()
    wait_for_rest(page)
    wait_for_ring(page, point["x"], point["y"])
    mark = page.locator(".overlay .mark").first
    x, y = centre(mark)
    line.hold(page)
    mark.dispatch_event("click")
    wait_for_ring(page, x, y)
    line.release()
    wait_for_rest(page)
    wait_for_ring(page, x, y)


def test_the_ring_goes_back_if_python_does_not_know_the_point(
    opened_map: tuple[Page, Line],
) -> None:
    page, line = opened_map
    known, unknown = points(page)[:2]
    chart(page).evaluate(_UNKNOWN_TO_PYTHON, unknown["id"])
    line.hold(page)
    click(page, unknown)
    wait_for_ring(page, unknown["x"], unknown["y"])
    line.release()
    wait_for_ring(page, known["x"], known["y"])


def test_a_point_in_space_can_be_clicked_and_is_ringed_at_once_where_it_is(
    opened_map: tuple[Page, Line],
) -> None:
    page, line = opened_map
    choose(page, "Map", "PCA in 3D")
    page.locator(".st-key-map-area .gl-container canvas").first.wait_for()
    wait_for_rest(page)
    page.wait_for_function(f"() => document.querySelectorAll('{CHART}').length === 1")
    chart(page).wait_for()
    page.wait_for_function("overlay => overlay.overlay.view", arg=overlay(page))
    line.hold(page)
    x, y = click_in_space(page, chart(page).bounding_box())
    wait_for_ring(page, x, y, within=25)
    line.release()
    wait_for_rest(page)
    wait_for_ring(page, x, y, within=25)


def wait_for_ring(page: Page, x: float, y: float, within: float = 3) -> None:
    """Wait until the ring around the selected groove is at a place on the page, in pixels."""

    def is_there() -> bool:
        ring = page.locator(".overlay .now")
        return ring.is_visible() and centre(ring) == pytest.approx((x, y), abs=within)

    until(is_there, f"the ring at {x:.0f}, {y:.0f}")


def centre(shown: Locator) -> tuple[float, float]:
    box = shown.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def click_in_space(page: Page, box: dict[str, float]) -> tuple[float, float]:
    """Move the pointer about the middle of a chart until it clicks a point; return where."""
    label = page.locator(".st-key-map-area .hovertext")
    before = heard(page)
    for step in range(120):
        x = box["x"] + box["width"] * (0.3 + 0.4 * (step % 12) / 12)
        y = box["y"] + box["height"] * (0.3 + 0.4 * (step // 12) / 10)
        page.mouse.move(x, y)
        page.evaluate(_THREE_FRAMES)
        if label.count():
            page.evaluate(_THREE_FRAMES)  # the label may be that of the place before
        if label.count():
            page.mouse.down()
            page.mouse.up()
            page.evaluate(_THREE_FRAMES)
            if heard(page) != before:
                return x, y
    pytest.fail("no point lies about the middle")
