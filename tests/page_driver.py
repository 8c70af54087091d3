"""What tests of pages share: a fake `Studio` in place of the real one, and what a page shows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest
import streamlit as st
from fake_studio import FakeStudio
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Widget

from pages.shared import deck as shared

StudioT = TypeVar("StudioT", bound=FakeStudio)
WidgetT = TypeVar("WidgetT", bound=Widget)


@contextmanager
def found_by_pages(fake: StudioT) -> Iterator[StudioT]:
    """Let every page find this `Studio`, with nothing left from another test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared, "_open_studio", lambda: fake)
        st.cache_resource.clear()
        st.cache_data.clear()
        yield fake
        st.cache_resource.clear()
        st.cache_data.clear()


def components(page: AppTest) -> list[dict]:
    """What each of the page's own components was given, in order of drawing."""
    return [data for data in _given(page) if "kits" not in data]


def transport_bar(page: AppTest) -> dict:
    """What the bar at the foot of the app was given."""
    [data] = [data for data in _given(page) if "kits" in data]
    return data


def _given(page: AppTest) -> list[dict]:
    assert not page.exception
    protos = [one.proto for one in page.get("bidi_component")]
    return [json.loads(proto.json) for proto in protos if proto.json]


def newest(widgets: Iterable[WidgetT], name: str) -> WidgetT:
    """The widget of this name that is drawn now; see `pages.shared.session`."""
    return next(at for at in widgets if at.key.rpartition(".")[0] == name)
