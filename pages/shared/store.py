"""The store of a session: typed variables, those of them that outlast it, and their undo.

    _POINTER = SessionVar("kept.map.at", (0.0, 0.0), lasts=tuple[float, float])

A variable is declared once, beside what uses it, and is otherwise like a `ContextVar`: every
session has a value of its own. What is to have an undo is kept as a `History`. Widgets keep
their values in the same store, so a variable of a widget's key is the widget's value.

A value is never changed in place, but replaced: a run that is broken off leaves the old or the
new one, and `lasting` sees what is to be saved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import streamlit as st
from pydantic import Field, TypeAdapter

_T = TypeVar("_T")

_MAX_PAST = 256
"""Steps that an undo goes back."""


def _as_it_is(value: Any) -> Any:
    return value


class SessionVar(Generic[_T]):
    """A variable of the session.

    Parameters
    ----------
    key
        In Streamlit's session state; of a widget too.
    default
        What it is until it is set.
    lasts
        The type of what is saved of it, which pydantic writes as JSON; None where nothing is.
        What does not fit it is not restored, so for a widget it says which values the widget
        takes.
    saved
        Returns what to save of a value: not the past, say. It is saved when it is not equal to
        what was saved before.
    restored
        Returns the value of what was saved.
    one_by_one
        Whether what is saved is a dict each of whose entries is saved for itself, so that two
        tabs can add to it.
    """

    def __init__(
        self,
        key: str,
        default: _T,
        *,
        lasts: Any = None,
        saved: Callable[[_T], Any] = _as_it_is,
        restored: Callable[[Any], _T] = _as_it_is,
        one_by_one: bool = False,
    ) -> None:
        self.key = key
        self.saved, self.restored, self.one_by_one = saved, restored, one_by_one
        self._default = default
        if lasts is not None:
            self.schema: TypeAdapter[Any] = TypeAdapter(lasts)
            LASTING[key] = self

    @property
    def is_set(self) -> bool:
        """Whether it was set in this session."""
        return self.key in st.session_state

    def get(self) -> _T:
        """Return the value."""
        value: _T = st.session_state.get(self.key, self._default)
        return value

    def set(self, value: _T) -> None:
        """Replace the value; of a widget only before it is drawn."""
        st.session_state[self.key] = value

    def take(self) -> _T:
        """Return the value and go back to the default: what is asked for is done once."""
        value: _T = st.session_state.pop(self.key, self._default)
        return value


LASTING: dict[str, SessionVar[Any]] = {}
"""The variables that outlast a session, by their keys."""


def next_number(counter: SessionVar[int]) -> int:
    """Return a number that this counter has not given before in this session, 0 first."""
    number = counter.get()
    counter.set(number + 1)
    return number


def lasting_settings(forms: Mapping[str, Any]) -> None:
    """Have the values of widgets outlast the session; see `lasts`, by the widgets' keys."""
    for key, form in forms.items():
        SessionVar(key, None, lasts=form)


def whole(least: int, most: int) -> Any:
    """Return the type of a widget's whole number within limits."""
    return Annotated[int, Field(ge=least, le=most)]


def real(least: float, most: float) -> Any:
    """Return the type of a widget's number within limits."""
    return Annotated[float, Field(ge=least, le=most)]


def _always(_: Any) -> bool:
    return True


@dataclass(frozen=True, eq=False)
class History(Generic[_T]):
    """A value, and what it was before each of its last changes, the oldest first."""

    now: _T
    past: tuple[_T, ...] = ()

    def then(self, value: _T) -> History[_T]:
        """Return the history with another value, as a step that `undone` takes back."""
        return History(value, (*self.past, self.now)[-_MAX_PAST:])

    def amended(self, change: Callable[[_T], _T]) -> History[_T]:
        """Return the history with a change to all its values; that is no step of the undo."""
        return History(change(self.now), tuple(map(change, self.past)))

    def can_undo(self, is_other: Callable[[_T], bool] = _always) -> bool:
        """Return whether the value was another before, one that `is_other` holds for."""
        return any(map(is_other, self.past))

    def undone(self, is_other: Callable[[_T], bool] = _always) -> History[_T]:
        """Return the history up to the last value that `is_other` holds for.

        That is this history itself where there is none.
        """
        places = [at for at, value in enumerate(self.past) if is_other(value)]
        return History(self.past[places[-1]], self.past[: places[-1]]) if places else self
