"""What every card can do, in a real Chromium: stand large, hold voices, humanize, a tempo."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from real_browser import (
    Page,
    faked,
    ids,
    play,
    state,
    until,
    wait_for_rest,
    wait_for_sound,
    wait_for_state,
)

from musicvae_core.music.drums import KICK
from musicvae_core.music.groove import Groove
from musicvae_core.music.midi.read import read_midi

pytestmark = pytest.mark.browser


def shown(page: Page) -> list[list[float]]:
    return state(page)["cards"][0]["shown"]["hits"]


def kicks(hits: list[list[float]]) -> list[list[float]]:
    return [hit for hit in hits if hit[1] == KICK]


@faked
def test_the_card_that_plays_is_large_and_focus_moves_none(page: Page) -> None:
    assert page.locator(".card.large").get_attribute("data-card") == ids(page)[0]
    page.locator(".card .name").nth(2).focus()
    page.locator(".card .keep").nth(3).click()
    assert page.locator(".card.large").get_attribute("data-card") == ids(page)[0]
    play(page, 4)
    assert page.locator(".card.large").get_attribute("data-card") == ids(page)[4]
    assert page.locator(".card.small").count() == 7


@faked
def test_a_card_says_what_no_button_says_and_the_key_help_has_all_of_it(page: Page) -> None:
    hint = page.locator(".card.large .hint")
    assert hint.is_visible()
    for gesture in ("plays from there", "number loops", "voice mutes", "name renames", "Drag MIDI"):
        assert gesture in hint.inner_text()
    box, within = hint.bounding_box(), hint.evaluate("hint => hint.scrollWidth")
    assert within <= box["width"] + 1, "all of it is read"
    page.keyboard.press("?")
    text = page.get_by_role("dialog", name="Keys and gestures").inner_text()
    for gesture in ("Play from there", "Loop that bar", "Mute it", "Rename it", "Out of a card"):
        assert gesture in text
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 390, "height": 844})
    until(lambda: hint.evaluate("hint => hint.scrollWidth <= hint.clientWidth + 1"), "a phone")
    page.locator(".card .edit").first.click()
    assert "cell sets a hit" in hint.inner_text()


@faked
def test_the_tools_of_a_card_work_alike_on_every_page(page: Page) -> None:
    for title in ("Sample", "Attributes", "Groove lab"):
        if title != "Sample":
            page.get_by_role("link", name=title, exact=True).click()
            page.wait_for_url(re.compile(title.lower().replace(" ", "_")))
            wait_for_sound(page)
        wait_for_rest(page)
        before = shown(page)
        play(page)
        card = page.locator(".card").first
        card.locator(".shape").click()
        card.get_by_role("button", name="Keep kick").click()
        card.get_by_role("button", name="Change the rest").click()
        card.locator(".undo:not(:disabled)").wait_for()
        assert kicks(shown(page)) == kicks(before)
        assert state(page)["playing"], "the loop plays on"
        card.locator(".undo").click()
        assert shown(page) == before
        wait_for_rest(page)
        card.get_by_role("slider", name="Humanize").fill("0.5")
        wait_for_state(page, "now.cards[0].humanized === 0.5")
        until(lambda old=before: shown(page) != old, "the humanized groove")
        assert [hit[:2] for hit in shown(page)] == [hit[:2] for hit in before]
        card.get_by_role("spinbutton").fill("93")
        page.keyboard.press("Tab")
        wait_for_state(page, "now.cards[0].tempo === 93")


@faked
def test_a_tool_works_on_what_an_undo_has_just_brought_back(page: Page) -> None:
    wait_for_rest(page)
    before = shown(page)
    card = page.locator(".card").first
    card.locator(".play").click()
    card.locator(".shape").click()
    card.get_by_role("button", name="Change the rest").click()
    card.locator(".undo:not(:disabled)").wait_for()
    wait_for_rest(page)
    card.evaluate(
        """card => {
          card.querySelector(".undo").click();
          const amount = card.querySelector(".tools input[type=range]");
          amount.value = 0.5;
          amount.dispatchEvent(new Event("change"));
        }"""
    )
    wait_for_state(page, "now.cards[0].humanized === 0.5")
    until(lambda: shown(page) != before, "the humanized groove")
    assert [hit[:2] for hit in shown(page)] == [hit[:2] for hit in before]


@faked
def test_a_file_is_of_what_was_set_just_before_it_was_asked_for(page: Page) -> None:
    wait_for_rest(page)
    card = page.locator(".card").first
    card.locator(".play").click()
    wait_for_rest(page)

    def saved(kind: str, first: str = "") -> bytes:
        with page.expect_download() as download:
            card.evaluate(
                """(card, [kind, first]) => {
                  const { engine } = card.getRootNode().querySelector(".deck").deck;
                  eval(first);
                  const buttons = [...card.querySelectorAll("button")];
                  buttons.find(({ textContent }) => textContent === kind).click();
                }""",
                [kind, first],
            )
        return Path(download.value.path()).read_bytes()

    whole, notes = saved("WAV"), saved("MIDI")
    slower = saved(
        "WAV", "engine.setPlayback({ ...engine.playback, tempo: 70 }); engine.settings.soon()"
    )
    wait_for_rest(page)
    assert slower == saved("WAV")
    assert len(slower) > len(whole)
    slower_notes = saved(
        "MIDI", "engine.setPlayback({ ...engine.playback, tempo: 80 }); engine.settings.soon()"
    )
    wait_for_rest(page)
    assert slower_notes == saved("MIDI") != notes


_DRAG_OUT = """
(card, key) => {
    const canvas = card.querySelector("canvas.editable");
    if (key) canvas.dispatchEvent(new KeyboardEvent("keydown", { key }));
    const [midi] = [...card.querySelectorAll("button.file")];
    const dataTransfer = new DataTransfer();
    const how = { dataTransfer, bubbles: true, cancelable: true };
    const isDragged = midi.dispatchEvent(new DragEvent("dragstart", how));
    return isDragged ? dataTransfer.getData("DownloadURL") : null;
}
"""


@faked
def test_midi_that_is_dragged_out_is_never_older_than_what_the_card_shows(page: Page) -> None:
    wait_for_rest(page)
    card = page.locator(".card").first
    card.locator(".edit").click()
    card.locator("canvas.editable").wait_for()

    def dragged(key: str = "") -> Groove | None:
        address = card.evaluate(_DRAG_OUT, key)
        return address and read_midi(base64.b64decode(address.rpartition(",")[2])).groove

    assert dragged().n_hits == len(shown(page))
    assert dragged("Enter") is None, "the notes of before the edit"
    until(lambda: dragged() is not None, "the notes of the edit")
    assert dragged().n_hits == len(shown(page))
