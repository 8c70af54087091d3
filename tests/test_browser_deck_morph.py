"""The morph of a card in a real Chromium: dragged, and heard in time without a seam."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from deck_in_browser import (
    card,
    is_loop,
    loop_of,
    marks,
    record,
    samples,
    showing,
    wait_for_events,
)
from fake_studio import SAMPLE_RATE, fake_note
from real_browser import (
    Page,
    Recording,
    allowed,
    download,
    in_real_time,
    origin_of,
    play,
    wait_for_state,
)

from musicvae_core.music.midi.read import read_midi

pytestmark = marks

MOVE_TO_SOUND_SECONDS = 0.030

_PRESS_AT_ONCE = """
(field, keys) => {
    const press = (key) => new KeyboardEvent("keydown", { key, bubbles: true });
    for (const key of keys) field.dispatchEvent(press(key));
}
"""


def drag(recording: Recording, shares: list[float], pause_seconds: float) -> list[int]:
    """Hold the strip at the first share of its length, move on to the others, and let go.

    Returns which of the recording's `acts` is the first at each of the others.
    """
    page = recording.page
    box = page.locator(".marks").first.bounding_box()
    left, width, middle = box["x"], box["width"], box["y"] + box["height"] / 2
    page.mouse.move(left + shares[0] * width, middle)
    page.mouse.down()
    reached = []
    for share in shares[1:]:
        recording.wait(pause_seconds)
        reached.append(page.evaluate("window.recording.acts.length"))
        page.mouse.move(left + share * width, middle)
    recording.wait(pause_seconds)
    page.mouse.up()
    return reached


def voice_of(heard: np.ndarray) -> int:
    """Which voice of the strip's seven is struck at the start of what is heard."""
    notes = [fake_note("standard", voice, 127)[: len(heard), 0] for voice in range(2, 9)]
    return 2 + int(np.argmin([np.abs(heard - note).max() for note in notes]))


@showing("voices")
@in_real_time
def test_dragging_the_strip_changes_the_groove_at_once_in_phase(page: Page) -> None:
    play(page)
    recording = record(page)
    acts = drag(recording, [0, 1 / 6, 2 / 6, 5 / 6, 1], 0.3)
    recording.wait(0.3)
    heard = recording.stop()
    reached = recording.acts[acts]

    first = loop_of(card(page)["morph"]["places"][0]["hits"])
    origin = origin_of(first, heard[: samples(0.3)])
    step = SAMPLE_RATE / 8
    numbers = np.arange(np.ceil(origin / step), (origin + len(heard)) // step)
    onsets = np.rint(numbers * step).astype(int) - origin
    notes = [heard[onset : onset + int(step) - 1] for onset in onsets]
    voices = np.array([voice_of(note) for note in notes])
    for voice, note in zip(voices, notes, strict=True):
        exact = fake_note("standard", int(voice), 127)[: len(note), 0]
        np.testing.assert_allclose(note, exact, atol=0.01)
    chosen = np.array([2, 3, 4, 7, 8])
    most = samples(allowed(MOVE_TO_SOUND_SECONDS))
    assert (voices >= chosen[np.searchsorted(reached, onsets - most)]).all()
    assert (voices <= chosen[np.searchsorted(reached, onsets)]).all()
    assert set(voices) == set(chosen)


@showing("strip")
@in_real_time
def test_a_fast_sweep_makes_no_click_and_keys_notify_python_once(page: Page) -> None:
    play(page)
    recording = record(page)
    drag(recording, list(np.linspace(0, 1, 30)), 0.002)
    recording.wait(0.6)
    heard = recording.stop()
    loops = [loop_of(place["hits"]) for place in card(page)["morph"]["places"]]
    tail = heard[-samples(0.4) :]
    assert is_loop(tail, loops[32], origin_of(loops[32], tail)).all()
    steepest = max(np.abs(np.diff(loop)).max() for loop in loops)
    assert np.abs(np.diff(heard)).max() < 1.5 * steepest

    page.locator(".field").focus()
    page.keyboard.press("Home")
    told = len(wait_for_events(page, "move", 2))
    page.locator(".field").evaluate(
        _PRESS_AT_ONCE, ["ArrowRight", "ArrowRight", "End", "ArrowLeft"]
    )
    wait_for_state(page, "now.cards[0].place === 31")
    assert wait_for_events(page, "move", told + 1)[told:] == [["strip", [31 / 32, 0]]]
    slider = page.get_by_role("slider", name="Morph of strip")
    assert slider.get_attribute("aria-valuetext") == "97% of the way from Rock to Bossa"
    assert card(page)["shown"]["hits"] == card(page)["morph"]["places"][31]["hits"]
    assert page.get_by_role("button", name="download strip-step-32.mid").count() == 1


@showing("pad")
def test_the_pad_is_dragged_in_both_directions_and_saves_what_is_under_the_pointer(
    page: Page,
) -> None:
    box = page.locator(".marks").bounding_box()
    page.mouse.move(box["x"], box["y"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.77 * box["height"], steps=4)
    page.mouse.up()
    assert card(page)["place"] == 3 * 5 + 2
    [[name, (across, down)]] = wait_for_events(page, "move")
    assert (name, across, down) == ("pad", 0.5, pytest.approx(37 / 48)), "between two rows"
    hits = card(page)["shown"]["hits"]
    _, midi = download(page, page.locator(".card").get_by_text("MIDI", exact=True))
    assert read_midi(midi).groove.n_hits == len(hits)
    _, data = download(page, page.locator(".card").get_by_text("WAV"))
    pcm, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate == SAMPLE_RATE
    np.testing.assert_allclose(pcm[:, 0] / 32_767, loop_of(hits), atol=0.01)
