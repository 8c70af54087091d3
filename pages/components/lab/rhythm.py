"""Bringing a rhythm to the groove lab: tapped by hand, or any track of a MIDI file."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from musicvae_core.groove import Groove
from musicvae_core.midi import MidiReading
from musicvae_core.studio import Studio
from pages.components.lab.tap_pad import draw_tap_pad
from pages.components.library import add_to_library
from pages.components.slots import Source, fill
from pages.components.uploads import draw_report, draw_uploader


@dataclass(frozen=True)
class _Rhythms:
    """Reads files for the uploader as a `Studio` does, but all notes of a track as one voice."""

    studio: Studio

    def read_midi(self, data: bytes, *, treat_as_drums: int | str | None = None) -> MidiReading:
        return self.studio.read_rhythm(data, track=treat_as_drums)


def draw_rhythms(studio: Studio, key: str) -> None:
    """Draw the tap pad and a field for MIDI tracks; what they give goes into the slot."""

    def place_taps(groove: Groove) -> None:
        source = Source("Taps", groove, origin="tapped", note=f"{groove.n_hits} taps")
        add_to_library(source)
        fill(key, source)

    with st.expander("Tap a rhythm, or bring one", icon=":material/touch_app:", expanded=True):
        pad, file = st.columns([2, 1], gap="large")
        with pad:
            draw_tap_pad("groove_lab.taps", place_taps)
        with file:
            label = "Drop MIDI: a bass line, a melody, any track's rhythm"
            reader = _Rhythms(studio)
            draw_uploader(reader, "groove_lab.rhythm", label, lambda found: fill(key, found[0]))
            draw_report(reader, "groove_lab.rhythm", lambda found: fill(key, found[0]))
