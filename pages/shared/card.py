"""Cards: the contents of a deck, as sent to the browser, and a morph as one piece."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from musicvae_core.data.files import file_stem
from musicvae_core.music.drums import DRUMS
from musicvae_core.music.forms import Music, drums_of, form_of, joined, parts_of
from musicvae_core.music.grid import Grid
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import Line
from musicvae_core.music.line_attributes import best_scale
from musicvae_core.sound.render import balance
from pages.shared.names import describe
from pages.shared.transport import Sounds, performed_midi, performed_wav

_Which = str | tuple[float, float]
"""One of a card's grooves: "now", "before", or what is heard at (x, y) of its morph."""
_HALF = 0.5 - 1e-6
"""The least weight at which a blended hit sounds, with a margin for rounding."""


@dataclass(frozen=True, eq=False)
class Morph:
    """Grooves on a strip, or on a pad, that a card switches between while it plays.

    Parameters
    ----------
    grooves
        All of one length and tempo; row by row, each from left to right.
    n_rows, n_columns
        The layout of the grooves: one row is a strip, more are a pad.
    ends
        The labels of the ends of a strip (2) or the corners of a pad (4): upper left and right,
        then lower left and right.
    at
        The position of the pointer: (x, y) from 0 to 1, y downwards and 0 on a strip. On a pad of
        drums it can also be between grooves, where the nearest four are blended.
    """

    grooves: tuple[Music, ...]
    n_rows: int
    n_columns: int
    ends: tuple[str, ...]
    at: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        places = self.n_rows * self.n_columns
        assert len(self.grooves) == places, "one groove for each place"
        assert len(self.ends) == (2 if self.n_rows == 1 else 4), "a name for each end"

    @property
    def is_blended(self) -> bool:
        """Whether positions between grooves sound too: on a pad of drums."""
        return self.n_rows > 1 and isinstance(self.grooves[0], Groove)

    def index_at(self, at: tuple[float, float]) -> int:
        """Return which groove is nearest to (x, y)."""
        column = int(at[0] * (self.n_columns - 1) + 0.5)  # halves go up, as in the browser
        row = int(at[1] * (self.n_rows - 1) + 0.5)
        return row * self.n_columns + column

    def place_of(self, index: int) -> tuple[float, float]:
        """Return the (x, y) at which a groove lies: the inverse of `index_at`."""
        row, column = divmod(index, self.n_columns)
        return column / max(1, self.n_columns - 1), row / max(1, self.n_rows - 1)

    def settled(self, at: tuple[float, float]) -> tuple[float, float]:
        """Return where the pointer settles if released at (x, y): on a strip, at a groove."""
        return at if self.is_blended else self.place_of(self.index_at(at))

    def groove_at(self, at: tuple[float, float]) -> Music:
        """Return the music at (x, y), like `blended` in `assets/deck/score.js`.

        Grooves are weighted by nearness. Between them a hit sounds if the grooves that have it
        weigh at least half, with their mean velocity and offset.
        """
        if not self.is_blended or self.place_of(self.index_at(at)) == at:
            return self.grooves[self.index_at(at)]
        weights = self._weights(at)
        drums = [groove for groove in self.grooves if isinstance(groove, Groove)]
        near = [groove for groove, weight in zip(drums, weights, strict=True) if weight]
        weights = weights[weights > 0][:, None, None]
        hits = np.stack([groove.hits for groove in near]) * weights
        share = hits.sum(0)
        velocities = (hits * np.stack([groove.velocities for groove in near])).sum(0)
        offsets = (hits * np.stack([groove.offsets for groove in near])).sum(0)
        whole = np.where(share > 0, share, 1.0)
        like = near[0]
        return Groove.from_hits(
            share > _HALF, velocities / whole, offsets / whole, like.tempo_bpm, like.grid
        )

    def _weights(self, at: tuple[float, float]) -> NDArray[np.float64]:
        """Return the weight of each groove at (x, y), row by row."""
        x = np.arange(self.n_columns) - at[0] * (self.n_columns - 1)
        y = np.arange(self.n_rows) - at[1] * (self.n_rows - 1)
        near_x, near_y = np.maximum(0, 1 - np.abs(x)), np.maximum(0, 1 - np.abs(y))
        return np.asarray(np.outer(near_y, near_x).ravel())


@dataclass(frozen=True)
class Card:
    """One groove of a deck.

    Parameters
    ----------
    id
        Identifies the card from run to run: while it stays the same, a loop plays on.
    name
        The name shown to the user; file names are derived from it.
    groove
        The groove to draw.
    note
        A line below the name that says where the groove came from.
    kept
        Whether its star is lit.
    before
        The groove that this one was made from, of the same length: the card can switch between
        the two in phase, and marks the differences.
    before_name
        Its name; by default it is called the earlier version of this groove.
    morph
        Grooves to move between; the card shows and plays the one under the pointer, and
        `groove` is not used.
    editable
        Whether it can be edited; a card with `morph` cannot.
    lineage
        Identifies the groove that is being edited: while it stays the same, a change of the groove
        can be undone.
    humanized
        How much the groove has been humanized so far, 0 to 1.
    """

    id: str
    name: str
    groove: Music
    note: str = ""
    kept: bool = False
    before: Music | None = None
    before_name: str = ""
    morph: Morph | None = None
    editable: bool = False
    lineage: str = ""
    humanized: float = 0.0

    def groove_of(self, which: _Which) -> Music | None:
        """Return one of the card's grooves, or what is heard at a place of its morph."""
        if isinstance(which, tuple):
            return self.morph.groove_at(which) if self.morph else None
        return {"now": self.groove, "before": self.before}.get(which)

    @property
    def programs(self) -> set[int]:
        """The General MIDI programs of all lines that the card can play."""
        music = [self.groove, *((self.before,) if self.before else ())]
        music += self.morph.grooves if self.morph else ()
        parts = [part for one in music for part in parts_of(one).values()]
        return {part.program for part in parts if isinstance(part, Line)}

    def file_name_of(self, which: _Which) -> str:
        """Return the file name of one of the card's grooves, without its extension."""
        if isinstance(which, tuple):
            if self.morph and not self.morph.is_blended:
                return f"{self.name} step {self.morph.index_at(which) + 1}"
            return f"{self.name} at {which[0]:.0%} {which[1]:.0%}"
        return (self.before_name or f"{self.name} before") if which == "before" else self.name


def payload(card: Card, revisions: Mapping[str, int]) -> dict[str, Any]:
    """Return what the browser needs to draw and play a card.

    `revisions` are the numbers of the last edit, star, name, move and change that the card
    includes.
    """
    groove = card.groove
    return {
        "id": card.id,
        "name": card.name,
        "note": card.note,
        "kept": card.kept,
        "file": file_stem(card.name),
        "grid": grid_payload(groove.grid),
        "steps": groove.n_steps,
        "plays": form_of(groove).name,
        "has_drums": DRUMS in parts_of(groove),
        "tempo": groove.tempo_bpm,
        "editable": card.editable and card.morph is None,
        "lineage": card.lineage,
        "humanized": card.humanized,
        "revisions": dict(revisions),
        "before": card.before and _before_payload(card, card.before),
        "morph": card.morph and _morph_payload(card.morph),
    } | _music_payload(groove)


def grid_payload(grid: Grid) -> dict[str, int]:
    """Return a grid in the form that the browser takes."""
    return {"steps_per_beat": grid.steps_per_beat, "steps_per_bar": grid.steps_per_bar}


def _before_payload(card: Card, before: Music) -> dict[str, Any]:
    """Return what the browser needs of the groove that the card's groove was made from."""
    file = file_stem(card.before_name or f"{card.name} before")
    return {"file": file} | _music_payload(before)


def _morph_payload(morph: Morph) -> dict[str, Any]:
    """Return what the browser needs to draw a morph."""
    return {
        "rows": morph.n_rows,
        "columns": morph.n_columns,
        "ends": morph.ends,
        "at": morph.at,
        "places": [_music_payload(groove) for groove in morph.grooves],
    }


def _music_payload(groove: Music) -> dict[str, Any]:
    """Return music as the browser draws and plays it: see `docs/player.md`."""
    parts = parts_of(groove)
    drums = parts.get(DRUMS)
    return {
        "hits": _hits_payload(drums) if isinstance(drums, Groove) else [],
        "lines": [
            _line_payload(name, part, balance(name, part) if len(parts) > 1 else 1.0)
            for name, part in parts.items()
            if isinstance(part, Line)
        ],
        "description": describe(groove),
        "midi": _text(performed_midi(groove)),
    }


def _line_payload(name: str, line: Line, gain: float) -> dict[str, Any]:
    """Return a line as the browser plays it, with the scale that shades its rows."""
    return {
        "name": name,
        "program": line.program,
        "gain": gain,
        "notes": [[*note[:3], rounded_for_browser(note.velocity)] for note in line.notes()],
        "scale": best_scale(line),
    }


def _hits_payload(groove: Groove) -> list[list[float]]:
    """Return [step, row, velocity, offset] of every hit."""
    return [
        [
            step,
            voice,
            rounded_for_browser(groove.velocities[step, voice]),
            rounded_for_browser(groove.offsets[step, voice]),
        ]
        for step, voice in np.argwhere(groove.hits).tolist()
    ]


_MILLIONTHS = 1_000_000


def packed_notes(music: Music) -> NDArray[np.int32]:
    """Return the notes of drums or a melody (n, 4), as exactly as a card has them.

    Step, voice, velocity and offset of a hit, or step, pitch, velocity and length in steps of a
    note; velocities and offsets in millionths.
    """
    if isinstance(music, Line):
        rows = [
            [one.step, one.pitch, rounded_for_browser(one.velocity), one.n_steps]
            for one in music.notes()
        ]
        scale = (1, 1, _MILLIONTHS, 1)
    else:
        rows = _hits_payload(drums_of(music))
        scale = (1, 1, _MILLIONTHS, _MILLIONTHS)
    numbers = np.rint(np.array(rows, np.float64).reshape(-1, 4) * scale)
    return numbers.astype(np.int32)


def rounded_for_browser(value: float | np.float32) -> float:
    """Round a velocity or an offset for the browser, finely enough not to change any sample."""
    return round(float(value), 6)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def piece_card(grooves: Sequence[Music], bars: int, name: str) -> Card:
    """Return the card of a piece that plays each groove for a number of bars."""
    piece = joined([groove.repeated(bars) for groove in grooves])
    note = f"{len(grooves)} steps of {bars} {'bar' if bars == 1 else 'bars'}"
    return Card("piece", name, piece, note)


def draw_zip(
    sounds: Sounds,
    grooves: Sequence[Music],
    name: str,
    *,
    key: str,
    label: str = "All steps",
    names: Sequence[str] = (),
) -> None:
    """Draw a button that saves every groove as MIDI and as sound, in one zip.

    `names`, if given, are the names of the grooves.
    """
    st.download_button(
        label,
        data=lambda: _zip_of(sounds, grooves, names),
        file_name=f"{file_stem(name)}.zip",
        mime="application/zip",
        icon=":material/folder_zip:",
        key=key,
        on_click="ignore",
        help="A zip with a MIDI and a WAV file of each",
    )


def _zip_of(sounds: Sounds, grooves: Sequence[Music], names: Sequence[str] = ()) -> bytes:
    """Return a zip of all grooves as they are heard, numbered: MIDI and, if there is sound, WAV."""
    stems = [f"{at:02d}" for at in range(len(grooves))]
    if names:
        stems = [f"{stem}-{file_stem(name)}" for stem, name in zip(stems, names, strict=True)]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for stem, groove in zip(stems, grooves, strict=True):
            archive.writestr(f"{stem}.mid", performed_midi(groove))
            if not sounds.sound_problem:
                archive.writestr(f"{stem}.wav", performed_wav(sounds, groove))
    return file.getvalue()
