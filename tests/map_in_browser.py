"""What tests of the map in a real Chromium share: its points, clicks on them, what is in hand."""

from __future__ import annotations

from real_browser import Locator, Page, until

_POINTS = """
(chart) => {
    const { xaxis, yaxis } = chart._fullLayout;
    const { left, top } = chart.getBoundingClientRect();
    const points = chart._fullData.flatMap(({ customdata, x, y }) =>
        [...(customdata ?? [])].map((id, at) => ({
            id: [id].flat()[0],
            x: left + xaxis._offset + xaxis.l2p(x[at]),
            y: top + yaxis._offset + yaxis.l2p(y[at]),
        })),
    );
    const marks = [...window.overlayMarks()].map((mark) => mark.getBoundingClientRect());
    const others = marks.map((box) => ({ x: box.x + box.width / 2, y: box.y + box.height / 2 }));
    const apart = (one, other, least) =>
        one === other || Math.hypot(one.x - other.x, one.y - other.y) > least;
    return points.filter(
        (one) =>
            points.every((other) => apart(one, other, 12)) &&
            others.every((other) => apart(one, other, 25)) &&
            one.x > left + 60 && one.x < left + xaxis._length - 60 &&
            one.y > top + 60 && one.y < top + yaxis._length - 60,
    );
}
"""
"""Points in view that a pointer cannot take for another."""
CHART = ".st-key-map-area .js-plotly-plot"
_VIEW_IS_STILL = """
(root) => {
    const view = JSON.stringify(root.overlay.view);
    const isStill = view === window.lastView;
    window.lastView = view;
    return isStill;
}
"""
_RANGES = "(chart) => [...chart._fullLayout.xaxis.range, ...chart._fullLayout.yaxis.range]"


def open_map(page: Page) -> None:
    page.get_by_role("link", name="Map").click()
    chart(page).locator(".main-svg").first.wait_for()
    page.locator(".overlay .mark").first.wait_for(state="attached")
    page.wait_for_function("overlay => overlay.overlay.view", arg=overlay(page))


def chart(page: Page) -> Locator:
    return page.locator(CHART)


def overlay(page: Page) -> object:
    return page.locator(".overlay").element_handle()


def hand(page: Page) -> Locator:
    """The deck of what is in hand; neighbours have another."""
    return page.locator(".st-key-map-deck .deck")


def wait_until_playing(page: Page, start: str) -> str:
    """Wait for a card whose id begins so to play; return its id."""
    heard = ""

    def is_heard() -> bool:
        nonlocal heard
        heard = playing(page) or ""
        return heard.startswith(start)

    until(is_heard, f"a card {start!r} to play")
    return heard


def playing(page: Page) -> str | None:
    """Return the card that plays now; the deck may be another than a moment ago."""
    deck = hand(page)
    return deck.evaluate_all("decks => decks[0]?.deck?.state.playing ?? null")


def points(page: Page) -> list[dict[str, float]]:
    """Points that can be clicked, {id, x, y} in pixels, those far apart in the list too."""
    page.wait_for_function(f"() => document.querySelectorAll('{CHART}').length === 1")
    page.locator(".overlay").evaluate(
        "root => { window.overlayMarks = () => root.querySelectorAll('.mark'); }"
    )
    found = chart(page).evaluate(_POINTS)
    assert len(found) > 4, "too few points stand alone"
    return found


def click(page: Page, point: dict[str, float]) -> str:
    """Click a point; return the id of its card."""
    point_at(page, point)
    page.mouse.click(point["x"], point["y"])
    return f"point.{point['id']:.0f}"


def point_at(page: Page, point: dict[str, float]) -> None:
    page.mouse.move(point["x"] - 3, point["y"])
    page.mouse.move(point["x"], point["y"])
    page.locator(".st-key-map-area .hovertext").first.wait_for()


def play_by_click(page: Page, point: dict[str, float]) -> None:
    wanted = click(page, point)
    assert wait_until_playing(page, wanted) == wanted


def ranges(page: Page) -> list[float]:
    return chart(page).evaluate(_RANGES)


def zoom_in(page: Page) -> list[float]:
    page.wait_for_function("root => root.overlay?.view", arg=overlay(page))
    before = ranges(page)
    box = chart(page).bounding_box()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.4 * box["height"])
    page.mouse.wheel(0, -300)
    until(lambda: width(page) < 0.95 * (before[1] - before[0]), "a nearer view")
    page.wait_for_function(_VIEW_IS_STILL, arg=overlay(page), polling=200)
    return ranges(page)


def width(page: Page) -> float:
    left, right, *_ = ranges(page)
    return right - left


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()
