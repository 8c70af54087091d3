"""What is asked of the groove lab on its page, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from musicvae_core.lab.options import ANYTHING, USUAL, Amounts, Chance, Wishes
from musicvae_core.lab.tools import Lab
from musicvae_core.music.forms import Music
from musicvae_core.music.groove import Groove
from pages.shared.collection import Source
from pages.shared.lasting import lasting
from pages.shared.names import drummer_title, style_title

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
_RESULTS = "kept.groove_lab.results"


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
lasting(
    _RESULTS,
    dict[str, tuple[Result, ...]],
    lambda results: {id_: of[-1:] for id_, of in list(results.items())[-_MAX_LASTING:]},
)


@dataclass(frozen=True)
class Results:
    """What was made of a groove in this session."""

    source: Source

    @property
    def all(self) -> tuple[Result, ...]:
        """The results, the newest last."""
        return self._of_all.get(self.source.id, ())

    @property
    def newest(self) -> Result | None:
        """What was made last; None where nothing was."""
        return self.all[-1] if self.all else None

    def add(self, result: Result) -> None:
        """Keep another result."""
        self._keep((*self.all, result))

    def take_back(self) -> None:
        """Forget the newest; the one before it is shown again."""
        self._keep(self.all[:-1])

    @property
    def _of_all(self) -> dict[str, tuple[Result, ...]]:
        """What was made of each groove, by the grooves' ids."""
        kept: dict[str, tuple[Result, ...]] = st.session_state.setdefault(_RESULTS, {})
        return kept

    def _keep(self, results: tuple[Result, ...]) -> None:
        st.session_state[_RESULTS] = self._of_all | {self.source.id: results}
