"""The store of a session: typed variables, and the one undo of all pages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from hypothesis import given
from hypothesis import strategies as some

from pages.shared.store import _MAX_PAST, History, SessionVar, next_number

PAGES = Path(__file__).parents[1] / "pages"


@pytest.fixture(autouse=True)
def session() -> Iterator[None]:
    st.session_state.clear()
    yield
    st.session_state.clear()


def test_a_variable_is_its_default_until_it_is_set_and_again_when_it_is_taken() -> None:
    asked = SessionVar("asked", "nothing")
    assert (asked.is_set, asked.get()) == (False, "nothing")
    asked.set("more")
    assert (asked.is_set, asked.get(), asked.take()) == (True, "more", "more")
    assert (asked.is_set, asked.take()) == (False, "nothing")


def test_variables_of_one_key_are_one_variable() -> None:
    SessionVar("seed", 0).set(7)
    assert SessionVar("seed", 3).get() == st.session_state["seed"] == 7


def test_a_counter_gives_no_number_twice() -> None:
    counter = SessionVar("n_made", 0)
    assert [next_number(counter) for _ in range(3)] == [0, 1, 2]


@given(some.lists(some.integers(), min_size=1, max_size=30))
def test_an_undo_leads_back_through_all_values(values: list[int]) -> None:
    history = History(values[0])
    for value in values[1:]:
        history = history.extended(value)
    seen = [history.now]
    while history.can_undo():
        history = history.undone()
        seen.append(history.now)
    assert seen == values[::-1]
    assert history.undone() is history


@given(some.lists(some.integers(0, 3), min_size=1), some.integers(0, 3))
def test_an_undo_can_look_for_another_value(values: list[int], wanted: int) -> None:
    history = History(values[-1], tuple(values[:-1]))
    then = history.undone(lambda value: value == wanted)
    assert history.can_undo(lambda value: value == wanted) == (wanted in values[:-1])
    if wanted in values[:-1]:
        assert then.now == wanted
        assert wanted not in values[len(then.past) + 1 : -1]
    else:
        assert then is history


def test_mapping_a_history_reaches_the_past_without_a_new_step() -> None:
    history = History(1).extended(2).mapped(lambda value: 10 * value)
    assert (history.now, history.undone().now, history.past) == (20, 10, (10,))


def test_the_past_is_bounded() -> None:
    history = History(0)
    for value in range(1, _MAX_PAST + 10):
        history = history.extended(value)
    assert len(history.past) == _MAX_PAST
    assert history.undone().now == history.now - 1


def test_the_session_s_state_is_reached_through_the_store_alone() -> None:
    """`actions` too looks at it, for what the browser sends."""
    reached = {
        path.relative_to(PAGES).as_posix()
        for path in PAGES.glob("**/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "session_state"
    }
    assert reached == {"shared/store.py", "shared/actions.py"}
