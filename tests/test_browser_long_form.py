"""The Long form page in a real Chromium, from a sample to files that are read back."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator

import numpy as np
import pytest
from fake_studio import SAMPLE_RATE
from real_browser import (
    Browser,
    Page,
    Recording,
    download,
    in_real_time,
    on,
    opened,
    play,
    real,
    state,
    wait_for_state,
)

from musicvae_core.music.midi.read import read_midi

pytestmark = [pytest.mark.browser, on(real("groove_16bar"))]

N_BARS = 16
AUDIBLE = 0.005
_PHASE_AND_FRAME = """
deck => {
    const { currentTime, outputLatency, sampleRate } = deck.deck.engine.context;
    return [deck.deck.state.phase, (currentTime - (outputLatency || 0)) * sampleRate];
}
"""


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with opened(browser, f"{address}/long_form") as page:
        yield page


def bars_of(page: Page) -> list[list[list[float]]]:
    hits = state(page)["cards"][0]["hits"]
    return [[hit for hit in hits if hit[0] // 16 == bar] for bar in range(N_BARS)]


def press(page: Page, name: str) -> None:
    page.locator(f".st-key-long_form-{name} button:visible").click()


def wait_for_other_hits(page: Page, note: str) -> None:
    wait_for_state(page, f"now.cards[0].note.startsWith({note!r})")


@in_real_time
def test_a_piece_plays_across_the_seams_of_its_bars(page: Page) -> None:
    card = state(page)["cards"][0]
    assert card["steps"] == 16 * N_BARS
    play(page)
    bar_seconds = state(page)["loopSeconds"] / N_BARS
    assert bar_seconds == pytest.approx(16 * 15 / card["tempo"], rel=1e-4)
    recording = Recording(page)
    phase, frame = page.locator(".deck").evaluate(_PHASE_AND_FRAME)
    recording.wait(4 * bar_seconds)
    heard = recording.stop()
    first_bar, bar_samples = int(np.ceil(phase * N_BARS)), SAMPLE_RATE * bar_seconds
    for bar in range(first_bar, first_bar + 3):
        start = frame - recording.first + bar_samples * (bar - phase * N_BARS)
        level = np.abs(heard[round(start) : round(start + bar_samples)]).max()
        assert level > AUDIBLE or not bars_of(page)[bar % N_BARS]


def test_one_bar_changes_while_it_loops_and_the_others_stay(page: Page) -> None:
    before = bars_of(page)
    page.get_by_role("button", name="Loop bar 3 alone").click()
    wait_for_state(page, "now.cards[0].bar === 2 && now.playing !== null")
    page.get_by_role("button", name="Change bar 3").wait_for()
    press(page, "change")
    wait_for_other_hits(page, "bar 3 changed")
    after = bars_of(page)
    assert [bar for bar in range(N_BARS) if before[bar] != after[bar]] == [2]
    assert state(page)["playing"] is not None
    assert state(page)["cards"][0]["bar"] == 2
    press(page, "undo")
    wait_for_state(page, "now.cards[0].note.startsWith('seed')")
    assert bars_of(page) == before


def test_all_bars_after_one_change_with_it(page: Page) -> None:
    before = bars_of(page)
    page.get_by_role("button", name="Loop bar 13 alone").click()
    page.get_by_role("button", name="Change bar 13").wait_for()
    page.get_by_text("it and all after").click()
    page.get_by_role("button", name="Change bars 13-16").wait_for()
    press(page, "change")
    wait_for_other_hits(page, "bars 13-16 changed")
    after = bars_of(page)
    assert before[:12] == after[:12]
    assert before[12:] != after[12:]


def test_before_and_after_mark_the_same_cells_once_the_notes_were_open_for_edits(
    page: Page,
) -> None:
    for _ in range(2):
        page.locator(".card .edit").first.click()
    page.get_by_role("button", name="Loop bar 3 alone").click()
    page.get_by_role("button", name="Change bar 3").wait_for()
    press(page, "change")
    wait_for_other_hits(page, "bar 3 changed")
    changed = state(page)["cards"][0]["differing"]
    assert changed > 0
    page.get_by_role("button", name="Before", exact=True).click()
    wait_for_state(page, "now.cards[0].comparing")
    assert state(page)["cards"][0]["differing"] == changed


def test_a_piece_is_saved_and_read_back(page: Page) -> None:
    press(page, "sample")
    wait_for_state(page, "now.cards[0].note.startsWith('seed 1')")
    card = state(page)["cards"][0]
    name, midi = download(page, page.locator(".card").first.get_by_text("MIDI", exact=True))
    assert name == f"{card['file']}.mid"
    read = read_midi(midi).groove
    cells = {(step, voice) for step, voice, _, _ in card["hits"]}
    moved = {(0, voice) for step, voice, _, offset in card["hits"] if step == 0 and offset < 0}
    assert cells - moved <= {tuple(cell) for cell in np.argwhere(read.hits)}
    assert read.n_bars == N_BARS
    name, sound = download(page, page.locator(".card").first.get_by_text("WAV"))
    assert name == f"{card['file']}.wav"
    with wave.open(io.BytesIO(sound)) as file:
        seconds = file.getnframes() / file.getframerate()
    assert seconds == pytest.approx(card["steps"] * 15 / card["tempo"], abs=1e-3)


def test_a_path_plays_and_grows(page: Page) -> None:
    page.get_by_text("A path").click()
    wait_for_state(page, "now.cards[0].id === 'path'")
    assert state(page)["cards"][0]["steps"] == 12 * 16
    play(page)
    press(page, "add")
    wait_for_state(page, f"now.cards[0].steps === {16 * 16}")
    assert state(page)["playing"] == "path"
