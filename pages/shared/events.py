"""What a browser may send: the types and schemas that several pages share.

Each component has its own beside what answers its events, and looks up whether a card, a cell or
a point is there.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter

from musicvae_core.music.drums import N_VOICES

_MAX_POINTS = 1_000_000

Name = Annotated[str, Field(strict=True, max_length=200)]
Revision = Annotated[int, Field(strict=True, ge=0, le=2**53 - 1)]
"""A whole number that JavaScript can count to."""
Voice = Annotated[int, Field(strict=True, ge=0, lt=N_VOICES)]
Flag = Annotated[bool, Field(strict=True)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
"""From 0 to 1; as with every float here, NaN and infinity do not fit."""

_Index = Annotated[int, Field(strict=True, ge=0, lt=_MAX_POINTS)]


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


TEXT: TypeAdapter[str] = TypeAdapter(Annotated[str, Field(strict=True)])
FILES: TypeAdapter[list[Any]] = TypeAdapter(list[Any])
