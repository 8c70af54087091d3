"""What a deck shows: cards, the loops that a card morphs between, and the mix they play in."""

from __future__ import annotations

from dataclasses import dataclass

from musicvae_core.groove import Groove
from musicvae_core.vocabulary import N_VOICES


@dataclass(frozen=True, eq=False)
class Morph:
    """Grooves on a strip, or on a pad, that a card switches between while it plays.

    Parameters
    ----------
    grooves
        All of one length and tempo; row by row, each from left to right.
    sounds
        A FLAC or WAV file of exactly one pass for each; None where there is no sound.
    n_rows, n_columns
        How the grooves lie: one row is a strip, more are a pad.
    ends
        What stands at the ends of a strip (2), or at the corners of a pad (4): the upper
        left and right, then the lower ones.
    at
        Where the pointer is: (x, y) from 0 to 1, y downwards and 0 on a strip.
    """

    grooves: tuple[Groove, ...]
    sounds: tuple[bytes | None, ...]
    n_rows: int
    n_columns: int
    ends: tuple[str, ...]
    at: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        places = self.n_rows * self.n_columns
        assert len(self.grooves) == len(self.sounds) == places, "one groove and sound a place"
        assert len(self.ends) == (2 if self.n_rows == 1 else 4), "a name for each end"

    def index_at(self, at: tuple[float, float]) -> int:
        """Return which groove is heard at (x, y)."""
        column = int(at[0] * (self.n_columns - 1) + 0.5)  # halves go up, as in the browser
        row = int(at[1] * (self.n_rows - 1) + 0.5)
        return row * self.n_columns + column

    def place_of(self, index: int) -> tuple[float, float]:
        """Return the (x, y) at which a groove lies: the inverse of `index_at`."""
        row, column = divmod(index, self.n_columns)
        return column / max(1, self.n_columns - 1), row / max(1, self.n_rows - 1)


@dataclass(frozen=True)
class Card:
    """One groove of a deck.

    Parameters
    ----------
    id
        Names the card from run to run: as long as it stays, a loop plays on.
    name
        What the listener calls it; the names of its files follow it.
    groove
        What to draw.
    midi
        A standard MIDI file.
    wav
        A FLAC or WAV file of exactly one pass, or None where there is no sound.
    note
        One line below the name: where the groove came from.
    kept
        Whether its star is lit.
    before, before_wav
        What the groove was made from, of the same length, and its sound: the card switches
        between the two in phase, and marks what differs.
    before_name
        What that is called; without one, it is the groove of this name from before.
    morph
        Grooves to move between; the card shows and plays the one under the pointer, and
        `groove`, `midi` and `wav` are not used.
    editable
        Whether hits can be set, moved and removed on the grid; not on a card with `morph`.
    """

    id: str
    name: str
    groove: Groove
    midi: bytes
    wav: bytes | None
    note: str = ""
    kept: bool = False
    before: Groove | None = None
    before_wav: bytes | None = None
    before_name: str = ""
    morph: Morph | None = None
    editable: bool = False


@dataclass(frozen=True)
class Mix:
    """How loud the deck is, and which voices are heard.

    Parameters
    ----------
    muted
        Rows of `VOICES` that are silent.
    soloed
        Where there are any, these alone are heard.
    volume
        0 to 1, of the amplitude.
    """

    muted: frozenset[int] = frozenset()
    soloed: frozenset[int] = frozenset()
    volume: float = 1.0

    def hears(self, voice: int) -> bool:
        """Return whether a voice is heard."""
        return voice in self.soloed if self.soloed else voice not in self.muted

    def of(self, groove: Groove) -> Groove:
        """Return what is heard of a groove, for its sound: without the silent voices."""
        heard = [self.hears(voice) for voice in range(N_VOICES)]
        if all(heard):
            return groove
        return Groove.from_hits(
            groove.hits & heard, groove.velocities, groove.offsets, groove.tempo_bpm
        )
