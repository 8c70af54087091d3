"""Long form: pieces of sixteen bars, and paths through grooves of any length."""

from __future__ import annotations

import streamlit as st

from musicvae_core.errors import MusicVAEError
from musicvae_core.music.forms import drums_of
from musicvae_core.studio import Studio
from pages.long_form.long_settings import (
    SHORTEST_PIECE,
    choose_long_model,
    chosen_long_model,
    long_models,
    show_new,
)
from pages.long_form.path import add_parts, draw_long_path
from pages.long_form.piece import draw_long_piece
from pages.shared.collection import Source, as_long_as
from pages.shared.lasting import lasting
from pages.shared.names import as_text
from pages.shared.play_settings import shared_studio
from pages.shared.session import take_sent

_VIEWS = {"piece": "A piece", "path": "A path"}
_VIEW = "long_form.view"
lasting(_VIEW, str)


def long_form() -> None:
    """Draw the piece or the path, whichever is chosen, with what other pages sent."""
    try:
        studio = shared_studio()
        for sent in take_sent("long_form"):
            _take_in(studio, sent)
        st.session_state.setdefault(_VIEW, "piece")
        view = st.segmented_control(
            "Make",
            _VIEWS,
            required=True,
            format_func=_VIEWS.__getitem__,
            key=_VIEW,
            persist_state="session",
            label_visibility="collapsed",
        )
        if view == "path":
            draw_long_path(studio)
        else:
            draw_long_piece(studio)
    except MusicVAEError as error:
        st.error(as_text(str(error)))


def _take_in(studio: Studio, sent: Source) -> None:
    """Take up a long groove as the piece, and a short one as a stop of the path.

    The piece keeps the model that it came from, where that is a long one, and its code.
    """
    chosen = chosen_long_model(studio)
    if chosen is None or sent.groove.n_bars < SHORTEST_PIECE:
        add_parts([sent])
        st.session_state[_VIEW] = "path"
        return
    model = next((one for one in long_models(studio) if one.name == sent.model), chosen)
    is_whole = sent.model == model.name and sent.groove.n_bars == model.n_bars
    groove = as_long_as(sent.groove, model.n_bars)
    piece = studio.piece_of(model.name, drums_of(groove), sent.z if is_whole else None)
    show_new(piece, sent.origin or "sent here", sent.name)
    if model != chosen:  # else Sample would see a change, and draw its last seed again
        choose_long_model(model.name)
    st.session_state[_VIEW] = "piece"
