"""The paths of the Long form page: their parts, their way, and what they make."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_long_studio import FakeLongStudio
from long_page import PAGE, decks, groove_of, press
from page_driver import found_by_pages, newest
from streamlit.testing.v1 import AppTest

from musicvae_core.latent.morph import MAX_PATH_BARS, MAX_STOPS, Route
from musicvae_core.music.midi.write import write_midi


@pytest.fixture
def studio() -> Iterator[FakeLongStudio]:
    with found_by_pages(FakeLongStudio()) as fake:
        yield fake


@pytest.fixture
def page(studio: FakeLongStudio) -> AppTest:
    return AppTest.from_string(PAGE, default_timeout=60).run()


@pytest.fixture
def path(page: AppTest) -> AppTest:
    return page.segmented_control(key="long_form.view").set_value("path").run()


def test_a_path_begins_with_three_demo_grooves(path: AppTest, studio: FakeLongStudio) -> None:
    [card] = decks(path)
    assert card["steps"] == 12 * 16
    assert card["note"] == "12 bars: Rock 4, Funk 4, Shuffle 4"
    assert studio.calls[-1] == {"bars": [4, 4, 4], "route": Route()}
    assert path.button(key="long_form.path_undo").disabled


def test_stops_are_added_moved_resized_and_removed(path: AppTest) -> None:
    add = newest(path.selectbox, "long_form.next.choice")
    bossa = next(option for option in add.options if option.startswith("Bossa"))
    add.set_value(bossa).run()
    press(path, "add")
    assert decks(path)[0]["note"] == "16 bars: Rock 4, Funk 4, Shuffle 4, Bossa 4"
    press(path, "up.3")
    path.number_input(key="long_form.bars.1").set_value(7).run()
    press(path, "drop.0")
    assert decks(path)[0]["note"] == "15 bars: Funk 7, Bossa 4, Shuffle 4"
    assert path.button(key="long_form.up.1").disabled
    for note in (
        "19 bars: Rock 4, Funk 7, Bossa 4, Shuffle 4",
        "16 bars: Rock 4, Funk 4, Bossa 4, Shuffle 4",
        "16 bars: Rock 4, Funk 4, Shuffle 4, Bossa 4",
        "12 bars: Rock 4, Funk 4, Shuffle 4",
    ):
        press(path, "path_undo")
        assert decks(path)[0]["note"] == note


def test_a_field_of_bars_is_called_by_the_place_of_its_part(path: AppTest) -> None:
    press(path, "drop.0")
    press(path, "up.2")
    fields = [path.number_input(key=f"long_form.bars.{number}") for number in (2, 1)]
    assert [field.label for field in fields] == ["Bars of part 1", "Bars of part 2"]
    fields[1].set_value(7).run()
    assert decks(path)[0]["note"] == "11 bars: Shuffle 4, Funk 7"


def test_files_dropped_together_follow_one_another(path: AppTest) -> None:
    files = [(f"f{n}.mid", write_midi(groove_of(2, n)), "audio/midi") for n in range(3)]
    path.file_uploader[-1].set_value(files).run()
    assert decks(path)[0]["note"].endswith("Shuffle 4, f0 4, f1 4, f2 4")


def test_a_path_is_no_longer_than_there_is_room_for(path: AppTest) -> None:
    path.number_input(key="long_form.bars.0").set_value(MAX_PATH_BARS - 8 - 2).run()
    press(path, "add")
    assert decks(path)[0]["steps"] == 16 * MAX_PATH_BARS
    assert path.button(key="long_form.add").disabled
    assert str(MAX_STOPS) in path.button(key="long_form.add").help


def test_the_way_is_as_asked(path: AppTest, studio: FakeLongStudio) -> None:
    path.slider(key="long_form.glide").set_value(50)
    path.toggle(key="long_form.returns").set_value(True)
    path.toggle(key="long_form.exact").set_value(False)
    path.toggle(key="long_form.refined").set_value(False)
    path.slider(key="long_form.temperature").set_value(1.0)
    path.number_input(key="long_form.route_seed").set_value(9).run()
    assert studio.calls[-1]["route"] == Route(0.5, True, False, False, 1.0, 9)
    assert decks(path)[0]["name"] == "Rock to Rock"


def test_a_path_needs_two_grooves(path: AppTest) -> None:
    press(path, "drop.0")
    press(path, "drop.1")
    assert decks(path) == []
    assert "second groove" in path.info[0].value
