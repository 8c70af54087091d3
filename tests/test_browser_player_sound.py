"""What the browser mixes from packs, against what the server renders with FluidSynth."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from fake_studio import SAMPLE_RATE, groove_at
from real_browser import Page, on, wait_for_state

from musicvae_core.errors import RenderError
from musicvae_core.music.drums import CLOSED_HAT, CRASH, DRUMS, N_VOICES
from musicvae_core.music.line import Line, Note
from musicvae_core.music.piece import Piece
from musicvae_core.sound.render import Renderer, render_music
from pages.shared.card import _hits_payload

pytestmark = [pytest.mark.browser, on("player")]

DRUMS_DB = -40.0
LINES_DB = {0: -30.0, 33: -38.0, 48: -18.0}
"""Notes of stored pitches, by program. Strings change their filter with velocity, which a pack of
one level does not hold."""
LOUDNESS_DB = 1.5
"""Notes of other pitches are of another recording: as loud, but not the same samples."""

_RENDER = """
async (deck, [pattern, how]) => {
    const { engine } = deck.deck;
    const sound = await engine.renderPass(pattern, how);
    const bytes = new Uint8Array(sound.length * 8);
    for (const channel of [0, 1]) {
        const samples = sound.getChannelData(channel);
        const raw = new Uint8Array(samples.buffer, 0, samples.byteLength);
        bytes.set(raw, channel * sound.length * 4);
    }
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) {
        text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    }
    return btoa(text);
}
"""


def rendered(page: Page, pattern: dict, **how: object) -> np.ndarray:
    """(n_samples, 2), one pass as the browser computes it."""
    whole = {
        "steps": 32,
        "stepsPerBeat": 4,
        "stepsPerBar": 16,
        "bar": None,
        "hits": [],
        "lines": [],
    }
    text = page.locator(".deck").evaluate(_RENDER, [whole | pattern, how])
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(2, -1).T


def residual_db(sound: np.ndarray, expected: np.ndarray) -> float:
    assert sound.shape == expected.shape
    return float(10 * np.log10(np.square(sound - expected).sum() / np.square(expected).sum()))


def loudness_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.square(sound).mean()))


def line_of(pitches: list[int], program: int, steps: int = 3) -> Line:
    notes = [Note(4 * at, steps, pitch, 0.5 + 0.05 * at) for at, pitch in enumerate(pitches)]
    return Line.from_notes(notes, 2, 100.0, program)


def rounded_for_browser(line: Line) -> dict:
    notes = [[note.step, note.n_steps, note.pitch, note.velocity] for note in line.notes()]
    return {"tempo": line.tempo_bpm, "lines": [{"program": line.program, "notes": notes}]}


def test_what_the_browser_mixes_is_what_the_server_renders(page: Page) -> None:
    try:
        renderer = Renderer()
    except RenderError as error:
        pytest.skip(str(error))
    wait_for_state(page, "deck.deck.engine.sounds.instruments.size === 3")
    groove = groove_at(np.ones(4), 100.0)
    drums = {"tempo": 100.0, "hits": _hits_payload(groove)}
    assert residual_db(rendered(page, drums), renderer.render(groove)) < DRUMS_DB
    changed = rendered(page, drums, swing=0.6, feel=0.5, tempo=131)
    as_changed = renderer.render(groove.at_tempo(131).performed(0.6, 0.5))
    assert residual_db(changed, as_changed) < DRUMS_DB

    for program, stored in ((0, [48, 60, 64, 72, 84]), (33, [28, 36, 40, 48]), (48, [60, 72, 76])):
        for steps in (1, 3):
            line = line_of(stored, program, steps)
            difference = residual_db(
                rendered(page, rounded_for_browser(line)), render_music(renderer, line)
            )
            assert difference < LINES_DB[program], (program, steps, difference)
        line = line_of([pitch + 2 for pitch in stored], program)
        sound, expected = rendered(page, rounded_for_browser(line)), render_music(renderer, line)
        assert abs(loudness_db(sound) - loudness_db(expected)) < LOUDNESS_DB, program
    piece = Piece.together(
        {"melody": line_of([60, 64], 0), "bass": line_of([36, 40], 33), DRUMS: groove}
    )
    lines = [rounded_for_browser(piece.lines[name])["lines"][0] for name in ("melody", "bass")]
    lines[0]["gain"] = 0.8  # the balance of a piece
    sound = rendered(page, drums | {"lines": lines})
    together = render_music(renderer, piece)
    assert loudness_db(sound) == pytest.approx(loudness_db(together), abs=LOUDNESS_DB)
    held = line_of([60], 48, steps=28)  # longer than the pack's sound, which repeats
    sound, expected = rendered(page, rounded_for_browser(held)), render_music(renderer, held)
    last = slice(3 * SAMPLE_RATE, 4 * SAMPLE_RATE)
    assert abs(loudness_db(sound[last]) - loudness_db(expected[last])) < LOUDNESS_DB

    page.locator(".deck").evaluate(
        "(deck, [low, none]) => { deck.deck.engine.setLevel(low, 0.5);"
        " deck.deck.engine.setLevel(none, 0); }",
        [CRASH, CLOSED_HAT],
    )
    gains = np.ones(N_VOICES)
    gains[CRASH], gains[CLOSED_HAT] = 0.25, 0
    assert residual_db(rendered(page, drums), renderer.render(groove, gains=gains)) < DRUMS_DB
