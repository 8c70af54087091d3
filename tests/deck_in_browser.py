"""What tests of the deck in a real Chromium share: what it plays, and what Python hears of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from fake_studio import SAMPLE_RATE, fake_loop
from real_browser import (
    Page,
    Recording,
    looped,
    on,
    state,
    until,
    wait_for_rest,
    wait_for_state,
)

from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.groove import Groove

RING_SECONDS = 0.15
"""After so long, all that sounds was struck since a change: the fake notes are shorter."""
NOISE_FLOOR = 2e-4
"""Sounds travel in 16 bits, of their own peak each."""

marks = [pytest.mark.browser, on("deck")]


def showing(*names: str) -> pytest.MarkDecorator:
    """Run a test with each of these cards of `fake_deck_app`."""
    asked = [pytest.param(f"?show={name}", id=name) for name in names]
    return pytest.mark.parametrize("page", asked, indirect=True)


def card(page: Page) -> dict:
    return state(page)["cards"][0]


def received_events(page: Page, event: str) -> list:
    """What reached Python of one kind of event, oldest first."""
    lines = json.loads(page.locator("code").first.inner_text())
    return [line[1:] for line in lines if line[0] == event]


def wait_for_events(page: Page, event: str, count: int = 1) -> list:
    until(lambda: len(received_events(page, event)) >= count, f"{event} to reach Python")
    wait_for_rest(page)
    return received_events(page, event)


def transport_in_python(page: Page) -> dict:
    """How everything is played, as Python keeps it."""
    return json.loads(page.locator("code").last.inner_text())


def loop_of(
    hits: Sequence[Sequence[float]],
    gains: Sequence[float] | None = None,
    *,
    steps: int = 32,
    tempo_bpm: float = 120.0,
) -> np.ndarray:
    """(n_samples,), what one pass of these hits sounds like with the fake kit."""
    arrays = np.zeros((3, steps, N_VOICES))
    for step, voice, velocity, offset in hits:
        arrays[:, int(step), int(voice)] = 1, velocity, offset
    groove = Groove.from_hits(arrays[0], arrays[1], arrays[2], tempo_bpm)
    return fake_loop(groove, gains=gains)[:, 0]


def is_loop(heard: np.ndarray, loop: np.ndarray, origin: int) -> np.ndarray:
    """For each sample heard, whether it is the loop's, `origin` being the first's place in it."""
    return np.abs(heard - looped(loop, origin, len(heard))) < NOISE_FLOOR


def open_editor(page: Page) -> None:
    """Let clicks on the grid of the first card edit it."""
    page.locator(".card .edit").first.click()
    page.locator(".card canvas.editable").first.wait_for()


def record(page: Page) -> Recording:
    """Record what plays, from when it is heard."""
    wait_for_state(page, f"now.elapsedSeconds > {RING_SECONDS}")
    recording = Recording(page)
    recording.wait(0.3)
    return recording


def samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def cell(page: Page, step: float, voice: int) -> tuple[float, float]:
    """The middle of a cell of a groove of two bars on one line, on the screen."""
    box = page.locator(".card canvas").first.bounding_box()
    step_px = (box["width"] - 46) / (0.5 + 32 + 0.6)
    row_px = 22
    x = box["x"] + 46 + (step + 0.5 + 0.3) * step_px
    return x, box["y"] + 20 + (N_VOICES - 1 - voice + 0.5) * row_px
