"""The grooves of the map as cards: a spot's, and a path's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from musicvae_core.groove import Groove
from musicvae_core.studio import Studio
from pages.components.deck.card import Card, Mix, Morph
from pages.components.favourites import is_favourite
from pages.components.map.points import Spot
from pages.components.map.state import Hand
from pages.components.studio import loop_sounds

STRIP, PIECE = "strip", "piece"
"""Ids of the cards of a path."""
_MAX_DECODED = 256


@dataclass(frozen=True, eq=False)
class Sounding:
    """How the page sounds: whose model, which kit and mix."""

    studio: Studio
    model: str
    kit: str | None
    mix: Mix

    def grooves(self, spots: Sequence[Spot]) -> list[Groove]:
        """Return what each spot plays: its own groove, or what its code decodes to."""
        codes = [spot.z for spot in spots if spot.groove is None]
        made = iter(decoded(self.studio, self.model, np.stack(codes)) if codes else ())
        return [(spot.groove or next(made)).at_tempo(spot.tempo_bpm) for spot in spots]

    def cards(self, spots: Sequence[Spot]) -> list[Card]:
        """Return a card for each spot, of its id."""
        grooves = self.grooves(spots)
        sounds, _ = loop_sounds(self.studio, grooves, self.kit, mix=self.mix)
        return [
            Card(
                *(spot.id, spot.name, groove, self.studio.midi(groove), sound, spot.note),
                kept=is_favourite(groove),
            )
            for spot, groove, sound in zip(spots, grooves, sounds, strict=True)
        ]


@st.cache_resource(max_entries=_MAX_DECODED, show_spinner=False)
def decoded(_studio: Studio, model: str, codes: NDArray[np.float32]) -> tuple[Groove, ...]:
    """Return the grooves at codes (n, Z), their likeliest hits, decoded once for all sessions."""
    return tuple(take.groove for take in _studio.decode(model, codes, temperature=0.0))


@dataclass(frozen=True, eq=False)
class Path:
    """A path through the stops in hand: codes (n, Z) and a groove for each."""

    name: str
    ends: tuple[str, str]
    codes: NDArray[np.float32]
    grooves: tuple[Groove, ...]


def strip_card(sounding: Sounding, path: Path, at: tuple[float, float]) -> Card:
    """Return the card that morphs along a path, its pointer at (x, 0)."""
    sounds, _ = loop_sounds(
        sounding.studio, path.grooves, sounding.kit, mix=sounding.mix, compressed=True
    )
    morph = Morph(path.grooves, tuple(sounds), 1, len(path.grooves), path.ends, at)
    groove = path.grooves[morph.index_at(at)]
    midi, note = sounding.studio.midi(groove), f"{len(path.grooves)} steps"
    return Card(STRIP, path.name, groove, midi, None, note, is_favourite(groove), morph=morph)


def path_of(sounding: Sounding, hand: Hand, steps_a_leg: int) -> Path | None:
    """Return the path through the stops in hand, at the middle of their tempos."""
    stops = hand.path
    if len(stops) < 2:
        return None
    tempo_bpm = float(round(float(np.median([stop.tempo_bpm for stop in stops]))))
    codes = np.stack([stop.z for stop in stops])
    takes = travelled(sounding.studio, sounding.model, codes, steps_a_leg, tempo_bpm)
    ends = (stops[0].name, stops[-1].name)
    name = f"{ends[0]} to {ends[1]}"
    return Path(name, ends, np.stack([z for _, z in takes]), tuple(groove for groove, _ in takes))


@st.cache_resource(max_entries=32, show_spinner=False)
def travelled(
    _studio: Studio, model: str, stops: NDArray[np.float32], steps_a_leg: int, tempo_bpm: float
) -> list[tuple[Groove, NDArray[np.float32]]]:
    """Return grooves and codes from stop to stop, computed once for all sessions."""
    takes = _studio.journey(model, stops, steps_a_leg, tempo_bpm=tempo_bpm)
    return [(take.groove, take.z) for take in takes]
