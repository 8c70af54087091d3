"""The Morph page, and what the Sample page receives, over a fake `Studio`."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from fake_studio import FakeStudio, groove_at
from page_driver import components
from streamlit.testing.v1 import AppTest
from tiny_data import drummed_groove

from musicvae_core.errors import CheckpointError
from musicvae_core.latent.results import ModelInfo
from musicvae_core.music.drums import CLOSED_HAT, N_VOICES
from musicvae_core.music.groove import Groove
from musicvae_core.music.midi.read import read_midi
from musicvae_core.music.midi.write import write_midi
from pages.shared.card import _zip_of
from pages.shared.collection import Source, fingerprint
from pages.shared.store import History
from pages.shared.transport import _Transport

ROOT = Path(__file__).parents[1]
PAGE = "from pages.{0}.page import {0}\n{0}()"


@pytest.fixture
def page(studio: FakeStudio) -> AppTest:
    return AppTest.from_string(PAGE.format("morph"), default_timeout=30).run()


def decks(page: AppTest) -> list[list[dict]]:
    """The cards of the page's decks: the morph, the ends, and the piece where it is open."""
    return [deck["cards"] for deck in components(page) if "cards" in deck]


def morph_of(page: AppTest) -> dict:
    return decks(page)[0][0]["morph"]


def upload(page: AppTest, **grooves) -> None:
    files = [(f"{stem}.mid", write_midi(groove), "audio/midi") for stem, groove in grooves.items()]
    page.file_uploader[-1].set_value(files).run()


def some_groove(seed: int, n_bars: int = 2, tempo_bpm: float = 97.0):
    return drummed_groove(np.random.default_rng(seed), n_bars, tempo_bpm)


def test_a_first_visit_morphs_between_two_demo_grooves_with_sound(page: AppTest) -> None:
    morph = morph_of(page)
    assert (morph["rows"], morph["columns"], morph["ends"]) == (1, 9, ["Rock", "Funk"])
    assert all(place["midi"] and place["hits"] for place in morph["places"])


@pytest.mark.parametrize("n_steps", [3, 33])
def test_settings_reach_the_studio(page: AppTest, studio: FakeStudio, n_steps: int) -> None:
    page.slider(key="morph.n_steps").set_value(n_steps)
    page.slider(key="morph.temperature").set_value(0.5)
    page.radio(key="morph.curve").set_value("lerp").run()
    assert studio.calls[-1] == {"curve": "lerp", "temperature": 0.5, "n_steps": n_steps}
    assert len(morph_of(page)["places"]) == n_steps


def test_four_corners_make_a_pad(page: AppTest) -> None:
    page.segmented_control(key="morph.n_ends").set_value(4).run()
    morph = morph_of(page)
    assert (morph["rows"], morph["columns"], len(morph["places"])) == (5, 5, 25)
    assert morph["ends"] == ["Rock", "Funk", "Shuffle", "Bossa"]
    assert len(decks(page)[1]) == 8
    steps = page.slider(key="morph.n_steps")
    assert steps.disabled
    assert "5 by 5" in steps.help


def test_files_dropped_together_become_the_ends(page: AppTest) -> None:
    upload(page, first=some_groove(1), second=some_groove(2), third=some_groove(3))
    assert morph_of(page)["ends"] == ["first", "second"]
    page.segmented_control(key="morph.n_ends").set_value(4).run()
    upload(page, w=some_groove(4), x=some_groove(5), y=some_groove(6), z=some_groove(7))
    assert morph_of(page)["ends"] == ["w", "x", "y", "z"]


def test_each_end_stands_beside_what_the_model_makes_of_it(page: AppTest) -> None:
    cards = decks(page)[1]
    assert [card["name"] for card in cards] == [
        *("A: Rock", "A as the model plays it", "B: Funk", "B as the model plays it")
    ]
    for own, played in zip(cards[::2], cards[1::2], strict=True):
        assert played["before"]["hits"] == own["hits"] != played["hits"]
        assert played["before"]["file"] == own["file"]
        right, f1 = played["note"].split(", ")
        assert right.endswith("% of steps come back right")
        assert 0 <= float(f1.removeprefix("F1 of hits ")) <= 1


def test_ends_are_starred_and_sent_by_names_that_last(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {}
    monkeypatch.setattr(
        "pages.morph.page.source_deck",
        lambda studio, cards, source_of, *, key, **_: given.update({key: (cards, source_of)}),
    )
    page.run()
    cards, source_of = given["morph.ends"]
    assert [source_of(card.id).name for card in cards] == [
        *("Rock", "Rock, as the model plays it", "Funk", "Funk, as the model plays it")
    ]


def test_exact_ends_are_the_grooves_themselves(page: AppTest) -> None:
    own = [card["hits"] for card in decks(page)[1][::2]]
    decoded = [morph_of(page)["places"][at]["hits"] for at in (0, -1)]
    assert decoded != own
    page.toggle(key="morph.exact_ends").set_value(True).run()
    assert [morph_of(page)["places"][at]["hits"] for at in (0, -1)] == own


def test_swap_and_undo(page: AppTest) -> None:
    page.button(key="morph.swap").click().run()
    assert morph_of(page)["ends"] == ["Funk", "Rock"]
    upload(page, first=some_groove(1), second=some_groove(2))
    page.button(key="morph.undo").click().run()
    assert morph_of(page)["ends"] == ["Funk", "Rock"]
    page.button(key="morph.undo").click().run()
    assert morph_of(page)["ends"] == ["Rock", "Funk"]
    assert page.button(key="morph.undo").disabled


def test_swap_takes_along_which_bars_were_chosen(page: AppTest) -> None:
    upload(page, long=some_groove(1, 8), short=some_groove(2, 1))
    page.select_slider[0].set_value(4).run()
    page.segmented_control(key=filling_of(page)).set_value("silence").run()
    ends = [card["hits"] for card in decks(page)[1][::2]]
    page.button(key="morph.swap").click().run()
    assert [card["hits"] for card in decks(page)[1][::2]] == ends[::-1]
    assert page.select_slider[0].value == 4


def filling_of(page: AppTest) -> str:
    [key] = [one.key for one in page.segmented_control if ".filling." in one.key]
    return key


def show_ends(page: AppTest, n_ends: int) -> None:
    page.segmented_control(key="morph.n_ends").set_value(n_ends).run()


def test_undo_is_of_the_ends_that_are_shown(page: AppTest) -> None:
    show_ends(page, 4)
    slots = page.session_state["kept.morph.slots"]
    changed = {**slots.now, "morph.d": Source("mine", some_groove(8))}
    page.session_state["kept.morph.slots"] = slots.extended(changed)
    show_ends(page, 2)
    assert page.button(key="morph.undo").disabled
    show_ends(page, 4)
    assert morph_of(page)["ends"][3] == "mine"
    page.button(key="morph.undo").click().run()
    assert morph_of(page)["ends"][3] == "Bossa"


def test_undo_of_two_ends_leaves_the_corners_that_are_hidden(page: AppTest) -> None:
    upload(page, a=some_groove(1), b=some_groove(2))
    show_ends(page, 4)
    slots = page.session_state["kept.morph.slots"]
    filled = {**slots.now, "morph.d": Source("mine", some_groove(8))}
    page.session_state["kept.morph.slots"] = replace(slots, now=filled)
    show_ends(page, 2)
    page.button(key="morph.undo").click().run()
    show_ends(page, 4)
    assert morph_of(page)["ends"] == ["Rock", "Funk", "Shuffle", "mine"]


def test_sent_grooves_fill_the_ends_in_turn(page: AppTest) -> None:
    for names in (["one"], ["two"], ["three"]):
        page.session_state["kept.morph.inbox"] = [
            Source(name, some_groove(len(name)), origin="sample") for name in names
        ]
        page.run()
    assert morph_of(page)["ends"] == ["three", "two"]
    together = [Source(name, some_groove(len(name))) for name in ("left", "right")]
    page.session_state["kept.morph.inbox"] = together
    assert morph_of(page.run())["ends"] == ["left", "right"]


def test_the_piece_is_made_when_asked_for_and_holds_every_step(page: AppTest) -> None:
    assert len(decks(page)) == 2
    page.session_state["morph.piece"] = True
    page.run()
    [piece] = decks(page)[2]
    assert piece["steps"] == 9 * 32
    assert piece["note"] == "9 steps of 2 bars"
    page.selectbox(key="morph.bars.9.2").set_value(1).run()
    [piece] = decks(page)[2]
    assert piece["steps"] == 9 * 16
    places = morph_of(page)["places"]
    fourth = [[step - 48, *rest] for step, *rest in piece["hits"] if 48 <= step < 64]
    assert fourth == [hit for hit in places[3]["hits"] if hit[0] < 16]


def test_a_zip_holds_every_step_as_it_is_heard(studio: FakeStudio) -> None:
    st.session_state["kept.kit"] = "jazz"
    st.session_state["kept.transport"] = _Transport(muted=(CLOSED_HAT,), tempo=90)
    grooves = [some_groove(seed) for seed in range(3)]
    archive = zipfile.ZipFile(io.BytesIO(_zip_of(studio, grooves)))
    assert archive.testzip() is None
    assert archive.namelist() == [f"{at:02d}.{kind}" for at in range(3) for kind in ("mid", "wav")]
    gains = [float(voice != CLOSED_HAT) for voice in range(N_VOICES)]
    for at, groove in enumerate(grooves):
        read = read_midi(archive.read(f"{at:02d}.mid")).groove
        np.testing.assert_array_equal(read.hits, groove.hits)
        assert read.tempo_bpm == pytest.approx(90)
        wav = studio.wav(groove.at_tempo(90), "jazz", gains)
        assert archive.read(f"{at:02d}.wav") == wav
    named = zipfile.ZipFile(io.BytesIO(_zip_of(studio, grooves, ["A b", "", "C!"])))
    assert named.namelist()[::2] == ["00-a-b.mid", "01-groove.mid", "02-c.mid"]
    st.session_state["kept.transport"] = _Transport()
    rushed = Groove.from_hits(grooves[0].hits, offsets=-0.1)
    for loop in (False, True):
        st.session_state["midi_loop"] = loop
        once = zipfile.ZipFile(io.BytesIO(_zip_of(studio, [rushed]))).read("00.mid")
        assert once == write_midi(rushed, loop=loop) != write_midi(rushed, loop=not loop)
    studio.sound_problem = "No sound."
    silent = zipfile.ZipFile(io.BytesIO(_zip_of(studio, grooves)))
    assert silent.namelist() == ["00.mid", "01.mid", "02.mid"]


def test_without_sound_the_page_draws_and_says_so_once(page: AppTest, studio: FakeStudio) -> None:
    studio.sound_problem = "FluidSynth is missing: install libfluidsynth3."
    page.run()
    assert all(
        deck["problem"] == studio.sound_problem for deck in components(page) if "cards" in deck
    )


def test_an_error_is_one_sentence(page: AppTest, studio: FakeStudio) -> None:
    studio.error = CheckpointError("The model is gone: bring it back.")
    page.slider(key="morph.n_steps").set_value(5).run()
    assert [error.value for error in page.error] == ["The model is gone: bring it back."]
    assert not page.exception


def test_every_disabled_control_says_why(page: AppTest, studio: FakeStudio) -> None:
    studio.sound_problem = "No sound."
    page.segmented_control(key="morph.n_ends").set_value(4).run()
    widgets = [*page.button, *page.selectbox, *page.slider, *page.number_input, *page.radio]
    assert any(widget.disabled for widget in widgets)
    assert all(widget.help for widget in widgets if widget.disabled)


@pytest.mark.parametrize("n_bars", [1, 16])
def test_models_of_other_lengths_fit_the_demo_grooves(
    page: AppTest, studio: FakeStudio, monkeypatch: pytest.MonkeyPatch, n_bars: int
) -> None:
    models = (ModelInfo("long", "Another length", n_bars, True),)
    monkeypatch.setattr(studio, "models", lambda: models)
    page.run()
    assert not page.error
    assert f"the model takes {n_bars}" in page.caption[0].value
    originals = decks(page)[1][::2]
    assert {card["steps"] for card in originals} == {16 * n_bars}


@pytest.fixture
def sample_page(studio: FakeStudio) -> AppTest:
    return AppTest.from_string(PAGE.format("sample"), default_timeout=30).run()


def test_the_sample_page_receives_grooves_of_any_length(sample_page: AppTest) -> None:
    before = [card["id"] for card in decks(sample_page)[0]]
    z = np.ones(4, np.float32)
    sample_page.session_state["kept.sample.inbox"] = [
        Source("Short", some_groove(1, 1), origin="upload"),
        Source("Decoded", groove_at(z, 100), z, "groove_2bar", "morph", "a step"),
    ]
    cards = decks(sample_page.run())[0]
    assert [card["name"] for card in cards[:2]] == ["Decoded", "Short"]
    assert [card["note"] for card in cards[:2]] == ["a step", "from upload"]
    assert [card["id"] for card in cards[2:]] == before
    assert {card["steps"] for card in cards} == {32}
    sample_page.button(key="undo").click().run()
    assert [card["name"] for card in decks(sample_page)[0]][:1] == ["Short"]


def test_a_favourite_is_starred_and_stays_when_new_ones_are_sampled(
    sample_page: AppTest, studio: FakeStudio
) -> None:
    chosen = decks(sample_page)[0][3]
    groove = studio.sample("groove_2bar", 8, seed=0)[3].groove
    assert not chosen["kept"]
    sample_page.session_state["kept.favourites"] = History(
        {fingerprint(groove): Source("Mine", groove, origin="favourite")}
    )
    assert [card["kept"] for card in decks(sample_page.run())[0]].index(True) == 3
    sample_page.button(key="sample").click().run()
    cards = decks(sample_page)[0]
    assert (cards[0]["id"], cards[0]["kept"], len(cards)) == (chosen["id"], True, 9)
