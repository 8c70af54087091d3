"""Keys of widgets that the page moves as well as the listener.

Were such a widget told to move, what the browser sends before it hears of that would look like a
move back by the listener. So it becomes another widget, under another key, and what is said of an
older one is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import streamlit as st


def key_where(name: str, stands: Callable[[Any], bool], limits: Hashable = None) -> str:
    """Return the key of a widget: another one whenever it is not where it is to stand.

    Parameters
    ----------
    name
        The widget's in the session, the same through all its keys.
    stands
        Whether a value is the one that the widget is to show.
    limits
        Of its values; at others it is another widget, too.
    """
    number, before = st.session_state.get(name, (0, limits))
    newest = newest_key(name)
    is_moved = newest in st.session_state and not stands(st.session_state[newest])
    if is_moved or before != limits:
        number += 1
    st.session_state[name] = number, limits
    return newest_key(name)


def newest_key(name: str) -> str:
    """Return the key of the widget that is drawn now."""
    number, _ = st.session_state.get(name, (0, None))
    return f"{name}.{number}"
