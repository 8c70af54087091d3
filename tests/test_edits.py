"""What the tools of a card make of its groove, on every page alike."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import streamlit as st
from fake_studio import FakeStudio, groove_at

from musicvae_core.music.drums import KICK
from musicvae_core.music.groove import Groove
from pages.shared import edits
from pages.shared.card import Card, Morph
from pages.shared.collection import Source
from pages.shared.edits import Change

GROOVE = groove_at(np.ones(4, np.float32), 96.0)
OTHER = groove_at(np.full(4, 2, np.float32), 96.0)


@pytest.fixture(autouse=True)
def session(studio: FakeStudio) -> Iterator[None]:
    st.session_state.clear()
    yield
    st.session_state.clear()


def changed(groove: Groove, change: Change) -> Groove:
    made = edits.changed(groove, change, FakeStudio().lab)
    assert isinstance(made, Groove)
    return made


def change(
    *, tempo: float | None = None, humanize: float | None = None, locked: tuple[int, ...] = ()
) -> Change:
    return Change("one", 1, tempo, humanize, list(locked))


def test_an_edit_stands_in_a_groove_s_place_until_it_is_taken_back() -> None:
    edits.keep_edit(GROOVE, OTHER)
    card = edits.edited_card(Card("one", "One", GROOVE))
    assert card.groove == OTHER
    assert card.editable
    source = Source("One", GROOVE, np.ones(4, np.float32), "groove_2bar", "sample")
    assert edits.edited_source(source).groove == OTHER
    assert edits.edited_source(source).z is None, "the code is not that of the edited notes"
    edits.keep_edit(GROOVE, GROOVE)
    assert edits.edited_card(Card("one", "One", GROOVE)).groove is GROOVE
    assert edits.edited_source(source) is source


def test_edits_of_one_groove_have_one_lineage_and_another_groove_has_another() -> None:
    before = edits.edited_card(Card("one", "One", GROOVE)).lineage
    edits.keep_edit(GROOVE, OTHER)
    assert edits.edited_card(Card("one", "One", GROOVE)).lineage == before
    assert edits.edited_card(Card("one", "One", OTHER)).lineage != before


def test_a_morph_stays_as_it_is() -> None:
    edits.keep_edit(GROOVE, OTHER)
    morph = Morph((GROOVE, OTHER), 1, 2, ("a", "b"))
    card = Card("one", "One", GROOVE, morph=morph)
    assert edits.edited_card(card) is card


def test_locked_voices_stay_and_the_rest_is_redrawn() -> None:
    made = changed(GROOVE, change(locked=(KICK,)))
    kick, rest = [KICK], [voice for voice in range(9) if voice != KICK]
    assert np.array_equal(made.hits[:, kick], GROOVE.hits[:, kick])
    assert np.array_equal(made.velocities[:, kick], GROOVE.velocities[:, kick])
    assert not np.array_equal(made.hits[:, rest], GROOVE.hits[:, rest])
    assert made != changed(GROOVE, change(locked=(KICK,))), "each press is another"


def test_humanizing_counts_from_the_groove_as_it_was() -> None:
    half = changed(GROOVE, change(humanize=0.5))
    whole = changed(half, change(humanize=1.0))
    assert np.array_equal(half.hits, GROOVE.hits)
    assert whole == changed(GROOVE, change(humanize=1.0))
    assert changed(whole, change(humanize=0.0)) == GROOVE
    edits.keep_edit(GROOVE, half)
    assert edits.edited_card(Card("one", "One", GROOVE)).humanized == 0.5


def test_a_tempo_of_its_own_keeps_the_code() -> None:
    made = changed(GROOVE, change(tempo=80.0))
    assert made == GROOVE.at_tempo(80.0)
    edits.keep_edit(GROOVE, made)
    source = Source("One", GROOVE, np.ones(4, np.float32), "groove_2bar", "sample")
    assert edits.edited_source(source).groove.tempo_bpm == 80.0
    assert edits.edited_source(source).z is not None


def test_only_the_latest_edits_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert edits._MAX_EDITS == 256
    monkeypatch.setattr(edits, "_MAX_EDITS", 8)
    originals = [groove_at(np.full(4, at, np.float32), 96.0) for at in range(2, 14)]
    for original in originals:
        edits.keep_edit(originals[-1], GROOVE.at_tempo(60))  # counts once, however often
        edits.keep_edit(original, GROOVE)
    assert len(st.session_state["kept.edits"]) == 8
    assert [edits.edited(one) == GROOVE for one in originals] == [False] * 4 + [True] * 8
