"""The store of a session: typed variables, an undo for them, and what of them outlasts it.

    _POINTER = SessionVar("kept.map.at", (0.0, 0.0), lasts=tuple[float, float])

A variable is declared once, beside what uses it, and is otherwise like a `ContextVar`: every
session has a value of its own. What is to have an undo is kept as a `History`. Widgets keep
their values in the same store, so a variable of a widget's key is the widget's value.

A value is never changed in place, but replaced: a run that is broken off leaves the old or the
new one, and what is to be saved can be told from what was saved.

What outlasts a session is saved at the end of each run, and restored at a session's start. A
listener's library is that of the browser, by a random key in a cookie, or on a machine of one's own
the machine's.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlsplit

import streamlit as st
from pydantic import Field, TypeAdapter, ValidationError

from musicvae_core.data.library import Library, open_library
from musicvae_core.errors import LibraryError, MusicVAEError
from pages.shared.actions import as_text, checked, component, on_event, run_to_completion

_T = TypeVar("_T")

_log = logging.getLogger(__name__)

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
            _LASTING[key] = self

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


_LASTING: dict[str, SessionVar[Any]] = {}
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


_COOKIE = "groove_library"
_KEY = SessionVar("library.key", "")
_SAVED = SessionVar[Mapping[str, Any]]("library.saved", {})
"""What the library holds: for each name the value that was saved last."""
_FAILED = SessionVar("library.failed", "")
_THE_MACHINE = "the machine's own"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip")
_BROWSER_KEY = TypeAdapter(Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_-]{43}$")])
"""What a browser's key looks like: 256 random bits."""


@st.cache_resource(show_spinner=False)
def _library() -> Library:
    return open_library()


def library_problem() -> str:
    """Return why nothing outlasts the server, in a sentence; empty where it does."""
    return _library().problem


@run_to_completion()
def restore_session() -> None:
    """Bring back, in the first run of a session, what its library holds."""
    if _SAVED.is_set:
        return
    key = _known_key()
    _KEY.set(key or secrets.token_urlsafe(32))
    _SAVED.set({})
    if key:
        _take_from_library(key)


def save_session() -> None:
    """Save what has changed since the last run, and see that the browser knows its key."""
    if _KEY.get() != _THE_MACHINE:
        _draw_cookie(
            key="library.cookie",
            data={"name": _COOKIE, "key": _KEY.get()},
            on_known_change=on_event("library.cookie", "known", _BROWSER_KEY, _change_key),
        )
    try:
        _save_changes()
        _FAILED.set("")
    except LibraryError as error:
        if _FAILED.get() != str(error):
            st.toast(as_text(str(error)), icon=":material/error:")
        _FAILED.set(str(error))


def _known_key() -> str | None:
    """Return the key of the library that this session opens; None where the browser has none."""
    if _is_own_machine():
        return _THE_MACHINE
    cookie = st.context.cookies.get(_COOKIE)
    return checked(_BROWSER_KEY, cookie, "The cookie") if cookie else None


def _is_own_machine() -> bool:
    """Return whether whoever uses this server sits at its machine.

    The page's origin tells: it is the browser's own word, and stays what it is through a proxy.
    `MUSICVAE_LIBRARY_PER`, "browser" or "machine", overrules that.
    """
    said = os.environ.get("MUSICVAE_LIBRARY_PER")
    if said in ("browser", "machine"):
        return said == "machine"
    headers = st.context.headers
    origin = urlsplit(headers.get("Origin") or "").hostname
    served = st.get_option("server.address")
    is_forwarded = any(headers.get(name) for name in _FORWARDED)
    return origin in _LOOPBACK and served in _LOOPBACK and not is_forwarded


def _change_key(key: str) -> None:
    """Use the library that another tab of this browser has opened meanwhile."""
    if key != _KEY.get():
        _KEY.set(key)
        _SAVED.set({})


def _take_from_library(key: str) -> None:
    try:
        items = _library().read(key)
    except LibraryError as error:
        _log.warning("%s", error)
        return
    saved: dict[str, Any] = {}
    for name, content in items.items():
        variable = _LASTING.get(_key_of(name))
        if variable is None:
            continue
        try:
            saved[name] = variable.schema.validate_json(content)
        except (ValidationError, MusicVAEError) as error:
            _log.warning("What was kept of %s is not restored: %s", name, error)
    for key, variable in _LASTING.items():
        if variable.one_by_one:
            entries = {
                name.partition("/")[2]: saved[name] for name in saved if _key_of(name) == key
            }
            if entries:
                variable.set(variable.restored(entries))
        elif key in saved:
            variable.set(variable.restored(saved[key]))
    _SAVED.set(saved)


def _key_of(name: str) -> str:
    """Return the key of the variable that is saved, or an entry of which is, under a name."""
    return name.partition("/")[0]


@run_to_completion()
def _save_changes() -> None:
    """Write all that is other than what was saved last, and delete entries that are gone."""
    saved, now = _SAVED.get(), dict[str, Any]()
    for key, variable in _LASTING.items():
        if not variable.is_set:
            continue
        value = variable.saved(variable.get())
        now |= (
            {f"{key}/{at}": one for at, one in value.items()}
            if variable.one_by_one
            else {key: value}
        )
    gone = [name for name in saved if "/" in name and name not in now]
    changed = {
        name: value for name, value in now.items() if name not in saved or saved[name] != value
    }
    if not (gone or changed):
        return
    changes: dict[str, str | None] = dict.fromkeys(gone)
    for name, value in changed.items():
        changes[name] = _LASTING[_key_of(name)].schema.dump_json(value).decode()
    _library().write(_KEY.get(), changes)
    _SAVED.set({name: value for name, value in saved.items() if name not in gone} | changed)


_draw_cookie = component("cookie")
