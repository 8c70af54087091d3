"""The Groove lab in a real Chromium: taps at known times, before and after in phase."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from real_browser import (
    Browser,
    InvalidRecordingError,
    Page,
    allowed,
    download,
    faked,
    in_real_time,
    on,
    opened,
    real,
    state,
    until,
    wait_for_state,
)

from musicvae_core.music.midi.read import read_midi

pytestmark = pytest.mark.browser

SOUND_SECONDS = 0.7
MEDIAN_ERROR_MS = 15

with_lab = on(real("groove_lab"))


@pytest.fixture
def page(address: str, browser: Browser) -> Iterator[Page]:
    with opened(browser, f"{address}/groove_lab") as page:
        yield page


_WATCH_CLICKS = """
() => {
    const { start } = OscillatorNode.prototype;
    window.clicks = [];
    OscillatorNode.prototype.start = function (at) {
        window.clicks.push(at);
        window.clicking = this.context;
        return start.call(this, at);
    };
}
"""
_HEARD_LEAD = """
async () => {
    const leads = [];
    for (let reading = 0; reading < 200; reading += 1) {
        const { currentTime, outputLatency } = window.clicking;
        leads.push(1000 * (currentTime - (outputLatency || 0)) - performance.now());
        await new Promise((resume) => setTimeout(resume, 5));
    }
    return Math.max(...leads); // the clock of the context moves in blocks
}
"""

_REMEMBER_HITS = "deck => { window.old = JSON.stringify(deck.deck.state.cards[0].hits); }"


def do(page: Page) -> None:
    page.get_by_test_id("stBaseButton-primary").click()


def choose(page: Page, tool: str) -> None:
    page.get_by_role("radio", name=tool, exact=True).click()


def card(page: Page) -> dict:
    return state(page)["cards"][0]


def wait_for_result(page: Page, name: str) -> None:
    wait_for_state(page, f"now.cards[0].name === {name!r}")


def taps(page: Page) -> dict:
    return page.locator(".taps").evaluate(
        "({ taps: { isRecording, taps } }) => ({ isRecording, taps })"
    )


def press_space(page: Page, times_ms: list[float]) -> None:
    """Press the space bar at times of the page's clock: the events bear these very times.

    Raises
    ------
    InvalidRecordingError
        If this process was too late for one.
    """
    keyboard = page.context.new_cdp_session(page)
    origin_ms = page.evaluate("performance.timeOrigin")
    key = {"key": " ", "code": "Space", "windowsVirtualKeyCode": 32, "text": " "}
    for at_ms in times_ms:
        ahead_seconds = (origin_ms + at_ms) / 1000 - time.time()
        if ahead_seconds < -0.1:
            raise InvalidRecordingError(f"A key was pressed {-ahead_seconds} s late.")
        time.sleep(max(0.0, ahead_seconds))
        for kind, later_ms in (("keyDown", 0), ("keyUp", 40)):
            stamp = (origin_ms + at_ms + later_ms) / 1000
            keyboard.send("Input.dispatchKeyEvent", {"type": kind, "timestamp": stamp} | key)


@faked
@in_real_time
def test_taps_lie_where_they_were_played(page: Page) -> None:
    choose(page, "Drumify")
    page.locator(".taps").wait_for()
    page.evaluate(_WATCH_CLICKS)
    page.get_by_role("button", name="Record").click()
    page.wait_for_function("window.clicks.length === 12")  # a bar of count-in, and two bars
    lead_ms = page.evaluate(_HEARD_LEAD)
    beats_ms = [1000 * at - lead_ms for at in page.evaluate("window.clicks")[4:]]
    late_ms = [-40, 0, 25, 60, -20, 10, 45, -60]
    press_space(page, [at + late for at, late in zip(beats_ms, late_ms, strict=True)])
    wait_for_result(page, "Taps")
    lost_ms = abs(page.evaluate(_HEARD_LEAD) - lead_ms)
    if lost_ms > MEDIAN_ERROR_MS / 2:
        raise InvalidRecordingError(f"The audio clock was lost for {lost_ms} ms.")
    hits = card(page)["hits"]
    assert len(hits) == 8
    step_ms = 60_000 / card(page)["tempo"] / 4
    positions_ms = [(step + offset) * step_ms for step, _, _, offset in sorted(hits)]
    known_ms = [beat * 4 * step_ms + late for beat, late in enumerate(late_ms)]
    errors_ms = np.abs(np.array(positions_ms) - known_ms)
    assert np.median(errors_ms) <= MEDIAN_ERROR_MS, errors_ms
    assert page.locator(".record").inner_text() == "Record"


@faked
def test_the_higher_the_pad_is_struck_the_louder_the_tap(page: Page) -> None:
    choose(page, "Drumify")
    pad = page.locator(".pad")
    pad.wait_for()
    page.get_by_role("button", name="Record").click()
    page.locator(".lights .on").wait_for()
    box = pad.bounding_box()
    for struck, height in enumerate((0.1, 0.9)):
        page.mouse.click(box["x"] + 50, box["y"] + (1 - height) * box["height"])
        until(lambda n=struck: len(taps(page)["taps"]) > n, "the tap")
    soft, loud = (velocity for _, velocity in taps(page)["taps"])
    assert soft < 0.5 < 0.85 < loud


@faked
def test_the_space_bar_is_the_decks_again_after_a_recording(page: Page) -> None:
    choose(page, "Drumify")
    page.locator(".taps").wait_for()
    page.get_by_role("button", name="Record").click()
    page.locator(".taps.recording").wait_for()
    page.keyboard.press("Space")
    assert state(page)["playing"] is None
    page.keyboard.press("Escape")
    assert not taps(page)["isRecording"]
    page.locator(".card").click(position={"x": 200, "y": 12})
    page.locator(".card").focus()
    page.keyboard.press("Space")
    wait_for_state(page, "now.playing === 'groove'")


@with_lab
def test_a_click_humanizes_and_the_result_sounds_soon(page: Page) -> None:
    do(page)  # the first one loads the lab
    wait_for_state(page, "now.playing === 'groove'")
    seconds = []
    for _ in range(3):
        page.locator(".deck").evaluate(_REMEMBER_HITS)
        started = time.monotonic()
        do(page)
        wait_for_state(page, "JSON.stringify(now.cards[0].hits) !== window.old")
        seconds.append(time.monotonic() - started)
    assert np.median(seconds) <= allowed(SOUND_SECONDS), seconds


@with_lab
def test_before_and_after_play_at_the_same_phase(page: Page) -> None:
    do(page)
    wait_for_state(page, "now.playing === 'groove' && now.phase > 0.1")
    assert card(page)["before"]["hits"] != card(page)["hits"]
    old, loop = state(page)["phase"], state(page)["loopSeconds"]
    started = time.monotonic()
    page.get_by_role("button", name="Before", exact=True).click()
    wait_for_state(page, "now.cards[0].comparing")
    passed = (time.monotonic() - started) / loop
    now = state(page)
    assert now["playing"] == "groove"
    assert (now["phase"] - old) % 1 <= passed + allowed(0.3) / loop
    page.get_by_role("button", name="After", exact=True).click()
    wait_for_state(page, "!now.cards[0].comparing && now.playing === 'groove'")


@with_lab
def test_a_groove_is_continued_exported_and_sent_on(page: Page) -> None:
    own = card(page)["hits"]
    choose(page, "Continue")
    do(page)
    wait_for_result(page, "Rock, continued")
    assert card(page)["hits"][: len(own)] == own
    name, data = download(page, page.get_by_role("button", name="download rock-continued.mid"))
    groove = read_midi(data).groove
    assert (name, groove.n_bars) == ("rock-continued.mid", 6)
    assert groove.n_hits == len(card(page)["hits"])
    page.get_by_role("button", name="Send to another page: Rock, continued").click()
    page.get_by_role("menuitem", name="Morph").click()
    page.wait_for_url("**/morph")
    page.locator(".morph:visible").first.wait_for()


@with_lab
def test_undo_goes_back_step_by_step(page: Page) -> None:
    own = card(page)["hits"]
    do(page)
    wait_for_result(page, "Rock, humanized")
    wait_for_state(page, "now.playing === 'groove'")
    page.get_by_role("button", name="Undo").click()
    wait_for_result(page, "Rock")
    assert card(page)["hits"] == own
