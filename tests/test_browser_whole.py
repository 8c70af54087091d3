"""Actions that run to their end, in a real Chromium: the listener does something else meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from real_browser import ROOT, Page, launched, serving

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(ROOT / "tests" / "whole_app.py", tmp_path_factory.mktemp("whole") / "log") as at:
        yield at


@pytest.fixture
def page(url: str) -> Iterator[Page]:
    with launched() as browser:
        page = browser.new_page()
        page.goto(url)
        page.get_by_text("Called back 0, acted 0").wait_for()
        yield page


def what_is_said(page: Page, wanted: str) -> str:
    """Return the counts that the page shows, when they are those wanted or time is up."""
    counts = page.get_by_text("Called back")
    for _ in range(80):
        if counts.inner_text() == wanted:
            break
        page.wait_for_timeout(250)
    return counts.inner_text()


@pytest.mark.parametrize(
    ("button", "said"), [("Call back", "Called back 1, acted 0"), ("Act", "Called back 0, acted 1")]
)
def test_an_action_ends_and_is_seen(page: Page, button: str, said: str) -> None:
    page.get_by_role("button", name=button).click()
    page.wait_for_timeout(300)
    page.get_by_role("button", name="Something else").click()
    assert what_is_said(page, said) == said


def test_actions_follow_one_another(page: Page) -> None:
    for _ in range(3):
        page.get_by_role("button", name="Call back").click()
        page.wait_for_timeout(200)
    assert what_is_said(page, "Called back 3, acted 0") == "Called back 3, acted 0"
