"""The pages, run by Streamlit's own test driver over a fake `Studio`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_studio import FakeStudio, groove_at
from page_driver import components
from streamlit.testing.v1 import AppTest

from musicvae_core.errors import CheckpointNotFoundError
from musicvae_core.groove import Groove
from musicvae_core.vocabulary import KICK, SNARE, VOICES
from pages.components.deck.card import Mix
from pages.components.deck.deck import ROW_LABELS
from pages.components.deck.payload import file_stem
from pages.components.describe import count_of, describe
from pages.components.names import drummer_title, name_of, style_in_text, style_title
from pages.components.sample.shelf import Shelf

APP = Path(__file__).parents[1] / "app.py"


@pytest.fixture
def app(studio: FakeStudio) -> AppTest:
    return AppTest.from_file(str(APP), default_timeout=30)


def cards(app: AppTest) -> list[dict]:
    [deck] = components(app)
    return deck["cards"]


def names(app: AppTest) -> list[str]:
    return [card["name"] for card in cards(app)]


def press(app: AppTest, key: str) -> AppTest:
    return app.button(key=key).click().run()


def test_a_first_visit_finds_grooves_with_sound(app: AppTest) -> None:
    found = cards(app.run())
    assert len(found) == 8
    assert all(card["hits"] and card["sound"] and card["midi"] for card in found)


def test_sample_uses_the_settings(app: AppTest, studio: FakeStudio) -> None:
    app.run()
    app.slider(key="n").set_value(3)
    app.number_input(key="seed").set_value(41)
    app.selectbox(key="model").set_value("drums_2bar")
    app.radio(key="prior").set_value("normal")
    press(app, "sample")
    assert studio.calls[-1] == {"model": "drums_2bar", "n": 3, "seed": 41, "prior": "normal"}
    assert len(cards(app)) == 3


def test_sampling_again_takes_the_next_seed_and_a_typed_seed_comes_back(app: AppTest) -> None:
    first = names(app.run())
    assert names(press(app, "sample")) != first
    assert app.number_input(key="seed").value == 1
    app.number_input(key="seed").set_value(0)
    assert names(press(app, "sample")) == first


def test_the_dice_change_the_seed_alone(app: AppTest) -> None:
    before = names(app.run())
    press(app, "dice")
    assert app.number_input(key="seed").value > 0
    assert names(app) == before


def test_tempo_and_kit_play_the_same_grooves_anew(app: AppTest, studio: FakeStudio) -> None:
    before = cards(app.run())
    app.number_input(key="tempo_bpm").set_value(90).run()
    slower = cards(app)
    app.selectbox(key="kit").set_value("jazz").run()
    jazzy = cards(app)
    assert len(studio.calls) == 1
    for old, slow, jazz in zip(before, slower, jazzy, strict=True):
        assert old["hits"] == slow["hits"] == jazz["hits"]
        assert slow["tempo"] == jazz["tempo"] == 90
        assert len({old["sound"], slow["sound"], jazz["sound"]}) == 3


def test_what_is_muted_elsewhere_is_muted_and_shown_here(app: AppTest) -> None:
    before = cards(app.run())
    app.session_state["kept.mix"] = Mix(muted=frozenset({KICK}), volume=0.5)
    [deck] = components(app.run())
    assert deck["can"]["mix"]
    assert deck["mix"][:3] == [[KICK], [], 0.5]
    assert not {card["sound"] for card in deck["cards"]} & {card["sound"] for card in before}


def test_a_rerun_renders_and_sends_no_sound_again(
    app: AppTest, studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cards(app.run())
    monkeypatch.setattr(studio, "wav", None)
    assert cards(app.run()) == before


def test_undo_brings_back_the_grooves_from_before(app: AppTest) -> None:
    before = names(app.run())
    undo = app.button(key="undo")
    assert undo.disabled
    assert undo.help == "Nothing to undo yet"
    press(app, "sample")
    assert names(press(app, "undo")) == before


def test_an_error_is_one_sentence_and_the_grooves_stay(app: AppTest, studio: FakeStudio) -> None:
    before = names(app.run())
    studio.error = CheckpointNotFoundError("The model is gone: bring it back.")
    press(app, "sample")
    assert [error.value for error in app.error] == ["The model is gone: bring it back."]
    assert names(app) == before


def test_without_a_model_the_page_says_what_to_do(
    app: AppTest, studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio, "models", tuple)
    app.run()
    assert not app.exception
    assert "train one with" in app.error[0].value


def test_without_sound_the_page_draws_exports_midi_and_says_so_once(
    app: AppTest, studio: FakeStudio
) -> None:
    studio.sound_problem = "FluidSynth is missing: install libfluidsynth3."
    found = cards(app.run())
    assert all(card["sound"] is None and card["midi"] for card in found)
    assert [warning.value for warning in app.warning] == [studio.sound_problem]
    kit = app.selectbox(key="kit")
    assert kit.disabled
    assert kit.help == studio.sound_problem


def test_every_disabled_control_says_why(app: AppTest, studio: FakeStudio) -> None:
    studio.sound_problem = "No sound."
    app.run()
    widgets = [*app.button, *app.selectbox, *app.slider, *app.number_input, *app.radio]
    assert all(widget.help for widget in widgets if widget.disabled)
    assert any(widget.disabled for widget in widgets)


def test_a_page_that_streamlit_runs_alone_hands_over_to_the_app(studio: FakeStudio) -> None:
    page = AppTest.from_file(str(APP.parent / "pages" / "sample.py"), default_timeout=30)
    assert len(cards(page.run())) == 8


def test_about_gives_credit(studio: FakeStudio) -> None:
    page = AppTest.from_string("from pages.about import about\nabout()", default_timeout=30).run()
    text = " ".join(markdown.value for markdown in page.markdown)
    assert "CC BY 4.0" in text
    assert "groove_2bar" in text


@pytest.fixture
def shelf(studio: FakeStudio) -> Shelf:
    return Shelf().renewed(studio.sample("groove_2bar", 3), "seed 0")


def test_neighbours_follow_their_source(shelf: Shelf, studio: FakeStudio) -> None:
    source = shelf.entries[1]
    more = shelf.with_neighbours(source, studio.similar(source.take, 2))
    assert [entry.id for entry in more.entries] == ["0", "1", "3", "4", "2"]
    assert more.entries[2].note == f"near {source.name}"
    assert more.undone().entries == shelf.entries


def test_what_is_kept_stays_and_keeps_its_name(shelf: Shelf, studio: FakeStudio) -> None:
    named = shelf.renamed("0", " Mine ").renamed("1", "  ")
    fresh = named.renewed(studio.sample("groove_2bar", 2, seed=1), "seed 1", {"0", "2"})
    assert [entry.id for entry in fresh.entries] == ["0", "2", "3", "4"]
    assert [entry.name for entry in fresh.entries[:2]] == ["Mine", shelf.entries[2].name]


def test_a_name_given_later_survives_undo(shelf: Shelf, studio: FakeStudio) -> None:
    fresh = shelf.renewed(studio.sample("groove_2bar", 2, seed=1), "seed 1", {"0"})
    assert fresh.renamed("0", "Later").undone().entries[0].name == "Later"


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
    ],
)
def test_file_names_hold_letters_digits_and_dashes(name: str, stem: str) -> None:
    assert file_stem(name) == stem


def test_a_groove_is_described_as_drummers_count() -> None:
    assert [count_of(step) for step in (0, 5, 6, 23)] == ["1", "2 e", "2 and", "2 a"]
    hits = np.zeros((32, len(VOICES)), bool)
    hits[[0, 8], KICK] = hits[[4, 14], SNARE] = True
    assert describe(Groove.from_hits(hits, tempo_bpm=96)) == (
        "2 bars at 96 bpm. Bar 1: kick on 1, 3; snare on 2, 4 and. Bar 2: silence."
    )
    one_bar = Groove.silent(1)
    assert describe(one_bar) == "1 bar at 120 bpm. Bar 1: silence."


def test_every_voice_has_a_label_and_every_fake_groove_a_hit() -> None:
    assert len(ROW_LABELS) == len(VOICES)
    assert groove_at(np.zeros(4, np.float32), 120.0).n_hits
