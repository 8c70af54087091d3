"""The shelf of the Sample page, and the names and descriptions of what stands on it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
import streamlit as st
from fake_studio import FakeStudio, groove_at

from musicvae_core.data.files import file_stem
from musicvae_core.music.drums import KICK, SNARE, VOICES
from musicvae_core.music.grid import COMMON_TIME
from musicvae_core.music.groove import Groove
from pages.shared.actions import as_text
from pages.shared.names import (
    _count_of,
    describe,
    drummer_title,
    name_of,
    style_in_text,
    style_title,
)
from pages.shared.session import Shelf, shelves
from pages.shared.transport import VOICE_LABELS


@pytest.fixture
def shelf(studio: FakeStudio) -> Iterator[Shelf]:
    st.session_state.clear()
    yield Shelf().renewed(studio.sample("groove_2bar", 3), "seed 0")
    st.session_state.clear()


def test_neighbours_follow_their_source(shelf: Shelf, studio: FakeStudio) -> None:
    source = shelf.entries[1]
    more = shelf.with_neighbours(source, studio.similar(source.take, 2))
    assert [entry.id for entry in more.entries] == ["0", "1", "3", "4", "2"]
    assert more.entries[2].note == f"near {source.name}"


def test_starred_grooves_stay_and_keep_their_names(shelf: Shelf, studio: FakeStudio) -> None:
    named = shelf.renamed("0", " Mine ").renamed("1", "  ")
    fresh = named.renewed(studio.sample("groove_2bar", 2, seed=1), "seed 1", {"0", "2"})
    assert [entry.id for entry in fresh.entries] == ["0", "2", "3", "4"]
    assert [entry.name for entry in fresh.entries[:2]] == ["Mine", shelf.entries[2].name]


def test_a_name_given_later_survives_undo(shelf: Shelf, studio: FakeStudio) -> None:
    shelves.change(shelf, "drums")
    shelves.change(shelf.renewed(studio.sample("groove_2bar", 2, seed=1), "1", {"0"}), "drums")
    shelves.rename("0", "Later", "drums")
    shelves.undo("drums")
    assert shelves.now("drums").entries[0].name == "Later"
    assert [entry.id for entry in shelves.now("drums").entries] == ["0", "1", "2"]


def test_an_id_is_not_given_again_after_an_undo(shelf: Shelf, studio: FakeStudio) -> None:
    shelves.change(shelf, "drums")
    takes = studio.sample("groove_2bar", 2, seed=1)
    shelves.change(shelf.renewed(takes, "seed 1"), "drums")
    shelves.undo("drums")
    shelves.change(shelves.now("drums").renewed(takes, "seed 1"), "drums")
    assert [entry.id for entry in shelves.now("drums").entries] == ["5", "6"]


def test_the_first_entries_of_a_shelf_are_no_step_of_the_undo(shelf: Shelf) -> None:
    shelves.change(shelf, "drums")
    assert not shelves.can_undo("drums")
    shelves.undo("drums")
    assert shelves.now("drums").entries == shelf.entries


def test_names_belong_to_z_and_are_told_apart() -> None:
    z = np.ones(4, np.float32)
    name = name_of(z)
    assert name == name_of(z.copy())
    assert name_of(z, {name}) == f"{name} 2"
    assert name_of(z, {name, f"{name} 2"}) == f"{name} 3"


@pytest.mark.parametrize(
    ("style", "text", "title"),
    [
        ("hiphop", "hip-hop", "Hip-hop"),
        ("neworleans", "New Orleans", "New Orleans"),
        ("afrocuban", "Afro-Cuban", "Afro-Cuban"),
        ("funk", "funk", "Funk"),
        ("", "unknown", "unknown"),
    ],
)
def test_styles_are_spelt_alike_everywhere(style: str, text: str, title: str) -> None:
    assert (style_in_text(style), style_title(style)) == (text, title)


def test_drummers_are_numbered_or_unknown() -> None:
    assert [drummer_title(name) for name in ("drummer1", "")] == ["Drummer 1", "unknown"]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Velvet Wharf 2", "velvet-wharf-2"),
        ("../a\\b:c*?", "a-b-c"),
        ("é ü", "é-ü"),
        ("…", "groove"),
        ("CON", "con-groove"),
        ("com1", "com1-groove"),
        ("🥁" + "é" * 60 + ". ", "é" * 35),
    ],
)
def test_file_names_hold_letters_digits_and_dashes(name: str, stem: str) -> None:
    assert file_stem(name) == stem


def test_a_groove_is_described_as_drummers_count() -> None:
    assert [_count_of(step, COMMON_TIME) for step in (0, 5, 6, 23)] == ["1", "2 e", "2 and", "2 a"]
    hits = np.zeros((32, len(VOICES)), bool)
    hits[[0, 8], KICK] = hits[[4, 14], SNARE] = True
    assert describe(Groove.from_hits(hits, tempo_bpm=96)) == (
        "2 bars at 96 bpm. Bar 1: kick on 1, 3; snare on 2, 4 and. Bar 2: silence."
    )
    one_bar = Groove.silent(1)
    assert describe(one_bar) == "1 bar at 120 bpm. Bar 1: silence."


def test_every_voice_has_a_label_and_every_fake_groove_a_hit() -> None:
    assert len(VOICE_LABELS) == len(VOICES)
    assert groove_at(np.zeros(4, np.float32), 120.0).n_hits


@pytest.mark.parametrize(
    "name",
    ["www.a.com", "me@a.com", ":material/star:", "&lt;b&gt;", "1. one", "- a", "_y_*z*", ":red[a]"],
)
def test_a_name_is_text_and_no_markdown(name: str) -> None:
    text = as_text(name)
    assert text.replace("\N{WORD JOINER}", "").replace("\\", "") == name
    for markup in (r"www\.", r"\w@", r":material", r"(?<!\\)&", r"^\d\.", r"^-", r"(?<!\\)[*_\[]"):
        assert not re.search(markup, text)


def test_a_sentence_without_markdown_stays_as_it_is() -> None:
    assert as_text("The model is gone: bring it back, 1.5 times.") == (
        "The model is gone: bring it back, 1.5 times."
    )
