"""What a session keeps while the listener moves between pages.

Streamlit forgets a widget's value with its page, unless the widget says otherwise
(`persist_state="session"`); what is no widget's value is kept here, under keys of our own.
"""

import streamlit as st

from pages.components.deck.card import Mix
from pages.components.sample.shelf import Shelf

_SHELF = "kept.sample.shelf"
_MIX = "kept.mix"


def shelf() -> Shelf:
    """Return the grooves of the Sample page."""
    kept: Shelf = st.session_state.setdefault(_SHELF, Shelf())
    return kept


def keep_shelf(changed: Shelf) -> None:
    """Keep the grooves of the Sample page."""
    st.session_state[_SHELF] = changed


def kept_mix() -> Mix:
    """Return the mix that every deck plays in."""
    kept: Mix = st.session_state.setdefault(_MIX, Mix())
    return kept


def keep_mix(changed: Mix) -> None:
    """Keep the mix that every deck plays in."""
    st.session_state[_MIX] = changed
