"""The Attributes page in a real Chromium: sliders move, and the file measures as they say."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from real_browser import (
    Browser,
    Locator,
    Page,
    allowed,
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

from musicvae_core.music.attributes import CONTROLS, _Beats, measure_controls
from musicvae_core.music.groove import Groove
from musicvae_core.music.midi.read import read_midi
from pages.attributes.page import _amount

pytestmark = [pytest.mark.browser, on(real("groove_2bar"))]

AUDIBLE = 0.01


@pytest.fixture(scope="module")
def page(address: str, browser: Browser) -> Iterator[Page]:
    with opened(browser, address) as page:
        page.get_by_role("link", name="Attributes", exact=True).click()
        page.wait_for_url(re.compile("/attributes$"))
        slider_of(page, "swing").wait_for()
        wait_for_sound(page)
        yield page


def slider_of(page: Page, name: str) -> Locator:
    """The page's slider of a control; the transport bar has a swing of its own."""
    return page.locator(".sliders").get_by_role("slider", name=CONTROLS[name].title)


def saved(page: Page) -> Groove:
    """What the card's MIDI button saves."""
    _, midi = download(page, page.locator(".card").get_by_text("MIDI", exact=True))
    return read_midi(midi).groove


def measured(groove: Groove, name: str) -> float:
    beats = _Beats(groove.hits, groove.velocities, groove.offsets)
    return float(measure_controls(beats, [name])[..., 0]) * CONTROLS[name].scale


def move(page: Page, name: str, presses: int) -> float:
    """Move a slider by the arrow keys, and return where it stands when all of it was answered."""
    control = CONTROLS[name]
    slider = slider_of(page, name)
    wait_for_rest(page)
    value = float(slider.input_value()) + presses * control.step
    assert value <= float(slider.get_attribute("max"))
    slider.focus()
    for _ in range(presses):
        page.keyboard.press("ArrowRight")
    asked = f"{control.title} {_amount(control, value / control.scale)}"
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


def test_a_drag_is_heard_at_once_and_the_search_follows_when_it_is_let_go(page: Page) -> None:
    wait_for_rest(page)
    before = state(page)["cards"][0]
    assert state(page)["playing"] == "steered"
    heard, seconds = slider_of(page, "kick_activity").evaluate(
        """input => {
            const engine = window[Symbol.for("groove-space.engine")];
            const start = performance.now();
            input.dispatchEvent(new PointerEvent("pointerdown"));
            input.value = input.max;
            input.dispatchEvent(new Event("input"));
            return [engine.now.pattern.hits, (performance.now() - start) / 1000];
        }"""
    )
    assert seconds < allowed(0.1)
    kicks = sum(hit[1] == 0 for hit in heard)
    assert kicks > sum(hit[1] == 0 for hit in before["hits"]), "the preview has more kicks"
    page.locator(".card.previewing").wait_for()
    assert state(page)["cards"][0]["note"] == before["note"], "Python was not asked yet"
    slider_of(page, "kick_activity").evaluate("input => input.dispatchEvent(new Event('change'))")
    wait_for_state(page, "now.cards[0].note.includes('Kick')")
    page.locator(".card:not(.previewing)").wait_for()
    assert state(page)["playing"] == "steered"
    shown = state(page)["cards"][0]
    assert shown["shown"]["hits"] == shown["hits"]
    page.get_by_role("button", name="Undo", exact=True).click()
    wait_for_state(page, "!now.cards[0].note.includes('Kick')")


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
