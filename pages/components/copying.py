"""A button that copies a text; the front lives in `assets/copy`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_ASSETS = Path(__file__).parents[2] / "assets" / "copy"


def draw_copy_button(text: str, *, key: str, label: str = "Copy") -> None:
    """Draw a button that puts `text` on the clipboard of the browser."""
    _mount(key=key, data={"text": text, "label": label})


_mount = st.components.v2.component(
    "copy_button",
    js=(_ASSETS / "copy.js").read_text("utf-8"),
    css=(_ASSETS / "copy.css").read_text("utf-8"),
)
