"""The Attributes page over a fake `Studio`: sliders, styles, and what is asked of a groove."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_studio import FakeStudio, fake_vectors
from page_driver import components, newest
from streamlit.testing.v1 import AppTest

from musicvae_core.errors import CheckpointError
from musicvae_core.music.attributes import CONTROLS
from pages.attributes.page import _amount, _in_words, _shown, _slider_range
from pages.attributes.steering import SteeringRequest
from pages.shared.sources import demo_sources

PAGE = """
import streamlit as st
from pages.attributes.page import attributes
from pages.attributes.page import _set_targets, _Targets
from musicvae_core.music.attributes import CONTROLS

if given := st.session_state.pop("given", None):
    _set_targets(given["groove"], CONTROLS, _Targets(**given))
attributes()
"""
APP = Path(__file__).parents[1] / "app.py"


@pytest.fixture
def page(studio: FakeStudio) -> AppTest:
    return AppTest.from_string(PAGE, default_timeout=30).run()


def card(page: AppTest) -> dict:
    [deck] = [data for data in components(page) if "cards" in data]
    [only] = deck["cards"]
    return only


def sliders(page: AppTest) -> dict:
    [data] = [data for data in components(page) if "sliders" in data]
    return data


def slider(page: AppTest, name: str) -> dict:
    return next(one for one in sliders(page)["sliders"] if one["name"] == name)


def move(page: AppTest, **targets: float | None) -> AppTest:
    """Run the page with what its sliders send when these were moved."""
    return send(page, sliders(page)["revision"] + 1, targets)


def send(page: AppTest, revision: int, targets: dict[str, float | None]) -> AppTest:
    groove = sliders(page)["groove"]
    page.session_state["given"] = {"groove": groove, "revision": revision, "targets": targets}
    return page.run()


def set_to(page: AppTest, name: str, value: float) -> AppTest:
    return move(page, **{name: value})


def press(page: AppTest, key: str) -> AppTest:
    return page.button(key=key).click().run()


def asked(studio: FakeStudio) -> dict:
    return next(call for call in reversed(studio.calls) if "targets" in call)


def test_a_first_visit_plays_a_demo_and_every_slider_stands_where_it_measures(
    page: AppTest, studio: FakeStudio
) -> None:
    assert asked(studio) == {"targets": {}, "styles": {}}
    names = fake_vectors(True).controls
    for name in names:
        at = slider(page, name)
        assert not at["why"]
        assert at["min"] <= at["value"] <= at["max"]
        assert (at["title"], at["unit"]) == (CONTROLS[name].title, CONTROLS[name].unit)
    kicks = sum(hit[1] == 0 for hit in card(page)["hits"])
    assert slider(page, "kick_activity")["value"] == kicks / 2


def test_the_results_of_each_slider_are_sent_ahead(page: AppTest, studio: FakeStudio) -> None:
    ahead = slider(page, "swing")["ahead"]
    values = [value for value, _ in ahead]
    assert (values[0], values[-1]) == (-30.0, 50.0)
    _, packed = ahead[0]
    groove = studio.steer_ahead("groove_2bar", resting_z(studio), 9)["swing"][0][1]
    assert len(packed) == 4 * groove.n_hits
    step, voice, level, hundredths = packed[:4]
    assert groove.velocities[step, voice] == pytest.approx(level / 127, abs=0.5 / 127)
    assert groove.offsets[step, voice] == pytest.approx(hundredths / 100, abs=0.005)
    assert all(slider(page, name)["ahead"] for name in fake_vectors(True).controls)


def resting_z(studio: FakeStudio) -> np.ndarray:
    [first, *_] = demo_sources(studio)
    [z] = studio.encode("groove_2bar", [first.groove])
    return z


def test_sliders_of_a_groove_that_has_left_the_page_are_ignored(page: AppTest) -> None:
    newest(page.selectbox, "attributes.groove.choice").select_index(1).run()
    page.session_state["given"] = {"groove": "another", "revision": 9, "targets": {"swing": 20.0}}
    page.run()
    assert card(page)["note"] == "As the model plays it"


def test_a_slider_asks_in_the_attribute_s_own_unit(page: AppTest, studio: FakeStudio) -> None:
    before = card(page)
    set_to(page, "swing", 20.0)
    assert asked(studio)["targets"] == {"swing": pytest.approx(0.2)}
    after = card(page)
    assert after["id"] == before["id"], "the loop plays on"
    assert after["hits"] != before["hits"]
    assert after["note"] == "Swing 20% of a step"
    assert after["before"], "the original is there to compare"
    assert after["file"] == f"{after['before']['file']}-steered"
    assert slider(page, "swing")["value"] == 20.0
    assert slider(page, "swing")["isSet"]


def test_several_sliders_are_asked_together_and_reset_one_by_one(
    page: AppTest, studio: FakeStudio
) -> None:
    set_to(page, "swing", 20.0)
    set_to(page, "snare_activity", 6.0)
    assert asked(studio)["targets"] == {"swing": pytest.approx(0.2), "snare_activity": 6.0}
    move(page, swing=None)
    assert asked(studio)["targets"] == {"snare_activity": 6.0}
    assert not slider(page, "swing")["isSet"]
    press(page, "attributes.reset")
    assert card(page)["note"] == "As the model plays it"
    assert page.button(key="attributes.reset").disabled


def test_two_sliders_that_move_before_an_answer_are_one_step_of_the_undo(
    page: AppTest, studio: FakeStudio
) -> None:
    move(page, swing=20.0, snare_activity=6.0)
    assert asked(studio)["targets"] == {"swing": pytest.approx(0.2), "snare_activity": 6.0}
    assert slider(page, "swing")["value"] == 20.0
    press(page, "attributes.undo")
    assert card(page)["note"] == "As the model plays it"


def test_a_target_out_of_reach_is_reported(page: AppTest) -> None:
    set_to(page, "kick_activity", 12.0)
    assert slider(page, "kick_activity")["value"] == 12.0
    assert (
        slider(page, "kick_activity")["result"] == "The closest this groove gets: 10.0 hits a bar"
    )
    set_to(page, "kick_activity", 9.0)
    assert not slider(page, "kick_activity")["result"]


def test_styles_add_up_to_a_limit_and_beat_and_fill_are_one(
    page: AppTest, studio: FakeStudio
) -> None:
    assert page.button(key="attributes.press.neworleans.1").label == "More New Orleans"
    for _ in range(SteeringRequest.MAX_PRESSES):
        press(page, "attributes.press.funk.1")
    more = page.button(key="attributes.press.funk.1")
    assert more.disabled
    assert more.help
    assert more.label == f"More funk ({SteeringRequest.MAX_PRESSES})"
    press(page, "attributes.press.fill.1")
    styles = asked(studio)["styles"]
    assert styles["funk"] == SteeringRequest.MAX_PRESSES * styles["fill"] > 0
    press(page, "attributes.press.fill.-1")
    assert card(page)["note"] == f"more funk ({SteeringRequest.MAX_PRESSES})"
    press(page, "attributes.press.fill.-1")
    assert asked(studio)["styles"]["fill"] < 0
    assert card(page)["note"] == f"more funk ({SteeringRequest.MAX_PRESSES}), more of a beat"


def test_undo_takes_back_one_change_at_a_time(page: AppTest, studio: FakeStudio) -> None:
    assert page.button(key="attributes.undo").disabled
    resting = card(page)
    set_to(page, "swing", 20.0)
    steered = card(page)
    press(page, "attributes.press.funk.1")
    press(page, "attributes.undo")
    assert card(page) == steered
    press(page, "attributes.undo")
    assert card(page) == resting


def test_each_groove_keeps_its_own_requests(page: AppTest) -> None:
    set_to(page, "swing", 20.0)
    choice = newest(page.selectbox, "attributes.groove.choice")
    first, second = choice.value, choice.options[1]
    choice.select_index(1).run()
    assert newest(page.selectbox, "attributes.groove.choice").value != first
    assert card(page)["note"] == "As the model plays it", second
    newest(page.selectbox, "attributes.groove.choice").select_index(0).run()
    assert card(page)["note"] == "Swing 20% of a step"


def test_sliders_that_the_model_cannot_follow_say_why(page: AppTest, studio: FakeStudio) -> None:
    assert "never varies" in slider(page, "ride_activity")["why"]
    set_to(page, "swing", 20.0)
    page.selectbox(key="model").set_value("drums_2bar").run()
    assert "choose a model with feel" in slider(page, "swing")["why"]
    assert asked(studio)["targets"] == {}
    set_to(page, "kick_activity", 3.0)
    page.selectbox(key="model").set_value("groove_2bar").run()
    assert asked(studio)["targets"] == {"swing": pytest.approx(0.2), "kick_activity": 3.0}


def test_what_is_sent_again_after_an_undo_stays_undone(page: AppTest) -> None:
    move(page, kick_activity=4.0)
    press(page, "attributes.undo")
    before = card(page)
    send(page, sliders(page)["revision"], {"kick_activity": 4.0})
    assert card(page)["note"] == before["note"]


def test_reset_all_and_undo_leave_what_waits_for_another_model(page: AppTest) -> None:
    set_to(page, "swing", 20.0)
    page.selectbox(key="model").set_value("drums_2bar").run()
    for key in ("attributes.reset", "attributes.undo"):
        assert page.button(key=key).disabled
        assert page.button(key=key).help
    waiting = "Not available in this model: Swing 20% of a step"
    assert waiting in [caption.value for caption in page.caption]
    set_to(page, "kick_activity", 3.0)
    assert card(page)["note"] == "Kick 3.0 hits a bar"
    press(page, "attributes.reset")
    assert card(page)["note"] == "As the model plays it"
    assert page.button(key="attributes.reset").disabled
    press(page, "attributes.undo")
    assert card(page)["note"] == "Kick 3.0 hits a bar"
    page.selectbox(key="model").set_value("groove_2bar").run()
    assert card(page)["note"] == "Swing 20% of a step, Kick 3.0 hits a bar"
    assert not any("Waits" in caption.value for caption in page.caption)


def test_undo_takes_back_the_last_change_that_the_model_follows(page: AppTest) -> None:
    set_to(page, "kick_activity", 3.0)
    set_to(page, "swing", 20.0)
    page.selectbox(key="model").set_value("drums_2bar").run()
    press(page, "attributes.undo")
    assert card(page)["note"] == "As the model plays it"
    assert page.button(key="attributes.undo").disabled
    page.selectbox(key="model").set_value("groove_2bar").run()
    assert card(page)["note"] == "Swing 20% of a step"
    press(page, "attributes.undo")
    assert card(page)["note"] == "As the model plays it"


def test_every_disabled_control_says_why(page: AppTest, studio: FakeStudio) -> None:
    studio.sound_problem = "No sound."
    page.run()
    widgets = [*page.button, *page.selectbox, *page.slider, *page.number_input]
    assert all(widget.help for widget in widgets if widget.disabled)
    assert any(widget.disabled for widget in widgets)


def test_a_model_without_vectors_is_one_sentence_and_another_can_be_chosen(
    page: AppTest, studio: FakeStudio
) -> None:
    studio.error = CheckpointError("There are no vectors: fit them.")
    page.run()
    assert not page.exception
    assert [error.value for error in page.error] == ["There are no vectors: fit them."]
    assert page.selectbox(key="model").options


def test_nothing_is_steered_or_rendered_twice(page: AppTest, studio: FakeStudio) -> None:
    set_to(page, "swing", 20.0)
    n_calls = len(studio.calls)
    page.run()
    assert len(studio.calls) == n_calls


def test_the_page_is_one_of_the_app_s_and_takes_what_is_sent(studio: FakeStudio) -> None:
    app = AppTest.from_file(str(APP), default_timeout=30).run()
    [deck] = components(app)
    assert "attributes" in [id_ for id_, *_ in deck["destinations"]]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("swing", 0.123, "12% of a step"),
        ("swing", -0.05, "-5% of a step"),
        ("kick_activity", 4.5, "4.5 hits a bar"),
        ("velocity_mean", 0.5, "64 velocity"),
    ],
)
def test_amounts_have_units(name: str, value: float, words: str) -> None:
    assert _amount(CONTROLS[name], value) == words


def test_a_request_is_put_into_words() -> None:
    request = SteeringRequest({"swing": 0.2, "kick_activity": 4.0}, {"fill": 2, "neworleans": 1})
    assert _in_words(request, CONTROLS) == (
        "Swing 20% of a step, Kick 4.0 hits a bar, more of a fill (2), more New Orleans"
    )


def test_a_slider_reaches_to_the_value_it_stands_at() -> None:
    vectors = fake_vectors(True)
    assert _slider_range(vectors, "kick_activity", CONTROLS["kick_activity"], 3.0) == (0.0, 12.0)
    assert _slider_range(vectors, "kick_activity", CONTROLS["kick_activity"], 13.2) == (0.0, 13.5)
    assert _slider_range(vectors, "swing", CONTROLS["swing"], -0.415)[0] == -42.0
    assert _shown(CONTROLS["kick_activity"], 3.3) == 3.5
    assert _shown(CONTROLS["swing"], 0.123) == 12.0
