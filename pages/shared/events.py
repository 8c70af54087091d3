"""What a browser may send: a schema for every event and selection; of cards see `edits`.

What is said here holds for any deck or map; whether a card, a cell or a point is there is for
the page to look up.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.grid import MAX_STEPS_PER_BAR, MAX_TEMPO_BPM, MIN_TEMPO_BPM

_MAX_TAPS = 2048
MAX_TAPPED_BARS = 8
_MAX_POINTS = 1_000_000

Name = Annotated[str, Field(strict=True, max_length=200)]
Revision = Annotated[int, Field(strict=True, ge=0, le=2**53 - 1)]
"""A whole number that JavaScript can count to."""
Voice = Annotated[int, Field(strict=True, ge=0, lt=N_VOICES)]
_MIXED_LINES = 4
N_CHANNELS = N_VOICES + _MIXED_LINES
"""What the mixer has: the drums, and the lines after them."""
Channel = Annotated[int, Field(strict=True, ge=0, lt=N_CHANNELS)]
Flag = Annotated[bool, Field(strict=True)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
"""From 0 to 1; as with every float here, NaN and infinity do not fit."""

_Index = Annotated[int, Field(strict=True, ge=0, lt=_MAX_POINTS)]
_Coordinate = Annotated[float, Field(strict=True, ge=-1e6, le=1e6)]
_Place = Annotated[float, Field(strict=True, ge=-0.5, le=MAX_TAPPED_BARS * MAX_STEPS_PER_BAR)]


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
        dict[Name, Annotated[float, Field(strict=True, ge=-1e4, le=1e4)] | None],
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

    kit: Name | None
    voice: Voice | None


CHOSEN_KIT = TypeAdapter(ChosenKit)
TEXT: TypeAdapter[str] = TypeAdapter(Annotated[str, Field(strict=True)])
FILES: TypeAdapter[list[Any]] = TypeAdapter(list[Any])


class TableEdits(BaseModel):
    """The cells of a table that were edited, by row and then by column."""

    edited_rows: Annotated[dict[int, dict[Name, Name | None]], Field(max_length=128)] = {}


TABLE_EDITS = TypeAdapter(TableEdits)
