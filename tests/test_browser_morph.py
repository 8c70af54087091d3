"""The Morph page in a real Chromium: upload, morph, hear, export and read back; send and share."""

from __future__ import annotations

import base64
import io
import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from real_browser import (
    ROOT,
    Browser,
    Locator,
    Page,
    allowed,
    download,
    everywhere,
    faked,
    opened,
    until,
    wait_for_sound,
)

from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS
from musicvae_core.music.groove import Groove
from musicvae_core.music.midi.read import read_midi
from pages.shared.collection import as_long_as

TICKS_PER_STEP = COMMON_TIME.ticks_per_step

pytestmark = pytest.mark.browser

PERFORMANCES = ("102_funk_95_beat_4-4.mid", "101_dance-disco_120_beat_4-4.mid")
PLAYABLE_SECONDS = 1.5


@pytest.fixture
def page(address: str, browser: Browser) -> Iterator[Page]:
    with opened(browser, address, permissions=["clipboard-read", "clipboard-write"]) as page:
        yield page


@pytest.fixture
def morph(page: Page) -> Page:
    go_to(page, "Morph")
    return page


@pytest.fixture(scope="session")
def performances(real_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("performances")
    with zipfile.ZipFile(real_archive) as archive:
        inside = [next(n for n in archive.namelist() if n.endswith(f"/{p}")) for p in PERFORMANCES]
        return [Path(archive.extract(name, folder)) for name in inside]


def go_to(page: Page, title: str) -> None:
    page.get_by_role("link", name=title, exact=True).click()
    wait_for_page(page, title)


def wait_for_page(page: Page, title: str) -> None:
    page.wait_for_url(re.compile("/$" if title == "Sample" else f"/{title.lower()}$"))
    markers = {"Morph": ".morph:visible", "Sample": ".st-key-sample", "About": "h1"}
    marker = markers.get(title, ".card:visible")
    page.locator(marker).first.wait_for()
    if title != "About":
        wait_for_sound(page)


def deck(page: Page, number: int = 0) -> dict:
    """The state of one of the page's decks: the morph's, the ends', the piece's."""
    return page.locator(".deck").nth(number).evaluate("deck => deck.deck.state")


def morph_ends(page: Page) -> list[str]:
    return deck(page)["cards"][0]["morph"]["ends"]


def wait_for_ends(page: Page, *ends: str) -> None:
    until(lambda: morph_ends(page) == list(ends), f"the ends {ends}")


def card(page: Page, name: str) -> Locator:
    return page.locator(f".card[data-card='{name}']")


def upload(page: Page, *paths: Path) -> None:
    page.locator("input[type=file]").last.set_input_files(paths)


def switch(page: Page, label: str) -> None:
    page.locator("label").filter(has_text=re.compile(f"^{label}$")).first.click()


def send(page: Page, card_id: str, choice: str) -> None:
    if "small" in card(page, card_id).get_attribute("class"):
        card(page, card_id).locator(".play").click()  # what plays is shown large, with all buttons
    card(page, card_id).get_by_role("button", name="Send").click()
    card(page, card_id).get_by_role("menuitem", name=choice).click()


def notes(groove: Groove) -> list[tuple[int, ...]]:
    """(step, voice, level, tick) of every hit."""
    levels = np.rint(groove.velocities * VELOCITY_LEVELS).astype(int)
    ticks = np.rint(groove.offsets * TICKS_PER_STEP).astype(int)
    cells = np.argwhere(groove.hits).tolist()
    return [
        (step, voice, int(levels[step, voice]), int(ticks[step, voice])) for step, voice in cells
    ]


def midi_of(page: Page, card_id: str) -> Groove:
    """What the card's MIDI button saves."""
    _, data = download(page, card(page, card_id).get_by_text("MIDI", exact=True))
    return read_midi(data).groove


@everywhere
def test_two_real_files_are_morphed_exported_and_read_back(
    morph: Page, performances: list[Path]
) -> None:
    upload(morph, *performances)
    stems = [path.stem for path in performances]
    until(lambda: all(map(str.startswith, morph_ends(morph), stems)), "both uploads")
    assert all(re.search(r", bars \d+-\d+$", end) for end in morph_ends(morph))
    explained = morph.get_by_text("; the model takes 2 at a time")
    until(lambda: explained.count() == 2, "a sentence on each window")
    switch(morph, "Exact ends")
    switch(morph, "Save MIDI files as loops")
    wholes = [read_midi(path).groove for path in performances]
    windows = [as_long_as(whole, 2) for whole in wholes]
    for key, number in (("Home", 0), ("End", 1)):
        field = card(morph, "morph").get_by_role("slider")
        field.focus()
        morph.keyboard.press(key)
        until(
            lambda number=number: notes(midi_of(morph, "morph")) == notes(windows[number]),
            f"end {number} as it was uploaded",
        )
    saved = midi_of(morph, "morph")
    assert saved.tempo_bpm == pytest.approx(wholes[0].tempo_bpm, abs=0.01)

    morph.get_by_text("As a piece").click()
    card(morph, "piece").wait_for()
    piece = midi_of(morph, "piece")
    assert piece.n_bars == 18
    assert notes(piece.bars(0, 2)) == notes(windows[0])
    assert notes(piece.bars(16, 2)) == notes(windows[1])
    name, data = download(morph, morph.get_by_role("button", name="All steps"))
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert name.endswith(".zip")
    assert len(archive.namelist()) == 18
    for step in range(9):
        read = read_midi(archive.read(f"{step:02d}.mid")).groove
        expected = piece.bars(2 * step, 2)
        assert [note[:3] for note in notes(read)] == [note[:3] for note in notes(expected)]


@everywhere
def test_a_new_morph_is_playable_soon_after_it_is_asked_for(morph: Page) -> None:
    slider = morph.locator(".st-key-morph-n_steps").get_by_role("slider")
    before = len(deck(morph)["cards"][0]["morph"]["places"])
    slider.focus()
    start = time.monotonic()
    morph.keyboard.press("ArrowRight")
    until(lambda: len(deck(morph)["cards"][0]["morph"]["places"]) > before, "a step more")
    wait_for_sound(morph)
    seconds = time.monotonic() - start
    print(f"a morph of {before + 1} steps playable after {seconds:.2f} s")
    assert seconds < allowed(PLAYABLE_SECONDS)


@faked
def test_a_card_is_sent_to_the_morph_and_back_with_its_star(page: Page) -> None:
    cards = deck(page)["cards"]
    send(page, cards[2]["id"], "Morph")
    wait_for_page(page, "Morph")
    wait_for_ends(page, cards[2]["name"], "Funk")
    go_to(page, "Sample")
    card(page, cards[3]["id"]).get_by_role("button", name=re.compile("^Keep")).click()
    send(page, cards[3]["id"], "Morph")
    wait_for_page(page, "Morph")
    wait_for_ends(page, cards[2]["name"], cards[3]["name"])
    until(lambda: [one["kept"] for one in deck(page, 1)["cards"]][2], "the star of B")
    page.get_by_role("button", name="Undo").click()
    wait_for_ends(page, cards[2]["name"], "Funk")
    go_to(page, "About")
    go_to(page, "Morph")
    wait_for_ends(page, cards[2]["name"], "Funk")
    page.get_by_role("button", name="Undo").click()
    wait_for_ends(page, "Rock", "Funk")
    send(page, "morph", "Sample")
    wait_for_page(page, "Sample")
    until(lambda: len(deck(page)["cards"]) == 9, "the groove that was sent")
    assert "step" in deck(page)["cards"][0]["name"]
    assert [one["kept"] for one in deck(page)["cards"]].count(True) == 1


@faked
def test_a_star_keeps_the_step_that_is_shown_whatever_the_number_of_steps(morph: Page) -> None:
    slider = morph.locator(".st-key-morph-n_steps").get_by_role("slider")
    slider.focus()
    morph.keyboard.press("ArrowRight")
    until(lambda: deck(morph)["cards"][0]["morph"]["columns"] == 10, "ten steps")
    shown = deck(morph)["cards"][0]["shown"]["hits"]
    assert shown == deck(morph)["cards"][0]["morph"]["places"][5]["hits"]
    card(morph, "morph").get_by_role("button", name=re.compile("^Keep")).click()
    until(lambda: deck(morph)["cards"][0]["kept"], "the star in Python")
    morph.get_by_text("4 corners").click()
    until(lambda: deck(morph)["cards"][0]["morph"]["rows"] == 5, "the pad")
    assert deck(morph)["cards"][0]["place"] == 2
    go_to(morph, "Library")
    until(lambda: len(deck(morph)["cards"]) == 1, "the favourite")
    assert deck(morph)["cards"][0]["hits"] == shown


@faked
def test_a_share_code_is_copied_and_pasted(page: Page) -> None:
    shared = deck(page)["cards"][1]
    send(page, shared["id"], "Share code")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=re.compile("copy", re.IGNORECASE)).click()
    code = page.evaluate("navigator.clipboard.readText()")
    assert code.startswith("gs2.")
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    go_to(page, "Morph")
    page.get_by_role("button", name="Add").first.click()
    field = page.get_by_label("Paste a share code")
    field.fill(code)
    field.press("Enter")
    wait_for_ends(page, shared["name"], "Funk")
    page.keyboard.press("Escape")
    until(lambda: deck(page, 1)["cards"][0]["tempo"] == shared["tempo"], "the tempo")
    own = [[step, voice] for step, voice, *_ in deck(page, 1)["cards"][0]["hits"]]
    assert own == [[step, voice] for step, voice, *_ in shared["hits"]]


_DROP = """
([name, text]) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name, { type: "audio/midi" }));
    const card = document.querySelector(".st-key-morph-deck");
    for (const type of ["dragenter", "dragover", "drop"]) {
        card.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
    }
}
"""


@faked
def test_a_file_dropped_anywhere_becomes_the_first_end(morph: Page) -> None:
    morph.locator(".drop").wait_for(state="attached")
    midi = (ROOT / "assets" / "demo" / "03_Shuffle.mid").read_bytes()
    morph.evaluate(_DROP, ["mine.mid", base64.b64encode(midi).decode("ascii")])
    until(lambda: morph_ends(morph)[0] == "mine", "the dropped file as A")
    assert morph.locator(".morph").first.is_visible()


@faked
def test_an_edited_end_changes_the_morph_and_undo_brings_it_back(morph: Page) -> None:
    card(morph, "morph.a").locator(".edit").click()
    grid = card(morph, "morph.a").locator("canvas.editable")
    grid.wait_for()
    before = deck(morph, 1)["cards"][0]["hits"]
    grid.scroll_into_view_if_needed()
    box = grid.bounding_box()
    assert box
    grid.click(position={"x": 0.4 * box["width"], "y": 0.3 * box["height"]})
    until(lambda: deck(morph, 1)["cards"][0]["note"] == "edited", "the edit in Python")
    assert len(deck(morph, 1)["cards"][0]["hits"]) == len(before) + 1
    morph.locator(".st-key-morph-undo button:visible").click()
    until(lambda: deck(morph, 1)["cards"][0]["hits"] == before, "the groove from before")
