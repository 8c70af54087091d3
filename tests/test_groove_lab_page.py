"""The groove lab's page over a fake `Studio`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_lab import FakeLab
from fake_studio import FakeStudio
from midi_builders import midi_file, note, note_off, track
from page_driver import components, newest
from pydantic import TypeAdapter
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox
from tiny_data import drummed_groove

from musicvae_core.errors import CheckpointError, InvalidMusicError
from musicvae_core.lab.options import Preferences, Sampling
from musicvae_core.music.drums import CLOSED_HAT, KICK, N_VOICES, OPEN_HAT
from musicvae_core.music.groove import Groove
from pages.groove_lab.request import Request
from pages.shared.collection import Source

ROOT = Path(__file__).parents[1]
PAGE = "from pages.groove_lab.page import groove_lab\ngroove_lab()"


@pytest.fixture
def page(studio: FakeStudio) -> AppTest:
    return AppTest.from_string(PAGE, default_timeout=30).run()


def card(page: AppTest) -> dict:
    """The one card of the deck, which is the last of the page's components."""
    deck = next(data for data in components(page) if "cards" in data)
    [card] = deck["cards"]
    return card | {"play": deck["play"]}


def choice(page: AppTest, slot: str) -> Selectbox:
    return newest(page.selectbox, f"{slot}.choice")


def choose(page: AppTest, tool: str) -> None:
    page.segmented_control(key="groove_lab.tool").set_value(tool).run()


def press(page: AppTest, button: str = "do") -> dict:
    page.button(key=f"groove_lab.{button}").click().run()
    return card(page)


def places(hits: list) -> set[tuple[int, int]]:
    return {(step, row) for step, row, *_ in hits}


def test_a_first_visit_shows_the_groove_itself(page: AppTest) -> None:
    shown = card(page)
    assert (shown["name"], shown["before"], shown["play"]) == ("Rock", None, None)
    assert page.button(key="groove_lab.use").disabled
    assert page.button(key="groove_lab.undo").disabled


def test_humanize_shows_before_and_after_and_plays_it(page: AppTest) -> None:
    own = card(page)["hits"]
    shown = press(page)
    assert shown["name"] == "Rock, humanized"
    assert shown["before"]["hits"] == own != shown["hits"]
    assert (shown["file"], shown["before"]["file"]) == ("rock-humanized", "rock")
    assert places(shown["hits"]) == places(own)
    assert shown["play"] == ["groove", "1"]


def test_pressing_again_takes_the_next_seed_and_undo_brings_back_each(page: AppTest) -> None:
    own = card(page)["hits"]
    first = press(page)
    second = press(page)
    assert [first["note"], second["note"]] == ["seed 0", "seed 1"]
    assert first["hits"] != second["hits"]
    assert press(page, "undo")["hits"] == first["hits"]
    assert press(page, "undo")["hits"] == own
    assert page.button(key="groove_lab.undo").disabled


def test_a_seed_that_was_set_is_used_as_it_is(page: AppTest, studio: FakeStudio) -> None:
    press(page)
    page.number_input(key="groove_lab.seed").set_value(77).run()
    assert press(page)["note"] == "seed 77"
    assert studio.calls[-1]["sampling"].seed == 77


def test_the_dice_change_the_seed(page: AppTest) -> None:
    page.number_input(key="groove_lab.seed").set_value(20_000).run()
    page.button(key="groove_lab.dice").click().run()
    assert page.number_input(key="groove_lab.seed").value < 10_000


def test_amounts_move_the_result_without_drawing_anew(page: AppTest, studio: FakeStudio) -> None:
    own = card(page)["hits"]
    made = press(page)["hits"]
    n_calls = len(studio.calls)
    page.slider(key="groove_lab.dynamics").set_value(0).run()
    page.slider(key="groove_lab.timing").set_value(0).run()
    assert card(page)["hits"] == own
    page.slider(key="groove_lab.timing").set_value(100)
    page.slider(key="groove_lab.dynamics").set_value(100).run()
    assert card(page)["hits"] == made
    page.slider(key="groove_lab.quantise").set_value(100).run()
    assert {offset for *_, offset in card(page)["hits"]} == {0}
    assert len(studio.calls) == n_calls


def test_the_amounts_say_what_they_move(page: AppTest) -> None:
    captions = [caption.value for caption in page.caption]
    assert "The result: how far it goes from Rock" in captions
    press(page)
    choose(page, "drumify")
    captions = [caption.value for caption in page.caption]
    assert "Rock, humanized: how far it goes from Rock" in captions
    page.slider(key="groove_lab.dynamics").set_value(0).run()
    assert card(page)["name"] == "Rock, humanized"
    press(page)
    assert not any("how far" in caption.value for caption in page.caption)
    choose(page, "humanize")
    assert not any(slider.key == "groove_lab.dynamics" for slider in page.slider)


def test_the_result_becomes_the_groove_and_undo_goes_back(page: AppTest) -> None:
    made = press(page)
    used = press(page, "use")
    assert (used["name"], used["before"]) == ("Rock, humanized", None)
    assert used["hits"] == made["hits"]
    back = press(page, "undo")
    assert (back["name"], back["hits"]) == (made["name"], made["hits"])


def test_undo_takes_back_what_is_seen_alone(page: AppTest) -> None:
    choose(page, "transfer")
    first = choice(page, "groove_lab_feel.feel").value
    choice(page, "groove_lab_feel.feel").select_index(0).run()
    assert choice(page, "groove_lab_feel.feel").value != first
    assert page.button(key="groove_lab.undo").disabled
    choose(page, "humanize")
    assert page.button(key="groove_lab.undo").disabled
    choose(page, "transfer")
    undo = page.button(key="groove_lab.feel_undo")
    assert undo.help == "Bring back the feel from before"
    undo.click().run()
    assert choice(page, "groove_lab_feel.feel").value == first
    assert page.button(key="groove_lab.feel_undo").disabled


def test_undo_says_what_comes_back(page: AppTest) -> None:
    press(page)
    assert page.button(key="groove_lab.undo").help == "Bring back the groove from before"
    press(page)
    assert page.button(key="groove_lab.undo").help == "Bring back the result from before"
    press(page, "undo")
    press(page, "undo")
    choice(page, "groove_lab.groove").select_index(1).run()
    assert page.button(key="groove_lab.undo").help == "Bring back the groove from before"
    assert press(page, "undo")["name"] == "Rock"


def test_sent_grooves_go_to_the_main_slot_not_to_the_feel(page: AppTest) -> None:
    choose(page, "transfer")
    feel = choice(page, "groove_lab_feel.feel").value
    groove = drummed_groove(np.random.default_rng(1), 2, 97.0)
    page.session_state["kept.groove_lab.inbox"] = [Source("Mine", groove, origin="morph")]
    page.run()
    assert card(page)["name"] == "Mine"
    assert choice(page, "groove_lab_feel.feel").value == feel
    assert press(page, "undo")["name"] == "Rock"


def test_drumify_with_a_style_and_a_density(page: AppTest, studio: FakeStudio) -> None:
    choose(page, "drumify")
    page.selectbox(key="groove_lab.style").set_value("hiphop")
    page.select_slider(key="groove_lab.density").set_value(12).run()
    shown = press(page)
    preferences = studio.calls[-1]["preferences"]
    assert (preferences.style, preferences.hits_a_bar) == ("hiphop", 12)
    assert {step for step, _ in places(shown["before"]["hits"])} == {
        step for step, _ in places(shown["hits"])
    }


def test_any_style_is_still_chosen_after_another_tool(page: AppTest, studio: FakeStudio) -> None:
    for tool in ("transfer", "humanize", "transfer", "drumify"):
        choose(page, tool)
    style = page.selectbox(key="groove_lab.style")
    assert style.options[style.index] == "Any"
    press(page)
    preferences = studio.calls[-1]["preferences"]
    assert (preferences.style, preferences.hits_a_bar) == (None, None)


def test_a_density_that_the_lab_cannot_reach_is_not_offered(page: AppTest) -> None:
    choose(page, "continue")
    density = page.select_slider(key="groove_lab.density")
    assert (density.options[0], density.options[-1]) == ("any", "28")
    assert "that are kept count too" in density.help
    choose(page, "drumify")
    assert "Every onset of the rhythm stays" in page.select_slider(key="groove_lab.density").help


def test_the_note_says_styles_and_drummers_as_the_controls_do(
    page: AppTest, studio: FakeStudio
) -> None:
    page.selectbox(key="groove_lab.style").set_value("hiphop").run()
    assert press(page)["note"] == "Hip-hop, seed 0"
    choose(page, "transfer")
    page.segmented_control(key="groove_lab.feel_of").set_value("style").run()
    styles = page.selectbox(key="groove_lab.feel_style")
    assert styles.options == ["Funk", "Hip-hop", "Jazz", "New Orleans"]
    styles.set_value("neworleans").run()
    assert press(page)["note"] == "New Orleans, seed 0"
    page.segmented_control(key="groove_lab.feel_of").set_value("drummer").run()
    assert page.selectbox(key="groove_lab.drummer").options == ["Drummer 1", "Drummer 2"]
    assert press(page)["note"] == "Drummer 1, seed 0"


def test_transfer_takes_the_feel_of_a_groove_a_style_or_a_drummer(
    page: AppTest, studio: FakeStudio
) -> None:
    choose(page, "transfer")
    shown = press(page)
    assert studio.calls[-1]["tool"] == "transfer"
    assert "feel of Shuffle" in shown["note"]
    page.segmented_control(key="groove_lab.feel_of").set_value("style").run()
    press(page)
    assert studio.calls[-1]["preferences"].style == "funk"
    page.segmented_control(key="groove_lab.feel_of").set_value("drummer").run()
    press(page)
    assert studio.calls[-1]["preferences"].drummer == "drummer1"


@pytest.mark.parametrize(
    ("fill", "voices"),
    [("hats", {CLOSED_HAT, OPEN_HAT}), ("kick", {KICK}), ("last", set(range(N_VOICES)))],
)
def test_fill_in_holds_the_rest(
    page: AppTest, studio: FakeStudio, fill: str, voices: set[int]
) -> None:
    choose(page, "fill")
    page.selectbox(key="groove_lab.fill").set_value(fill).run()
    shown = press(page)
    bars = {1} if fill == "last" else {0, 1}
    assert (set(studio.calls[-1]["voices"]), set(studio.calls[-1]["bars"])) == (voices, bars)

    def held(hits: list) -> list:
        return [hit for hit in hits if hit[1] not in voices or hit[0] // 16 not in bars]

    assert held(shown["hits"]) == held(shown["before"]["hits"])


def test_fill_in_of_chosen_cells(page: AppTest, studio: FakeStudio) -> None:
    choose(page, "fill")
    page.selectbox(key="groove_lab.fill").set_value("choose").run()
    page.button_group(key="groove_lab.voices").set_value([]).run()
    button = page.button(key="groove_lab.do")
    assert button.disabled
    assert button.help
    page.button_group(key="groove_lab.voices").set_value([KICK, CLOSED_HAT])
    page.multiselect(key="groove_lab.bars.2").set_value([1]).run()
    press(page)
    assert (studio.calls[-1]["voices"], studio.calls[-1]["bars"]) == ((KICK, CLOSED_HAT), (1,))


def test_continue_shows_the_groove_at_the_start(page: AppTest, studio: FakeStudio) -> None:
    choose(page, "continue")
    page.selectbox(key="groove_lab.more").set_value(8).run()
    shown = press(page)
    assert studio.calls[-1]["n_bars"] == 8
    assert shown["steps"] == 10 * 16
    assert shown["hits"][: len(shown["before"]["hits"])] == shown["before"]["hits"]


def test_a_track_without_drums_is_read_as_a_rhythm(page: AppTest) -> None:
    choose(page, "drumify")
    melody = midi_file(
        track(*(e for _ in range(4) for e in (note(0, 60, 90, 0), note_off(480, 60, 0))))
    )
    page.file_uploader[-1].set_value([("tune.mid", melody, "audio/midi")]).run()
    shown = card(page)
    assert shown["name"] == "tune"
    assert [step for step, *_ in shown["hits"]] == [0, 4, 8, 12]


def test_sent_grooves_appear_in_the_slot(page: AppTest) -> None:
    groove = drummed_groove(np.random.default_rng(1), 6, 97.0)
    page.session_state["kept.groove_lab.inbox"] = [Source("Mine", groove, origin="morph")]
    page.run()
    assert (card(page)["name"], card(page)["steps"], card(page)["tempo"]) == ("Mine", 96, 97)


def test_without_a_lab_the_page_says_so_in_a_sentence(studio: FakeStudio) -> None:
    studio.lab_error = CheckpointError("There is no checkpoint at checkpoints/groove_lab.")
    page = AppTest.from_string(PAGE, default_timeout=30).run()
    assert [error.value for error in page.error] == [str(studio.lab_error)]
    assert not page.exception


def test_a_failure_is_reported_and_the_groove_stays(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    press(page)
    page.session_state["kept.groove_lab.inbox"] = [Source("Silence", Groove.silent(1))]
    choose(page, "drumify")

    def refuse(*_: object, **__: object) -> None:
        raise InvalidMusicError("The rhythm is silent: choose one that has notes.")

    monkeypatch.setattr(FakeLab, "drumify", refuse)
    press(page)
    assert "silent" in page.error[0].value
    assert card(page)["name"] == "Silence"


def test_without_sound_the_page_draws_and_says_so(page: AppTest, studio: FakeStudio) -> None:
    studio.sound_problem = "FluidSynth is missing: install libfluidsynth3."
    press(page)
    assert all(
        deck["problem"] == studio.sound_problem for deck in components(page) if "cards" in deck
    )


def test_every_disabled_control_says_why(page: AppTest) -> None:
    widgets = [*page.button, *page.selectbox, *page.slider, *page.number_input]
    assert any(widget.disabled for widget in widgets)
    assert all(widget.help for widget in widgets if widget.disabled)


def test_a_request_saved_under_older_names_is_restored() -> None:
    saved = '{"tool": "fill", "chance": {"seed": 7}, "wishes": {"style": "funk"}}'
    request = Request("fill", Sampling(seed=7), Preferences(style="funk"))
    schema = TypeAdapter(Request)
    assert schema.validate_json(saved) == schema.validate_json(schema.dump_json(request)) == request
