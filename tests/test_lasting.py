"""What a session leaves behind: what the next one finds, and what another browser does not."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from fake_studio import FakeStudio
from page_driver import components, transport_bar
from streamlit.testing.v1 import AppTest

from musicvae_core.data.library import Library
from pages.shared import store
from pages.shared.collection import Source
from pages.shared.store import History
from pages.shared.transport import _Transport
from pages.shared.uploads import _Choice

APP = Path(__file__).parents[1] / "app.py"
KEY = "k" * 43
FOLDERS = {"groove_map": "map", "starred": "library"}


@pytest.fixture
def new_session(studio: FakeStudio):
    """Open the app again, as another server does."""

    def opened() -> AppTest:
        st.cache_resource.clear()
        return AppTest.from_file(str(APP), default_timeout=30)

    return opened


@pytest.fixture
def browsers(monkeypatch) -> dict[str, str]:
    """The cookies of a browser, on a server for many."""
    cookies: dict[str, str] = {}
    monkeypatch.setenv("MUSICVAE_LIBRARY_PER", "browser")
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: cookies))
    return cookies


def names(app: AppTest) -> list[str]:
    return [card["name"] for card in components(app)[0]["cards"]]


def kept(path: Path) -> dict[str, str]:
    return Library(path).read(store._THE_MACHINE)


def test_the_next_session_finds_the_shelf_the_settings_and_the_transport(new_session) -> None:
    before = new_session().run()
    before.slider(key="n").set_value(3)
    before.number_input(key="seed").set_value(41)
    before.button(key="sample").click().run()
    before.session_state["kept.transport"] = _Transport(tempo=93, muted=(1, 2), revision=7)
    before.session_state["kept.drum_map"] = _Choice("My own", {36: 1, 40: None}, 2)
    before.toggle(key="midi_loop").set_value(True).run()
    after = new_session().run()
    assert names(after) == names(before)
    assert after.slider(key="n").value == 3
    assert after.number_input(key="seed").value == 41
    assert after.toggle(key="midi_loop").value
    assert transport_bar(after)["set"]["tempo"] == 93
    assert transport_bar(after)["revision"] == 7
    assert after.session_state["kept.drum_map"] == _Choice("My own", {36: 1, 40: None}, 2)
    again = names(after)
    after.button(key="sample").click().run()
    assert after.number_input(key="seed").value == 42  # these settings were the last to be sampled
    assert names(after) != again


def test_favourites_come_back_exactly_with_what_is_known_of_them(new_session) -> None:
    before = new_session().run()
    entry = before.session_state["kept.sample.shelf"].now.entries[0]
    groove, z = entry.take.groove, entry.take.z
    source = Source("mine", groove, z, "a model", "favourite", "a note", ("loud", "fast"), 12.5)
    before.session_state["kept.favourites"] = History({"some id": source})
    before.run()
    found = new_session().run().session_state["kept.favourites"].now["some id"]
    assert found.groove == groove
    assert np.array_equal(found.z, z)
    for field in ("name", "model", "origin", "note", "tags", "kept_at"):
        assert getattr(found, field) == getattr(source, field)


def test_two_tabs_add_favourites_and_take_them_away_without_losing_the_other_s(
    new_session, own_library
) -> None:
    one = new_session().run()
    entries = one.session_state["kept.sample.shelf"].now.entries
    sources = [Source(entry.name, entry.take.groove) for entry in entries[:4]]
    one.session_state["kept.favourites"] = History({"first": sources[0], "second": sources[1]})
    one.run()
    other = new_session().run()
    other.session_state["kept.favourites"] = History({"second": sources[1], "third": sources[2]})
    other.run()
    favourites = one.session_state["kept.favourites"]
    one.session_state["kept.favourites"] = favourites.extended(
        {**favourites.now, "fourth": sources[3]}
    )
    one.run()
    found = new_session().run().session_state["kept.favourites"].now
    assert set(found) == {"second", "third", "fourth"}


@pytest.mark.parametrize(
    "page", ["morph", "attributes", "groove_map", "long_form", "groove_lab", "starred"]
)
def test_every_page_opens_on_what_a_session_left(page, new_session, own_library) -> None:
    script = f"""
from pages.shared.store import restore_session, save_session
from pages.{FOLDERS.get(page, page)}.page import {page}
restore_session()
{page}()
save_session()
"""
    before = AppTest.from_string(script, default_timeout=30).run()
    assert not before.exception
    st.cache_resource.clear()
    saved = kept(own_library)
    after = AppTest.from_string(script, default_timeout=30).run()
    assert not after.exception
    assert components(after) == components(before)
    assert kept(own_library) == saved


def test_nothing_is_written_where_nothing_has_changed(new_session, own_library) -> None:
    app = new_session().run()
    app.run()

    def n_changes() -> list[tuple[str, float]]:
        with sqlite3.connect(own_library) as connection:
            return connection.execute("SELECT name, changed_at FROM items").fetchall()

    before = n_changes()
    app.run()
    new_session().run().run()
    assert n_changes() == before


def test_saved_values_that_do_not_fit_are_skipped_and_the_rest_is_restored(
    new_session, own_library, caplog
) -> None:
    broken = {
        "n": "99",
        "temperature": '"hot"',
        "seed": "7",
        "kept.transport": '{"tempo": 1e9}',
        "kept.sample.shelf": "[]",
        "kept.favourites/x": '{"name": "x", "groove": "AAAA"}',
        "kept.morph.slots": "{",
        "of another version": "1",
    }
    Library(own_library).write(store._THE_MACHINE, broken)
    app = new_session().run()
    assert not app.exception
    assert app.slider(key="n").value == 8
    assert app.number_input(key="seed").value == 7
    assert len(names(app)) == 8
    assert "not restored" in caplog.text


def test_a_library_that_is_full_says_so_once_and_the_app_goes_on(
    new_session, own_library, monkeypatch
) -> None:
    monkeypatch.setenv("MUSICVAE_LIBRARY_MAX_MB", "0.0001")
    app = new_session().run()
    [toast] = app.toast
    assert "delete some favourites" in toast.value
    assert not app.run().toast
    assert not app.exception


def test_without_a_writable_folder_the_session_still_works(
    new_session, tmp_path, monkeypatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MUSICVAE_LIBRARY", str(tmp_path / "file" / "library.sqlite"))
    app = new_session().run()
    assert len(names(app)) == 8
    assert not app.exception


def cookie_of(app: AppTest) -> str:
    protos = [json.loads(one.proto.json or "{}") for one in app.get("bidi_component")]
    [key] = [proto["key"] for proto in protos if proto.get("name") == "groove_library"]
    return key


def test_each_browser_has_a_library_that_no_other_finds(new_session, browsers) -> None:
    first = new_session().run()
    first.slider(key="n").set_value(5).run()
    mine = cookie_of(first)
    other = new_session().run()
    assert other.slider(key="n").value == 8
    assert cookie_of(other) != mine
    browsers["groove_library"] = mine
    again = new_session().run()
    assert again.slider(key="n").value == 5
    assert cookie_of(again) == mine


def test_a_key_is_256_random_bits(new_session, browsers) -> None:
    keys = {cookie_of(new_session().run()) for _ in range(3)}
    assert len(keys) == 3
    assert all(re.fullmatch(r"[\w-]{43}", key) for key in keys)


@pytest.mark.parametrize("cookie", ["", "short", store._THE_MACHINE, KEY + "k", KEY[:-1] + "'"])
def test_a_cookie_without_a_valid_key_opens_no_library(cookie, new_session, browsers) -> None:
    browsers["groove_library"] = cookie
    assert cookie_of(new_session().run()) != cookie


@pytest.mark.parametrize(
    ("headers", "address", "is_own"),
    [
        ({"Origin": "http://localhost:8501"}, "localhost", True),
        ({"Origin": "http://127.0.0.1:8501"}, "localhost", True),
        ({"Origin": "http://[::1]:8501"}, "127.0.0.1", True),
        ({}, "localhost", False),
        ({"Origin": "http://localhost:8501"}, "0.0.0.0", False),
        ({"Origin": "http://localhost:8501"}, None, False),
        ({"Origin": "https://grooves.example.org"}, "localhost", False),
        ({"Origin": "http://localhost.example.org"}, "localhost", False),
        ({"Origin": "http://localhost", "X-Forwarded-For": "10.0.0.1"}, "localhost", False),
    ],
)
def test_only_a_local_user_opens_the_machines_library(
    headers, address, is_own, monkeypatch
) -> None:
    monkeypatch.delenv("MUSICVAE_LIBRARY_PER")
    monkeypatch.setattr(type(st.context), "headers", property(lambda _: headers))
    monkeypatch.setattr(st, "get_option", lambda name: {"server.address": address}[name])
    assert store._is_own_machine() is is_own
