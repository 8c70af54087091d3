"""The page of favourites, over a fake `Studio`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_studio import FakeStudio
from page_driver import components
from streamlit.testing.v1 import AppTest
from tiny_data import drummed_groove

from musicvae_core.music.line import Line, Note
from musicvae_core.music.midi.write import write_line, write_midi
from pages.library.page import _write_archive
from pages.shared.collection import Source, fingerprint
from pages.shared.store import History

PAGE = "from pages.library.page import starred\nstarred()"


@pytest.fixture
def page(studio: FakeStudio) -> AppTest:
    return AppTest.from_string(PAGE, default_timeout=30)


def keep(page: AppTest, *names: str) -> list[Source]:
    sources = []
    for at, name in enumerate(names):
        groove = drummed_groove(np.random.default_rng(at), 1 + at, 80.0 + at)
        sources.append(Source(name, groove, origin="favourite", note="from a test"))
    kept = {fingerprint(source.groove): source for source in sources}
    page.session_state["kept.favourites"] = History(kept)
    return sources


def cards(page: AppTest) -> list[dict]:
    [deck] = components(page)
    return deck["cards"]


def test_without_favourites_the_page_says_how_to_get_some(page: AppTest) -> None:
    page.run()
    assert not page.exception
    assert "give a groove a star" in page.info[0].value
    assert page.button(key="favourites.undo").disabled


def test_favourites_stand_newest_first_each_at_its_own_tempo_and_length(page: AppTest) -> None:
    keep(page, "old", "new")
    found = cards(page.run())
    assert [card["name"] for card in found] == ["new", "old"]
    assert [(card["tempo"], card["steps"]) for card in found] == [(81, 32), (80, 16)]
    assert all(card["kept"] and card["midi"] for card in found)


def test_all_are_saved_in_one_file_by_their_names_as_they_stand(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    zips = []
    monkeypatch.setattr("pages.library.page.draw_zip", lambda *given, **named: zips.append(named))
    keep(page, "old", "new")
    page.run()
    assert zips[0]["names"] == [card["name"] for card in cards(page)] == ["new", "old"]


def found(page: AppTest) -> list[str]:
    return [card["name"] for card in cards(page)]


def test_search_finds_words_in_names_notes_and_tags(page: AppTest) -> None:
    first, second = keep(page, "Loud march", "Quiet waltz")
    page.session_state["kept.favourites"] = History(
        {"1": replace(first, tags=("intro",)), "2": replace(second, model="groove_2bar")}
    )
    page.run()
    for words, names in (
        ("", ["Quiet waltz", "Loud march"]),
        ("march LOUD", ["Loud march"]),
        ("intro", ["Loud march"]),
        ("2bar", ["Quiet waltz"]),
        ("from a test", ["Quiet waltz", "Loud march"]),
    ):
        assert found(page.text_input(key="favourites.search").set_value(words).run()) == names
    page.text_input(key="favourites.search").set_value("loud quiet").run()
    assert "Nothing in the library fits" in page.info[0].value
    assert not page.get("bidi_component")


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("Newest first", ["b", "c", "A"]),
        ("Oldest first", ["A", "c", "b"]),
        ("Name", ["A", "b", "c"]),
        ("Tempo", ["b", "A", "c"]),
        ("Length", ["b", "A", "c"]),
    ],
)
def test_favourites_stand_in_the_order_that_is_chosen(page: AppTest, order, names) -> None:
    sources = keep(page, "b", "A", "c")  # 1, 2 and 3 bars at 80, 81 and 82 bpm
    times = (30.0, 10.0, 20.0)
    page.session_state["kept.favourites"] = History(
        {
            str(at): replace(one, kept_at=when)
            for at, (one, when) in enumerate(zip(sources, times, strict=True))
        }
    )
    page.run()
    assert found(page.selectbox(key="favourites.order").set_value(order).run()) == names


def test_tags_are_given_to_what_is_chosen_shown_and_filtered_by_and_taken_back(
    page: AppTest,
) -> None:
    keep(page, "one", "two")
    page.run()
    [_, second] = page.session_state["kept.favourites"].now
    page.session_state["favourites.to_tag"] = [second]
    page.session_state["favourites.new_tags"] = ["slow ", "intro", " "]
    page.button(key="favourites.tag").click().run()
    assert page.session_state["kept.favourites"].now[second].tags == ("slow", "intro")
    assert [card["note"] for card in cards(page)] == [
        "from a test · #slow · #intro",
        "from a test",
    ]
    page.multiselect(key="favourites.tags").set_value(["intro"]).run()
    assert found(page) == ["two"]
    page.multiselect(key="favourites.tags").set_value([]).run()
    page.session_state["favourites.to_tag"] = []
    page.session_state["favourites.new_tags"] = ["slow"]
    page.button(key="favourites.untag").click().run()
    assert page.session_state["kept.favourites"].now[second].tags == ("intro",)
    page.button(key="favourites.undo").click().run()
    assert page.session_state["kept.favourites"].now[second].tags == ("slow", "intro")


def test_a_new_name_from_another_page_keeps_tags_and_time(page: AppTest) -> None:
    [source] = keep(page, "old")
    [id_] = page.session_state["kept.favourites"].now
    page.session_state["kept.favourites"] = History(
        {id_: replace(source, tags=("a",), kept_at=5.0)}
    )
    script = AppTest.from_string(
        "import streamlit as st\n"
        "from pages.shared.collection import favourites\n"
        "favourites.keep(st.session_state['renamed'])"
    )
    script.session_state["kept.favourites"] = page.session_state["kept.favourites"]
    script.session_state["renamed"] = replace(source, name="new")
    script.run()
    kept = script.session_state["kept.favourites"].now[id_]
    assert (kept.name, kept.tags, kept.kept_at) == ("new", ("a",), 5.0)


def upload(page: AppTest, *files: tuple[str, bytes]) -> AppTest:
    field = next(one for one in page.get("file_uploader") if ".zip." in one.key)
    field.set_value([(name, data, "application/octet-stream") for name, data in files])
    return page.run()


def test_an_exported_library_is_imported_exactly(page: AppTest) -> None:
    sources = keep(page, "one", "two")
    sources[0] = replace(sources[0], tags=("a",), kept_at=5.0, z=np.ones(4, np.float32))
    data = _write_archive(sources)
    page.session_state["kept.favourites"] = History({fingerprint(sources[1].groove): sources[1]})
    page.run()
    upload(page, ("library.zip", data))
    assert page.success[0].value == "1 groove imported; here already: 1."
    kept = page.session_state["kept.favourites"].now
    assert len(kept) == 2
    mine = kept[fingerprint(sources[0].groove)]
    assert mine.groove == sources[0].groove
    assert np.array_equal(mine.z, sources[0].z)
    assert (mine.name, mine.tags, mine.kept_at) == ("one", ("a",), 5.0)
    page.button(key="favourites.undo").click().run()
    assert len(page.session_state["kept.favourites"].now) == 1


def test_a_file_that_fails_is_named_and_the_others_come(page: AppTest) -> None:
    page.run()
    groove = drummed_groove(np.random.default_rng(0), 2)
    upload(page, ("good.mid", write_midi(groove)), ("bad.mid", b"no MIDI"), ("bad.zip", b"PK"))
    assert page.success[0].value == "1 groove imported."
    assert "bad.mid" in page.error[0].value
    assert "damaged" in page.error[0].value
    assert found(page) == ["good"]


def test_undo_brings_a_star_back(page: AppTest) -> None:
    sources = keep(page, "one", "two")
    kept = page.session_state["kept.favourites"].now
    page.session_state["kept.favourites"] = History(kept, ({},))
    page.run()
    page.button(key="favourites.undo").click().run()
    assert not page.get("bidi_component")
    assert page.button(key="favourites.undo").disabled
    assert len(sources) == 2


def test_a_file_without_drums_is_imported_as_its_melody(page: AppTest) -> None:
    line = Line.from_notes([Note(4 * beat, 4, 60 + beat, 0.8) for beat in range(4)], 1)
    page.run()
    upload(page, ("tune.mid", write_line(line)))
    [kept] = page.session_state["kept.favourites"].now.values()
    assert (kept.name, kept.plays) == ("tune", "line")
    assert [note[:3] for note in kept.groove.notes()] == [note[:3] for note in line.notes()]
