"""Long work shows that it is under way, on what will change, in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from real_browser import Page, on, wait_for_rest, wait_for_sound, wait_for_state

pytestmark = [pytest.mark.browser, on("slow")]

_IS_MARKED = """
(key) => {
    const box = document.querySelector(`.st-key-${key}`)?.closest(".stElementContainer")
        ?? document.querySelector(`.st-key-${key}`);
    const mark = getComputedStyle(box, "::after");
    const { top, bottom } = box.getBoundingClientRect();
    const isInView = top < innerHeight && bottom > 0;
    return isInView && mark.content.includes("Working") && Number(mark.opacity) > 0.9;
}
"""


def visit(page: Page, title: str) -> None:
    page.get_by_role("link", name=title, exact=True).click()
    page.wait_for_url(re.compile(f"/{title.lower().replace(' ', '_')}$"))
    page.locator(".card:visible").first.wait_for()
    wait_for_sound(page)
    wait_for_rest(page)


def assert_marked(page: Page, key: str, act: Callable[[], None]) -> None:
    """Check that a deck says that it is being changed, from an act until the change is there."""
    assert not page.evaluate(_IS_MARKED, key)
    act()
    page.wait_for_function(_IS_MARKED, arg=key)
    wait_for_rest(page)
    assert not page.evaluate(_IS_MARKED, key)


def test_the_deck_that_will_change_says_so(page: Page) -> None:
    wait_for_rest(page)
    assert_marked(page, "sample-deck", page.get_by_role("button", name="New grooves").click)
    visit(page, "Groove lab")
    first = page.locator(".st-key-groove_lab-do button")
    first.click()
    wait_for_state(page, "now.cards[0].before")
    wait_for_rest(page)
    assert_marked(page, "groove_lab-deck", first.click)
    visit(page, "Attributes")
    slider = page.locator(".sliders").get_by_role("slider").first
    assert_marked(page, "attributes-deck", lambda: slider.fill(slider.get_attribute("max")))
