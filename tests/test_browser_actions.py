"""Actions that run to their end, in a real Chromium: the listener does something else meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from real_browser import ROOT, Page, launched, serving

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(
        ROOT / "tests" / "actions_app.py", tmp_path_factory.mktemp("actions") / "log"
    ) as at:
        yield at


@pytest.fixture
def page(url: str) -> Iterator[Page]:
    with launched() as browser:
        page = browser.new_page()
        page.goto(url)
        page.get_by_text("Called back 0, acted 0").wait_for()
        yield page


def press(page: Page, button: str) -> None:
    """Press a button, and wait until the script runs."""
    page.get_by_role("button", name=button).click()
    page.locator("[data-testid=stApp][data-test-script-state=running]").wait_for()


@pytest.mark.parametrize(
    ("button", "said"), [("Call back", "Called back 1, acted 0"), ("Act", "Called back 0, acted 1")]
)
def test_an_action_ends_and_is_seen(page: Page, button: str, said: str) -> None:
    press(page, button)
    page.get_by_role("button", name="Something else").click()
    page.get_by_text(said, exact=True).wait_for()


def test_actions_follow_one_another(page: Page) -> None:
    for _ in range(3):
        press(page, "Call back")
    page.get_by_text("Called back 3, acted 0", exact=True).wait_for()
