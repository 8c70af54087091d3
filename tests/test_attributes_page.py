"""The Attributes page over a fake `Studio`: sliders, styles, and what is asked of a groove."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_studio import FakeStudio, fake_vectors
from page_driver import components, newest
from streamlit.testing.v1 import AppTest

from musicvae_core.controls import CONTROLS
from musicvae_core.errors import VectorsNotFoundError
from pages.components.attributes.sliders import amount, in_words, shown, slider_range
from pages.components.attributes.wishes import MAX_PRESSES, Wishes

PAGE = "from pages.attributes import attributes\nattributes()"
APP = Path(__file__).parents[1] / "app.py"


@pytest.fixture
def page(studio: FakeStudio) -> AppTest:
    return AppTest.from_string(PAGE, default_timeout=30).run()


def card(page: AppTest) -> dict:
    [deck] = components(page)
    [only] = deck["cards"]
    return only


def slider(page: AppTest, name: str):
    return newest(page.slider, f"attributes.slider.{name}")


def set_to(page: AppTest, name: str, value: float) -> AppTest:
    return slider(page, name).set_value(value).run()


def press(page: AppTest, key: str) -> AppTest:
    return page.button(key=key).click().run()


def asked(studio: FakeStudio) -> dict:
    return next(call for call in reversed(studio.calls) if "targets" in call)


def test_a_first_visit_plays_a_demo_and_every_slider_stands_where_it_measures(
    page: AppTest, studio: FakeStudio
) -> None:
    assert card(page)["sound"]
    assert asked(studio) == {"targets": {}, "styles": {}}
    names = fake_vectors(True).controls
    for name in names:
        at = slider(page, name)
        assert not at.disabled
        assert at.min <= at.value <= at.max
        assert at.label == f"{CONTROLS[name].title}, {CONTROLS[name].unit}"
    kicks = sum(hit[1] == 0 for hit in card(page)["hits"])
    assert slider(page, "kick_activity").value == kicks / 2


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
    assert slider(page, "swing").value == 20.0


def test_several_sliders_are_asked_together_and_reset_one_by_one(
    page: AppTest, studio: FakeStudio
) -> None:
    set_to(page, "swing", 20.0)
    set_to(page, "snare_activity", 6.0)
    assert asked(studio)["targets"] == {"swing": pytest.approx(0.2), "snare_activity": 6.0}
    press(page, "attributes.reset.swing")
    assert asked(studio)["targets"] == {"snare_activity": 6.0}
    reset = page.button(key="attributes.reset.swing")
    assert reset.disabled
    assert reset.help
    press(page, "attributes.reset")
    assert card(page)["note"] == "As the model plays it"
    assert page.button(key="attributes.reset").disabled


def test_two_sliders_that_move_before_an_answer_are_both_heard(
    page: AppTest, studio: FakeStudio
) -> None:
    slider(page, "swing").set_value(20.0)
    set_to(page, "snare_activity", 6.0)
    assert asked(studio)["targets"] == {"swing": pytest.approx(0.2), "snare_activity": 6.0}
    assert slider(page, "swing").value == 20.0


def test_a_slider_stays_the_same_while_it_is_moved_and_is_another_when_it_was_not(
    page: AppTest, studio: FakeStudio
) -> None:
    set_to(page, "swing", 20.0)
    moved = slider(page, "swing")
    set_to(page, "swing", 21.0)
    assert slider(page, "swing").id == moved.id, "it would lose the focus"
    press(page, "attributes.reset")
    assert slider(page, "swing").id != moved.id, (
        "what the browser still says of the old would be a move"
    )
    press(page, "attributes.undo")
    assert slider(page, "swing").value == 21.0
    assert asked(studio)["targets"] == {"swing": pytest.approx(0.21)}


def test_what_cannot_be_had_is_said(page: AppTest) -> None:
    set_to(page, "kick_activity", 12.0)
    assert slider(page, "kick_activity").value == 12.0
    captions = [caption.value for caption in page.caption]
    assert "As near as this groove gets: 10.0 hits a bar" in captions
    set_to(page, "kick_activity", 9.0)
    assert not any("As near" in caption.value for caption in page.caption)


def test_styles_add_up_to_a_limit_and_beat_and_fill_are_one(
    page: AppTest, studio: FakeStudio
) -> None:
    assert page.button(key="attributes.press.neworleans.1").label == "More New Orleans"
    for _ in range(MAX_PRESSES):
        press(page, "attributes.press.funk.1")
    more = page.button(key="attributes.press.funk.1")
    assert more.disabled
    assert more.help
    assert more.label == f"More funk ({MAX_PRESSES})"
    press(page, "attributes.press.fill.1")
    styles = asked(studio)["styles"]
    assert styles["funk"] == MAX_PRESSES * styles["fill"] > 0
    press(page, "attributes.press.fill.-1")
    assert card(page)["note"] == f"more funk ({MAX_PRESSES})"
    press(page, "attributes.press.fill.-1")
    assert asked(studio)["styles"]["fill"] < 0
    assert card(page)["note"] == f"more funk ({MAX_PRESSES}), more of a beat"


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


def test_each_groove_keeps_its_own_wishes(page: AppTest) -> None:
    set_to(page, "swing", 20.0)
    choice = newest(page.selectbox, "attributes.groove.choice")
    first, second = choice.value, choice.options[1]
    choice.select_index(1).run()
    assert newest(page.selectbox, "attributes.groove.choice").value != first
    assert card(page)["note"] == "As the model plays it", second
    newest(page.selectbox, "attributes.groove.choice").select_index(0).run()
    assert card(page)["note"] == "Swing 20% of a step"


def test_sliders_that_the_model_cannot_follow_say_why(page: AppTest, studio: FakeStudio) -> None:
    ride = page.slider(key="attributes.none.ride_activity")
    assert ride.disabled
    assert "never varies" in ride.help
    set_to(page, "swing", 20.0)
    page.selectbox(key="model").set_value("drums_2bar").run()
    swing = page.slider(key="attributes.none.swing")
    assert swing.disabled
    assert "choose a model with feel" in swing.help
    assert asked(studio)["targets"] == {}
    set_to(page, "kick_activity", 3.0)
    page.selectbox(key="model").set_value("groove_2bar").run()
    assert asked(studio)["targets"] == {"swing": pytest.approx(0.2), "kick_activity": 3.0}


def test_reset_all_and_undo_leave_what_waits_for_another_model(page: AppTest) -> None:
    set_to(page, "swing", 20.0)
    page.selectbox(key="model").set_value("drums_2bar").run()
    for key in ("attributes.reset", "attributes.undo"):
        assert page.button(key=key).disabled
        assert page.button(key=key).help
    waiting = "Waits for a model that can follow: Swing 20% of a step"
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
    studio.error = VectorsNotFoundError("There are no vectors: fit them.")
    page.run()
    assert not page.exception
    assert [error.value for error in page.error] == ["There are no vectors: fit them."]
    assert page.selectbox(key="model").options


def test_nothing_is_steered_or_rendered_twice(page: AppTest, studio: FakeStudio) -> None:
    set_to(page, "swing", 20.0)
    n_calls = len(studio.calls)
    page.number_input[0].set_value(90).run()
    assert card(page)["tempo"] == 90
    assert len(studio.calls) == n_calls


def test_the_page_is_one_of_the_app_s_and_takes_what_is_sent(studio: FakeStudio) -> None:
    app = AppTest.from_file(str(APP), default_timeout=30).run()
    [deck] = components(app)
    assert "attributes" in dict(deck["destinations"])


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
    assert amount(CONTROLS[name], value) == words


def test_wishes_in_words() -> None:
    wishes = Wishes({"swing": 0.2, "kick_activity": 4.0}, {"fill": 2, "neworleans": 1})
    assert in_words(wishes) == (
        "Swing 20% of a step, Kick 4.0 hits a bar, more of a fill (2), more New Orleans"
    )


def test_a_slider_reaches_to_the_value_it_stands_at() -> None:
    vectors = fake_vectors(True)
    assert slider_range(vectors, "kick_activity", 3.0) == (0.0, 12.0)
    assert slider_range(vectors, "kick_activity", 13.2) == (0.0, 13.5)
    assert slider_range(vectors, "swing", -0.415)[0] == -42.0
    assert shown(CONTROLS["kick_activity"], 3.3) == 3.5
    assert shown(CONTROLS["swing"], 0.123) == 12.0
