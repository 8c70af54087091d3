"""Editing on a card's grid in a real Chromium: by pointer, keys and finger, heard and undone."""

from __future__ import annotations

import numpy as np
import pytest
from deck_in_browser import (
    FADE_SECONDS,
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
    Browser,
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

from musicvae_core.vocabulary import CLOSED_HAT, LOW_TOM, SNARE

pytestmark = marks


def free_step(hits: list[list[float]], voice: int) -> int:
    """A step in the second bar at which a voice and its neighbours rest."""
    taken = {step for step, row, *_ in hits if row == voice}
    return next(step for step in range(20, 31) if not taken & {step - 1, step, step + 1})


def wait_until_heard(page: Page, edited_in: int, was: str) -> str:
    """Wait until half a pass of an edited loop was heard; return its sound's address."""
    wait_for_state(page, f"now.cards[0].sound !== {was!r}")
    assert state(page)["passes"] < edited_in + 0.95, "too busy to render a loop within a pass"
    wait_for_state(page, f"now.passes > {edited_in + 1.5}")
    return card(page)["sound"]


@showing("edit")
@in_real_time
def test_a_click_sets_a_hit_that_sounds_from_the_next_pass_and_undo_takes_it_back(
    page: Page,
) -> None:
    before = card(page)["hits"]
    sound = card(page)["sound"]
    old = loop_at(page, sound)
    step = free_step(before, SNARE)
    play(page)
    tape = record(page)
    page.mouse.click(*cell(page, step, SNARE))
    after = card(page)["shown"]["hits"]
    assert [hit[:2] for hit in after if hit not in before] == [[step, SNARE]]
    edited = wait_until_heard(page, 0, sound)
    new = loop_at(page, edited)
    page.keyboard.press("Control+z")
    assert card(page)["shown"]["hits"] == before
    wait_until_heard(page, 1, edited)
    heard = tape.stop()

    origin = origin_of(old, heard[: SAMPLE_RATE // 5])
    first, second = len(old) * np.arange(1, 3) - origin
    fade = round(FADE_SECONDS * SAMPLE_RATE)
    snare_at = step * len(old) // 32
    assert is_loop(new, old, 0)[: snare_at - 1].all()
    assert not is_loop(new, old, 0)[snare_at : snare_at + 2000].all()
    assert is_loop(heard[:first], old, origin).all()
    assert is_loop(heard[first + fade : second], new, fade).all()
    assert is_loop(heard[second + fade :], old, fade).all()
    assert [hits for _, hits in wait_until_said(page, "edit", 2)] == [len(after), len(before)]


@showing("edit")
def test_a_hit_is_dragged_louder_and_later_and_python_hears_of_it(page: Page) -> None:
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
    wait_until_said(page, "edit")
    wait_for_state(page, "now.cards[0].revisions.edit === 2")
    assert find(card(page)["hits"], step)[3] == 0.499


def find(hits: list[list[float]], step: int) -> list[float]:
    return next(hit for hit in hits if hit[:2] == [step, CLOSED_HAT])


@showing("edit")
def test_the_grid_is_edited_by_keys_alone(page: Page) -> None:
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
        assert [hits for _, hits in wait_until_said(phone, "edit", 2)] == 2 * [len(before) + 1]
