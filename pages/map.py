"""Map: the space of a model as drummers fill it, to hear, to search and to travel."""

from __future__ import annotations

import streamlit as st

from musicvae_core.errors import MusicVAEError
from pages.components.deck.card import Card
from pages.components.deck.piece import choose_bars, piece_card
from pages.components.deck.source_deck import source_deck
from pages.components.entry import run_app
from pages.components.map.actions import Actions
from pages.components.map.cards import PIECE, STRIP, Path, Sounding, strip_card
from pages.components.map.chart import draw_chart
from pages.components.map.list import draw_list
from pages.components.map.near import draw_neighbours
from pages.components.map.path import draw_path_controls
from pages.components.map.points import Spot, brought_spots
from pages.components.map.settings import read_map_settings
from pages.components.session import keep_mix, kept_mix
from pages.components.slots import Source
from pages.components.studio import shared_studio

_AT = "kept.map.at"
"""Session key of where the pointer of the path's strip is."""


def groove_map() -> None:
    """Read the settings; draw the map, what is in hand, what is inside and what is near."""
    try:
        studio = shared_studio()
        settings = read_map_settings(studio)
        actions = Actions(settings, brought_spots(studio, settings.model))
        actions.take_sent()
        sounding = Sounding(studio, settings.model.name, settings.kit, kept_mix())
        chart, side = st.columns([3, 2])
        with side:
            path = draw_path_controls(sounding, actions)
        with chart:
            draw_chart(settings, actions, path)
        with side:
            _draw_hand(sounding, actions, path)
        draw_list(settings, actions)
        draw_neighbours(sounding, actions)
    except MusicVAEError as error:
        st.error(str(error))


def _draw_hand(sounding: Sounding, actions: Actions, path: Path | None) -> None:
    """Draw the groove in hand and, where there is one, the path."""
    now = actions.now
    problem = sounding.studio.sound_problem
    if problem:
        st.warning(problem, icon=":material/volume_off:")
    if now.spot is None:
        st.info("Click a point to hear it. Scroll to zoom, drag to move; lasso or box for many.")
    cards = sounding.cards([now.spot] if now.spot else [])
    if path:
        cards.append(strip_card(sounding, path, st.session_state.get(_AT, (0.0, 0.0))))
    if path and now.is_travelling:
        bars = choose_bars(len(path.grooves), actions.settings.model.n_bars)
        piece = (path.grooves, bars, path.name, sounding.kit, sounding.mix)
        cards.append(piece_card(sounding.studio, *piece))
    in_hand = now.spot.id if now.spot else ""
    sources = _sources(sounding, now.spot, cards, path)
    source_deck(
        cards,
        sources.__getitem__,
        key="map.deck",
        sound_problem=problem,
        mix=sounding.mix,
        play=(PIECE if now.is_travelling else in_hand, f"{sounding.model}.{now.n_chosen}"),
        on_move=lambda _, at: st.session_state.update({_AT: at}),
        on_mix=keep_mix,
    )


def _sources(
    sounding: Sounding, spot: Spot | None, cards: list[Card], path: Path | None
) -> dict[str, Source]:
    """Return what each card is to a favourite or another page, by the cards' ids."""
    found = {card.id: Source(card.name, card.groove, origin="map") for card in cards}
    if spot:
        found[spot.id] = spot.source(cards[0].groove, sounding.model)
    for card in cards:
        if path and card.morph:
            z = path.codes[card.morph.index_at(card.morph.at)]
            found[STRIP] = Source(path.name, card.groove, z, sounding.model, "map")
    return found


if __name__ == "__main__":
    run_app()
