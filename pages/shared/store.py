"""Session state: typed variables with undo, and saving what should outlast the session.

    _POINTER = SessionVar("kept.map.at", (0.0, 0.0), persist_as=tuple[float, float])

A variable is declared once, beside the code that uses it, and otherwise works like a
`ContextVar`: every session has its own value. State with undo is kept as a `History`. Widgets keep
their values in the same store, so a variable with a widget's key is the widget's value.

A value is never changed in place, but replaced: an interrupted run leaves either the old or the
new one, and a changed value can be told from the saved one.

What should outlast a session is saved at the end of each run, and restored when a session starts. A
user's library belongs to the browser, identified by a random key in a cookie; on a personal
machine it belongs to the machine.
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
"""The most steps that can be undone."""


def _identity(value: Any) -> Any:
    return value


class SessionVar(Generic[_T]):
    """A variable of the session.

    Parameters
    ----------
    key
        The key in Streamlit's session state; it may be a widget's.
    default
        The value until one is set.
    persist_as
        The type of the saved data, which pydantic writes as JSON; None if nothing is saved beyond
        the session. Saved data that does not fit is not restored, so for a widget this type says
        which values the widget accepts.
    to_saved
        Returns the part of a value to save, for example without its history. It is saved if it
        differs from what was saved before.
    from_saved
        Returns the value for saved data.
    entry_by_entry
        Whether the saved data is a dict whose entries are saved separately, so that two tabs can
        add to it.
    """

    def __init__(
        self,
        key: str,
        default: _T,
        *,
        persist_as: Any = None,
        to_saved: Callable[[_T], Any] = _identity,
        from_saved: Callable[[Any], _T] = _identity,
        entry_by_entry: bool = False,
    ) -> None:
        self.key = key
        self.to_saved, self.from_saved, self.entry_by_entry = to_saved, from_saved, entry_by_entry
        self._default = default
        if persist_as is not None:
            self.schema: TypeAdapter[Any] = TypeAdapter(persist_as)
            _PERSISTED[key] = self

    @property
    def is_set(self) -> bool:
        """Whether it was set in this session."""
        return self.key in st.session_state

    def get(self) -> _T:
        """Return the value."""
        value: _T = st.session_state.get(self.key, self._default)
        return value

    def set(self, value: _T) -> None:
        """Replace the value; a widget's only before the widget is drawn."""
        st.session_state[self.key] = value

    def take(self) -> _T:
        """Return the value and reset it to the default, so that a request is handled once."""
        value: _T = st.session_state.pop(self.key, self._default)
        return value


_PERSISTED: dict[str, SessionVar[Any]] = {}
"""The variables that outlast a session, by their keys."""


def next_number(counter: SessionVar[int]) -> int:
    """Return the next number of a counter in this session, starting at 0."""
    number = counter.get()
    counter.set(number + 1)
    return number


def persist_settings(types: Mapping[str, Any]) -> None:
    """Save the values of widgets beyond the session.

    Parameters
    ----------
    types
        By the widgets' keys, what `SessionVar` takes as `persist_as`.
    """
    for key, type_ in types.items():
        SessionVar(key, None, persist_as=type_)


def int_between(least: int, most: int) -> Any:
    """Return the type of a whole number within limits, for a widget."""
    return Annotated[int, Field(ge=least, le=most)]


def float_between(least: float, most: float) -> Any:
    """Return the type of a number within limits, for a widget."""
    return Annotated[float, Field(ge=least, le=most)]


def _always(_: Any) -> bool:
    return True


@dataclass(frozen=True, eq=False)
class History(Generic[_T]):
    """A value with its earlier versions, oldest first."""

    now: _T
    past: tuple[_T, ...] = ()

    def extended(self, value: _T) -> History[_T]:
        """Return the history with a new value, as a step that `undone` reverts."""
        return History(value, (*self.past, self.now)[-_MAX_PAST:])

    def mapped(self, change: Callable[[_T], _T]) -> History[_T]:
        """Return the history with a change applied to all its values; this adds no undo step."""
        return History(change(self.now), tuple(map(change, self.past)))

    def can_undo(self, is_other: Callable[[_T], bool] = _always) -> bool:
        """Return whether there is an earlier value for which `is_other` holds."""
        return any(map(is_other, self.past))

    def undone(self, is_other: Callable[[_T], bool] = _always) -> History[_T]:
        """Return the history up to the last earlier value for which `is_other` holds.

        If there is none, return this history itself.
        """
        places = [at for at, value in enumerate(self.past) if is_other(value)]
        return History(self.past[places[-1]], self.past[: places[-1]]) if places else self


_COOKIE = "groove_library"
_KEY = SessionVar("library.key", "")
_SAVED = SessionVar[Mapping[str, Any]]("library.saved", {})
"""The contents of the library: the last saved value for each name."""
_FAILED = SessionVar("library.failed", "")
_THE_MACHINE = "the machine's own"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip")
_BROWSER_KEY = TypeAdapter(Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_-]{43}$")])
"""The format of a browser's key: 256 random bits."""


@st.cache_resource(show_spinner=False)
def _library() -> Library:
    return open_library()


def library_problem() -> str:
    """Return a sentence on why nothing can be saved beyond the server's life; empty if it can."""
    return _library().problem


@run_to_completion()
def restore_session() -> None:
    """In the first run of a session, restore what its library holds."""
    if _SAVED.is_set:
        return
    key = _known_key()
    _KEY.set(key or secrets.token_urlsafe(32))
    _SAVED.set({})
    if key:
        _take_from_library(key)


def save_session() -> None:
    """Save what has changed since the last run, and make sure that the browser has its key."""
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
    """Return the key of this session's library; None if the browser has none yet."""
    if _is_own_machine():
        return _THE_MACHINE
    cookie = st.context.cookies.get(_COOKIE)
    return checked(_BROWSER_KEY, cookie, "The cookie") if cookie else None


def _is_own_machine() -> bool:
    """Return whether the user of this session is at the server's own machine.

    The page's origin tells: the browser itself reports it, and proxies do not change it.
    `MUSICVAE_LIBRARY_PER`, "browser" or "machine", overrides that.
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
    """Switch to the library that another tab of this browser has opened meanwhile."""
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
        variable = _PERSISTED.get(_key_of(name))
        if variable is None:
            continue
        try:
            saved[name] = variable.schema.validate_json(content)
        except (ValidationError, MusicVAEError) as error:
            _log.warning("The saved value of %s is not restored: %s", name, error)
    for key, variable in _PERSISTED.items():
        if variable.entry_by_entry:
            entries = {
                name.partition("/")[2]: saved[name] for name in saved if _key_of(name) == key
            }
            if entries:
                variable.set(variable.from_saved(entries))
        elif key in saved:
            variable.set(variable.from_saved(saved[key]))
    _SAVED.set(saved)


def _key_of(name: str) -> str:
    """Return the key of the variable that is saved, whole or by entry, under a name."""
    return name.partition("/")[0]


@run_to_completion()
def _save_changes() -> None:
    """Write everything that differs from what was saved last, and delete removed entries."""
    saved, now = _SAVED.get(), dict[str, Any]()
    for key, variable in _PERSISTED.items():
        if not variable.is_set:
            continue
        value = variable.to_saved(variable.get())
        now |= (
            {f"{key}/{at}": one for at, one in value.items()}
            if variable.entry_by_entry
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
        changes[name] = _PERSISTED[_key_of(name)].schema.dump_json(value).decode()
    _library().write(_KEY.get(), changes)
    _SAVED.set({name: value for name, value in saved.items() if name not in gone} | changed)


_draw_cookie = component("cookie")
