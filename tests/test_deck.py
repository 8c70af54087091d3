"""The Python side of the deck: what is sent to the browser, and what it sends back."""

from __future__ import annotations

import numpy as np
import pytest
import streamlit as st
from fake_studio import groove_at
from pydantic import TypeAdapter

from musicvae_core.music.drums import CLOSED_HAT, KICK, N_VOICES, SNARE, VOICES
from musicvae_core.music.grid import Grid
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import Line, Note
from pages.shared.actions import checked
from pages.shared.card import Card, Morph, _hits_payload, packed_notes, payload
from pages.shared.deck import _deliver, _revisions_of_card
from pages.shared.edits import CARD_EVENTS
from pages.shared.names import describe
from pages.shared.transport import _N_CHANNELS, VOICE_LABELS, _Transport

GROOVE = groove_at(np.ones(4, np.float32), 96.0)


def card(groove: Groove = GROOVE, **more: object) -> Card:
    return Card("one", "One", groove, **more)


def morph(n_rows: int, n_columns: int, n_ends: int) -> Morph:
    places = n_rows * n_columns
    return Morph((GROOVE,) * places, n_rows, n_columns, ("end",) * n_ends)


def calls_of(event: str, value: object, *cards: Card) -> list[tuple[object, ...]]:
    """Return the page's callback arguments when a deck of these cards sends its first event."""
    st.session_state.clear()
    return next_calls(event, value, *cards)


def next_calls(event: str, value: object, *cards: Card) -> list[tuple[object, ...]]:
    """Return the page's callback arguments when the deck sends another event."""
    sent_events = checked(CARD_EVENTS[event], value, event) or []
    calls: list[tuple[object, ...]] = []
    by_id = {card.id: card for card in cards}
    _deliver("deck", by_id, {"map": "Map"}, event, lambda *call: calls.append(call), sent_events)
    return calls


def edit(hits: list[list[float]], like: Groove) -> Groove:
    [(_, groove)] = calls_of("edit", [["one", 1, hits]], card(like, editable=True))
    assert isinstance(groove, Groove)
    return groove


def test_notes_returned_unchanged_by_the_browser_keep_full_precision() -> None:
    assert edit(_hits_payload(GROOVE), GROOVE) == GROOVE


def test_notes_that_are_sent_ahead_are_those_of_the_card() -> None:
    step, voice, velocity, offset = packed_notes(GROOVE).T.tolist()
    ahead = [list(hit) for hit in zip(step, voice, velocity, offset, strict=True)]
    hits = [[step, voice, x / 1e6, y / 1e6] for step, voice, x, y in ahead]
    assert hits == _hits_payload(GROOVE)
    melody = Line.from_notes([Note(0, 3, 60, 0.3), Note(4, 2, 72, 1.0)], 1)
    assert packed_notes(melody).tolist() == [[0, 60, 300_000, 3], [4, 72, 1_000_000, 2]]
    assert packed_notes(Groove.silent(2)).shape == (0, 4)


def test_one_edited_hit_changes_that_hit_alone() -> None:
    hits = _hits_payload(GROOVE)
    step, voice, *_ = hits[3]
    hits[3] = [step, voice, 0.5, -0.25]
    after = edit(hits, GROOVE)
    assert (after.velocities[step, voice], after.offsets[step, voice]) == (0.5, -0.25)
    others = np.ones_like(GROOVE.hits)
    others[step, voice] = False
    np.testing.assert_array_equal(after.velocities[others], GROOVE.velocities[others])
    np.testing.assert_array_equal(after.offsets[others], GROOVE.offsets[others])
    assert after.tempo_bpm == GROOVE.tempo_bpm


def test_the_ends_of_loudness_and_timing_are_those_of_a_groove() -> None:
    after = edit([[0, KICK, 1, 0.5], [1, SNARE, 0, -0.5]], Groove.silent(1))
    assert after.velocities[0, KICK] == 1
    assert after.offsets[0, KICK] < 0.5
    assert 0 < after.velocities[1, SNARE] < 0.01
    assert after.offsets[1, SNARE] == -0.5
    assert after.n_hits == 2


WALTZ, TRIPLETS = Grid(beats_per_bar=3), Grid(steps_per_beat=6)


@pytest.mark.parametrize("grid", [WALTZ, TRIPLETS, Grid(7, 24)], ids=str)
def test_an_edit_keeps_the_grid_of_the_groove_and_reaches_its_last_step(grid: Grid) -> None:
    before = Groove.silent(256, 90.0, grid)
    after = edit([[before.n_steps - 1, SNARE, 0.5, 0.25]], before)
    assert after.grid == grid
    assert after.hits[-1, SNARE]
    assert edit(_hits_payload(after), after) == after
    assert calls_of("bar", ["one", 255], card(before)) == [("one", 255)]


@pytest.mark.parametrize(
    ("grid", "sent"),
    [(Grid(), (4, 16)), (WALTZ, (4, 12)), (TRIPLETS, (6, 24))],
    ids=str,
)
def test_a_card_sends_the_grid_of_its_music(grid: Grid, sent: tuple[int, int]) -> None:
    told = payload(card(Groove.silent(2, grid=grid)), {})
    assert (told["grid"]["steps_per_beat"], told["grid"]["steps_per_bar"]) == sent
    assert told["steps"] == 2 * sent[1]


def test_a_description_counts_as_drummers_do_on_any_grid() -> None:
    hits = np.zeros((12, N_VOICES), bool)
    hits[[0, 6, 11], SNARE] = True
    waltz = Groove.from_hits(hits, tempo_bpm=90.0, grid=WALTZ)
    assert describe(waltz) == "1 bar of 3/4 at 90 bpm. Bar 1: snare on 1, 2 and, 3 a."
    fine = np.zeros((24, N_VOICES), bool)
    fine[[6, 9, 23], SNARE] = True
    triplets = Groove.from_hits(fine, tempo_bpm=90.0, grid=TRIPLETS)
    assert describe(triplets) == "1 bar at 90 bpm. Bar 1: snare on 2, 2 and, 4 step 6 of 6."
    eighths = Groove.from_hits(hits[6:], tempo_bpm=90.0, grid=Grid(3, 2))
    assert describe(eighths) == "1 bar of 3/4 at 90 bpm. Bar 1: snare on 1, 3 and."


@pytest.mark.parametrize(
    "hits",
    [
        None,
        "hits",
        [3],
        [[0, 0, 1]],
        [[0, 0, "loud", 0]],
        [[0, 0, float("nan"), 0]],
        [[0, 0, float("inf"), 0]],
        [[0, 0, 10**400, 0]],
        [[0, 0, True, 0]],
        [[0, 0, 7, 0]],
        [[0, 0, 1, 9]],
        [[16, 0, 1, 0]],
        [[10**400, 0, 1, 0]],
        [[-1, 0, 1, 0]],
        [[0, 9, 1, 0]],
        [[0.5, 0, 1, 0]],
    ],
)
def test_an_edit_that_does_not_fit_is_ignored(hits: object) -> None:
    assert calls_of("edit", [["one", 1, hits]], card(Groove.silent(1), editable=True)) == []


def test_events_become_calls() -> None:
    one = card(editable=True)
    assert calls_of("more", "one", one) == [("one",)]
    assert calls_of("keep", [["one", 2, True], ["gone", 1, False]], one) == [("one", True)]
    assert calls_of("rename", [["one", 1, "Two"]], one) == [("one", "Two")]
    assert calls_of("send", ["one", "map"], one) == [("one", "map")]
    assert calls_of("bar", ["one", 1], one) == [("one", 1)]
    assert calls_of("bar", ["one", None], one) == [("one", None)]
    assert calls_of("edit", [["one", 4, _hits_payload(GROOVE)]], one) == [("one", GROOVE)]


def test_the_revisions_that_python_has_seen_are_kept_by_card() -> None:
    calls_of("edit", [["one", 4, []], ["gone", 9, []]], card(editable=True))
    next_calls("keep", [["one", 2, True]], card())
    next_calls("rename", [["one", 3, "Two"]], card())
    next_calls("move", [["one", 5, 0.5, 0.0]], card(morph=morph(1, 5, 2)))
    next_calls("change", [["one", 6, 90.0, None, []]], card(editable=True))
    seen = {"edit": 4, "keep": 2, "rename": 3, "move": 5, "change": 6}
    assert _revisions_of_card("deck", "one") == seen
    assert set(_revisions_of_card("deck", "gone").values()) == {0}


def test_the_earlier_version_of_a_groove_has_its_own_file_name() -> None:
    named = payload(card(before=GROOVE, before_name="Other 120"), {})
    assert (named["file"], named["before"]["file"]) == ("one", "other-120")
    assert payload(card(before=GROOVE), {})["before"]["file"] == "one-before"


@pytest.mark.parametrize(
    ("event", "value"),
    [
        ("more", "gone"),
        ("keep", "one"),
        ("keep", [["gone", 1, True]]),
        ("keep", [["one", 1, "yes"]]),
        ("rename", [["gone", 1, "Two"]]),
        ("edit", [["gone", 1, []]]),
        ("edit", [["one", 1, []]]),
        ("edit", [["one", 1, [[0, 0]]]]),
        ("edit", 3),
        ("move", [["one", 1, 0.5, 0.5]]),
        ("move", [["one", 1, "x", None]]),
        ("bar", ["one", 2]),
        ("send", ["one", "nowhere"]),
        ("rename", [["one", 1]]),
        ("rename", [["one", 1, "x" * 1000]]),
        ("keep", [["one", 10**400, True]]),
        ("keep", [["one", float("inf"), True]]),
    ],
)
def test_invalid_events_are_ignored(event: str, value: object) -> None:
    assert calls_of(event, value, card()) == []


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"volume": "loud"},
        {"volume": 7},
        {"muted": [99]},
        {"tempo": 10**400},
        {"tempo": float("nan")},
        {"feel": float("inf")},
        {"levels": [1.0]},
        {"other": 2},
    ],
)
def test_a_transport_that_does_not_fit_is_ignored(value: object) -> None:
    assert checked(TypeAdapter(_Transport), value, "transport") is None


def test_places_of_a_pad_lie_row_by_row() -> None:
    pad = morph(3, 5, 4)
    assert pad.index_at((0.0, 0.0)) == 0
    assert pad.index_at((1.0, 0.0)) == 4
    assert pad.index_at((0.26, 0.4)) == 6
    for index in range(15):
        assert pad.index_at(pad.place_of(index)) == index


def blend_case() -> Morph:
    """A pad of two by two: one hit that all have, one that the upper row has."""
    grooves = []
    for at in range(4):
        hits = np.zeros((16, N_VOICES), bool)
        hits[0, KICK], hits[4, SNARE] = True, at < 2
        grooves.append(Groove.from_hits(hits, 0.2 + 0.2 * at, 0.1 * at, 120.0))
    return Morph(tuple(grooves), 2, 2, ("a", "b", "c", "d"))


def test_a_pad_is_blended_between_its_grooves_as_in_the_browser() -> None:
    pad = blend_case()
    groove = pad.groove_at((0.25, 0.5))  # see score.test.js
    assert np.argwhere(groove.hits).tolist() == [[0, KICK], [4, SNARE]]
    assert groove.velocities[0, KICK] == pytest.approx(0.45)
    assert groove.offsets[0, KICK] == pytest.approx(0.125)
    assert groove.velocities[4, SNARE] == pytest.approx(0.25)
    assert groove.offsets[4, SNARE] == pytest.approx(0.025)
    assert not pad.groove_at((0.25, 0.75)).hits[4, SNARE], "less than half have it"
    for index, one in enumerate(pad.grooves):
        assert pad.groove_at(pad.place_of(index)) is one


def test_a_pointer_stays_between_the_grooves_of_a_pad_and_at_one_of_a_strip() -> None:
    pad, strip = Card("one", "One", GROOVE, morph=blend_case()), card(morph=morph(1, 3, 2))
    assert calls_of("move", [["one", 1, 0.25, 0.5]], pad) == [("one", (0.25, 0.5))]
    assert calls_of("move", [["one", 1, 0.501, 0]], strip) == [("one", (0.5, 0.0))]
    [(_, between, name)] = calls_of("midi", ["one", [0.25, 0.5]], pad)
    assert between == pad.morph.groove_at((0.25, 0.5))
    assert name == "One at 25% 50%"


def test_what_is_soloed_or_else_what_is_not_muted_is_heard() -> None:
    assert _Transport().gains == (1.0,) * _N_CHANNELS
    assert _Transport(muted=(KICK,), levels=(1.0, 0.5, *[1.0] * 7)).gains[:3] == (0.0, 0.25, 1.0)
    alone = _Transport(muted=(KICK,), soloed=(CLOSED_HAT,)).gains
    assert [voice for voice, gain in enumerate(alone) if gain] == [CLOSED_HAT]
    assert len(VOICE_LABELS) == len(VOICES)


def test_a_wav_of_any_of_a_card_s_grooves_can_be_asked_for() -> None:
    one = card(before=GROOVE, morph=morph(1, 3, 2))
    [(_, now, name)] = calls_of("wav", ["one", "now"], one)
    assert (now, name) == (one.groove, "One")
    [(_, step, name)] = calls_of("wav", ["one", [1, 0]], one)
    assert (step, name) == (one.morph.grooves[2], "One step 3")
    assert calls_of("wav", ["one", "before"], one)[0][1] == GROOVE
    for value in (["one", [2, 0]], ["one", [-1, 0]], ["one", "later"], ["one", None], ["one", 2]):
        assert calls_of("wav", value, one) == []


@pytest.mark.parametrize(
    ("event", "value"),
    [("keep", [True]), ("rename", ["Two"]), ("edit", [[]]), ("change", [None, 0.5, []])],
)
def test_what_is_sent_again_is_not_carried_out_again(event: str, value: list[object]) -> None:
    one = card(editable=True)
    assert len(calls_of(event, [["one", 2, *value]], one)) == 1
    assert next_calls(event, [["one", 2, *value]], one) == []
    assert len(next_calls(event, [["one", 3, *value]], one)) == 1
