"""What a browser sends is checked like a file, and no event ends a run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from hypothesis import given, settings
from hypothesis import strategies as some
from pydantic import TypeAdapter
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.runtime.scriptrunner import RerunData, RerunException
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests
from streamlit.runtime.state import SafeSessionState, SessionState

from musicvae_core.errors import InvalidMusicError
from musicvae_core.music.forms import taps_to_groove
from musicvae_core.music.grid import COMMON_TIME
from pages.attributes import page as attributes_page
from pages.groove_lab import page as groove_lab_page
from pages.map import chart
from pages.map.points import point_of
from pages.shared import actions, edits, transport, uploads
from pages.shared.actions import action, checked, on_event, on_value

PAGES = Path(__file__).parents[1] / "pages"
SCHEMAS = {
    f"{module.__name__}.{name}": one
    for module in (actions, attributes_page, chart, groove_lab_page, transport, uploads)
    for name, one in vars(module).items()
    if isinstance(one, TypeAdapter)
} | {f"a card's {name}": one for name, one in edits.CARD_EVENTS.items()}
NUMBERS = some.sampled_from([0, 1, 2, 0.5, -1, 1e308, float("inf"), float("nan"), 10**400, True])
TEXTS = some.sampled_from(["one", "point.3", "point.²", "\ud800", "x" * 500]) | some.text()
JSON = some.recursive(
    some.none() | NUMBERS | TEXTS | some.integers() | some.floats(),
    lambda inner: some.lists(inner, max_size=5) | some.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=12,
)


@pytest.fixture(autouse=True)
def session() -> Iterator[None]:
    st.session_state.clear()
    yield
    st.session_state.clear()


@pytest.mark.parametrize("name", SCHEMAS)
def test_any_json_is_taken_or_ignored(name: str) -> None:
    @settings(max_examples=100, deadline=None)
    @given(JSON)
    def holds(value: Any) -> None:
        checked(SCHEMAS[name], value, name)

    holds()


TAPS = {"tempo": 120, "bars": 2, "taps": [[0, 0.8], [4, 1]]}


@pytest.mark.parametrize(
    "changed",
    [
        {"bars": 1_000_000},
        {"bars": 4_000_000},
        {"bars": 0},
        {"bars": 1e999},
        {"bars": 10**400},
        {"bars": "2"},
        {"tempo": 0},
        {"tempo": 1e999},
        {"taps": [[0, 1e999]]},
        {"taps": [[1e9, 1]]},
        {"taps": [[0, 1]] * 10_000},
        {"taps": None},
    ],
    ids=str,
)
def test_an_impossible_recording_is_ignored(changed: dict[str, Any]) -> None:
    assert checked(groove_lab_page._TAPS, TAPS | changed, "taps") is None


@settings(max_examples=100, deadline=None)
@given(JSON, JSON, JSON)
def test_taps_that_fit_become_a_groove_or_are_refused_by_name(
    tempo: Any, bars: Any, taps: Any
) -> None:
    for one in (TAPS | {"taps": taps}, {"tempo": tempo, "bars": bars, "taps": taps}):
        taps = checked(groove_lab_page._TAPS, one, "taps")
        if taps is None:
            continue
        with suppress(InvalidMusicError):
            assert taps_to_groove(taps.taps, taps.bars, taps.tempo).n_bars == taps.bars


def test_the_schemas_take_what_the_components_send() -> None:
    assert checked(groove_lab_page._TAPS, TAPS, "taps").bars == 2
    assert checked(chart._PICKED, ["point.40", 1_700_000_000_000], "picked").spot == "point.40"
    assert checked(chart._VIEW, [0, 1.5, -2, 3], "view") == (0, 1.5, -2, 3)
    lasso = {"points": [{"customdata": 3}, {"customdata": [4]}, {"x": 1}], "lasso": [{}], "box": []}
    assert checked(actions.SELECTION, {"selection": lasso}, "lasso").enclosed == [3, 4]
    click = lasso | {"lasso": []}
    assert checked(actions.SELECTION, {"selection": click}, "click").enclosed == []
    rows = {"selection": {"rows": [2], "columns": [], "cells": []}}
    assert checked(actions.SELECTION, rows, "rows").rows == [2]


@pytest.mark.parametrize(
    "spot", ["point.²", "point.-1", "point.", "point.1.5", "point." + "9" * 400]
)
def test_ids_of_no_point_are_ignored(spot: str) -> None:
    assert point_of(spot) is None
    assert checked(chart._PICKED, [spot, 1], "picked") is None or point_of(spot) is None


def test_an_event_that_comes_late_does_nothing() -> None:
    done: list[Any] = []
    on_event("sample.deck", "more", edits.CARD_EVENTS["more"], done.append)()
    on_value("sample.choice", actions.TEXT, done.append)()
    st.session_state["sample.deck"] = {"more": "3"}
    on_event("sample.deck", "keep", edits.CARD_EVENTS["keep"], done.append)()
    assert done == []
    on_event("sample.deck", "more", edits.CARD_EVENTS["more"], done.append)()
    assert done == [[edits._More("3")]]


def test_what_the_server_has_no_files_for_is_passed_over() -> None:
    from streamlit.runtime.uploaded_file_manager import DeletedFile

    from pages.shared.uploads import _field, _read_all

    placed: list[Any] = []
    gone = [DeletedFile("gone")]
    _read_all(None, "upload", _field("upload"), placed.append, "drums", [COMMON_TIME], gone)
    assert placed == []


def test_no_action_ends_a_run(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> None:
        raise KeyError("sample.deck")

    action(fails)()
    assert "An action failed." in caplog.text
    caplog.clear()


GUARDS = {"action", "on_value", "on_event"}
EVENTS = ("on_click", "on_change", "on_select")


def unguarded(tree: ast.AST) -> Iterator[ast.expr]:
    """The callbacks of Streamlit's widgets and of components that none of `GUARDS` made."""
    made = {
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and is_guarded(node.value)
        for name in node.targets
        if isinstance(name, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not draws(node.func):
            continue
        for keyword in node.keywords:
            value = keyword.value
            if keyword.arg is None and isinstance(value, ast.DictComp):
                value = value.value
            elif keyword.arg is None:
                value = value if ast.unparse(node.func) == "_mount" else ast.Constant("rerun")
            elif not (keyword.arg in EVENTS or keyword.arg.startswith("on_")):
                continue
            if isinstance(value, ast.Constant) and value.value in ("ignore", "rerun"):
                continue
            if not (is_guarded(value) or (isinstance(value, ast.Name) and value.id in made)):
                yield value


def is_guarded(value: ast.expr) -> bool:
    return (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in GUARDS
    )


def draws(function: ast.expr) -> bool:
    """Whether a function is one of Streamlit's, or mounts a component."""
    name = ast.unparse(function)
    return name.startswith("st.") or name == "_mount"


@pytest.mark.parametrize(
    "code",
    [
        "st.button('Undo', on_click=undo)",
        "st.button('Undo', on_click=lambda: undo())",
        "st.slider('n', on_change=partial(take, 3))",
        "st.plotly_chart(figure, on_select=select)",
        "_mount(key='deck', on_more_change=more)",
        "_mount(key='deck', **tellers)",
        "_mount(key='deck', **{name: tell for name in names})",
    ],
)
def test_a_callback_without_a_guard_is_found(code: str) -> None:
    assert len(list(unguarded(ast.parse(code)))) == 1


def test_every_callback_of_every_page_is_guarded() -> None:
    n_guarded = 0
    for path in sorted(PAGES.rglob("*.py")):
        text = path.read_text("utf-8")
        found = list(unguarded(ast.parse(text)))
        assert not found, f"{path}: {[ast.unparse(one) for one in found]}"
        n_guarded += sum(text.count(f"={guard}(") for guard in GUARDS)
    assert n_guarded > 25


def test_a_run_begins_with_its_events_even_if_others_come_meanwhile() -> None:
    def interrupt() -> None:
        raise RerunException(RerunData())

    state = SafeSessionState(SessionState(), interrupt)
    state.on_script_will_rerun(None)
    with pytest.raises(RerunException):  # at the next access
        state["anything"] = 1


def events_of(*sent: str) -> RerunData:
    """What the browser sends for events of one component, with a widget that lasts."""
    lasting = WidgetState(id="lasting", string_value=sent[-1])
    events = [WidgetState(id="component", json_trigger_value=one) for one in sent]
    return RerunData(widget_states=WidgetStates(widgets=[*events, lasting]))


@pytest.mark.parametrize("n", [2, 3, 100, 300])
def test_no_event_of_a_component_replaces_an_earlier_one_up_to_a_limit(n: int) -> None:
    requests = ScriptRequests()
    for number in range(n):
        requests.request_rerun(events_of(str(number)))
    pending = requests.on_scriptrunner_ready().rerun_data.widget_states
    assert pending
    turns = actions._in_turns(pending)
    answered = [
        one.json_trigger_value for turn in turns for one in turn.widgets if one.id[0] == "c"
    ]
    assert answered == [str(number) for number in range(n)][-actions._MAX_TURNS :]
    [lasting] = [one.string_value for one in turns[-1].widgets if one.id == "lasting"]
    assert lasting == str(n - 1)
