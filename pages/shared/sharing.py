"""Share codes on the screen: one to copy, and a field to paste one into."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from musicvae_core.errors import GridError, ShareCodeError
from musicvae_core.music.share import (
    MAX_CODE_LENGTH,
    VERSION,
    Shared,
    read_share_code,
    write_share_code,
)
from musicvae_core.studio import Studio
from pages.shared.actions import component, on_value
from pages.shared.collection import Source, add_to_library
from pages.shared.events import TEXT
from pages.shared.names import as_text
from pages.shared.session import choose_form, model_key, take_to_share
from pages.shared.transport import choose_kit, chosen_kit, transport


def show_share_code(open_studio: Callable[[], Studio]) -> None:
    """Show the share code that was asked for, at the end of a page."""
    source = take_to_share()
    if source is not None:
        _show(source, open_studio())


@st.dialog("Share code")
def _show(source: Source, studio: Studio) -> None:
    """Show a code with a button that copies it."""
    kit = chosen_kit(studio) or ""
    model = source.model or st.session_state.get(model_key(source.plays)) or ""
    try:
        music = transport().performed(source.groove)
        code = write_share_code(Shared(music, model, kit, source.name))
    except (GridError, ShareCodeError) as error:
        st.error(as_text(str(error)))
        return
    st.caption(
        f"{as_text(source.name)} in {len(code)} letters, with its name, model, tempo and kit. "
        "Paste them under “Add”, beside any choice of grooves."
    )
    st.code(code, language=None, wrap_lines=True)
    _draw_copy_button(code, key="share.copy", label="Copy the code")


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
        shared = read_share_code(text)
    except ShareCodeError as error:
        st.session_state[problem] = str(error)
        return
    name = shared.name.strip() or "Shared groove"
    source = Source(name, shared.music, model=shared.model or None, origin="code")
    add_to_library(source)
    place(source)
    _take_over(studio, shared)
    st.session_state[f"{key}.code"] = ""


def _take_over(studio: Studio, shared: Shared) -> None:
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
