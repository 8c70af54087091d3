"""What is asked of the groove lab on its page, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from musicvae_core.lab.options import ANYTHING, USUAL, Amounts, Chance, Wishes
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


@dataclass(frozen=True)
class Request:
    """One press of the button.

    Parameters
    ----------
    tool
        One of `TOOLS`.
    chance, wishes
        See `musicvae_core.lab.options`.
    voices, bars
        What to write anew; bars counted from 0.
    n_bars
        How many more.
    feel, feel_name
        Whose feel to take, and what it is called; None to play by the wishes alone.
    """

    tool: str
    chance: Chance = USUAL
    wishes: Wishes = ANYTHING
    voices: tuple[int, ...] = ()
    bars: tuple[int, ...] = ()
    n_bars: int = 0
    feel: Groove | None = None
    feel_name: str = ""

    @property
    def keeps_notes(self) -> bool:
        """Whether the notes stay, so that amounts can lie between before and after."""
        return self.tool in ("humanize", "transfer")

    @property
    def note(self) -> str:
        """What was asked, in a line."""
        style, drummer = self.wishes.style, self.wishes.drummer
        parts = (
            self.feel_name and f"feel of {self.feel_name}",
            style and style_title(style),
            drummer and drummer_title(drummer),
            f"seed {self.chance.seed}",
        )
        return ", ".join(filter(None, parts))

    def fulfilled(self, lab: Lab, groove: Groove) -> Result:
        """Do what is asked, and return what came of it.

        Raises
        ------
        MusicVAEError
            What the lab raises.
        """
        wishes, chance = self.wishes, self.chance
        if self.tool == "drumify":
            made = lab.drumify(groove, wishes=wishes, chance=chance)
        elif self.tool == "fill":
            made = lab.fill_in(
                groove, voices=self.voices, bars=self.bars, wishes=wishes, chance=chance
            )
        elif self.tool == "continue":
            made = lab.carry_on(groove, self.n_bars, wishes=wishes, chance=chance)
        elif self.feel is not None:
            made = lab.transfer(self.feel, groove, chance=chance)
        else:
            made = lab.humanize(groove, wishes=wishes, chance=chance)
        return Result(self, groove, made)


@dataclass(frozen=True, eq=False)
class Result:
    """A groove that the lab made of another."""

    request: Request
    before: Groove
    made: Groove

    def played(self, amounts: Amounts) -> Groove:
        """Return the result, moved as far as the amounts say where its notes are the same."""
        return amounts.apply(self.before, self.made) if self.request.keeps_notes else self.made

    def title(self, name: str) -> str:
        """Return what the result is called, made of a groove of that name."""
        return f"{name}, {_DONE[self.request.tool]}"

    def source(self, name: str, groove: Music) -> Source:
        """Return the result, with what it plays along with, as music to start from."""
        return Source(self.title(name), groove, origin="groove lab", note=self.request.note)


_MAX_LASTING = 8
"""Of how many grooves the newest result outlasts the session."""
_Made = Mapping[str, History[Result | None]]


def _newest_results(made: _Made) -> dict[str, tuple[Result, ...]]:
    newest = {id_: (of.now,) if of.now else () for id_, of in made.items()}
    return dict(list(newest.items())[-_MAX_LASTING:])


_NOTHING = History[Result | None](None)
_RESULTS = SessionVar[_Made](
    "kept.groove_lab.results",
    {},
    lasts=dict[str, tuple[Result, ...]],
    saved=_newest_results,
    restored=lambda saved: {id_: reduce(History.then, of, _NOTHING) for id_, of in saved.items()},
)
"""What was made of each groove, by the grooves' ids; None at first."""


@dataclass(frozen=True)
class Results:
    """What was made of a groove in this session."""

    source: Source

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self._history.past)

    @property
    def newest(self) -> Result | None:
        """What was made last; None where nothing was."""
        return self._history.now

    def add(self, result: Result) -> None:
        """Keep another result."""
        self._keep(self._history.then(result))

    def take_back(self) -> None:
        """Forget the newest; the one before it is shown again."""
        self._keep(self._history.undone())

    @property
    def _history(self) -> History[Result | None]:
        return _RESULTS.get().get(self.source.id, _NOTHING)

    def _keep(self, history: History[Result | None]) -> None:
        _RESULTS.set({**_RESULTS.get(), self.source.id: history})
