"""What outlasts a session: it is saved at the end of each run, and restored at a session's start.

    lasting("kept.morph.at", tuple[float, float])

Each module says so of its own keys of the session. A listener's library is that of the browser,
by a random key in a cookie, or on a machine of one's own the machine's.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

import streamlit as st
from pydantic import Field, TypeAdapter, ValidationError

from musicvae_core.data.library import Library, open_library
from musicvae_core.errors import LibraryError, MusicVAEError
from pages.shared.actions import checked, component, on_event, run_to_completion
from pages.shared.names import as_text

_log = logging.getLogger(__name__)

_COOKIE = "groove_library"
_KEY = "library.key"
"""Session key of the library's own."""
_SAVED = "library.saved"
"""Session key of what the library holds: for each name the value that was saved last."""
_FAILED = "library.failed"
_THE_MACHINE = "the machine's own"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip")
_BROWSER_KEY = TypeAdapter(Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_-]{43}$")])
"""What a browser's key looks like: 256 random bits."""


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class _Lasting:
    """A key of the session that lasts; see `lasting`."""

    key: str
    schema: TypeAdapter[Any]
    picked: Callable[[Any], Any]
    restored: Callable[[Any], Any]
    one_by_one: bool


_LASTING: dict[str, _Lasting] = {}


def lasting(
    key: str,
    form: Any,
    picked: Callable[[Any], Any] = _as_it_is,
    restored: Callable[[Any], Any] = _as_it_is,
    *,
    one_by_one: bool = False,
) -> None:
    """Have a key of the session outlast it.

    Parameters
    ----------
    key
        In `st.session_state`; of a widget too.
    form
        The type of what is saved, which pydantic writes as JSON. What does not fit it is not
        restored, so for a widget it says which values the widget takes.
    picked
        Returns what to save of the session's value: not the past, say. What it returns must
        never change afterwards; it is saved when it is not equal to what was saved before.
    restored
        Returns the session's value of what was saved.
    one_by_one
        Whether the value is a dict each of whose entries is saved for itself, so that two tabs
        can add to it.
    """
    _LASTING[key] = _Lasting(key, TypeAdapter(form), picked, restored, one_by_one)


def whole(least: int, most: int) -> Any:
    """Return the form of a widget's whole number within limits."""
    return Annotated[int, Field(ge=least, le=most)]


def real(least: float, most: float) -> Any:
    """Return the form of a widget's number within limits."""
    return Annotated[float, Field(ge=least, le=most)]


def lasting_settings(forms: Mapping[str, Any]) -> None:
    """Have the values of widgets last, by their keys; see `lasting`."""
    for key, form in forms.items():
        lasting(key, form)


@st.cache_resource(show_spinner=False)
def _library() -> Library:
    return open_library()


def library_problem() -> str:
    """Return why nothing outlasts the server, in a sentence; empty where it does."""
    return _library().problem


@run_to_completion()
def restore_session() -> None:
    """Bring back, in the first run of a session, what its library holds."""
    if _SAVED in st.session_state:
        return
    key = _known_key()
    st.session_state[_KEY] = key or secrets.token_urlsafe(32)
    st.session_state[_SAVED] = {}
    if key:
        _take_from_library(key)


def save_session() -> None:
    """Save what has changed since the last run, and see that the browser knows its key."""
    if st.session_state[_KEY] != _THE_MACHINE:
        _draw_cookie(
            key="library.cookie",
            data={"name": _COOKIE, "key": st.session_state[_KEY]},
            on_known_change=on_event("library.cookie", "known", _BROWSER_KEY, _change_key),
        )
    try:
        _save_changes()
        st.session_state[_FAILED] = ""
    except LibraryError as error:
        if st.session_state.get(_FAILED) != str(error):
            st.toast(as_text(str(error)), icon=":material/error:")
        st.session_state[_FAILED] = str(error)


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
    if key != st.session_state[_KEY]:
        st.session_state[_KEY] = key
        st.session_state[_SAVED] = {}


def _take_from_library(key: str) -> None:
    try:
        items = _library().read(key)
    except LibraryError as error:
        _log.warning("%s", error)
        return
    saved = st.session_state[_SAVED]
    for name, content in items.items():
        base, _, entry = name.partition("/")
        one = _LASTING.get(base)
        if one is None:
            continue
        try:
            value = one.schema.validate_json(content)
        except (ValidationError, MusicVAEError) as error:
            _log.warning("What was kept of %s is not restored: %s", name, error)
            continue
        saved[name] = value
        if one.one_by_one:
            st.session_state[base] = {**st.session_state.get(base, {}), entry: value}
        else:
            st.session_state[base] = one.restored(value)


@run_to_completion()
def _save_changes() -> None:
    """Write all that is other than what was saved last, and delete entries that are gone."""
    saved: dict[str, Any] = st.session_state[_SAVED]
    now: dict[str, Any] = {}
    for one in _LASTING.values():
        if one.key not in st.session_state:
            continue
        value = st.session_state[one.key]
        if one.one_by_one:
            now |= {f"{one.key}/{entry}": part for entry, part in value.items()}
        else:
            now[one.key] = one.picked(value)
    gone = [name for name in saved if "/" in name and name not in now]
    changed = {
        name: value for name, value in now.items() if name not in saved or saved[name] != value
    }
    if not (gone or changed):
        return
    changes: dict[str, str | None] = dict.fromkeys(gone)
    for name, value in changed.items():
        schema = _LASTING[name.partition("/")[0]].schema
        changes[name] = schema.dump_json(value).decode()
    _library().write(st.session_state[_KEY], changes)
    st.session_state[_SAVED] = {name: value for name, value in saved.items() if name not in gone}
    st.session_state[_SAVED] |= changed


_draw_cookie = component("cookie")
