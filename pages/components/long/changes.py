"""Changing a piece: which bars, how far, and the button."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from pages.components.settings import WIDTH
from pages.components.sources import bars_phrase

_BAR = "long_form.bar"
"""Session key of the bar that is changed, counted from 0."""
_ASKED = "long_form.change_asked"
"""Session key, set when the button was pressed: the next run of the page changes the bars."""
_SCOPES = {"one": "it alone", "onward": "it and all after"}


@dataclass(frozen=True)
class Change:
    """Which bars to change, counted from 0, and how far."""

    bars: range
    amount: float

    @property
    def phrase(self) -> str:
        """Return which bars are meant, counted from 1."""
        return bars_phrase(self.bars.start, len(self.bars))


def choose_bar(bar: int) -> None:
    """Choose the bar that is changed, before its choice is drawn."""
    st.session_state[_BAR] = bar


def draw_change(n_bars: int) -> Change | None:
    """Draw the controls of a change to a piece of `n_bars`; return it when it was asked for."""
    if st.session_state.get(_BAR, 0) >= n_bars:
        choose_bar(0)
    with st.container(horizontal=True, vertical_alignment="bottom", key="long_form.changes"):
        first = st.selectbox(
            "Bar",
            range(n_bars),
            format_func=lambda at: str(at + 1),
            key=_BAR,
            width=96,
            persist_state="session",
            help="A click on a bar's number below loops it, and chooses it here.",
        )
        scope = st.segmented_control(
            "Change",
            _SCOPES,
            default="one",
            required=True,
            format_func=_SCOPES.__getitem__,
            key="long_form.scope",
            persist_state="session",
        )
        amount = st.slider(
            "Amount",
            *(0.05, 1.0, 0.6, 0.05),
            key="long_form.amount",
            width=WIDTH,
            persist_state="session",
            help="At 1 nothing of the bar is left; the other bars stay as they are.",
        )
        change = Change(range(first, n_bars if scope == "onward" else first + 1), amount)
        st.button(
            f"Change {change.phrase}",
            icon=":material/autorenew:",
            key="long_form.change",
            help="Another try each time it is pressed",
            on_click=lambda: st.session_state.update({_ASKED: True}),
        )
    return change if st.session_state.pop(_ASKED, False) else None
