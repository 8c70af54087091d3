"""What a browser may send: a schema for every event of every component and every selection.

What is said here holds for any deck or map; whether a card, a cell or a point is there is for
the page to look up.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.grid import MAX_STEPS_PER_BAR, MAX_TEMPO_BPM, MIN_TEMPO_BPM

_MAX_BARS = 256
"""Of the longest piece that a deck shows."""
_MAX_STEPS = _MAX_BARS * MAX_STEPS_PER_BAR
_MAX_HITS, _MAX_NOTES = 2**16, 2**14
"""Of an edit: more than the fullest piece in 4/4 has on a grid of sixteenths."""
_MAX_CARDS = 1024
_MAX_TAPS = 2048
MAX_TAPPED_BARS = 8
_MAX_POINTS = 1_000_000

_Name = Annotated[str, Field(strict=True, max_length=200)]
Revision = Annotated[int, Field(strict=True, ge=0, le=2**53 - 1)]
"""A whole number that JavaScript can count to."""
Voice = Annotated[int, Field(strict=True, ge=0, lt=N_VOICES)]
_MIXED_LINES = 4
N_CHANNELS = N_VOICES + _MIXED_LINES
"""What the mixer has: the drums, and the lines after them."""
Channel = Annotated[int, Field(strict=True, ge=0, lt=N_CHANNELS)]
_Bar = Annotated[int, Field(strict=True, ge=0, lt=_MAX_BARS)]
Flag = Annotated[bool, Field(strict=True)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
"""From 0 to 1; as with every float here, NaN and infinity do not fit."""

_Index = Annotated[int, Field(strict=True, ge=0, lt=_MAX_POINTS)]
_Coordinate = Annotated[float, Field(strict=True, ge=-1e6, le=1e6)]
_Place = Annotated[float, Field(strict=True, ge=-0.5, le=MAX_TAPPED_BARS * MAX_STEPS_PER_BAR)]


class Hit(NamedTuple):
    """One hit of an edited groove, its offset in steps."""

    step: Annotated[int, Field(strict=True, ge=0, lt=_MAX_STEPS)]
    voice: Voice
    velocity: Share
    offset: Annotated[float, Field(strict=True, ge=-0.5, le=0.5)]


class EditedNote(NamedTuple):
    """One note of an edited line, as in a card."""

    step: Annotated[int, Field(strict=True, ge=0, lt=_MAX_STEPS)]
    n_steps: Annotated[int, Field(strict=True, ge=1, le=_MAX_STEPS)]
    pitch: Annotated[int, Field(strict=True, ge=0, le=127)]
    velocity: Share


_EditedLine = Annotated[list[EditedNote], Field(max_length=_MAX_NOTES)]
_MAX_LINES = 16


class More(NamedTuple):
    """More grooves like a card's are asked for."""

    card: _Name


class Keep(NamedTuple):
    """A star was given, or taken away."""

    card: _Name
    revision: Revision
    kept: Flag


class Rename(NamedTuple):
    """A card has another name."""

    card: _Name
    name: _Name


class Move(NamedTuple):
    """The pointer of a card's morph was let go."""

    card: _Name
    x: Share
    y: Share


class Edit(NamedTuple):
    """The hits of a card were edited, or the notes of its lines."""

    card: _Name
    revision: Revision
    hits: Annotated[list[Hit], Field(max_length=_MAX_HITS)]
    lines: Annotated[list[_EditedLine], Field(max_length=_MAX_LINES)] = []  # noqa: RUF012


class Send(NamedTuple):
    """A card is to go to another page."""

    card: _Name
    destination: _Name


class LoopBar(NamedTuple):
    """A bar loops alone, or the whole again."""

    card: _Name
    bar: _Bar | None


class Save(NamedTuple):
    """A file of one of a card's grooves is wanted: see `card.Which`."""

    card: _Name
    which: Literal["now", "before"] | tuple[Share, Share]


class Change(NamedTuple):
    """A tool of a card was used: one of a tempo, how much to humanize, or voices to hold.

    With voices, all others are drawn anew.
    """

    card: _Name
    tempo: Annotated[float, Field(strict=True, ge=MIN_TEMPO_BPM, le=MAX_TEMPO_BPM)] | None
    humanize: Share | None
    locked: Annotated[list[Voice], Field(max_length=N_VOICES)]


CardEvent = More | Keep | Rename | Move | Edit | Send | LoopBar | Save | Change


def _one(value: Any) -> list[Any]:
    return [value]


_OF_ONE = BeforeValidator(_one)
_OF_SEVERAL = Field(max_length=_MAX_CARDS)
CARD_EVENTS: dict[str, TypeAdapter[Any]] = {
    "more": TypeAdapter(Annotated[list[Annotated[More, _OF_ONE]], _OF_ONE]),
    "keep": TypeAdapter(Annotated[list[Keep], _OF_SEVERAL]),
    "rename": TypeAdapter(Annotated[list[Rename], _OF_ONE]),
    "move": TypeAdapter(Annotated[list[Move], _OF_ONE]),
    "edit": TypeAdapter(Annotated[list[Edit], _OF_SEVERAL]),
    "send": TypeAdapter(Annotated[list[Send], _OF_ONE]),
    "bar": TypeAdapter(Annotated[list[LoopBar], _OF_ONE]),
    "wav": TypeAdapter(Annotated[list[Save], _OF_ONE]),
    "midi": TypeAdapter(Annotated[list[Save], _OF_ONE]),
    "change": TypeAdapter(Annotated[list[Change], _OF_ONE]),
    "stems": TypeAdapter(Annotated[list[Save], _OF_ONE]),
}
"""What a deck says of its cards, as a list of `CardEvent`, by the names in `deck.js`."""


class _Taps(BaseModel):
    """A recording of the tap pad: (steps from the first beat, velocity) of each tap."""

    model_config = ConfigDict(frozen=True)

    tempo: Annotated[float, Field(strict=True, ge=MIN_TEMPO_BPM, le=MAX_TEMPO_BPM)]
    bars: Annotated[int, Field(strict=True, ge=1, le=MAX_TAPPED_BARS)]
    taps: Annotated[list[tuple[_Place, Share]], Field(max_length=_MAX_TAPS)]


TAPS = TypeAdapter(_Taps)


class Targets(BaseModel):
    """Where sliders of Attributes were put, in shown units; None lets one rest."""

    model_config = ConfigDict(frozen=True)

    groove: Annotated[str, Field(strict=True, max_length=400)]
    revision: Revision
    targets: Annotated[
        dict[_Name, Annotated[float, Field(strict=True, ge=-1e4, le=1e4)] | None],
        Field(max_length=64),
    ]


TARGETS = TypeAdapter(Targets)


class Picked(NamedTuple):
    """A mark or a point of the map was clicked, at so many milliseconds."""

    spot: Annotated[str, Field(strict=True, pattern=r"^[a-z]{1,16}\.[0-9a-f]{1,32}$")]
    when: Annotated[float, Field(strict=True, ge=0, le=2**53)]


PICKED = TypeAdapter(Picked)
View = tuple[float, float, float, float]
"""What a flat chart shows: from x and to x, from y and to y."""
VIEW: TypeAdapter[View] = TypeAdapter(tuple[_Coordinate, _Coordinate, _Coordinate, _Coordinate])
FLAG: TypeAdapter[bool] = TypeAdapter(Flag)


class _Point(BaseModel):
    """A selected point of a chart, with the index that the chart was given as custom data."""

    customdata: _Index | Annotated[list[_Index], Field(min_length=1, max_length=1)] | None = None

    @property
    def index(self) -> int | None:
        """The point's index."""
        return self.customdata[0] if isinstance(self.customdata, list) else self.customdata


class _Chosen(BaseModel):
    points: Annotated[list[_Point], Field(max_length=_MAX_POINTS)] = []
    box: list[Any] = []
    lasso: list[Any] = []
    rows: Annotated[list[_Index], Field(max_length=_MAX_POINTS)] = []


class Selection(BaseModel):
    """What is selected in a chart, or in a table."""

    selection: _Chosen

    @property
    def rows(self) -> list[int]:
        """The rows of a table."""
        return self.selection.rows

    @property
    def enclosed(self) -> list[int]:
        """The indices of the points inside a lasso or a box; a click selects none."""
        if not (self.selection.box or self.selection.lasso):
            return []
        return [index for point in self.selection.points if (index := point.index) is not None]


SELECTION = TypeAdapter(Selection)

COUNT: TypeAdapter[int] = TypeAdapter(Revision)


class ChosenKit(NamedTuple):
    """The kit of a voice, of all for None; no kit for a voice to play that of all again."""

    kit: _Name | None
    voice: Voice | None


CHOSEN_KIT = TypeAdapter(ChosenKit)
TEXT: TypeAdapter[str] = TypeAdapter(Annotated[str, Field(strict=True)])
FILES: TypeAdapter[list[Any]] = TypeAdapter(list[Any])


class TableEdits(BaseModel):
    """The cells of a table that were edited, by row and then by column."""

    edited_rows: Annotated[dict[int, dict[_Name, _Name | None]], Field(max_length=128)] = {}


TABLE_EDITS = TypeAdapter(TableEdits)
