"""The deck as an instrument in a real Chromium: what is heard is compared with what should be."""

from __future__ import annotations

import numpy as np
from deck_in_browser import (
    RING_SECONDS,
    card,
    cell,
    is_loop,
    loop_of,
    marks,
    open_editor,
    record,
    samples,
    showing,
    transport_in_python,
    wait_for_events,
)
from fake_studio import SAMPLE_RATE, pulse
from real_browser import (
    Page,
    download,
    in_real_time,
    origin_of,
    play,
    until,
    wait_for_state,
)

from musicvae_core.music.drums import KICK, N_VOICES, SNARE
from pages.shared.card import _hits_payload

pytestmark = marks


def gains_of(**level: float) -> list[float]:
    """1 for each voice but those named."""
    gains = np.ones(N_VOICES)
    gains[KICK], gains[SNARE] = level.get("kick", 1), level.get("snare", 1)
    return gains.tolist()


@showing("edit")
@in_real_time
def test_what_is_heard_is_the_groove_sample_by_sample_as_it_is_mixed(page: Page) -> None:
    open_editor(page)
    hits = card(page)["hits"]
    play(page)
    recording = record(page)
    recording.wait(0.3)
    ends = [len(recording.stop())]

    def then() -> None:
        recording.wait(0.5)
        ends.append(len(recording.stop()))

    kick = page.get_by_role("button", name="Mute kick")
    kick.click()
    then()
    page.mouse.click(
        page.locator(".card canvas").first.bounding_box()["x"] + 10, cell(page, 0, KICK)[1]
    )
    then()
    page.get_by_role("button", name="Mute snare").click(modifiers=["Shift"])
    then()
    page.get_by_role("button", name="Mute snare").click(modifiers=["Shift"])
    page.locator(".transport").get_by_role("slider", name="Volume").fill("0.5")
    then()

    solo = [float(voice == SNARE) for voice in range(N_VOICES)]
    mixes = [(gains_of(), 1), (gains_of(kick=0), 1), (gains_of(), 1), (solo, 1), (gains_of(), 0.25)]
    whole = loop_of(hits)
    origin = origin_of(whole, recording.sound[: samples(0.25)])
    for end, (gains, volume) in zip(ends, mixes, strict=True):
        settled = slice(end - samples(0.5 - RING_SECONDS), end)
        expected = volume * loop_of(hits, gains)
        assert is_loop(recording.sound[settled], expected, origin + settled.start).all(), gains
    until(lambda: transport_in_python(page)["volume"] == 0.5, "Python to know the volume")
    assert transport_in_python(page)["soloed"] == transport_in_python(page)["muted"] == []


def which_of_two(heard: np.ndarray, loops: list[np.ndarray], origin: int) -> list[int]:
    """The order in which two loops take turns, in phase, where one can be told from the other."""
    first, second = (is_loop(heard, loop, origin) for loop in loops)
    told = (first ^ second).nonzero()[0]
    turns = np.split(first[told], 1 + np.flatnonzero(np.diff(first[told])))
    long = [turn for turn in turns if len(turn) > SAMPLE_RATE // 50]
    return [0 if turn[0] else 1 for turn in long]


@showing("compare")
@in_real_time
def test_before_and_after_change_places_in_phase_and_are_saved_by_their_names(page: Page) -> None:
    for name, stem in (("Before", "the-original"), ("After", "compare")):
        page.get_by_role("button", name=name, exact=True).click()
        for suffix in ("mid", "wav"):
            button = page.get_by_role("button", name=f"download {stem}.{suffix}")
            assert download(page, button)[0] == f"{stem}.{suffix}"
    play(page)
    shown = card(page)
    loops = [loop_of(shown["hits"]), loop_of(shown["before"]["hits"])]
    recording = record(page)
    recording.wait(0.4)
    for name in ("Before", "After"):
        page.get_by_role("button", name=name, exact=True).click()
        recording.wait(1.0)
    heard = recording.stop()
    origin = origin_of(loops[0], heard[: samples(0.5)])
    assert which_of_two(heard, loops, origin) == [0, 1, 0]


@showing("long")
@in_real_time
def test_a_bar_loops_alone_a_click_seeks_and_lines_wrap_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    shown = card(page)
    play(page)
    page.get_by_role("button", name="Loop bar 3 alone").click()
    wait_for_state(page, "now.cards[0].bar === 2 && now.loopSeconds === 2")
    recording = record(page)
    recording.wait(2.5)
    heard = recording.stop()
    of_bar = [[step - 32, *hit] for step, *hit in shown["hits"] if 32 <= step < 48]
    bar = loop_of(of_bar, steps=16)
    origin = origin_of(bar, heard[: len(bar)])
    assert is_loop(heard, bar, origin).all()
    assert wait_for_events(page, "bar") == [["long", 2]]
    clicked_ms = page.evaluate("performance.now()")
    page.get_by_role("button", name="Loop the whole again").click()
    wait_for_state(page, "now.cards[0].bar === null && now.loopSeconds === 32")
    phase, read_ms = page.locator(".deck").evaluate(
        "deck => [deck.deck.state.phase, performance.now()]"
    )
    assert 2 / 16 <= phase < 3 / 16 + (read_ms - clicked_ms) / 32_000
    canvas = page.locator(".card canvas").first
    wide = canvas.bounding_box()
    page.mouse.click(wide["x"] + wide["width"] - 8, wide["y"] + 40)  # bar 4 ends the first line
    wait_for_state(page, "now.phase > 3.9 / 16 && now.phase < 4.6 / 16")
    page.set_viewport_size({"width": 390, "height": 844})
    until(lambda: canvas.bounding_box()["width"] < 390 < wide["width"], "a narrow picture")
    until(lambda: canvas.bounding_box()["height"] > 1.8 * wide["height"], "more lines")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.locator(".card .number").count() == 16


@showing("fresh")
@in_real_time
def test_a_new_card_takes_over_on_the_next_beat_from_one_that_is_gone(page: Page) -> None:
    page.get_by_role("button", name="Send to another page: fresh 0").click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert wait_for_events(page, "send") == [["fresh-0", "map"]]
    assert page.get_by_role("menu").count() == 0
    play(page)
    recording = record(page)
    page.get_by_role("button", name="Replace").click()
    wait_for_state(page, "now.playing === 'fresh-1'")
    recording.wait(1.0)
    heard = recording.stop()
    old, new = (loop_of(_hits_payload(pulse(2 + number, 120.0))) for number in (0, 1))
    origin = origin_of(old, heard[: samples(0.25)])
    changed = int(np.flatnonzero(~is_loop(heard, old, origin))[0])
    after_beat = (changed + origin) % (SAMPLE_RATE // 2)
    assert after_beat < 10
    settled = changed - after_beat + samples(RING_SECONDS)
    assert is_loop(heard[settled:], new, samples(RING_SECONDS)).all()
