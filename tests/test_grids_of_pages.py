"""Pages that are sent music on a grid that their model does not play say so, and play on."""

from pathlib import Path

import pytest
import streamlit as st
from fake_lab import FakeLab
from fake_studio import FakeStudio
from page_driver import components
from streamlit.testing.v1 import AppTest
from test_grid import WALTZ, any_groove

from musicvae_core.errors import MidiError
from musicvae_core.latent.results import ModelInfo
from musicvae_core.music.grid import COMMON_TIME
from musicvae_core.music.midi.write import write_midi
from musicvae_core.studio import SHIPPED_CHECKPOINTS
from pages.shared.card import grid_payload
from pages.shared.collection import _LIBRARY, Source
from pages.shared.play_settings import grids_of
from pages.shared.session import _inbox
from pages.shared.uploads import read_file

GROOVE_APP = Path(__file__).parent / "groove_app.py"

needs_models = pytest.mark.skipif(
    not (SHIPPED_CHECKPOINTS / "groove_2bar" / "model.safetensors").is_file(),
    reason="needs the checkpoints",
)


@pytest.fixture(autouse=True)
def nothing_left():
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


def opened(name: str, *sources: Source) -> AppTest:
    """Return a page, run once, to which music was sent."""
    function = {"map": "groove_map"}.get(name, name)
    script = f"from pages.{name}.page import {function}\n{function}()"
    page = AppTest.from_string(script, default_timeout=120)
    page.session_state[_inbox(name).key] = list(sources)
    page.session_state[_LIBRARY.key] = {source.id: source for source in sources}
    return page.run()


def errors_of(page: AppTest) -> str:
    assert not page.exception
    return " ".join(one.value for one in page.error)


def test_a_file_is_read_on_the_first_grid_of_its_metre(studio: FakeStudio) -> None:
    waltz = any_groove(WALTZ, 2)
    data = write_midi(waltz)
    with pytest.raises(MidiError, match=r"in 3/4 in bar 1; only 4/4 is supported"):
        read_file(studio, "a.mid", data)
    grids = grids_of([ModelInfo("waltz_2bar", "Waltz", 2, True, grid=WALTZ)], "drums")
    assert read_file(studio, "a.mid", data, grids=[COMMON_TIME, *grids]).groove.grid == WALTZ
    assert read_file(studio, "a.mid", data, grids=[COMMON_TIME, None]).groove.grid == WALTZ
    common = write_midi(any_groove(COMMON_TIME, 2))
    assert read_file(studio, "a.mid", common, grids=[COMMON_TIME, None]).groove.grid == COMMON_TIME


def test_an_upload_is_in_three_where_a_model_plays_that(studio: FakeStudio, monkeypatch) -> None:
    data = write_midi(any_groove(WALTZ, 2))
    app = AppTest.from_file(str(GROOVE_APP), default_timeout=30).run()
    [field] = app.file_uploader
    field.set_value([("mine.mid", data, "audio/midi")]).run()
    assert "only 4/4 is supported" in " ".join(one.value for one in app.error)
    models = (*studio.models(), ModelInfo("waltz_2bar", "Waltz", 2, True, grid=WALTZ))
    monkeypatch.setattr(studio, "models", lambda: models)
    [field] = app.run().file_uploader
    field.set_value([("mine.mid", data, "audio/midi")]).run()
    assert not app.exception
    assert not app.error
    [source] = app.session_state[_LIBRARY.key].values()
    assert source.groove.grid == WALTZ


def test_the_tap_pad_counts_in_the_metre_of_the_lab(studio: FakeStudio, monkeypatch) -> None:
    monkeypatch.setattr(FakeLab, "grid", WALTZ)
    script = "from pages.groove_lab.page import groove_lab\ngroove_lab()"
    page = AppTest.from_string(script, default_timeout=30)
    page.session_state["groove_lab.tool"] = "drumify"
    [pad] = [data for data in components(page.run()) if "late" in data]
    assert pad["grid"] == grid_payload(WALTZ)


@needs_models
@pytest.mark.parametrize(
    "name", ["morph", "attributes", "map", "long_form", "groove_lab", "sample"]
)
def test_a_waltz_is_refused_in_a_sentence(name: str) -> None:
    page = opened(name, *(Source(f"Waltz {at}", any_groove(WALTZ, 2, at)) for at in range(2)))
    if name == "groove_lab":
        page.button(key="groove_lab.do").click().run()
    assert "sixteenths in 3/4; only sixteenths in 4/4 can be used here" in errors_of(page)


@needs_models
def test_a_waltz_among_the_uploads_does_not_hide_the_map() -> None:
    page = opened("map", Source("Waltz", any_groove(WALTZ, 2)))
    assert "only sixteenths in 4/4" in errors_of(page)
    page.run()
    assert not errors_of(page)
    assert page.selectbox
