"""Exchange with the browser: components, text, events and their callbacks.

Every callback of every page is made by `action`, `on_value` or `on_event`. Each runs to
completion before the next one, or the next run, begins. Each accepts only input that fits its
schema, and none aborts a run: input that is late, repeated or malformed is ignored and logged.

All runs of a session take place in one thread (`fastReruns` in `.streamlit/config.toml`). When the
user does something else meanwhile, Streamlit interrupts a run: at any access to the session state,
even in the middle of a callback, or before the first one. Work interrupted between two accesses is
lost or half done, and the user would have to click again.
"""

from __future__ import annotations

import atexit
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import streamlit as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils import script_requests
from streamlit.runtime.state import SafeSessionState

from musicvae_core.errors import MusicVAEError
from musicvae_core.music.drums import N_VOICES

_MARKDOWN = re.compile(
    r"[\\`*\[\]$<>~#|&]|(?<!\w)_|_(?!\w)|:(?=\S)|^\s*[-+](?=\s)|(?<=\d)[.)](?=\s)", re.M
)
_LINK_OR_ICON = re.compile(r"(?<=www)(?=\.)|(?=@)|(?<=:)(?=\S)", re.I)
_WORD_JOINER = "\N{WORD JOINER}"


def as_text(name: str) -> str:
    """Escape a name (of a file, say), or a sentence with one, so that Streamlit shows it verbatim.

    Markdown is escaped. Streamlit would still detect bare links, emoji and icons in the result, so
    an invisible character breaks them up.
    """
    parted = _LINK_OR_ICON.sub(_WORD_JOINER, name)
    return _MARKDOWN.sub(lambda found: re.sub(r"(\S)$", r"\\\1", found[0]), parted)


_STATIC = Path(__file__).parents[2] / "static"
_IMPORT = """
const { default: mount } = await import(new URL("app/static/%s", document.baseURI));
export default mount;
"""


def component(name: str) -> Callable[..., Any]:
    """Register a component and return the function that mounts it.

    Streamlit sends a component's script again with every run. Here that is one line, which imports
    the script from a file that the browser fetches once. If Streamlit does not serve the folder
    `static`, the whole script is sent instead.

    Parameters
    ----------
    name
        The bundle `static/NAME.js`, which `make assets` builds from the sources.
    """
    script = (_STATIC / f"{name}.js").read_text("utf-8")
    if st.get_option("server.enableStaticServing"):
        version = sha256(script.encode()).hexdigest()[:12]  # so that no old version is cached
        script = _IMPORT % f"{name}.js?{version}"
    return st.components.v2.component(f"groove_{name}", js=script)


_reload = component("reload")
_first_run = iter([True])
"""Has one element until the first run of this server takes it."""


def reload_first_link() -> None:
    """Reload the page if it is the first one opened since the server started.

    If there is a folder `pages`, Streamlit looks up the first requested address among the scripts
    in it, before `st.navigation` has declared the pages, and shows a dialog saying "Page not
    found". A moment later it knows them.
    """
    if next(_first_run, False) and urlsplit(st.context.url or "").path.strip("/"):
        _reload(key="reload")
        st.stop()


_T = TypeVar("_T")

_log = logging.getLogger(__name__)

_FAILED = "That did not work. See the server log for the reason."


def action(do: Callable[..., object], *arguments: Any) -> Callable[[], None]:
    """Return a callback for a button that calls `do` with `arguments`."""
    return lambda: _act(do, *arguments)


def on_value(key: str, schema: TypeAdapter[_T], do: Callable[[_T], None]) -> Callable[[], None]:
    """Return a callback for the widget `key` that calls `do` with the widget's new value."""

    def answer() -> None:
        if key not in st.session_state:
            _log.info("A change of %s came after the widget had left its page.", key)
            return
        value = checked(schema, st.session_state[key], key)
        if value is not None:
            do(value)

    return action(answer)


def on_event(
    key: str, event: str, schema: TypeAdapter[_T], do: Callable[[_T], None]
) -> Callable[[], None]:
    """Return a callback for an event of the component `key` that calls `do` with its value."""

    def answer() -> None:
        value = last_event(key, event, schema)
        if value is not None:
            do(value)

    return action(answer)


def last_event(key: str, event: str, schema: TypeAdapter[_T]) -> _T | None:
    """Return the value of the last event of the component `key`; None if none fits the schema."""
    sent = st.session_state.get(key)
    value = sent.get(event) if isinstance(sent, dict) else None
    return None if value is None else checked(schema, value, f"{key}, {event}")


def checked(schema: TypeAdapter[_T], value: object, what: str) -> _T | None:
    """Return a value validated by its schema; if it does not fit, log that and return None.

    Parameters
    ----------
    schema
        The expected type.
    value
        The value that the browser sent.
    what
        Its name in the log.
    """
    try:
        return schema.validate_python(value)
    except ValidationError as error:
        first, *_ = error.errors(include_input=False, include_url=False, include_context=False)
        _log.warning("%s is ignored: %s at %s", what, first["msg"], first["loc"][:4])
        return None


def _act(do: Callable[..., object], *arguments: Any) -> None:
    """Run an action to completion and report errors: no event may abort a run."""
    with run_to_completion():
        try:
            do(*arguments)
        except MusicVAEError as error:
            st.toast(as_text(str(error)), icon=":material/error:")
        except Exception:
            _log.exception("An action failed.")
            st.toast(_FAILED, icon=":material/error:")


@contextmanager
def run_to_completion() -> Iterator[None]:
    """Protect a `with` block or a decorated function from being interrupted by Streamlit."""
    context = get_script_run_ctx()
    if context is None:
        yield
        return
    with _unbroken(context.session_state):
        yield


@contextmanager
def _unbroken(state: SafeSessionState) -> Iterator[None]:
    """Keep Streamlit from checking, at each access to the state, whether to interrupt the run.

    There is no public way to do that: this relies on a private attribute, and does nothing if a
    later Streamlit has renamed it.
    """
    look = getattr(state, "_yield_callback", None)
    object.__setattr__(state, "_yield_callback", lambda: None)
    try:
        yield
    finally:
        object.__setattr__(state, "_yield_callback", look)


def _begin_runs_with_their_events() -> None:
    """Keep Streamlit from dropping the events that a run is for if others come as it begins."""
    begin = SafeSessionState.on_script_will_rerun

    @wraps(begin)
    def begin_unbroken(
        state: SafeSessionState, fresh: WidgetStates | None, *arguments: Any, **options: Any
    ) -> None:
        with _unbroken(state):
            *earlier, last = [fresh] if fresh is None else _in_turns(fresh)
            for turn in earlier:
                begin(state, turn)
            begin(state, last, *arguments, **options)

    SafeSessionState.on_script_will_rerun = begin_unbroken  # type: ignore[assignment]


def _keep_repeated_events() -> None:
    """Keep Streamlit from merging two presses of a button, or two events of a component, into one.

    It merges all that comes during a run into what the next run is for. There is no public way to
    change that: this replaces a private function by one that puts first what would be lost, and
    does nothing if a later Streamlit has renamed it.
    """
    merge = getattr(script_requests, "_coalesce_widget_states", None)
    if merge is None:
        return

    def merge_and_keep(old: WidgetStates | None, new: WidgetStates | None) -> WidgetStates | None:
        if old is None or new is None:
            return old or new
        *earlier, last = _in_turns(old)
        merged = merge(last, new)
        again = {one.id for one in new.widgets if _is_event(one)}
        lost = [one for one in last.widgets if _is_event(one) and one.id in again]
        before = [one for turn in earlier for one in turn.widgets]
        return WidgetStates(widgets=[*before, *lost, *merged.widgets])

    script_requests._coalesce_widget_states = merge_and_keep  # type: ignore[assignment]


def _is_event(state: WidgetState) -> bool:
    """Whether this is a press or an event of a component, and not a value that lasts."""
    return bool(state.trigger_value or state.json_trigger_value)


_MAX_TURNS = 100


def _in_turns(states: WidgetStates) -> list[WidgetStates]:
    """Part states such that no widget is twice in one turn, and the last turn has all of them.

    Of more than 100 turns, the first are left out: no hand is as fast.
    """
    turns: list[dict[str, WidgetState]] = []
    n_seen: Counter[str] = Counter()
    for one in reversed(states.widgets):
        if n_seen[one.id] == len(turns):
            turns.append({})
        turns[n_seen[one.id]][one.id] = one
        n_seen[one.id] += 1
    kept = turns[:_MAX_TURNS]
    in_order = [WidgetStates(widgets=reversed(turn.values())) for turn in reversed(kept)]
    return in_order or [states]


_begin_runs_with_their_events()
_keep_repeated_events()

_Task = Callable[[], object]


@st.cache_resource(show_spinner=False)
def _waiting_tasks() -> SimpleQueue[_Task]:
    """Return the queue of a thread that does one task after the other."""
    tasks: SimpleQueue[_Task] = SimpleQueue()
    is_over = Event()

    def work() -> None:
        while not is_over.is_set():
            try:
                tasks.get()()
            except (MusicVAEError, OSError) as error:
                _log.warning("%s", error)  # the page that needs it explains why
            except Exception:
                _log.exception("Something could not be prepared.")

    def finish() -> None:
        """Let the task at hand end: torch aborts a process that exits in the middle of one."""
        is_over.set()
        tasks.put(lambda: None)
        thread.join()

    thread = Thread(target=work, daemon=True)
    thread.start()
    atexit.register(finish)
    return tasks


def in_background(task: _Task) -> None:
    """Prepare something for all sessions, after what was asked for before, on one core at most."""
    _waiting_tasks().put(task)


def icon_button(name: str, icon: str, *, key: str, **options: Any) -> None:
    """Draw a button that shows only its icon; its name is for screen readers.

    Without a name, Streamlit derives one from the icon, such as "casino icon".

    Parameters
    ----------
    name
        What a click does.
    icon, key
        See `st.button`.
    options
        Other arguments of `st.button`.
    """
    with st.container(key=f"icon-only-{key}", width="content"):  # for assets/page.css
        st.button(name, icon=icon, key=key, **options)


_MAX_POINTS = 1_000_000

Name = Annotated[str, Field(strict=True, max_length=200)]
Revision = Annotated[int, Field(strict=True, ge=0, le=2**53 - 1)]
"""A whole number that JavaScript can represent exactly."""
Voice = Annotated[int, Field(strict=True, ge=0, lt=N_VOICES)]
Flag = Annotated[bool, Field(strict=True)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
"""From 0 to 1; as for every float here, NaN and infinity are rejected."""

_Index = Annotated[int, Field(strict=True, ge=0, lt=_MAX_POINTS)]


class _Point(BaseModel):
    """A selected point of a chart, with its index, which the chart has as custom data."""

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
    """The selection in a chart or a table."""

    selection: _Chosen

    @property
    def rows(self) -> list[int]:
        """The selected rows of a table."""
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
