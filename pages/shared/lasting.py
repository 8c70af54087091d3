"""What outlasts a session: it is saved at the end of each run, and restored at a session's start.

It is what `store.SessionVar` says it is. A listener's library is that of the browser, by a random
key in a cookie, or on a machine of one's own the machine's.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

import streamlit as st
from pydantic import Field, TypeAdapter, ValidationError

from musicvae_core.data.library import Library, open_library
from musicvae_core.errors import LibraryError, MusicVAEError
from pages.shared.actions import as_text, checked, component, on_event, run_to_completion
from pages.shared.store import LASTING, SessionVar

_log = logging.getLogger(__name__)

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
        variable = LASTING.get(_key_of(name))
        if variable is None:
            continue
        try:
            saved[name] = variable.schema.validate_json(content)
        except (ValidationError, MusicVAEError) as error:
            _log.warning("What was kept of %s is not restored: %s", name, error)
    for key, variable in LASTING.items():
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
    for key, variable in LASTING.items():
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
        changes[name] = LASTING[_key_of(name)].schema.dump_json(value).decode()
    _library().write(_KEY.get(), changes)
    _SAVED.set({name: value for name, value in saved.items() if name not in gone} | changed)


_draw_cookie = component("cookie")
