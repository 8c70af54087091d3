"""The library: every groove that the listener has met in this session, on whatever page."""

from __future__ import annotations

import streamlit as st

from pages.components.slots import Source

_LIBRARY = "kept.library"
_MAX_RECENT = 100
"""Uploads, samples and grooves that were sent; the oldest make room."""


def library() -> dict[str, Source]:
    """Return what was uploaded, sampled or sent, by its id, the newest first."""
    kept: dict[str, Source] = st.session_state.setdefault(_LIBRARY, {})
    return kept


def add_to_library(source: Source) -> None:
    """Offer a source on every page from now on."""
    rest = {id_: other for id_, other in library().items() if id_ != source.id}
    recent = [(source.id, source), *rest.items()][:_MAX_RECENT]
    st.session_state[_LIBRARY] = dict(recent)
