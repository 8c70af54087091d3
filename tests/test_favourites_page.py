"""The page of favourites, over a fake `Studio`."""

from __future__ import annotations

import numpy as np
import pytest
from fake_studio import FakeStudio
from page_driver import components
from streamlit.testing.v1 import AppTest
from tiny_data import drummed_groove

from pages.components.slots import Source, fingerprint

PAGE = "from pages.favourites import starred\nstarred()"


@pytest.fixture
def page(studio: FakeStudio) -> AppTest:
    return AppTest.from_string(PAGE, default_timeout=30)


def keep(page: AppTest, *names: str) -> list[Source]:
    sources = []
    for at, name in enumerate(names):
        groove = drummed_groove(np.random.default_rng(at), 1 + at, 80.0 + at)
        sources.append(Source(name, groove, origin="favourite", note="from a test"))
    kept = {fingerprint(source.groove): source for source in sources}
    page.session_state["kept.favourites"] = kept
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
    assert all(card["kept"] and card["sound"] and card["midi"] for card in found)


def test_all_are_saved_in_one_file_by_their_names_as_they_stand(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    zips = []
    monkeypatch.setattr("pages.favourites.draw_zip", lambda *given, **named: zips.append(named))
    keep(page, "old", "new")
    page.run()
    assert zips[0]["names"] == [card["name"] for card in cards(page)] == ["new", "old"]


def test_undo_brings_a_star_back(page: AppTest) -> None:
    sources = keep(page, "one", "two")
    page.session_state["kept.favourites.past"] = [{}]
    page.run()
    page.button(key="favourites.undo").click().run()
    assert not page.get("bidi_component")
    assert page.button(key="favourites.undo").disabled
    assert len(sources) == 2
