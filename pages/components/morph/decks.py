"""The decks of the Morph page: the morph itself, its ends, and the piece that it makes."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from musicvae_core.groove import Groove
from musicvae_core.studio import Studio
from pages.components.deck.deck import deck
from pages.components.deck.piece import choose_bars, draw_zip, piece_card
from pages.components.deck.source_deck import source_deck
from pages.components.morph.cards import Played, end_cards, morph_card
from pages.components.morph.ends import END_KEYS
from pages.components.session import keep_mix
from pages.components.slots import Source, fill

_AT = "kept.morph.at"
"""Session key of where the pointer of the morph is."""


def draw_morph(studio: Studio, played: Played) -> None:
    """Draw the strip or pad that plays under the pointer."""
    card = morph_card(studio, played, st.session_state.get(_AT, (0.5, 0.0)))
    assert card.morph is not None
    step = played.step(card.morph.index_at(card.morph.at))
    if studio.sound_problem:
        st.warning(studio.sound_problem, icon=":material/volume_off:")
    source_deck(
        [card],
        lambda _: step,
        key="morph.deck",
        sound_problem=studio.sound_problem,
        mix=played.mix,
        on_move=lambda _, at: st.session_state.update({_AT: at}),
        on_mix=keep_mix,
    )


def draw_ends(studio: Studio, played: Played) -> None:
    """Draw each end beside what the model makes of it; an edited end takes the old one's place."""
    st.subheader("The ends, and as the model plays them")
    is_editing = st.toggle(
        "Edit",
        key="morph.edit",
        persist_state="session",
        help="Click a cell for a hit; drag it up or down for loudness, sideways for timing.",
    )
    keys = END_KEYS[: len(played.sources)]
    cards = end_cards(studio, played, keys, editable=is_editing)
    by_id = {card.id: card for card in cards}

    def source_of(card_id: str) -> Source:
        key, is_model, _ = card_id.partition(".model")
        name = played.sources[keys.index(key)].name
        name = f"{name}, as the model plays it" if is_model else name
        return Source(name, by_id[card_id].groove, origin="morph")

    def edit(card_id: str, groove: Groove) -> None:
        before = played.sources[keys.index(card_id)]
        fill(card_id, replace(before, groove=groove, z=None, origin="edited", note=""))

    source_deck(
        cards,
        source_of,
        key="morph.ends",
        sound_problem=studio.sound_problem,
        mix=played.mix,
        on_edit=edit,
    )


def draw_piece(studio: Studio, played: Played, n_bars: int) -> None:
    """Draw, where it is unfolded, the morph as a piece; n_bars is the model's length."""
    grooves = played.grooves
    piece = st.expander("As a piece", key="morph.piece", on_change="rerun")
    if not piece.open:
        return
    with piece:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            bars = choose_bars(len(grooves), n_bars)
            draw_zip(studio, grooves, played.name, played.kit, key="morph.zip", mix=played.mix)
        card = piece_card(studio, grooves, bars, played.name, played.kit, played.mix)
        problem = studio.sound_problem
        deck([card], key="morph.piece.deck", sound_problem=problem, mix=played.mix)
