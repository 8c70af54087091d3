"""The Sample page and the app around it, run by Streamlit's test driver over a fake `Studio`."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_studio import FakeStudio, groove_at
from page_driver import components, transport_bar
from streamlit.testing.v1 import AppTest

from musicvae_core.errors import CheckpointError
from musicvae_core.music.drums import KICK
from musicvae_core.music.midi.read import read_midi
from pages.shared import transport
from pages.shared.collection import fingerprint
from pages.shared.names import (
    style_title,
)
from pages.shared.transport import _PRELOADED, _preloaded_scripts, _Transport

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
    assert all(card["hits"] and card["midi"] for card in found)


def kit_files() -> list[Path]:
    return sorted(Path(transport._pack_folder()[0].name).glob("*.pack"))


def test_a_kit_that_was_deleted_is_packed_again(app: AppTest) -> None:
    app.run()
    for file in kit_files():
        file.unlink()
    app.run()
    assert kit_files()


def test_a_full_disk_is_reported_and_the_page_stays(app: AppTest, full_disk: None) -> None:
    app.run()
    for file in kit_files():
        file.unlink()
    app.run()
    assert not app.exception
    assert any("No space left" in toast.value for toast in app.toast)
    assert cards(app)


def test_streamlit_has_the_scripts_that_are_loaded_ahead(app: AppTest) -> None:
    scripts = transport_bar(app.run())["scripts"]
    assert scripts == _preloaded_scripts()
    assert [re.sub(r"^static/js/(\w+)\..*\.js$", r"\1", script) for script in scripts] == [
        *_PRELOADED
    ]


def test_sample_uses_the_settings(app: AppTest, studio: FakeStudio) -> None:
    app.run()
    app.slider(key="n").set_value(3)
    app.number_input(key="seed").set_value(41)
    app.selectbox(key="model").set_value("drums_2bar")
    app.radio(key="prior").set_value("normal")
    press(app, "sample")
    assert studio.calls[-1] == {"model": "drums_2bar", "n": 3, "seed": 41, "prior": "normal"}
    assert len(cards(app)) == 3


def test_style_how_busy_and_length_are_asked_before_sampling(
    app: AppTest, studio: FakeStudio
) -> None:
    app.run()
    assert app.selectbox(key="sample.style").options == [
        "Any style",
        *map(style_title, studio.atlas("groove_2bar").styles),
    ]
    app.selectbox(key="sample.style").set_value("funk")
    app.select_slider(key="sample.busy").set_value("sparse")
    app.segmented_control(key="sample.bars").set_value(1)
    press(app, "sample")
    asked = studio.calls[-1]
    assert (asked["style"], asked["busy"]) == ("funk", 0.05)
    assert [card["steps"] for card in cards(app)] == [16] * 8
    assert cards(app)[0]["note"] == "Funk · sparse · seed 0"
    press(app, "sample")
    assert studio.calls[-1]["seed"] == 1, "the same settings take the next seed"


def test_a_length_that_the_model_cannot_play_takes_the_model_that_can(
    app: AppTest, studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = studio.models()
    longer = replace(models[0], name="groove_16bar", title="Sixteen bars", n_bars=16)
    flat = replace(longer, name="drums_16bar", has_feel=False)
    monkeypatch.setattr(studio, "models", lambda: (*models, flat, longer))
    app.run()
    app.segmented_control(key="sample.bars").set_value(8).run()
    assert app.selectbox(key="model").value == "groove_16bar"
    press(app, "sample")
    assert studio.calls[-1]["model"] == "groove_16bar"
    app.segmented_control(key="sample.bars").set_value(1).run()
    assert app.selectbox(key="model").value == "groove_2bar"
    app.selectbox(key="model").set_value("drums_16bar").run()
    assert app.segmented_control(key="sample.bars").value == 16


def test_each_press_of_sample_is_a_step_of_its_own(app: AppTest, studio: FakeStudio) -> None:
    sets = [names(app.run())]
    for seeds in ((1, 2), (3,)):  # two presses during one run, and one
        app.session_state["sample.asked"] = seeds
        app.session_state["seed"] = seeds[-1]
        sets.append(names(app.run()))
    assert [call["seed"] for call in studio.calls] == [0, 1, 2, 3]
    press(app, "undo")
    assert (names(app), app.number_input(key="seed").value) == (sets[1], 2)
    press(app, "undo")
    assert cards(app)[0]["note"] == "seed 1"
    assert names(press(app, "undo")) == sets[0]


def test_more_like_two_grooves_gives_both_their_neighbours(app: AppTest) -> None:
    app.run()
    first, second, *_ = cards(app)
    app.session_state["sample.more"] = (first["id"], "gone", second["id"])
    app.run()
    notes = [card["note"] for card in cards(app)]
    assert notes.count(f"near {first['name']}") == 4
    assert notes.count(f"near {second['name']}") == 4


def test_more_like_an_edited_groove_starts_from_the_edit(
    app: AppTest, studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.run()
    first = app.session_state["kept.sample.shelf"].now.entries[0]
    made = groove_at(np.full(4, 9, np.float32), 120.0)
    app.session_state["kept.edits"] = {fingerprint(first.take.groove): made}
    app.session_state["sample.more"] = (first.id,)
    asked = []
    similar = studio.similar
    monkeypatch.setattr(
        studio, "similar", lambda take, *n, **how: asked.append(take) or similar(take, *n, **how)
    )
    app.run()
    [take] = asked
    assert take.groove == made
    assert np.array_equal(take.z, studio.encode("groove_2bar", [made])[0])


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


def test_the_transport_s_tempo_is_that_of_the_files_and_moves_no_notes(
    app: AppTest, studio: FakeStudio
) -> None:
    before = cards(app.run())
    app.session_state["kept.transport"] = _Transport(tempo=90)
    after = cards(app.run())
    assert len(studio.calls) == 1
    for old, new in zip(before, after, strict=True):
        assert old["hits"] == new["hits"]
        assert old["tempo"] == new["tempo"] == 120
        assert read_midi(base64.b64decode(new["midi"])).groove.tempo_bpm == pytest.approx(90)


def test_a_reload_finds_the_mix_and_the_kit_as_they_were(app: AppTest) -> None:
    app.session_state["kept.transport"] = _Transport(muted=(KICK,), volume=0.5, revision=3)
    app.session_state["kept.kit"] = "jazz"
    bar = transport_bar(app.run())
    assert (bar["set"]["muted"], bar["set"]["volume"], bar["revision"]) == ([KICK], 0.5, 3)
    assert (bar["kit"], [kit for kit, _ in bar["kits"]]) == ("jazz", ["standard", "jazz"])


def test_a_page_renders_no_sound(
    app: AppTest, studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio, "wav", None)
    assert len(cards(app.run())) == 8


def test_eight_grooves_are_twenty_kilobytes(app: AppTest) -> None:
    [deck] = components(app.run())
    assert len(json.dumps(deck)) <= 20_000


def test_midi_files_are_for_playing_once_unless_loops_are_asked_for(app: AppTest) -> None:
    once = [card["midi"] for card in cards(app.run())]
    loops = [card["midi"] for card in cards(app.toggle(key="midi_loop").set_value(True).run())]
    rushed = [any(hit[0] == 0 and hit[3] < 0 for hit in card["hits"]) for card in cards(app)]
    assert any(rushed)
    assert [a != b for a, b in zip(once, loops, strict=True)] == rushed
    app.session_state["n"] = 3
    assert [card["midi"] for card in cards(app.run())] == loops


def test_undo_brings_back_the_grooves_from_before(app: AppTest) -> None:
    before = names(app.run())
    undo = app.button(key="undo")
    assert undo.disabled
    assert undo.help == "Nothing to undo yet"
    press(app, "sample")
    assert names(press(app, "undo")) == before


def test_undo_brings_back_the_seed_and_the_next_sample_the_grooves_it_took_away(
    app: AppTest,
) -> None:
    first = names(app.run())
    second = names(press(press(app, "sample"), "sample"))
    assert app.number_input(key="seed").value == 2
    press(press(app, "undo"), "undo")
    assert (names(app), app.number_input(key="seed").value) == (first, 0)
    press(press(app, "sample"), "sample")
    assert (names(app), app.number_input(key="seed").value) == (second, 2)


def test_an_error_is_one_sentence_and_the_grooves_stay(app: AppTest, studio: FakeStudio) -> None:
    before = names(app.run())
    studio.error = CheckpointError("The model is gone: bring it back.")
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
    [deck] = components(app.run())
    assert all(card["midi"] for card in deck["cards"])
    assert deck["problem"] == transport_bar(app)["problem"] == studio.sound_problem
    assert transport_bar(app)["kits"] == []


def test_every_disabled_control_says_why(app: AppTest, studio: FakeStudio) -> None:
    studio.sound_problem = "No sound."
    app.run()
    widgets = [*app.button, *app.selectbox, *app.slider, *app.number_input, *app.radio]
    assert all(widget.help for widget in widgets if widget.disabled)
    assert any(widget.disabled for widget in widgets)


def test_streamlit_takes_no_file_for_a_page_of_its_own() -> None:
    assert list((APP.parent / "pages").glob("*.py")) == []


def test_about_gives_credit(studio: FakeStudio) -> None:
    page = AppTest.from_string(
        "from pages.about.page import about\nabout()", default_timeout=30
    ).run()
    text = " ".join(markdown.value for markdown in page.markdown)
    assert "CC BY 4.0" in text
    assert "groove_2bar" in text
