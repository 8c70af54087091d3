"""Actions that run to their end, in a real Chromium: the listener does something else meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from real_browser import Browser, Page, on

pytestmark = [pytest.mark.browser, on("actions")]


@pytest.fixture
def page(address: str, browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(address)
    page.get_by_text("Called back 0, acted 0").wait_for()
    yield page
    page.close()


def press(page: Page, button: str) -> None:
    """Press a button, and wait until the script runs."""
    page.get_by_role("button", name=button).click()
    page.locator("[data-testid=stApp][data-test-script-state=running]").wait_for()


@pytest.mark.parametrize(
    ("button", "text"), [("Call back", "Called back 1, acted 0"), ("Act", "Called back 0, acted 1")]
)
def test_an_action_ends_and_is_seen(page: Page, button: str, text: str) -> None:
    press(page, button)
    page.get_by_role("button", name="Something else").click()
    page.get_by_text(text, exact=True).wait_for()


def test_no_click_is_lost_while_an_action_runs(page: Page) -> None:
    press(page, "Call back")
    page.get_by_role("button", name="Call back").click()
    page.get_by_role("button", name="Something else").click()
    page.get_by_text("Called back 2, acted 0", exact=True).wait_for()


def test_all_presses_of_one_button_are_carried_out(page: Page) -> None:
    press(page, "Call back")
    for _ in range(3):
        page.get_by_role("button", name="Call back").click()
    page.get_by_text("Called back 4, acted 0", exact=True).wait_for()
