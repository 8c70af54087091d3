"""Attributes: sliders that say what a groove should be, and the groove that is so."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from musicvae_core.errors import MusicVAEError
from musicvae_core.latent.results import ModelInfo, SteeredTake
from musicvae_core.music.forms import Music
from musicvae_core.studio import Studio
from pages.attributes.sliders import (
    Ahead,
    Panel,
    Wishes,
    can_take_back,
    draw_sliders,
    draw_styles,
    in_words,
    reset,
    take_back,
    wishes_of,
)
from pages.shared.actions import action
from pages.shared.card import Card
from pages.shared.collection import Source, is_favourite
from pages.shared.deck import source_deck
from pages.shared.names import as_text
from pages.shared.play_settings import HASHED, choose_model, shared_studio
from pages.shared.session import draw_undo
from pages.shared.sources import choose_groove

_GROOVE = "attributes.groove"
_PRESS = 1.0
"""How much of a style's vector one press of its button adds."""
_MAX_STEERED = 64
_SHORT_BARS = 4
_POSITIONS, _POSITIONS_OF_PIECES = 9, 5
"""Along each slider, decoded ahead: of grooves of up to `_SHORT_BARS` bars, and of longer ones."""
_DECK, _CARD = "attributes.deck", "steered"


def attributes() -> None:
    """Read what is asked of the groove, steer it there, and draw it above the sliders."""
    try:
        studio = shared_studio()
        settings = st.container(horizontal=True, vertical_alignment="bottom", key="settings")
        details = st.container(horizontal=True, vertical_alignment="bottom", key="details")
        with settings:
            model = choose_model(studio, lambda model: model.has_vectors)
            source = choose_groove(_GROOVE, "Groove", model=model, details=details)
            if source is None:
                st.info("Choose a groove to steer.")
                return
        vectors = studio.attribute_vectors(model.name)
        followed = wishes_of(source.id).limited_to(vectors.names)
        steered = _steered(studio, model, source.groove, *followed.as_key())
        panel = Panel(source.id, model, vectors, followed, steered)
        left, right = st.columns(2, gap="large")
        with left:
            _draw_deck(steered, source, followed)
        with right:
            _draw_buttons(panel)
            draw_styles(panel)
        # Last, so that nothing waits for it: what the sliders will do is decoded ahead.
        ahead = _ahead(studio, steered, model, source.groove, *followed.as_key())
        draw_sliders(panel, _DECK, _CARD, ahead)
    except MusicVAEError as error:
        st.error(as_text(str(error)))


@st.cache_resource(max_entries=_MAX_STEERED, show_spinner=False, hash_funcs=HASHED)
def _steered(
    _studio: Studio,
    model: ModelInfo,
    groove: Music,
    targets: tuple[tuple[str, float], ...],
    presses: tuple[tuple[str, int], ...],
) -> SteeredTake:
    """Return a groove steered as asked, computed once for all sessions."""
    [z] = _studio.encode(model.name, [groove])
    styles = {label: _PRESS * count for label, count in presses}
    tempo_bpm = groove.tempo_bpm
    return _studio.steer(model.name, z, dict(targets), styles=styles, tempo_bpm=tempo_bpm)


@st.cache_resource(max_entries=_MAX_STEERED, show_spinner=False, hash_funcs=HASHED)
def _ahead(
    _studio: Studio,
    _steered: SteeredTake,
    model: ModelInfo,
    groove: Music,
    targets: tuple[tuple[str, float], ...],
    presses: tuple[tuple[str, int], ...],
) -> Ahead:
    """Return what each slider leads to from where a groove was steered, once for all sessions."""
    take = _steered.take
    n = _POSITIONS if model.n_bars <= _SHORT_BARS else _POSITIONS_OF_PIECES
    return _studio.steer_ahead(model.name, take.z, n, tempo_bpm=take.groove.tempo_bpm)


def _draw_deck(steered: SteeredTake, source: Source, wishes: Wishes) -> None:
    take, groove = steered.take, steered.take.groove
    name = f"{source.name}, steered" if wishes else source.name
    result = Source(name, groove, take.z, take.model, "steered")
    card = Card(_CARD, name, groove, in_words(wishes), is_favourite(groove))
    source_deck(
        [replace(card, before=source.groove, before_name=source.name)],
        lambda _: result,
        key=_DECK,
    )


def _draw_buttons(panel: Panel) -> None:
    known = panel.vectors.names
    with st.container(horizontal=True, gap="xsmall", key="buttons"):
        st.button(
            "Reset all",
            icon=":material/restart_alt:",
            key="attributes.reset",
            disabled=not panel.wishes,
            help="Let every slider rest" if panel.wishes else "Everything rests",
            on_click=action(reset, panel.groove, known),
        )
        draw_undo(
            "attributes.undo",
            can_take_back(panel.groove, known),
            "the sliders",
            lambda: take_back(panel.groove, known),
        )
    if waiting := wishes_of(panel.groove).beyond(known):
        st.caption(f"Waits for a model that can follow: {in_words(waiting)}")
