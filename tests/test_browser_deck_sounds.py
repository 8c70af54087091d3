"""Sounds that come late or not at all, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from real_browser import Page, faked, ids, loudest_of, until, wait_for_rest, wait_for_state

pytestmark = [pytest.mark.browser, faked]

MEDIA = "**/media/**"
AUDIBLE = 0.01


def sample(page: Page) -> None:
    """Press Sample and wait for the new grooves; their sounds may still be under way."""
    before = ids(page)
    page.locator(".st-key-sample button:visible").click()
    wait_for_state(page, f"now.cards.length && now.cards[0].id !== {before[0]!r}")
    wait_for_rest(page)


@contextmanager
def held_back(page: Page) -> Iterator[None]:
    """Let no sound arrive before the end of the block."""
    page.route(MEDIA, lambda route: None)
    yield
    page.unroute(MEDIA)  # what was under way goes on


def click_again(page: Page) -> None:
    page.locator(".card .play").first.click()


def leave(page: Page) -> None:
    page.get_by_role("link", name="About").click()
    page.get_by_role("heading", name="The drummers").wait_for()
    wait_for_rest(page)


@pytest.mark.parametrize("button", [".play", "text=WAV"])
def test_a_sound_that_cannot_be_had_is_said_on_its_card_until_it_can(
    page: Page, button: str
) -> None:
    page.route(MEDIA, lambda route: route.fulfill(status=500, body="Broken"))
    sample(page)
    card = page.locator(".card").first
    note = card.locator(".note")
    where_from = note.inner_text()
    assert where_from
    card.locator(button).click()
    until(lambda: note.inner_text() != where_from, "the note to change")
    assert "could not be loaded" in note.inner_text()
    page.unroute(MEDIA)
    card.locator(button).click()
    until(lambda: "could not" not in note.inner_text(), "the complaint to go")
    assert note.inner_text() == where_from


@pytest.mark.parametrize("change_of_mind", [click_again, leave, sample])
def test_a_sound_that_is_late_is_not_played_when_it_is_no_longer_wanted(
    page: Page, change_of_mind
) -> None:
    deck = page.locator(".deck").element_handle()
    with held_back(page):
        sample(page)
        page.locator(".card .play").first.click()
        change_of_mind(page)
    page.wait_for_load_state("networkidle")
    assert loudest_of(deck, 1.5) < AUDIBLE
    assert deck.evaluate("deck => deck.deck.state.playing") is None
