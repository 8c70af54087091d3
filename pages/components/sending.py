"""Sending a groove to another page: one click on a card, and it stands there.

`app.py` says which pages there are; a page is listed once it is there. What was sent waits in
the page's inbox until `choose_groove`, or the page itself, takes it out.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from pages.components.library import add_to_library
from pages.components.sharing import ask_to_share
from pages.components.slots import Source

_DESTINATIONS = ("Sample", "Morph", "Attributes", "Map", "Long form", "Groove lab")
"""Titles of the pages that take a groove, in the order of the menus."""
_PAGES = "pages.by_key"
_SHARE = "share"


def page_key(title: str) -> str:
    """Return the key of a page: of its slots, its inbox, and as a destination."""
    return title.lower().replace(" ", "_")


def offer_pages(pages: Sequence[StreamlitPage]) -> None:
    """Say which pages the app has, at the start of each run."""
    st.session_state[_PAGES] = {page_key(page.title): page for page in pages}


def destinations(here: str) -> dict[str, str]:
    """Return where a groove can go from the page of that key, for a deck's menu."""
    there = st.session_state.get(_PAGES, {})
    pages = {page_key(title): title for title in _DESTINATIONS}
    listed = {key: title for key, title in pages.items() if key in there and key != here}
    return listed | {_SHARE: "Share code…"}


def send(destination: str, *sources: Source) -> None:
    """Put one or more sources into a page's inbox and go there; for a callback.

    The destination `share` stays, and shows the first groove's share code.
    """
    if destination == _SHARE:
        ask_to_share(sources[0])
        return
    for source in reversed(sources):
        add_to_library(source)
    inbox = st.session_state.setdefault(_inbox(destination), [])
    inbox.extend(sources)
    if destination in (pages := st.session_state.get(_PAGES, {})):
        st.switch_page(pages[destination])


def take_sent(page: str) -> list[Source]:
    """Take out what was sent to a page since it was last drawn, the oldest first."""
    taken: list[Source] = st.session_state.pop(_inbox(page), [])
    return taken


def _inbox(page: str) -> str:
    return f"kept.{page}.inbox"
