"""The morph of a card in a real Chromium: dragged, decoded ahead, and heard without a seam."""

from __future__ import annotations

import io
import time
from itertools import pairwise

import numpy as np
import soundfile
from deck_in_browser import (
    FADE_SECONDS,
    card,
    is_loop,
    loop_at,
    marks,
    record,
    showing,
    wait_until_ahead,
    wait_until_said,
)
from fake_studio import SAMPLE_RATE
from noise_loops import noise_loop
from real_browser import (
    Page,
    Tape,
    allowed,
    download,
    in_real_time,
    origin_of,
    play,
    state,
    wait_for_state,
)

from musicvae_core.midi import read_midi

pytestmark = marks

LOOP_SECONDS = 4.0
BLOCK_SAMPLES = 512
"""More than Chromium computes at once."""
MOVE_TO_SOUND_SECONDS = 0.030
AHEAD_SECONDS = 1.5

_PRESS_AT_ONCE = """
(field, keys) => {
    const press = (key) => new KeyboardEvent("keydown", { key, bubbles: true });
    for (const key of keys) field.dispatchEvent(press(key));
}
"""
_LATE_ONCE = """
() => {
    const { start } = AudioBufferSourceNode.prototype;
    AudioBufferSourceNode.prototype.start = function (at, offset) {
        AudioBufferSourceNode.prototype.start = start;
        while (this.context.currentTime < at + 0.05); // as where other processes have the core
        window.wasLate = true;
        return start.call(this, at, offset);
    };
}
"""


def stretches(heard: np.ndarray, loops: list[np.ndarray], origin: int) -> list[tuple]:
    """(loop, first sample, end) of each stretch of 20 ms or more that is one loop in phase."""
    found = []
    for index, loop in enumerate(loops):
        same = np.concatenate([[False], is_loop(heard, loop, origin), [False]])
        edges = np.flatnonzero(np.diff(same.astype(int))).reshape(-1, 2)
        found += [(index, *edge) for edge in edges if np.diff(edge)[0] > SAMPLE_RATE // 50]
    return sorted(found, key=lambda stretch: stretch[1])


def field(page: Page) -> tuple[float, float, float]:
    """Left, width and middle height of the strip's scale, on the screen."""
    box = page.locator(".marks").first.bounding_box()
    return box["x"], box["width"], box["y"] + box["height"] / 2


def drag(tape: Tape, shares: list[float], pause_seconds: float) -> None:
    """Hold the strip at the first share of its length, move on to the others, and let go."""
    page = tape.page
    left, width, middle = field(page)
    page.mouse.move(left + shares[0] * width, middle)
    page.mouse.down()
    for share in shares[1:]:
        tape.wait(pause_seconds)
        page.mouse.move(left + share * width, middle)
    tape.wait(pause_seconds)
    page.mouse.up()


def loops_behind(heard: np.ndarray) -> tuple[list[np.ndarray], int]:
    """The seven loops of the strip, and where in what was heard the first one starts."""
    loops = [noise_loop(index, round(LOOP_SECONDS * SAMPLE_RATE)) for index in range(7)]
    return loops, origin_of(loops[0], heard[: SAMPLE_RATE // 5])


@showing("noise")
@in_real_time
def test_dragging_the_strip_changes_the_loop_at_once_in_phase_without_a_click(page: Page) -> None:
    wait_until_ahead(page, 7)
    play(page)
    tape = record(page)
    drag(tape, [0, 1 / 6, 2 / 6, 5 / 6, 1], 0.15)
    tape.wait(0.2)
    heard = tape.stop()

    loops, origin = loops_behind(heard)
    found = stretches(heard, loops, origin)
    assert [index for index, *_ in found] == [0, 1, 2, 5, 6]
    gaps = [(end, start) for (_, _, end), (_, start, _) in pairwise(found)]
    steepest = max(np.abs(np.diff(loop)).max() for loop in loops)
    for end, start in gaps:
        assert start - end < FADE_SECONDS * SAMPLE_RATE
        assert np.abs(np.diff(heard[end - 2 : start + 2])).max() < 2 * steepest
    moves = [tape.moves[tape.moves < end].max() for end, _ in gaps]
    seconds = (np.array([end for end, _ in gaps]) - moves) / SAMPLE_RATE
    print(f"from move to changed sound: {np.round(1000 * seconds, 1)} ms")
    assert np.median(seconds) < allowed(MOVE_TO_SOUND_SECONDS) + BLOCK_SAMPLES / SAMPLE_RATE


@showing("noise")
@in_real_time
def test_a_fast_sweep_over_the_strip_leaves_no_gap_and_ends_where_it_ends(page: Page) -> None:
    wait_until_ahead(page, 7)
    play(page)
    tape = record(page)
    drag(tape, list(np.linspace(0, 1, 60)), 0.002)
    tape.wait(0.3)
    heard = tape.stop()

    loops, origin = loops_behind(heard)
    assert is_loop(heard, loops[6], origin)[-SAMPLE_RATE // 10 :].all()
    steepest = max(np.abs(np.diff(loop)).max() for loop in loops)
    assert np.abs(np.diff(heard)).max() < 2 * steepest
    assert faintest(heard) > 0.25 * min(map(faintest, loops))


@showing("noise")
@in_real_time
def test_a_loop_that_the_browser_was_told_of_too_late_is_put_in_phase(page: Page) -> None:
    wait_until_ahead(page, 7)
    play(page)
    tape = record(page)
    page.evaluate(_LATE_ONCE)
    page.locator(".field").focus()
    page.keyboard.press("End")
    tape.wait(0.3)
    heard = tape.stop()
    assert page.evaluate("window.wasLate")
    loops = [noise_loop(index, round(LOOP_SECONDS * SAMPLE_RATE)) for index in (0, 6)]
    origin = origin_of(loops[0], heard[: SAMPLE_RATE // 5])
    assert is_loop(heard, loops[1], origin)[-SAMPLE_RATE // 10 :].all()


def faintest(sound: np.ndarray, seconds: float = 0.02) -> float:
    """The least power of any stretch of that length."""
    n = round(seconds * SAMPLE_RATE)
    return float(np.convolve(sound**2, np.full(n, 1 / n), "valid").min())


@showing("strip", "pad", "real")
def test_the_morph_is_wholly_decoded_soon_and_the_one_before_is_freed(page: Page) -> None:
    places = len(card(page)["morph"]["places"])
    wait_until_ahead(page, places)
    before = card(page)["morph"]["places"][0]["sound"]
    start = time.monotonic()
    page.get_by_role("spinbutton").fill("121")
    page.keyboard.press("Enter")
    wait_for_state(page, f"now.cards[0].morph.places[0].sound !== {before!r}")
    wait_until_ahead(page, places)
    seconds = time.monotonic() - start
    print(f"{places} new loops decoded {seconds:.2f} s after a change of tempo")
    different = len({place["sound"] for place in card(page)["morph"]["places"]})
    assert state(page)["held"] == {"files": different, "buffers": different}
    assert seconds < allowed(AHEAD_SECONDS)


@showing("strip")
def test_the_strip_moves_by_keys_and_tells_python_once_it_is_let_go(page: Page) -> None:
    page.locator(".field").evaluate(
        _PRESS_AT_ONCE, ["ArrowRight", "ArrowRight", "End", "ArrowLeft"]
    )
    wait_for_state(page, "now.cards[0].place === 31")
    assert wait_until_said(page, "move") == [["strip", [31 / 32, 0]]]
    slider = page.get_by_role("slider", name="Morph of strip")
    assert slider.get_attribute("aria-valuetext") == "97% of the way from Rock to Bossa"
    assert card(page)["shown"]["hits"] == card(page)["morph"]["places"][31]["hits"]
    assert page.get_by_role("button", name="Download strip-step-32.mid").count() == 1


@showing("pad")
def test_the_pad_is_dragged_in_both_directions_and_saves_what_is_under_the_pointer(
    page: Page,
) -> None:
    wait_until_ahead(page, 25)
    box = page.locator(".marks").bounding_box()
    page.mouse.move(box["x"], box["y"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.77 * box["height"], steps=4)
    page.mouse.up()
    assert card(page)["place"] == 3 * 5 + 2
    assert wait_until_said(page, "move") == [["pad", [0.5, 0.75]]]
    hits = card(page)["shown"]["hits"]
    _, midi = download(page, page.get_by_text("MIDI"))
    assert read_midi(midi).groove.n_hits == len(hits)
    _, data = download(page, page.get_by_text("WAV"))
    pcm, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate == SAMPLE_RATE
    np.testing.assert_array_equal(pcm[:, 0] / 32_768, loop_at(page, card(page)["shown"]["sound"]))
