"""Stars in a real Chromium: given and taken away faster than Python answers."""

from __future__ import annotations

import pytest
from real_browser import Page, faked, ids, state, wait_for_rest, wait_for_state

pytestmark = [pytest.mark.browser, faked]


def open_favourites(page: Page) -> None:
    page.get_by_role("link", name="Library").click()
    page.locator(".st-key-favourites-undo").wait_for()
    wait_for_rest(page)


def star(page: Page, *cards: int) -> None:
    """Click the stars of some cards, one right after the other, and wait until Python has them."""
    for card in cards:
        page.locator(".card .keep").nth(card).click()
    kept = len(cards)
    wait_for_state(page, f"now.cards.filter((card) => card.kept).length === {kept}")
    wait_for_rest(page)


def focused(page: Page) -> list[str]:
    """The class of what has the focus on a card, and the card's id."""
    return page.locator(".deck").evaluate(
        """(deck) => {
            const { activeElement } = deck.getRootNode();
            return [activeElement?.className, activeElement?.closest(".card").dataset.card];
        }"""
    )


def test_a_star_that_is_given_and_taken_at_once_is_dark_here_and_in_python(page: Page) -> None:
    button = page.locator(".card .keep").first
    assert button.get_attribute("title").startswith("Add ")
    button.dblclick()
    wait_for_state(page, "now.cards[0].revisions.keep === 2")
    assert not state(page)["cards"][0]["kept"]
    assert button.get_attribute("aria-pressed") == "false"
    open_favourites(page)
    assert page.locator(".card").count() == 0


def test_stars_that_follow_one_another_quickly_are_all_kept_and_undone_one_by_one(
    page: Page,
) -> None:
    starred = [state(page)["cards"][card]["name"] for card in range(6)]
    star(page, *range(6))
    open_favourites(page)
    wait_for_state(page, "now.cards.length === 6")
    assert {card["name"] for card in state(page)["cards"]} == set(starred)
    page.get_by_role("button", name="Undo").click()
    wait_for_state(page, "now.cards.length === 5")
    assert page.locator(".card .keep").first.get_attribute("title").startswith("Remove ")


def test_the_focus_goes_to_the_card_beside_the_one_that_loses_its_star(page: Page) -> None:
    star(page, 0, 1, 2)
    open_favourites(page)
    wait_for_state(page, "now.cards.length === 3")
    first, middle, last = ids(page)
    page.locator(".card .keep").nth(1).focus()
    page.keyboard.press("Enter")
    wait_for_state(page, "now.cards.length === 2")
    assert focused(page) == ["card", last]
    page.locator(".card .keep").nth(1).focus()
    page.keyboard.press("Enter")
    wait_for_state(page, "now.cards.length === 1")
    assert focused(page) == ["card", first]
    assert middle not in ids(page)
