"""Editing on a card's grid in a real Chromium: by pointer, keys and finger, heard and undone."""

from __future__ import annotations

import numpy as np
import pytest
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
    wait_for_events,
)
from real_browser import (
    Browser,
    InvalidRecordingError,
    Locator,
    Page,
    in_real_time,
    opened,
    origin_of,
    play,
    state,
    until,
    wait_for_state,
)

from musicvae_core.music.drums import CLOSED_HAT, LOW_TOM, SNARE

pytestmark = marks


def free_step(hits: list[list[float]], voice: int) -> int:
    """A step in the second bar at which a voice and its neighbours rest."""
    taken = {step for step, row, *_ in hits if row == voice}
    return next(step for step in range(20, 31) if not taken & {step - 1, step, step + 1})


@showing("edit")
@in_real_time
def test_a_click_sets_a_hit_that_sounds_in_this_pass_and_undo_takes_it_back(page: Page) -> None:
    open_editor(page)
    before = card(page)["hits"]
    step = free_step(before, SNARE)
    play(page)
    recording = record(page)
    recording.wait(0.2)
    wait_for_state(page, "now.passes % 1 < 0.2")
    page.mouse.click(*cell(page, step, SNARE))
    after = card(page)["shown"]["hits"]
    assert [hit[:2] for hit in after if hit not in before] == [[step, SNARE]]
    edited_in = int(state(page)["passes"])
    wait_for_state(page, f"now.passes > {edited_in + 1}")
    page.keyboard.press("Control+z")
    assert card(page)["shown"]["hits"] == before
    wait_for_state(page, f"now.passes > {edited_in + 2}")
    heard = recording.stop()

    old, new = loop_of(before), loop_of(after)
    origin = origin_of(old, heard[: samples(0.4)])
    told = np.flatnonzero(~is_loop(new, old, 0))
    snare_at = step * len(old) // 32
    assert snare_at - 2 < told[0] < snare_at + 10
    start = next(at - origin for at in (0, len(old)) if at + told[0] > origin + recording.acts[0])
    assert is_loop(heard[: start + told[0]], old, origin).all()
    if recording.acts[-1] > start + len(old) + told[0] - samples(0.1):
        raise InvalidRecordingError("The edit was undone too late.")
    with_hit = heard[start + told[0] :][: samples(RING_SECONDS)]
    assert is_loop(with_hit, new, told[0]).all()
    settled = heard[start + len(old) + samples(RING_SECONDS) :]
    assert is_loop(settled, old, samples(RING_SECONDS)).all()
    assert [hits for _, hits in wait_for_events(page, "edit", 2)] == [len(after), len(before)]
    page.locator(".card .play").click()
    page.mouse.click(*cell(page, step, SNARE))  # what the space bar plays again is as edited
    page.keyboard.press(" ")
    wait_for_state(page, f"deck.deck.engine.now.pattern.hits.length === {len(after)}")


@showing("edit")
def test_a_hit_is_dragged_louder_and_later_and_python_receives_it(page: Page) -> None:
    open_editor(page)
    hit = next(hit for hit in card(page)["hits"] if hit[1] == CLOSED_HAT and 0.2 < hit[2] < 0.7)
    step, _, velocity, offset = hit
    x, y = cell(page, step + offset, CLOSED_HAT)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 22, steps=5)
    assert "velocity" in page.locator(".bubble").inner_text()
    page.mouse.up()
    louder = find(card(page)["shown"]["hits"], step)
    assert louder[2] == pytest.approx(velocity + 22 / 110, abs=0.01)
    assert louder[3] == offset
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 400, y, steps=5)
    page.mouse.up()
    assert find(card(page)["shown"]["hits"], step)[3] == 0.499
    wait_for_events(page, "edit")
    wait_for_state(page, "now.cards[0].revisions.edit === 2")
    assert find(card(page)["hits"], step)[3] == 0.499


def find(hits: list[list[float]], step: int) -> list[float]:
    return next(hit for hit in hits if hit[:2] == [step, CLOSED_HAT])


@showing("edit")
def test_the_grid_is_edited_by_keys_alone(page: Page) -> None:
    open_editor(page)
    canvas = page.locator(".card canvas").first
    canvas.focus()
    before = card(page)["hits"]
    free = min(set(range(32)) - {step for step, row, *_ in before if row == SNARE})
    page.keyboard.press("ArrowUp")
    for _ in range(free):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    added = next(hit for hit in card(page)["shown"]["hits"] if hit[:2] == [free, SNARE])
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowLeft")
    moved = next(hit for hit in card(page)["shown"]["hits"] if hit[:2] == [free, SNARE])
    assert moved[2] == pytest.approx(added[2] - 6 / 127, abs=1e-3)
    assert moved[3] == -0.05
    assert "5% early" in page.locator(".announcement").inner_text()
    for _ in range(3):
        page.keyboard.press("Control+z")
    assert card(page)["shown"]["hits"] == before
    page.keyboard.press("Control+Shift+Z")
    assert len(card(page)["shown"]["hits"]) == len(before) + 1


def drag_finger(phone: Page, x: float, y: float, down: float) -> None:
    """Put a finger on the screen, move it down by some pixels, and take it off."""
    screen = phone.context.new_cdp_session(phone)
    heights = [y + down * share for share in (0, 1 / 3, 2 / 3, 1)]
    kinds = ["touchStart", *["touchMove"] * 3]
    for kind, height in zip(kinds, heights, strict=True):
        points = [{"x": x, "y": height}]
        screen.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    screen.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_finger_sets_a_hit_and_drags_it(address: str, browser: Browser) -> None:
    options = {"has_touch": True, "viewport": {"width": 390, "height": 844}}
    with opened(browser, f"{address}?show=edit", **options) as phone:
        open_editor(phone)
        before = card(phone)["hits"]
        canvas: Locator = phone.locator(".card canvas").first
        box = canvas.bounding_box()
        x, y = box["x"] + box["width"] - 30, box["y"] + 20 + 4.5 * 22
        phone.touchscreen.tap(x, y)
        until(lambda: len(card(phone)["shown"]["hits"]) == len(before) + 1, "a hit more")
        [added] = [hit for hit in card(phone)["shown"]["hits"] if hit not in before]
        assert added[1] == LOW_TOM
        drag_finger(phone, x, y, down=22)
        [moved] = [hit for hit in card(phone)["shown"]["hits"] if hit not in before]
        assert moved[:2] == added[:2]
        assert moved[2] == pytest.approx(added[2] - 22 / 110, abs=0.01)
        assert [hits for _, hits in wait_for_events(phone, "edit", 2)] == 2 * [len(before) + 1]
