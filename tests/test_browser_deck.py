"""The deck as an instrument in a real Chromium: what is heard is compared with what should be."""

from __future__ import annotations

import numpy as np
from deck_in_browser import (
    card,
    cell,
    is_loop,
    loop_at,
    marks,
    record,
    showing,
    wait_until_said,
)
from fake_studio import SAMPLE_RATE
from real_browser import (
    Page,
    allowed,
    download,
    in_real_time,
    looped,
    origin_of,
    play,
    state,
    until,
    wait_for_state,
)

from musicvae_core.vocabulary import KICK, SNARE

pytestmark = marks


@showing("edit")
@in_real_time
def test_a_muted_voice_is_gone_within_the_pass_and_comes_back_in_phase(page: Page) -> None:
    hits, sound = card(page)["hits"], card(page)["sound"]
    whole = loop_at(page, sound)
    play(page)
    tape = record(page)
    page.get_by_role("button", name="Mute kick").click()
    wait_for_state(page, f"now.cards[0].sound !== {sound!r}")
    without = loop_at(page, card(page)["sound"])
    wait_for_state(page, "now.held.buffers === 1")
    tape.wait(0.3)
    muted_at = len(tape.stop())
    print(f"a voice was muted by pass {state(page)['passes']:.2f}")
    assert state(page)["passes"] < allowed(1)
    page.get_by_role("button", name="Mute kick").click()
    wait_for_state(page, f"now.cards[0].sound === {sound!r}")
    wait_for_state(page, "now.held.buffers === 1")
    tape.wait(0.4)
    heard = tape.stop()

    kick = min(step for step, row, *_ in hits if row == KICK) * len(whole) // 32
    assert not is_loop(without, whole, 0)[kick : kick + 2000].all()
    origin = origin_of(whole, heard[: SAMPLE_RATE // 5])
    tenth = SAMPLE_RATE // 10
    assert is_loop(heard, whole, origin)[:tenth].all()
    assert is_loop(heard, without, origin)[muted_at - tenth : muted_at].all()
    assert is_loop(heard, whole, origin)[-tenth:].all()
    assert wait_until_said(page, "mix", 2) == [[[KICK], [], 1], [[], [], 1]]


@showing("edit")
def test_a_soloed_voice_is_heard_alone_and_the_label_mutes(page: Page) -> None:
    page.get_by_role("button", name="Solo snare").click()
    assert wait_until_said(page, "mix")[-1] == [[], [SNARE], 1]
    box = page.locator(".card canvas").first.bounding_box()
    page.mouse.click(box["x"] + 10, cell(page, 0, KICK)[1])
    assert wait_until_said(page, "mix", 2)[-1] == [[KICK], [SNARE], 1]
    page.get_by_role("button", name="All voices").click()
    assert wait_until_said(page, "mix", 3)[-1] == [[], [], 1]


@showing("edit")
@in_real_time
def test_the_volume_is_heard_at_once_and_kept(page: Page) -> None:
    loop = loop_at(page, card(page)["sound"])
    play(page)
    tape = record(page)
    slider = page.get_by_role("slider", name="Volume")
    slider.focus()
    for _ in range(50):
        page.keyboard.press("ArrowLeft")
    wait_for_state(page, "now.mix.volume === 0.5")
    tape.wait(0.6)
    heard = tape.stop()
    origin = origin_of(loop, heard[: SAMPLE_RATE // 5])
    tail = looped(loop, origin, len(heard))[-SAMPLE_RATE // 4 :]
    np.testing.assert_allclose(heard[-SAMPLE_RATE // 4 :], 0.25 * tail, atol=2e-3)
    page.get_by_text('["mix", [], [], 0.5]').wait_for()


def which_of_two(heard: np.ndarray, loops: list[np.ndarray], origin: int) -> list[int]:
    """The order in which two loops take turns, in phase, where one can be told from the other."""
    first, second = (is_loop(heard, loop, origin) for loop in loops)
    told = (first ^ second).nonzero()[0]
    assert len(told) > 0.5 * len(heard), "the loops are too alike"
    turns = np.split(first[told], 1 + np.flatnonzero(np.diff(first[told])))
    long = [turn for turn in turns if len(turn) > SAMPLE_RATE // 100]
    return [0 if turn[0] else 1 for turn in long]


@showing("compare")
@in_real_time
def test_before_and_after_change_places_in_phase(page: Page) -> None:
    play(page)
    shown = card(page)
    loops = [loop_at(page, sound) for sound in (shown["sound"], shown["before"]["sound"])]
    wait_for_state(page, "now.held.buffers === 2")
    tape = record(page)
    for name in ("Before", "After"):
        page.get_by_role("button", name=name, exact=True).click()
        tape.wait(0.7)
    heard = tape.stop()
    origin = origin_of(loops[0], heard[: SAMPLE_RATE // 4])
    assert which_of_two(heard, loops, origin) == [0, 1, 0]


@showing("compare")
def test_what_is_saved_bears_the_name_of_what_is_shown(page: Page) -> None:
    for name, stem in (("Before", "the-original"), ("After", "compare")):
        page.get_by_role("button", name=name, exact=True).click()
        for suffix in ("mid", "wav"):
            button = page.get_by_role("button", name=f"Download {stem}.{suffix}")
            assert download(page, button)[0] == f"{stem}.{suffix}"


@showing("long")
@in_real_time
def test_a_bar_loops_alone_and_then_the_whole_goes_on(page: Page) -> None:
    whole = loop_at(page, card(page)["sound"])
    bar_samples = len(whole) // 16
    play(page)
    number = page.get_by_role("button", name="Loop bar 3 alone")
    number.click()
    wait_for_state(page, "now.cards[0].bar === 2 && now.loopSeconds === 2")
    tape = record(page)
    tape.wait(2.5)
    heard = tape.stop()
    bar = whole[2 * bar_samples : 3 * bar_samples]
    origin = origin_of(bar, heard[:bar_samples])
    same = is_loop(heard, bar, origin)
    place = (origin + np.arange(len(heard))) % bar_samples
    clear = place < bar_samples * 31 / 32 - 0.01 * SAMPLE_RATE - 1
    assert same[clear].all()
    assert wait_until_said(page, "bar") == [["long", 2]]
    page.get_by_role("button", name="Loop the whole again").click()
    wait_for_state(page, "now.cards[0].bar === null && now.loopSeconds === 32")
    assert 2 / 16 <= state(page)["phase"] < 4 / 16


@showing("long")
def test_long_grooves_wrap_and_stay_legible_on_a_phone(page: Page) -> None:
    canvas = page.locator(".card canvas").first
    wide = canvas.bounding_box()
    page.set_viewport_size({"width": 390, "height": 844})
    until(lambda: canvas.bounding_box()["width"] < 390 < wide["width"], "a narrow picture")
    until(lambda: canvas.bounding_box()["height"] > 1.8 * wide["height"], "more lines")
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0
    assert page.locator(".number").count() == 16


@showing("strip")
def test_a_card_is_sent_elsewhere_from_its_menu(page: Page) -> None:
    page.get_by_role("button", name="Send strip to another page").click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert wait_until_said(page, "send") == [["strip", "map"]]
    assert page.get_by_role("menu").count() == 0
