"""The neighbours of the groove in hand, nearest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import streamlit as st

from musicvae_core.space.projection import directions, nearest
from pages.components.deck.card import Card
from pages.components.deck.source_deck import source_deck
from pages.components.map.actions import Actions
from pages.components.map.cards import Sounding
from pages.components.map.points import Spot, point_spot
from pages.components.map.settings import MapSettings
from pages.components.names import as_text

_N_NEIGHBOURS = 6


def draw_neighbours(sounding: Sounding, actions: Actions) -> None:
    """Draw the points of the atlas that lie nearest to the spot in hand."""
    spot = actions.now.spot
    if spot is None:
        return
    near = _neighbours_of(actions.settings, spot)
    if not near:
        return
    st.subheader(f"Nearest to {as_text(spot.name)}")
    cards = _near_cards(sounding, spot, near)
    sources = {
        one.id: one.source(card.groove, sounding.model)
        for one, card in zip(near, cards, strict=True)
    }
    source_deck(
        cards,
        sources.__getitem__,
        key="map.near",
        sound_problem=sounding.studio.sound_problem,
        mix=sounding.mix,
        on_more=actions.take,
    )


def _neighbours_of(settings: MapSettings, spot: Spot) -> list[Spot]:
    """Return the points of the atlas nearest in angle to a spot, of those that are shown."""
    points = np.flatnonzero(settings.shown)
    if not len(points):
        return []
    atlas = settings.atlas
    near = points[nearest(atlas.codes[points], spot.z, _N_NEIGHBOURS + 1)]
    return [point_spot(atlas, int(point)) for point in near if spot.id != f"point.{point}"][
        :_N_NEIGHBOURS
    ]


def _near_cards(sounding: Sounding, spot: Spot, neighbours: Sequence[Spot]) -> list[Card]:
    """Return the cards of a spot's neighbours, which say how far they are."""
    told = [
        replace(one, note=f"{_degrees_between(spot, one):.0f}° away · {one.note}")
        for one in neighbours
    ]
    return sounding.cards(told)


def _degrees_between(one: Spot, other: Spot) -> float:
    """Return the angle between two spots' codes."""
    cosine = float(directions(one.z) @ directions(other.z))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
