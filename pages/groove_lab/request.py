"""Requests to the groove lab on its page, and their results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Annotated, Any

from pydantic import AliasChoices, Field

from musicvae_core.lab.options import (
    DEFAULT_SAMPLING,
    NO_PREFERENCES,
    Amounts,
    Preferences,
    Sampling,
)
from musicvae_core.lab.tools import Lab
from musicvae_core.music.forms import Music
from musicvae_core.music.groove import Groove
from pages.shared.collection import Source
from pages.shared.names import drummer_title, style_title
from pages.shared.store import History, SessionVar

TOOLS = {
    "humanize": "Humanize",
    "drumify": "Drumify",
    "transfer": "Transfer feel",
    "fill": "Fill in",
    "continue": "Continue",
}
_DONE = {
    "humanize": "humanized",
    "drumify": "drumified",
    "transfer": "with another feel",
    "fill": "filled in",
    "continue": "continued",
}


def _saved_as(name: str, older_name: str) -> Any:
    """Let a field be read from libraries that were saved under its older name, too."""
    return Field(validation_alias=AliasChoices(name, older_name))


@dataclass(frozen=True)
class Request:
    """One press of the button.

    Parameters
    ----------
    tool
        One of `TOOLS`.
    sampling, preferences
        See `musicvae_core.lab.completion`.
    voices, bars
        What to rewrite; bars counted from 0.
    n_bars
        How many bars to add.
    feel, feel_name
        The groove whose feel to take, and its name; None to follow only the preferences.
    """

    tool: str
    sampling: Annotated[Sampling, _saved_as("sampling", "chance")] = DEFAULT_SAMPLING
    preferences: Annotated[Preferences, _saved_as("preferences", "wishes")] = NO_PREFERENCES
    voices: tuple[int, ...] = ()
    bars: tuple[int, ...] = ()
    n_bars: int = 0
    feel: Groove | None = None
    feel_name: str = ""

    @property
    def keeps_notes(self) -> bool:
        """Whether the notes stay the same, so that amounts between before and after make sense."""
        return self.tool in ("humanize", "transfer")

    @property
    def note(self) -> str:
        """The request in a line."""
        style, drummer = self.preferences.style, self.preferences.drummer
        parts = (
            self.feel_name and f"feel of {self.feel_name}",
            style and style_title(style),
            drummer and drummer_title(drummer),
            f"seed {self.sampling.seed}",
        )
        return ", ".join(filter(None, parts))

    def run(self, lab: Lab, groove: Groove) -> Result:
        """Carry out the request, and return the result.

        Raises
        ------
        MusicVAEError
            If the lab raises it.
        """
        preferences, sampling = self.preferences, self.sampling
        if self.tool == "drumify":
            made = lab.drumify(groove, preferences=preferences, sampling=sampling)
        elif self.tool == "fill":
            made = lab.fill_in(
                groove,
                voices=self.voices,
                bars=self.bars,
                preferences=preferences,
                sampling=sampling,
            )
        elif self.tool == "continue":
            made = lab.continue_groove(
                groove, self.n_bars, preferences=preferences, sampling=sampling
            )
        elif self.feel is not None:
            made = lab.transfer(self.feel, groove, sampling=sampling)
        else:
            made = lab.humanize(groove, preferences=preferences, sampling=sampling)
        return Result(self, groove, made)


@dataclass(frozen=True, eq=False)
class Result:
    """A groove that the lab made from another."""

    request: Request
    before: Groove
    made: Groove

    def played(self, amounts: Amounts) -> Groove:
        """Return the result; if its notes are unchanged, moved as far as the amounts say."""
        return amounts.apply(self.before, self.made) if self.request.keeps_notes else self.made

    def title(self, name: str) -> str:
        """Return the name of the result, given the name of the original groove."""
        return f"{name}, {_DONE[self.request.tool]}"

    def source(self, name: str, groove: Music) -> Source:
        """Return the result, with the music it plays along with, as a source."""
        return Source(self.title(name), groove, origin="groove lab", note=self.request.note)


_MAX_PERSISTED = 8
"""For how many grooves the newest result is saved beyond the session."""
_Made = Mapping[str, History[Result | None]]


def _newest_results(made: _Made) -> dict[str, tuple[Result, ...]]:
    newest = {id_: (of.now,) if of.now else () for id_, of in made.items()}
    return dict(list(newest.items())[-_MAX_PERSISTED:])


_NOTHING = History[Result | None](None)
_RESULTS = SessionVar[_Made](
    "kept.groove_lab.results",
    {},
    persist_as=dict[str, tuple[Result, ...]],
    to_saved=_newest_results,
    from_saved=lambda saved: {
        id_: reduce(History.extended, of, _NOTHING) for id_, of in saved.items()
    },
)
"""The results for each groove, by the grooves' ids; None at first."""


@dataclass(frozen=True)
class Results:
    """The results for one groove in this session."""

    source: Source

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self._history.past)

    @property
    def newest(self) -> Result | None:
        """The newest result; None if there is none."""
        return self._history.now

    def add(self, result: Result) -> None:
        """Add a result."""
        self._keep(self._history.extended(result))

    def undo(self) -> None:
        """Forget the newest; the one before it is shown again."""
        self._keep(self._history.undone())

    @property
    def _history(self) -> History[Result | None]:
        return _RESULTS.get().get(self.source.id, _NOTHING)

    def _keep(self, history: History[Result | None]) -> None:
        _RESULTS.set({**_RESULTS.get(), self.source.id: history})
