"""The undo button, which looks and speaks alike on every page."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st


def draw_undo(key: str, can_undo: bool, what: str, on_click: Callable[[], None]) -> None:
    """Draw the button; its help says what comes back, or that there is nothing to undo."""
    st.button(
        "Undo",
        icon=":material/undo:",
        key=key,
        disabled=not can_undo,
        help=f"Bring back {what} from before" if can_undo else "Nothing to undo yet",
        on_click=on_click,
    )
