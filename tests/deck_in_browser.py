"""What tests of the deck in a real Chromium share: what it plays, and what Python hears of it."""

from __future__ import annotations

import io
import json
from urllib.parse import urljoin

import numpy as np
import pytest
import soundfile
from real_browser import (
    Page,
    Tape,
    looped,
    needs,
    on,
    state,
    until,
    wait_for_rest,
    wait_for_state,
)

from musicvae_core.vocabulary import N_VOICES

FADE_SECONDS = 0.008
NOISE_FLOOR = 2e-4
"""Two steps of 16-bit audio, and a little for the decoder's scale."""

marks = [pytest.mark.browser, on("deck")]


def showing(*names: str) -> pytest.MarkDecorator:
    """Run a test with each of these cards of `fake_deck_app`."""
    asked = [
        pytest.param(f"?show={name}", id=name, marks=needs("groove_2bar") if name == "real" else ())
        for name in names
    ]
    return pytest.mark.parametrize("page", asked, indirect=True)


def card(page: Page) -> dict:
    return state(page)["cards"][0]


def said(page: Page, event: str) -> list:
    """What reached Python of one kind of event, oldest first."""
    lines = json.loads(page.locator("code").inner_text())
    return [line[1:] for line in lines if line[0] == event]


def wait_until_said(page: Page, event: str, count: int = 1) -> list:
    until(lambda: len(said(page, event)) >= count, f"{event} to reach Python")
    wait_for_rest(page)
    return said(page, event)


def wait_until_ahead(page: Page, count: int) -> None:
    page.locator(f".card[data-ahead='{count}']").wait_for()


def loop_at(page: Page, sound: str) -> np.ndarray:
    """The left channel of a sound that the page is served."""
    file = page.request.get(urljoin(page.url, sound)).body()
    pcm, _ = soundfile.read(io.BytesIO(file), dtype="int16")
    return pcm[:, 0] / 32_768


def is_loop(heard: np.ndarray, loop: np.ndarray, origin: int) -> np.ndarray:
    """For each sample heard, whether it is the loop's, `origin` being the first's place in it."""
    return np.abs(heard - looped(loop, origin, len(heard))) < NOISE_FLOOR


def record(page: Page) -> Tape:
    """Record what plays, from when it is heard."""
    wait_for_state(page, "now.elapsedSeconds > 0")
    tape = Tape(page)
    tape.wait(0.3)
    return tape


def cell(page: Page, step: float, voice: int) -> tuple[float, float]:
    """The middle of a cell of a groove of two bars on one line, on the screen."""
    box = page.locator(".card canvas").first.bounding_box()
    step_px = (box["width"] - 46) / (0.5 + 32 + 0.6)
    row_px = 22
    x = box["x"] + 46 + (step + 0.5 + 0.3) * step_px
    return x, box["y"] + 20 + (N_VOICES - 1 - voice + 0.5) * row_px
