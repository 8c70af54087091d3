"""What a browser finds again after a reload, in a new tab and after the server's restart."""

from __future__ import annotations

import io
from pathlib import Path

import mido
import numpy as np
import pytest
from real_browser import (
    APPS,
    Browser,
    Page,
    download,
    faked,
    ids,
    opened,
    play,
    started,
    state,
    until,
    wait_for_rest,
    wait_for_sound,
    wait_for_state,
    wait_until_up,
)

from musicvae_core.music.drums import KICK, N_VOICES
from musicvae_core.music.grid import Grid
from musicvae_core.music.groove import Groove
from pages.library.page import _write_archive
from pages.shared.collection import Source

pytestmark = pytest.mark.browser

NAME = "My own groove"


def rename_first(page: Page) -> None:
    name = page.locator(".card input.name").first
    name.fill(NAME)
    name.press("Enter")
    wait_for_state(page, f"now.cards[0].name === {NAME!r}")


def set_tempo(page: Page, tempo_bpm: int) -> None:
    field = page.get_by_role("textbox", name="Tempo in beats a minute")
    field.fill(str(tempo_bpm))
    field.press("Enter")


def playback(page: Page) -> dict:
    """How the engine plays, as a listener hears it."""
    return page.locator(".deck").evaluate(
        """(deck) => {
            const { engine } = deck.deck;
            return { tempo: engine.playback.tempo, muted: [...engine.muted] };
        }"""
    )


def wait_for_all(page: Page, grooves: list[str]) -> None:
    """Wait until the page shows what was left, and plays it so."""
    wait_for_sound(page)
    until(lambda: playback(page) == {"tempo": 93, "muted": [1]}, "tempo and mute")
    assert ids(page) == grooves
    first = state(page)["cards"][0]
    assert (first["name"], first["kept"]) == (NAME, True)


def open_library(page: Page) -> None:
    page.get_by_role("link", name="Library").click()
    page.locator(".st-key-favourites-undo").wait_for()
    wait_for_rest(page)


def open_popover(page: Page, name: str) -> None:
    wait_for_rest(page)  # what the run before has drawn is gone by then
    page.get_by_test_id("stPopoverButton").filter(has_text=name, visible=True).first.click()


def import_file(page: Page, data: bytes) -> None:
    open_popover(page, "Import")
    file = {"name": "saved.zip", "mimeType": "application/zip", "buffer": data}
    page.locator("input[type=file]").last.set_input_files(file)


@pytest.mark.parametrize("per", ["browser", "machine"])
def test_a_reload_a_new_tab_and_a_restart_bring_back_what_was_left(
    per: str, browser: Browser, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    with started(APPS["fake"], log, per=per) as (address, _):
        wait_until_up(f"{address}/_stcore/health")
        page.goto(address)
        wait_for_sound(page)
        grooves = ids(page)
        page.locator(".card .keep").first.click()
        wait_for_state(page, "now.cards[0].kept")
        rename_first(page)
        set_tempo(page, 93)
        page.get_by_role("button", name="Mute snare").click()
        wait_for_rest(page)
        saved = tmp_path / "library.sqlite-wal"
        until(lambda: b'"tempo":93.0' in saved.read_bytes(), "the tempo to be saved")
        until(lambda: b'"muted":[1]' in saved.read_bytes(), "the mute to be saved")
        page.reload()
        wait_for_all(page, grooves)
        tab = context.new_page()
        tab.goto(address)
        wait_for_all(tab, grooves)
        tab.close()
    with started(APPS["fake"], log, per=per) as (address, _):
        wait_until_up(f"{address}/_stcore/health")
        page.goto(address)
        wait_for_all(page, grooves)
        open_library(page)
        assert [card["name"] for card in state(page)["cards"]] == [NAME]
        with opened(browser, address) as other:
            assert (playback(other)["tempo"] == 93) == (per == "machine")
    context.close()


@faked
def test_a_library_that_is_saved_and_emptied_is_imported_again(page: Page) -> None:
    page.locator(".card .keep").first.click()
    wait_for_state(page, "now.cards[0].kept")
    rename_first(page)
    wait_for_rest(page)
    open_library(page)
    open_popover(page, "Save")
    _, data = download(page, page.get_by_role("button", name="MIDI and JSON"))
    page.keyboard.press("Escape")
    page.locator(".card .keep").first.click()
    page.get_by_text("Nothing here yet").wait_for()
    import_file(page, data)
    page.get_by_text("1 groove imported.").wait_for()
    wait_for_state(page, f"now.cards[0].name === {NAME!r}")


GRIDS = {"Waltz": Grid(beats_per_bar=3), "Triplets": Grid(steps_per_beat=6)}


def on_beats(grid: Grid) -> Groove:
    """Two bars with a kick on each beat, at a tempo that no other groove has."""
    hits = np.zeros((2 * grid.steps_per_bar, N_VOICES), bool)
    hits[:: grid.steps_per_beat, KICK] = True
    return Groove.from_hits(hits, tempo_bpm=150.0, grid=grid)


@faked
def test_music_on_other_grids_is_imported_drawn_edited_played_and_saved(page: Page) -> None:
    given = [Source(grid_name, on_beats(grid)) for grid_name, grid in GRIDS.items()]
    wait_for_rest(page)
    open_library(page)
    import_file(page, _write_archive(given))
    page.get_by_text("2 grooves imported.").wait_for()
    for at, card in enumerate(state(page)["cards"]):
        grid = GRIDS[card["name"]]
        check_card(page, at, grid)


def check_card(page: Page, at: int, grid: Grid) -> None:
    """Count the bars of a card, play it and a bar of it, write into it by keys, and save it."""
    groove, card = on_beats(grid), page.locator(".card").nth(at)
    assert card.locator(".numbers button").all_inner_texts() == ["1", "2"]
    play(page, at)
    assert state(page)["loopSeconds"] == pytest.approx(groove.duration_seconds)
    card.locator(".numbers button").last.click()
    wait_for_state(page, f"Math.abs(now.loopSeconds - {groove.duration_seconds / 2}) < 1e-6")
    card.locator(".play").click()
    card.locator(".edit").click()
    canvas = card.locator("canvas.editable")
    canvas.focus()
    for _ in range(grid.steps_per_bar + grid.steps_per_beat // 2):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.locator(".announcement", has_text="kick, bar 2, 1 and: velocity").first.wait_for()
    wait_for_state(page, f"now.cards[{at}].revisions.edit === 1")
    wait_for_rest(page)
    shown = state(page)["cards"][at]
    assert shown["grid"]["steps_per_bar"] == grid.steps_per_bar
    assert len(shown["hits"]) == groove.n_hits + 1
    _, midi = download(page, card.get_by_role("button", name="MIDI"))
    file = mido.MidiFile(file=io.BytesIO(midi))
    metre = next(message for message in file.tracks[0] if message.type == "time_signature")
    assert (metre.numerator, metre.denominator) == (grid.beats_per_bar, 4)
    card.locator(".edit").click()
