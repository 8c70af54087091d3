"""The Long form page over a fake `Studio`: pieces that change bar by bar, and paths."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from fake_long_studio import LONG, LONG_DRUMS, N_BARS, FakeLongStudio
from fake_studio import FakeStudio
from long_page import PAGE, bar_of, decks, groove_of, press
from page_driver import components, found_by_pages, newest
from streamlit.testing.v1 import AppTest

from musicvae_core.errors import CheckpointError
from musicvae_core.music.forms import bar_similarity
from pages.long_form.piece import _similarity_figure
from pages.shared.collection import Source
from pages.shared.store import History


@pytest.fixture
def studio() -> Iterator[FakeLongStudio]:
    with found_by_pages(FakeLongStudio()) as fake:
        yield fake


@pytest.fixture
def page(studio: FakeLongStudio) -> AppTest:
    return AppTest.from_string(PAGE, default_timeout=60).run()


def test_a_first_visit_finds_a_piece_with_sound_and_its_map(page: AppTest) -> None:
    [card] = decks(page)
    assert card["midi"]
    assert card["editable"]
    assert card["note"] == "seed 0, temperature 1"
    assert len(page.get("plotly_chart")) == 1


def test_sample_takes_the_settings_and_then_the_next_seed(
    page: AppTest, studio: FakeLongStudio
) -> None:
    first = decks(page)[0]
    page.slider(key="temperature").set_value(0.5)
    page.number_input(key="long_form.seed").set_value(7)
    press(page, "sample")
    assert studio.calls[-1] == {"model": LONG, "temperature": 0.5, "seed": 7}
    press(page, "sample")
    assert studio.calls[-1]["seed"] == 8
    assert page.number_input(key="long_form.seed").value == 8
    assert decks(page)[0]["id"] != first["id"]


@pytest.mark.parametrize(("scope", "changed"), [("one", [5]), ("onward", list(range(5, N_BARS)))])
def test_bars_change_and_the_others_stay(
    page: AppTest, studio: FakeLongStudio, scope: str, changed: list[int]
) -> None:
    before = decks(page)[0]
    page.selectbox(key="long_form.bar").set_value(5)
    page.segmented_control(key="long_form.scope").set_value(scope)
    page.slider(key="long_form.amount").set_value(0.8).run()
    press(page, "change")
    assert studio.calls[-1] == {"bars": changed, "amount": 0.8, "seed": 1}
    after = decks(page)[0]
    differ = [bar for bar in range(N_BARS) if bar_of(before, bar) != bar_of(after, bar)]
    assert differ == changed
    assert after["id"] == before["id"]
    assert after["before"]["hits"] == before["hits"]
    press(page, "change")
    assert studio.calls[-1]["seed"] == 2
    assert decks(page)[0]["hits"] != after["hits"]


def test_undo_goes_back_step_by_step(page: AppTest) -> None:
    assert page.button(key="long_form.undo").disabled
    seen = [decks(page)[0]["hits"]]
    for name in ("change", "sample", "change"):
        press(page, name)
        seen.append(decks(page)[0]["hits"])
    assert len({str(hits) for hits in seen}) == 4
    for hits in reversed(seen[:-1]):
        press(page, "undo")
        assert decks(page)[0]["hits"] == hits
    assert page.button(key="long_form.undo").disabled


def test_undo_brings_back_the_seed(page: AppTest) -> None:
    press(page, "sample")
    press(page, "change")
    assert page.number_input(key="long_form.seed").value == 1
    press(page, "undo")
    assert page.number_input(key="long_form.seed").value == 1
    press(page, "undo")
    assert page.number_input(key="long_form.seed").value == 0


def test_a_reverted_edit_does_not_count(studio: FakeLongStudio) -> None:
    def page_with_edits() -> None:
        import streamlit as st

        from musicvae_core.music.groove import Groove
        from pages.long_form.long_settings import Pieces
        from pages.long_form.page import long_form

        long_form()
        groove = st.session_state.setdefault("first", Pieces().now.piece.groove)
        silent = Groove.silent(groove.n_bars, groove.tempo_bpm)
        st.button("Edit", key="long_form.silence", on_click=Pieces().show_edited, args=(silent,))
        st.button("Back", key="long_form.back", on_click=Pieces().show_edited, args=(groove,))

    page = AppTest.from_function(page_with_edits, default_timeout=60).run()
    before = decks(page)[0]["note"]
    press(page, "silence")
    assert decks(page)[0]["note"] == "edited by hand"
    press(page, "back")
    assert decks(page)[0]["note"] == before
    assert page.button(key="long_form.undo").disabled


def test_a_name_given_later_survives_undo_and_is_of_that_piece_alone(
    studio: FakeLongStudio,
) -> None:
    def page_with_a_button() -> None:
        import streamlit as st

        from pages.long_form.long_settings import Pieces
        from pages.long_form.page import long_form

        long_form()
        st.button("Rename", key="long_form.rename", on_click=Pieces().rename, args=(" Mine ",))

    page = AppTest.from_function(page_with_a_button, default_timeout=60).run()
    first = decks(page)[0]["name"]
    for name in ("sample", "change", "rename"):
        press(page, name)
    assert decks(page)[0]["name"] == "Mine"
    press(page, "undo")
    assert decks(page)[0]["name"] == "Mine"
    assert "changed" not in decks(page)[0]["note"]
    press(page, "undo")
    assert decks(page)[0]["name"] == first


def test_the_morph_is_made_when_asked_for_and_a_step_can_be_worked_on(
    page: AppTest, studio: FakeLongStudio
) -> None:
    page.session_state["long_form.morph"] = True
    piece, morph = decks(page.run())
    assert (morph["morph"]["columns"], len(morph["morph"]["places"])) == (5, 5)
    places = morph["morph"]["places"]
    assert places[0]["hits"] == piece["hits"]
    assert all(place["midi"] for place in places)
    assert places[-1]["hits"] != piece["hits"]
    press(page, "take")
    assert decks(page)[0]["hits"] == places[2]["hits"]
    press(page, "undo")
    press(page, "cross")
    crossing = decks(page)[0]
    assert bar_of(crossing, 0) == bar_of(piece, 0)
    assert crossing["name"] == f"{piece['name']} into {morph['morph']['ends'][1]}"


def test_a_demo_groove_is_repeated_for_a_morph(page: AppTest, studio: FakeLongStudio) -> None:
    page.session_state["long_form.morph"] = True
    page.run()
    choice = newest(page.selectbox, "long_form.other.choice")
    rock = next(option for option in choice.options if option.startswith("Rock"))
    choice.set_value(rock).run()
    assert decks(page)[1]["morph"]["ends"][1] == "Rock"
    assert len(decks(page)[1]["morph"]["places"][-1]["hits"]) % 8 == 0


def test_a_piece_morphs_within_its_own_model_whichever_is_chosen(
    page: AppTest, studio: FakeLongStudio
) -> None:
    studio.add_long_drums()
    page.run().selectbox(key="long_form.model").set_value(LONG_DRUMS)
    page.session_state["long_form.morph"] = True
    page.run()
    assert not page.error
    assert len(decks(page)[1]["morph"]["places"]) == 5
    assert {call["model"] for call in studio.calls if "model" in call} == {LONG}
    crossing = press(page, "cross")
    assert not crossing.error
    assert " into " in decks(crossing)[0]["name"]


def test_the_ends_of_a_morph_bear_the_whole_names_of_the_pieces(page: AppTest) -> None:
    sent = Source("From verse to chorus", groove_of(N_BARS), origin="upload")
    page.session_state["kept.long_form.inbox"] = [sent]
    page.session_state["long_form.morph"] = True
    page.run()
    start, end = decks(page)[1]["morph"]["ends"]
    assert start == "From verse to chorus"
    assert decks(page)[1]["name"] == f"{start} to {end}"


def test_sample_does_not_draw_the_other_piece_of_the_morph(page: AppTest) -> None:
    page.session_state["long_form.morph"] = True
    page.run()
    for _ in range(2):
        press(page, "sample")
        piece, morph = decks(page)
        assert morph["morph"]["ends"][1] != piece["name"]
        assert morph["morph"]["places"][-1]["hits"] != piece["hits"]


def test_a_morph_of_a_piece_with_itself_says_so(page: AppTest) -> None:
    now = page.session_state["kept.long_form.pieces"].now.piece
    same = Source("The same", now.groove.at_tempo(80), None, LONG, "favourite")
    page.session_state["kept.long_form.slots"] = History({"long_form.other": same})
    page.session_state["long_form.morph"] = True
    page.run()
    assert [info.value for info in page.info] == [
        "Both ends are the same piece: choose another one to morph with."
    ]
    assert len(decks(page)) == 1


def test_a_morph_whose_model_is_gone_says_so(page: AppTest, studio: FakeLongStudio) -> None:
    studio.add_long_drums()
    studio.long_models = studio.long_models[1:]
    page.session_state["long_form.morph"] = True
    page.run()
    assert [error.value for error in page.error] == [
        f"The model {LONG} is gone: put it back into the folder checkpoints."
    ]
    assert len(decks(page)) == 1


def test_an_error_is_one_sentence_and_the_piece_stays(
    page: AppTest, studio: FakeLongStudio
) -> None:
    before = decks(page)[0]
    studio.error = CheckpointError("The model is gone: bring it back.")
    for name in ("sample", "change"):
        press(page, name)
        assert [error.value for error in page.error] == ["The model is gone: bring it back."]
        assert decks(page)[0]["hits"] == before["hits"]


def test_without_a_long_model_the_page_says_so_and_paths_work(
    monkeypatch: pytest.MonkeyPatch, studio: FakeLongStudio
) -> None:
    monkeypatch.setattr(studio, "models", lambda: FakeStudio.models(studio))
    page = AppTest.from_string(PAGE, default_timeout=60).run()
    assert decks(page) == []
    assert "no model of 16 bars" in page.info[0].value
    page.segmented_control(key="long_form.view").set_value("path").run()
    assert decks(page)[0]["steps"] == 12 * 16


def test_without_sound_it_says_so_once_and_exports_midi(
    page: AppTest, studio: FakeLongStudio
) -> None:
    studio.sound_problem = "FluidSynth is missing: install libfluidsynth3."
    [card] = decks(page.run())
    assert card["midi"]
    assert all(
        deck["problem"] == studio.sound_problem for deck in components(page) if "cards" in deck
    )


def test_sent_grooves_become_the_piece_or_a_stop_by_length(page: AppTest) -> None:
    page.session_state["kept.long_form.inbox"] = [Source("Long one", groove_of(20), origin="map")]
    page.run()
    assert decks(page)[0]["name"] == "Long one"
    assert decks(page)[0]["steps"] == 16 * N_BARS
    page.session_state["kept.long_form.inbox"] = [Source("Short one", groove_of(2), origin="map")]
    page.run()
    assert page.segmented_control(key="long_form.view").value == "path"
    assert decks(page) == []
    page.session_state["kept.long_form.inbox"] = [Source("Another", groove_of(1), origin="map")]
    assert decks(page.run())[0]["note"] == "8 bars: Short one 4, Another 4"


@pytest.mark.parametrize("n_bars", [N_BARS, N_BARS + 4])
def test_a_piece_that_is_sent_keeps_its_model_and_its_code_where_it_is_whole(
    page: AppTest, studio: FakeLongStudio, n_bars: int
) -> None:
    studio.add_long_drums()
    z = np.ones(3, np.float32)
    sent = Source("Sent", groove_of(n_bars), z, LONG_DRUMS, "sample")
    page.session_state["kept.long_form.inbox"] = [sent]
    page.run()
    assert studio.calls[-1] == {"model": LONG_DRUMS, "z": z if n_bars == N_BARS else None}
    assert page.selectbox(key="long_form.model").value == LONG_DRUMS
    assert decks(page)[0]["name"] == "Sent"
    press(page, "sample")
    assert studio.calls[-1]["model"] == LONG_DRUMS


def test_a_piece_of_a_missing_model_is_played_by_the_chosen_one(
    page: AppTest, studio: FakeLongStudio
) -> None:
    studio.add_long_drums()
    page.run().selectbox(key="long_form.model").set_value(LONG_DRUMS).run()
    sent = Source("Sent", groove_of(N_BARS), np.ones(3, np.float32), "gone", "sample")
    page.session_state["kept.long_form.inbox"] = [sent]
    page.run()
    assert studio.calls[-1] == {"model": LONG_DRUMS, "z": None}
    assert page.selectbox(key="long_form.model").value == LONG_DRUMS


def test_a_piece_that_is_sent_leaves_the_next_seed_to_sample(
    page: AppTest, studio: FakeLongStudio
) -> None:
    sent = Source("Sent", groove_of(N_BARS), np.ones(3, np.float32), LONG, "sample")
    page.session_state["kept.long_form.inbox"] = [sent]
    press(page.run(), "sample")
    assert studio.calls[-1]["seed"] == 1


def test_the_map_shows_every_pair_of_bars() -> None:
    groove = groove_of(16)
    [heatmap] = _similarity_figure(groove).data
    np.testing.assert_array_equal(heatmap.z, bar_similarity(groove.hits))
    assert list(heatmap.x) == list(range(1, 17))
