"""Melodies in a real Chromium: sampled, heard at their pitches, saved, kept, morphed and edited."""

from __future__ import annotations

import base64
import io
import wave

import numpy as np
import pytest
from deck_in_browser import showing
from real_browser import (
    Page,
    download,
    loudest,
    on,
    play,
    real,
    state,
    until,
    wait_for_rest,
    wait_for_state,
)

from musicvae_core.music.line_midi import read_line, read_piece
from musicvae_core.music.share import read_share_code

pytestmark = pytest.mark.browser
melodic = on(real("melody_2bar"))

SAMPLE_RATE = 44_100
AUDIBLE = 0.01
_RENDER = """
async (deck) => {
    const { engine } = deck.deck;
    const sound = await engine.renderPass(engine.now.pattern);
    const bytes = new Uint8Array(sound.getChannelData(0).buffer);
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) {
        text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    }
    return btoa(text);
}
"""


def rendered(page: Page) -> np.ndarray:
    """One pass of what plays, as the browser plays it, computed faster than it sounds."""
    text = page.locator(".deck").first.evaluate(_RENDER)
    return np.frombuffer(base64.b64decode(text), "<f4")


def heard_pitches(sound: np.ndarray, notes: list[list[float]], n_steps: int) -> np.ndarray:
    """Return how far each note sounds from its pitch, in semitones: by its strongest partial."""
    step = len(sound) / n_steps
    away = []
    for start, length, pitch, _ in notes:
        part = sound[round(start * step) : round((start + length) * step)]
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 8 * len(part)))
        hertz = np.fft.rfftfreq(8 * len(part), 1 / SAMPLE_RATE)
        partials = 440 * 2 ** ((pitch - 69) / 12) * np.arange(1, 6)
        peak = hertz[spectrum[hertz > 40].argmax() + np.count_nonzero(hertz <= 40)]
        away.append(np.abs(12 * np.log2(peak / partials)).min())
    return np.array(away)


def choose_melody(page: Page) -> dict:
    """Choose melodies on the page, and return the first card when it is one."""
    page.get_by_text("Melody", exact=True).first.click()
    wait_for_state(page, "now.cards[0].lines?.length === 1 && now.cards[0].plays === 'line'")
    wait_for_rest(page)
    return state(page)["cards"][0]


@on("deck")
@showing("band")
def test_three_parts_are_heard_one_is_muted_and_they_are_saved_as_named_tracks(page: Page) -> None:
    play(page)
    wait_for_state(page, "now.phase !== null")

    def loudness() -> list[float]:
        """Of the melody, the bass and the kick, each where it plays alone."""
        sound = rendered(page)
        eighths = np.split(sound[: len(sound) // 8 * 8], 8)
        return [float(np.abs(eighths[at][2000:-2000]).max()) for at in (1, 3, 6)]

    whole = loudness()
    notes = [(0, 8, 69, 0.8), (8, 8, 45, 0.8)]
    assert heard_pitches(rendered(page), notes, 32).max() < 0.1
    assert min(whole) > AUDIBLE
    page.get_by_role("button", name="Mute bass").click()
    wait_for_state(page, "now.mix.muted.includes(10)")
    melody, bass, kick = loudness()
    assert (melody, kick) == pytest.approx((whole[0], whole[2]), rel=0.01)
    assert bass < whole[1] / 100
    _, midi = download(page, page.locator(".card").first.get_by_text("MIDI", exact=True))
    assert list(read_piece(midi).piece.parts) == ["melody", "bass", "drums"]


@melodic
def test_a_melody_is_heard_at_its_pitches_saved_kept_and_shared(page: Page) -> None:
    card = choose_melody(page)
    notes, n_steps = card["lines"][0]["notes"], card["steps"]
    assert card["hits"] == []
    assert len(notes) > 2
    play(page)
    wait_for_state(page, "now.phase !== null")  # its instrument has come
    assert loudest(page, 2.0) > AUDIBLE
    assert np.median(heard_pitches(rendered(page), notes, n_steps)) < 0.1

    _, midi = download(page, page.locator(".card").first.get_by_text("MIDI", exact=True))
    read = read_line(midi).line
    assert [list(note[:3]) for note in read.notes()] == [note[:3] for note in notes]
    _, wav = download(page, page.locator(".card").first.get_by_text("WAV"))
    with wave.open(io.BytesIO(wav)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2")[::2].astype(float)
    assert np.median(heard_pitches(sound, notes, n_steps)) < 0.1

    first = page.locator(".card").first
    first.get_by_role("button", name="Keep").click()
    first.get_by_role("button", name="to another page").click()
    page.get_by_role("menuitem", name="Share code…").click()
    code = page.locator("[role=dialog] code").inner_text()
    shared = read_share_code(code).music
    assert [list(note[:3]) for note in shared.notes()] == [note[:3] for note in notes]
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Library").click()
    wait_for_state(page, "now.cards.length === 1 && now.cards[0].lines.length === 1")
    assert state(page)["cards"][0]["lines"][0]["notes"] == notes


@melodic
def test_a_slider_of_a_tune_is_heard_while_it_is_dragged(page: Page) -> None:
    page.get_by_role("link", name="Attributes", exact=True).click()
    page.locator(".sliders").wait_for()
    page.get_by_text("Melody", exact=True).first.click()
    wait_for_state(page, "now.cards[0].plays === 'line'")
    wait_for_rest(page)
    play(page)
    slider = page.locator(".sliders").get_by_role("slider", disabled=False).first
    before, heard = slider.evaluate(
        """input => {
            const engine = window[Symbol.for("groove-space.engine")];
            const [line] = engine.now.pattern.lines;
            input.dispatchEvent(new PointerEvent("pointerdown"));
            const isLow = 2 * input.value < Number(input.min) + Number(input.max);
            input.value = isLow ? input.max : input.min;
            input.dispatchEvent(new Event("input"));
            return [line.notes, engine.now.pattern.lines[0].notes];
        }"""
    )
    assert len(heard) > 0
    assert heard != before
    page.locator(".card.previewing").wait_for()
    slider.evaluate("input => input.dispatchEvent(new Event('change'))")
    page.locator(".card:not(.previewing)").wait_for()
    wait_for_rest(page)
    card = state(page)["cards"][0]
    assert card["shown"]["lines"] == card["lines"]
    assert state(page)["playing"] == "steered"


@melodic
def test_tunes_are_morphed_and_a_note_is_dragged_to_another_pitch_and_length(page: Page) -> None:
    choose_melody(page)
    page.get_by_role("link", name="Morph").click()
    page.get_by_label("Name of A as the model plays it").wait_for()
    wait_for_rest(page)
    ends = page.locator(".deck").nth(1)
    ends.locator(".card .edit").first.click()

    def notes() -> list[list[float]]:
        return ends.evaluate("deck => deck.deck.state.cards[0].shown.lines[0].notes")

    before = notes()
    step, length, pitch, _ = before[1]
    box = ends.locator("canvas.still").first.bounding_box()
    place = ends.evaluate(
        """(deck, [step, pitch]) => {
            const { grid, rows } = deck.querySelector(".card").view;
            const row = rows.findIndex((one) => one.pitch === pitch);
            const { place } = grid;
            const [x, y] = [place.x(step + 1, 0), place.y(row, 0) + place.rowPx(row) / 2];
            return { x, y, rowPx: place.rowPx(row), stepPx: place.stepPx };
        }""",
        [step, pitch],
    )

    def drag(right: float, up: float, row: int = 0) -> None:
        x, y = box["x"] + place["x"], box["y"] + place["y"] - row * place["rowPx"]
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + right * place["stepPx"], y - up * place["rowPx"], steps=5)
        page.mouse.up()

    drag(0, 2)
    until(lambda: notes()[1][:3] == [step, length, pitch + 2], "a higher note")
    drag(-2, 0, row=2)
    until(lambda: notes()[1][:3] == [step, length - 2, pitch + 2], "a shorter note")
    others = [note for at, note in enumerate(before) if at != 1]
    assert [note for at, note in enumerate(notes()) if at != 1] == others
    until(
        lambda: ends.evaluate("deck => deck.deck.state.cards[0].note") == "edited",
        "Python to know the edit",
    )
