"""The Attributes page in a real Chromium: a slider is moved, and the file says it arrived."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from real_browser import (
    Browser,
    Page,
    download,
    loudest,
    on,
    opened,
    play,
    real,
    state,
    wait_for_rest,
    wait_for_sound,
    wait_for_state,
)

from musicvae_core.attributes import Beats
from musicvae_core.controls import CONTROLS
from musicvae_core.groove import Groove
from musicvae_core.midi import read_midi
from pages.components.attributes.sliders import amount

pytestmark = [pytest.mark.browser, on(real("groove_2bar"))]

AUDIBLE = 0.01


@pytest.fixture(scope="module")
def page(address: str, browser: Browser) -> Iterator[Page]:
    with opened(browser, address) as page:
        page.get_by_role("link", name="Attributes", exact=True).click()
        page.wait_for_url(re.compile("/attributes$"))
        page.get_by_role("slider", name=re.compile("^Swing")).wait_for()
        wait_for_sound(page)
        yield page


def saved(page: Page) -> Groove:
    """What the card's MIDI button saves."""
    return read_midi(download(page, page.locator(".card").get_by_text("MIDI"))[1]).groove


def measured(groove: Groove, name: str) -> float:
    beats = Beats(groove.hits, groove.velocities, groove.offsets)
    return float(CONTROLS[name].measure(beats)) * CONTROLS[name].scale


def move(page: Page, name: str, presses: int) -> float:
    """Move a slider by the arrow keys, and return where it stands when all of it was answered."""
    control = CONTROLS[name]
    slider = page.get_by_role("slider", name=re.compile(f"^{control.title}"))
    wait_for_rest(page)
    value = float(slider.input_value()) + presses * control.step
    assert value <= float(slider.get_attribute("max"))
    slider.focus()
    for _ in range(presses):
        page.keyboard.press("ArrowRight")
    asked = f"{control.title} {amount(control, value / control.scale)}"
    wait_for_state(page, f"now.cards[0].note.includes({asked!r})")
    wait_for_rest(page)
    assert float(slider.input_value()) == pytest.approx(value), "a press was lost"
    return value


def test_a_slider_moves_the_sound_while_it_plays_and_the_file_measures_as_it_says(
    page: Page,
) -> None:
    play(page)
    assert loudest(page) > AUDIBLE
    swing = move(page, "swing", 15)
    assert state(page)["playing"] == "steered", "the loop plays on"
    assert loudest(page) > AUDIBLE
    snare = move(page, "snare_activity", 4)
    groove = saved(page)
    assert measured(groove, "swing") == pytest.approx(swing, abs=4.0)
    assert measured(groove, "snare_activity") == pytest.approx(snare, abs=1.0)


def test_before_and_after_change_places_and_undo_leads_back(page: Page) -> None:
    steered = state(page)["cards"][0]["hits"]
    page.locator(".card").get_by_text("Before").click()
    wait_for_state(page, "now.playing === 'steered' && now.cards[0].comparing")
    page.locator(".card").get_by_text("After").click()
    page.get_by_role("button", name="Reset all").click()
    wait_for_state(page, "now.cards[0].note === 'As the model plays it'")
    assert state(page)["cards"][0]["hits"] != steered
    page.get_by_role("button", name="Undo", exact=True).click()
    wait_for_state(page, "now.cards[0].note !== 'As the model plays it'")
    assert state(page)["cards"][0]["hits"] == steered
