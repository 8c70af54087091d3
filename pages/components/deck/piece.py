"""A morph as a piece: its steps one after the other, to play and to save."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import streamlit as st

from musicvae_core.groove import Groove
from musicvae_core.studio import Studio
from pages.components.deck.card import Card, Mix
from pages.components.deck.payload import file_stem, sound_suffix
from pages.components.settings import WIDTH
from pages.components.studio import loop_sounds

_BARS = (1, 2, 4, 8, 16)
_MAX_BARS = 256
"""Of a piece: nine minutes at 120 bpm."""


def choose_bars(n_steps: int, n_bars: int) -> int:
    """Draw the choice of how many bars each step lasts, and return it."""
    offered = [bars for bars in _BARS if bars * n_steps <= _MAX_BARS]
    usual = max(bars for bars in offered if bars <= max(n_bars, 1))
    return st.selectbox(
        "Bars a step",
        offered,
        offered.index(usual),
        key=f"morph.bars.{n_steps}.{n_bars}",
        width=WIDTH,
        persist_state="session",
        help="How long each step of the piece is played.",
    )


def piece_card(
    studio: Studio,
    grooves: Sequence[Groove],
    bars: int,
    name: str,
    kit: str | None,
    mix: Mix | None = None,
) -> Card:
    """Return the card of a piece, its sound with the voices of `mix` alone."""
    piece = Groove.joined([groove.repeated(bars) for groove in grooves])
    [sound], _ = loop_sounds(studio, [piece], kit, mix=mix, compressed=True)
    note = f"{len(grooves)} steps of {bars} {'bar' if bars == 1 else 'bars'}"
    return Card("piece", name, piece, studio.midi(piece), sound, note)


def draw_zip(
    studio: Studio,
    grooves: Sequence[Groove],
    name: str,
    kit: str | None,
    *,
    key: str,
    label: str = "All steps",
    mix: Mix | None = None,
    names: Sequence[str] = (),
) -> None:
    """Draw a button that saves every groove, as MIDI and as it is heard, in one file.

    `names`, where there are any, are those of the grooves.
    """
    st.download_button(
        label,
        data=lambda: zip_of(studio, grooves, kit, mix, names),
        file_name=f"{file_stem(name)}.zip",
        mime="application/zip",
        icon=":material/folder_zip:",
        key=key,
        on_click="ignore",
        help="A zip of a MIDI file, and a WAV file, of each",
    )


def zip_of(
    studio: Studio,
    grooves: Sequence[Groove],
    kit: str | None,
    mix: Mix | None = None,
    names: Sequence[str] = (),
) -> bytes:
    """Return a zip of every groove, numbered: MIDI, and sound with the voices of `mix` alone."""
    stems = [f"{at:02d}" for at in range(len(grooves))]
    if names:
        stems = [f"{stem}-{file_stem(name)}" for stem, name in zip(stems, names, strict=True)]
    sounds, _ = loop_sounds(studio, grooves, kit, mix=mix)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for stem, groove, sound in zip(stems, grooves, sounds, strict=True):
            archive.writestr(f"{stem}.mid", studio.midi(groove))
            if sound is not None:
                archive.writestr(f"{stem}.{sound_suffix(sound)}", sound)
    return file.getvalue()
