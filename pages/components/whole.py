"""Actions that run to their end.

Streamlit breaks a run off when the listener does something else meanwhile: at any access to the
session's state, in the midst of a callback too. What is broken off between two accesses is lost
or half done, and would have to be clicked again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

_BUSY = "kept.busy"
"""Session key of the lock that an action holds."""


@contextmanager
def whole() -> Iterator[None]:
    """Let an action, a `with` block or a function so decorated, end before its run is broken off.

    Actions of one session follow one another. A run that takes the place of one whose action
    has not ended waits for it with `wait_for_actions`.
    """
    context = get_script_run_ctx()
    if context is None:
        yield
        return
    with _unbroken(context.session_state), _busy():
        yield


def wait_for_actions() -> None:
    """Wait until what an earlier run of this session still does is done."""
    with _busy():
        pass


def _busy() -> Any:
    return st.session_state.setdefault(_BUSY, RLock())


@contextmanager
def _unbroken(state: Any) -> Iterator[None]:
    """Keep Streamlit from looking, at an access to the state, whether to break off.

    It offers no way to ask for that: this rests on an attribute of its own, and does nothing
    where a later Streamlit has another.
    """
    look = getattr(state, "_yield_callback", None)
    object.__setattr__(state, "_yield_callback", lambda: None)
    try:
        yield
    finally:
        object.__setattr__(state, "_yield_callback", look)
