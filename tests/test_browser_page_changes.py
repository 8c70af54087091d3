"""Clicks that come while the page changes, on a slow machine: none ends in a red page."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from real_browser import (
    APPS,
    PATIENCE_MS,
    Browser,
    Page,
    needs,
    opened,
    playwright,
    serving,
    wait_for_rest,
    wait_for_sound,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = ("Sample", "Morph", "Attributes", "Map", "Long form", "Groove lab", "Library", "About")
SLOWDOWN = 4
N_TRIES = 12
CLICKS, EVERY_MS = 8, 35  # all within 0.3 s of the click on another page

_CLICK_MEANWHILE = """
async ([title, turn, clicks, everyMs]) => {
    const inside = (root, selector) => [
        ...root.querySelectorAll(selector),
        ...[...root.querySelectorAll("*")].flatMap((one) =>
            one.shadowRoot ? inside(one.shadowRoot, selector) : []),
    ];
    const main = document.querySelector("[data-testid=stMain]");
    const cards = inside(main, ".card .keep, .card .more, .transport button, .overlay .mark");
    const buttons = inside(main, "[data-testid=stButton] button:enabled");
    const known = [...cards.slice(0, 24), ...buttons, ...cards.slice(0, 2)];
    const links = [...document.querySelectorAll("a[data-testid=stTopNavLink]")];
    const link = links.find((one) => one.textContent.includes(title));
    link.click();
    let done = 0;
    for (let at = 0; at < clicks; at += 1) {
        await new Promise((resume) => setTimeout(resume, everyMs));
        const target = known[(turn * 5 + at * 7) % known.length];
        if (!target) continue;
        target.dispatchEvent(new MouseEvent("click", { bubbles: true, composed: true }));
        done += 1;
    }
    return done;
}
"""


def open_page(page: Page, title: str) -> None:
    """Click on a page's link until it is open, if it is not yet.

    Streamlit runs the last event it was sent, on the page that this one came from: an earlier
    click that arrives late brings the old page back.
    """
    link = page.get_by_test_id("stTopNavLink").filter(has_text=title)
    chosen = page.locator("[data-testid=stTopNavLink][aria-current=page]").filter(has_text=title)
    for _ in range(N_TRIES):
        wait_for_rest(page)
        if chosen.is_visible():
            return
        link.click()
        with suppress(playwright.TimeoutError):
            chosen.wait_for(timeout=PATIENCE_MS / N_TRIES)
    pytest.fail(f"{title} did not open in {N_TRIES} clicks")


def tour(titles: Sequence[str]) -> list[str]:
    """Return a way through pages on which each follows every other once."""
    left = {here: [there for there in titles if there != here] for here in titles}
    way, done = [titles[0]], []
    while way:
        if left[way[-1]]:
            way.append(left[way[-1]].pop())
        else:
            done.append(way.pop())
    return done[::-1]


def change_pages(address: str, browser: Browser, log: Path, titles: tuple[str, ...]) -> int:
    """Go from every page to every other, clicking on; return how many clicks there were."""
    n_clicks = 0
    with opened(browser, address) as page:
        page.locator(".card .keep").first.click()  # so that the library has a card
        session = page.context.new_cdp_session(page)
        for turn, (here, there) in enumerate(pairwise(tour(titles))):
            session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
            n_clicks += page.evaluate(_CLICK_MEANWHILE, [there, turn, CLICKS, EVERY_MS])
            session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
            open_page(page, there)  # if a click brought the old page back
            red = page.locator("[data-testid=stException]")
            assert red.count() == 0, f"{here} to {there}: {red.first.inner_text()}"
        open_page(page, titles[0])
        wait_for_sound(page)
    output = log.read_text()
    assert "Traceback" not in output, output[-4000:]
    return n_clicks


def test_no_click_during_a_change_of_page_ends_a_run(browser: Browser, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(APPS["fake"], log) as address:
        assert change_pages(address, browser, log, PAGES) > 200


@needs("groove_2bar")
def test_no_click_during_a_change_of_page_ends_a_run_with_models_either(
    browser: Browser, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with serving(APPS["real"], log) as address:
        assert change_pages(address, browser, log, ("Sample", "Map", "Long form")) > 20
