"""Share codes on the screen: one to copy, and a field to paste one into."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from musicvae_core.errors import ShareCodeError
from musicvae_core.share import MAX_CODE_LENGTH, Shared, read_share_code, write_share_code
from musicvae_core.studio import Studio
from pages.components.copying import draw_copy_button
from pages.components.library import add_to_library
from pages.components.names import as_text
from pages.components.slots import Source
from pages.components.whole import whole

_TO_SHARE = "share.source"


def ask_to_share(source: Source) -> None:
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
    kit = st.session_state.get("kit") or ""
    model = source.model or st.session_state.get("model") or ""
    try:
        code = write_share_code(Shared(source.groove, model, kit))
    except ShareCodeError as error:
        st.error(str(error))
        return
    st.caption(
        f"{as_text(source.name)} in {len(code)} letters, with its model, tempo and kit. "
        "Paste them under “Add”, beside any choice of grooves."
    )
    st.code(code, language=None, wrap_lines=True)
    draw_copy_button(code, key="share.copy", label="Copy the code")


def draw_code_field(studio: Studio, key: str, place: Callable[[Source], None]) -> None:
    """Draw a field to paste a share code into; what it says takes effect at once."""
    field = f"{key}.code"
    st.text_input(
        "Paste a share code",
        key=field,
        max_chars=MAX_CODE_LENGTH,
        placeholder="gs1.…",
        on_change=lambda: _read(studio, key, st.session_state[field], place),
    )
    if problem := st.session_state.get(f"{key}.problem"):
        st.error(problem)


@whole()
def _read(studio: Studio, key: str, text: str, place: Callable[[Source], None]) -> None:
    """Place the groove of a code and take over its model, tempo and kit, where they are here."""
    problem = f"{key}.problem"
    st.session_state[problem] = None
    if not text.strip():
        return
    try:
        shared = read_share_code(text)
    except ShareCodeError as error:
        st.session_state[problem] = str(error)
        return
    source = Source("Shared groove", shared.groove, model=shared.model or None, origin="code")
    add_to_library(source)
    place(source)
    _take_over(studio, shared)
    st.session_state[f"{key}.code"] = ""


def _take_over(studio: Studio, shared: Shared) -> None:
    """Set the settings that pages share as the code says."""
    st.session_state["tempo_bpm"] = round(shared.groove.tempo_bpm)
    if shared.model in {model.name for model in studio.models()}:
        st.session_state["model"] = shared.model
    if studio.sound_problem is None and shared.kit in studio.kits():
        st.session_state["kit"] = shared.kit
