"""The buttons of the groove lab's page: do it, take it as the groove, undo."""

from __future__ import annotations

import streamlit as st

from pages.components.lab.request import TOOLS, Request, result_of, results_of, take_back
from pages.components.lab.settings import next_seed
from pages.components.library import add_to_library
from pages.components.slots import Source, can_undo, fill, page_of, undo
from pages.components.undoing import draw_undo
from pages.components.whole import whole

_ASKED = "groove_lab.asked"
"""Session key, set when the button was pressed: the next run of the page does what it says."""
_GROOVE = "groove_lab.groove"


def was_asked() -> bool:
    """Return whether the button was pressed, once a press."""
    return bool(st.session_state.pop(_ASKED, False))


def draw_buttons(source: Source, request: Request, after: Source | None) -> None:
    """Draw the buttons.

    Parameters
    ----------
    source
        The groove to work on.
    request
        What the settings ask for.
    after
        The result that is shown; None where the groove itself is.
    """
    nothing = request.tool == "fill" and not request.voices
    st.button(
        TOOLS[request.tool],
        type="primary",
        icon=":material/auto_fix_high:",
        key="groove_lab.do",
        disabled=nothing,
        help="Choose a voice to write anew" if nothing else None,
        on_click=lambda: _ask(source, request),
    )
    st.button(
        "Work on the result",
        icon=":material/redo:",
        key="groove_lab.use",
        disabled=after is None,
        help="Nothing was made of this groove yet" if after is None else "Take it as the groove",
        on_click=lambda: after and _use(after),
    )
    is_past = after is not None or can_undo(page_of(_GROOVE))
    what = "the result" if len(results_of(source)) > 1 else "the groove"
    draw_undo("groove_lab.undo", is_past, what, lambda: _undo(source))


@whole()
def _ask(source: Source, request: Request) -> None:
    result = result_of(source)
    if result and result.request == request:
        next_seed()
    st.session_state[_ASKED] = True


@whole()
def _use(after: Source) -> None:
    add_to_library(after)
    fill(_GROOVE, after)


@whole()
def _undo(source: Source) -> None:
    if result_of(source):
        take_back(source)
    else:
        undo(page_of(_GROOVE))
