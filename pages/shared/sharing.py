"""Share codes on the screen: one to copy, and a field to paste one into."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from musicvae_core.errors import GridError, ShareCodeError
from musicvae_core.latent.results import ModelInfo
from musicvae_core.music.forms import FORMS, Music, parts_of
from musicvae_core.music.groove import Groove
from musicvae_core.music.piece import Piece
from musicvae_core.music.share import (
    MAX_CODE_LENGTH,
    PIECE_PREFIX,
    VERSION,
    Shared,
    SharedPiece,
    read_piece_code,
    read_share_code,
    write_piece_code,
    write_share_code,
)
from musicvae_core.studio import Studio
from pages.shared.actions import component, on_value
from pages.shared.collection import Source, add_to_library
from pages.shared.events import TEXT
from pages.shared.lasting import shared_studio
from pages.shared.names import as_text
from pages.shared.play_settings import choose_form, model_key
from pages.shared.transport import choose_kit, chosen_kit, transport

_TO_SHARE = "share.source"


def _ask_to_share(source: Source) -> None:
    """Have the next run of the page show the groove's share code; for a callback."""
    st.session_state[_TO_SHARE] = source


def show_share_code() -> None:
    """Show the share code that was asked for, at the end of a page."""
    source: Source | None = st.session_state.pop(_TO_SHARE, None)
    if source is not None:
        _show(source)


@st.dialog("Share code")
def _show(source: Source) -> None:
    """Show a code with a button that copies it."""
    kit = chosen_kit(shared_studio()) or ""
    model = source.model or st.session_state.get(model_key(source.plays)) or ""
    try:
        code = _code_of(transport().performed(source.groove), model, kit, source.name)
    except (GridError, ShareCodeError) as error:
        st.error(as_text(str(error)))
        return
    st.caption(
        f"{as_text(source.name)} in {len(code)} letters, with its name, model, tempo and kit. "
        "Paste them under “Add”, beside any choice of grooves."
    )
    st.code(code, language=None, wrap_lines=True)
    _draw_copy_button(code, key="share.copy", label="Copy the code")


def _code_of(music: Music, model: str, kit: str, name: str) -> str:
    if isinstance(music, Groove):
        return write_share_code(Shared(music, model, kit, name))
    return write_piece_code(SharedPiece(Piece(parts_of(music)), model, kit, name))


def _read_code(text: str) -> tuple[Music, Shared | SharedPiece]:
    if not text.strip().startswith(PIECE_PREFIX):
        shared = read_share_code(text)
        return shared.groove, shared
    piece = read_piece_code(text)
    [first, *more] = piece.piece.parts.values()
    return (piece.piece if more else first), piece


def draw_code_field(studio: Studio, key: str, place: Callable[[Source], None]) -> None:
    """Draw a field to paste a share code into; what it says takes effect at once."""
    field = f"{key}.code"
    st.text_input(
        "Paste a share code",
        key=field,
        max_chars=MAX_CODE_LENGTH,
        placeholder=f"gs{VERSION}.…",
        on_change=on_value(field, TEXT, lambda text: _read(studio, key, text, place)),
    )
    if problem := st.session_state.get(f"{key}.problem"):
        st.error(as_text(problem))


def _read(studio: Studio, key: str, text: str, place: Callable[[Source], None]) -> None:
    """Place the groove of a code and take over its model, tempo and kit, where they are here."""
    problem = f"{key}.problem"
    st.session_state[problem] = None
    if not text.strip():
        return
    try:
        music, shared = _read_code(text)
    except ShareCodeError as error:
        st.session_state[problem] = str(error)
        return
    name = shared.name.strip() or "Shared groove"
    source = Source(name, music, model=shared.model or None, origin="code")
    add_to_library(source)
    place(source)
    _take_over(studio, shared)
    st.session_state[f"{key}.code"] = ""


def _take_over(studio: Studio, shared: Shared | SharedPiece) -> None:
    """Set the settings that pages share as the code says."""
    for model in studio.models():
        if model.name == shared.model:
            choose_form(model.plays)
            st.session_state[model_key(model.plays)] = model.name
    if studio.sound_problem is None and shared.kit in studio.kits():
        choose_kit(shared.kit)


def _draw_copy_button(text: str, *, key: str, label: str = "Copy") -> None:
    """Draw a button that puts `text` on the clipboard of the browser."""
    _mount(key=key, data={"text": text, "label": label})


_mount = component("copy")

_DESTINATIONS: Mapping[str, Callable[[ModelInfo], bool]] = {
    "Sample": lambda model: True,
    "Morph": lambda model: True,
    "Attributes": lambda model: model.has_vectors,
    "Map": lambda model: model.has_atlas,
    "Long form": lambda model: model.plays == "drums",
    "Groove lab": lambda model: True,
}
"""Titles of the pages that take music, in the order of the menus, and which models serve them."""
_PAGES = "pages.by_key"
_SHARE = "share"


def _page_key(title: str) -> str:
    """Return the key of a page: of its slots, its inbox, and as a destination."""
    return title.lower().replace(" ", "_")


def offer_pages(pages: Sequence[StreamlitPage]) -> None:
    """Say which pages the app has, at the start of each run."""
    st.session_state[_PAGES] = {_page_key(page.title): page for page in pages}


def destinations(here: str) -> dict[str, str]:
    """Return where a groove can go from the page of that key, for a deck's menu."""
    there = st.session_state.get(_PAGES, {})
    pages = {_page_key(title): title for title in _DESTINATIONS}
    listed = {key: title for key, title in pages.items() if key in there and key != here}
    return listed | {_SHARE: "Share code…"}


def forms_taken(studio: Studio, destination: str) -> list[str]:
    """Return the forms of music that a destination takes, those that a model of its plays."""
    titles = [title for title in _DESTINATIONS if _page_key(title) == destination]
    if not titles:
        return list(FORMS)
    serves = _DESTINATIONS[titles[0]]
    return list({"drums": None} | {m.plays: None for m in studio.models() if serves(m)})


def send(destination: str, *sources: Source) -> None:
    """Put one or more sources into a page's inbox and go there; for a callback.

    The destination `share` stays, and shows the first groove's share code.
    """
    if destination == _SHARE:
        _ask_to_share(sources[0])
        return
    for source in reversed(sources):
        add_to_library(source)
    choose_form(sources[0].plays)
    inbox = st.session_state.setdefault(_inbox(destination), [])
    waiting = {source.id for source in inbox}
    inbox.extend(source for source in sources if source.id not in waiting)
    if destination in (pages := st.session_state.get(_PAGES, {})):
        st.switch_page(pages[destination])


def take_sent(page: str) -> list[Source]:
    """Take out what was sent to a page since it was last drawn, the oldest first."""
    taken: list[Source] = st.session_state.pop(_inbox(page), [])
    return taken


def _inbox(page: str) -> str:
    return f"kept.{page}.inbox"
