"""The Python side of the deck: what the browser is told, and what it says."""

from __future__ import annotations

import io
import logging
import re
from collections import Counter

import numpy as np
import pytest
import soundfile
import streamlit as st
from fake_studio import FakeStudio, groove_at

from musicvae_core.errors import InvalidGrooveError
from musicvae_core.groove import Groove
from musicvae_core.sound.flac import flac_bytes
from musicvae_core.sound.render import SAMPLE_RATE, wav_bytes
from musicvae_core.vocabulary import CLOSED_HAT, KICK, SNARE, VOICES
from pages.components.deck.card import Card, Mix, Morph
from pages.components.deck.deck import _ASSETS, _MODULES, ROW_LABELS
from pages.components.deck.events import MIX, calls, read_hits, revisions_of
from pages.components.deck.payload import as_sent, payload
from pages.components.front import joined_script
from pages.components.studio import loop_sounds

GROOVE = groove_at(np.ones(4, np.float32), 96.0)


def card(**more: object) -> Card:
    return Card("one", "One", GROOVE, b"MThd", None, **more)


def morph(n_rows: int, n_columns: int, n_ends: int) -> Morph:
    places = n_rows * n_columns
    return Morph((GROOVE,) * places, (None,) * places, n_rows, n_columns, ("end",) * n_ends)


def sent(groove: Groove) -> list[list[float]]:
    return [
        [step, voice, as_sent(groove.velocities[step, voice]), as_sent(groove.offsets[step, voice])]
        for step, voice in np.argwhere(groove.hits).tolist()
    ]


def test_the_modules_of_the_front_can_be_joined_into_one() -> None:
    assert {path.name for path in _ASSETS.glob("*.js")} == set(_MODULES)
    script = joined_script(_ASSETS, _MODULES)
    names = re.findall(r"^(?:async )?(?:const|let|function|class) (\w+)", script, re.MULTILINE)
    assert len(names) > 50
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert not re.search(r"^import ", script, re.MULTILINE)
    imported = re.findall(r'from "\./([^"]+)"', "".join(map(_source, _MODULES)))
    assert set(imported) <= set(_MODULES)


def _source(module: str) -> str:
    """The text of a module; what it imports stands before it in the joined script."""
    text = (_ASSETS / module).read_text("utf-8")
    before = _MODULES[: _MODULES.index(module)]
    assert set(re.findall(r'from "\./([^"]+)"', text)) <= set(before), module
    return text


def test_what_the_browser_sends_back_unchanged_keeps_every_digit() -> None:
    assert read_hits(sent(GROOVE), GROOVE) == GROOVE


def test_one_edited_hit_changes_that_hit_alone() -> None:
    hits = sent(GROOVE)
    step, voice, *_ = hits[3]
    hits[3] = [step, voice, 0.5, -0.25]
    edited = read_hits(hits, GROOVE)
    assert (edited.velocities[step, voice], edited.offsets[step, voice]) == (0.5, -0.25)
    others = np.ones_like(GROOVE.hits)
    others[step, voice] = False
    np.testing.assert_array_equal(edited.velocities[others], GROOVE.velocities[others])
    np.testing.assert_array_equal(edited.offsets[others], GROOVE.offsets[others])
    assert edited.tempo_bpm == GROOVE.tempo_bpm


def test_velocities_and_offsets_are_moved_into_their_ranges() -> None:
    edited = read_hits([[0, KICK, 7, 9], [1, SNARE, -3, -9]], Groove.silent(1))
    assert edited.velocities[0, KICK] == 1
    assert edited.offsets[0, KICK] < 0.5
    assert 0 < edited.velocities[1, SNARE] < 0.01
    assert edited.offsets[1, SNARE] == -0.5
    assert edited.n_hits == 2


@pytest.mark.parametrize(
    "hits",
    [
        None,
        "hits",
        [3],
        [[0, 0, 1]],
        [[0, 0, "loud", 0]],
        [[0, 0, float("nan"), 0]],
        [[0, 0, True, 0]],
        [[16, 0, 1, 0]],
        [[-1, 0, 1, 0]],
        [[0, 9, 1, 0]],
        [[0.5, 0, 1, 0]],
    ],
)
def test_edits_that_are_none_are_named(hits: object) -> None:
    with pytest.raises(InvalidGrooveError):
        read_hits(hits, Groove.silent(1))


def test_events_become_calls() -> None:
    cards = {"one": card(editable=True)}
    assert calls("more", "one", cards) == [("one",)]
    assert calls("keep", [["one", 2, True], ["gone", 1, False]], cards) == [("one", True)]
    assert calls("rename", ["one", "Two"], cards) == [("one", "Two")]
    assert calls("send", ["one", "map"], cards) == [("one", "map")]
    assert calls("bar", ["one", 1], cards) == [("one", 1)]
    assert calls("bar", ["one", None], cards) == [("one", None)]
    assert calls("edit", [["one", 4, sent(GROOVE)]], cards) == [("one", GROOVE)]
    assert revisions_of("edit", [["one", 4, []], ["two", 1, []]]) == {"one": 4, "two": 1}
    assert revisions_of("mix", [[], [], 1, 7]) == {MIX: 7}
    assert revisions_of("keep", [["one", 2, True]]) == {"one": 2}
    assert revisions_of("more", "one") == revisions_of("mix", 3) == {}
    mix = Mix(frozenset({KICK}), frozenset(), 0.5)
    assert calls("mix", [[KICK, 99], [], 0.5, 3], cards) == [(mix,)]


def test_what_a_groove_was_made_from_has_a_file_name_of_its_own() -> None:
    named = payload(card(before=GROOVE, before_name="Other 120"), "deck", {})
    assert (named["file"], named["before"]["file"]) == ("one", "other-120")
    assert payload(card(before=GROOVE), "deck", {})["before"]["file"] == "one-before"


def test_a_morph_is_let_go_at_one_of_its_places() -> None:
    cards = {"one": card(morph=morph(1, 33, 2)), "pad": card(morph=morph(5, 5, 4))}
    assert calls("move", ["one", 0.501, 0], cards)[0][1] == (0.5, 0.0)
    assert calls("move", ["pad", 0.5, 7], cards)[0][1] == (0.5, 1.0)


@pytest.mark.parametrize(
    ("event", "value"),
    [
        ("more", "gone"),
        ("keep", "one"),
        ("keep", [["gone", 1, True]]),
        ("keep", [["one", 1, "yes"]]),
        ("rename", ["gone", "Two"]),
        ("edit", [["gone", 1, []]]),
        ("edit", [["one", 1, []]]),
        ("edit", [["one", 1, [[0, 0]]]]),
        ("edit", 3),
        ("move", ["one", 0.5, 0.5]),
        ("move", ["one", "x", None]),
        ("bar", ["one", 2]),
        ("mix", [[], [], "loud", 1]),
        ("mix", None),
        ("rename", ["one"]),
    ],
)
def test_what_makes_no_sense_is_passed_over(
    event: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    assert calls(event, value, {"one": card()}) == []


def test_places_of_a_pad_lie_row_by_row() -> None:
    pad = morph(3, 5, 4)
    assert pad.index_at((0.0, 0.0)) == 0
    assert pad.index_at((1.0, 0.0)) == 4
    assert pad.index_at((0.26, 0.4)) == 6
    for index in range(15):
        assert pad.index_at(pad.place_of(index)) == index


def test_a_mix_hears_what_is_soloed_or_else_what_is_not_muted() -> None:
    assert Mix().of(GROOVE) is GROOVE
    without = Mix(muted=frozenset({KICK})).of(GROOVE)
    assert not without.hits[:, KICK].any()
    assert without.hits[:, SNARE].sum() == GROOVE.hits[:, SNARE].sum()
    alone = Mix(muted=frozenset({KICK}), soloed=frozenset({CLOSED_HAT})).of(GROOVE)
    assert alone.hits.any(axis=0).nonzero()[0].tolist() == [CLOSED_HAT]
    assert len(ROW_LABELS) == len(VOICES)


def test_loops_are_rendered_as_they_are_mixed() -> None:
    st.cache_resource.clear()
    mix = Mix(muted=frozenset({KICK}))
    studio = FakeStudio()
    [sound], problem = loop_sounds(studio, [GROOVE], None, mix=mix)
    assert problem is None
    assert sound == studio.wav(mix.of(GROOVE))
    [packed], _ = loop_sounds(studio, [GROOVE], None, mix=mix, compressed=True)
    assert packed.startswith(b"fLaC")


def test_flac_has_the_very_samples_of_wav_in_fewer_bytes() -> None:
    seconds = np.arange(SAMPLE_RATE)[:, None] / SAMPLE_RATE
    audio = (1.2 * np.sin(2 * np.pi * seconds * np.array([220, 331]))).astype(np.float32)
    files = wav_bytes(audio), flac_bytes(audio, SAMPLE_RATE)
    wav, flac = (soundfile.read(io.BytesIO(file), dtype="int16") for file in files)
    np.testing.assert_array_equal(wav[0], flac[0])
    assert wav[1] == flac[1] == SAMPLE_RATE
    assert len(files[1]) < 0.8 * len(files[0])
