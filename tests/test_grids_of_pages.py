"""Pages that are sent music on a grid that their model does not play say so, and play on."""

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from test_grid import WALTZ, any_groove

from musicvae_core.studio import SHIPPED_CHECKPOINTS
from pages.shared.collection import _LIBRARY, Source
from pages.shared.session import _inbox

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


def said(page: AppTest) -> str:
    assert not page.exception
    return " ".join(one.value for one in page.error)


@needs_models
@pytest.mark.parametrize(
    "name", ["morph", "attributes", "map", "long_form", "groove_lab", "sample"]
)
def test_a_waltz_is_refused_in_a_sentence(name: str) -> None:
    page = opened(name, *(Source(f"Waltz {at}", any_groove(WALTZ, 2, at)) for at in range(2)))
    if name == "groove_lab":
        page.button(key="groove_lab.do").click().run()
    assert "sixteenths in 3/4; only sixteenths in 4/4 can be used here" in said(page)


@needs_models
def test_a_waltz_among_the_uploads_does_not_hide_the_map() -> None:
    page = opened("map", Source("Waltz", any_groove(WALTZ, 2)))
    assert "only sixteenths in 4/4" in said(page)
    page.run()
    assert not said(page)
    assert page.selectbox
