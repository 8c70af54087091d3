"""Melodies on the pages, over a `Studio` of tiny models: what is drawn, kept, sent and edited."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
import torch
from fake_studio import FakeStudio
from page_driver import components, newest
from streamlit.testing.v1 import AppTest
from test_lines_data import archive

import pages.shared.deck as shared
from musicvae_core.data.dataset import Dataset
from musicvae_core.data.lines import load_lines
from musicvae_core.latent.atlas import save_atlas
from musicvae_core.latent.attribute_vectors import save_vectors
from musicvae_core.latent.fit import build_atlas, fit_vectors
from musicvae_core.latent.results import Take
from musicvae_core.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from musicvae_core.models.kinds import kind_of
from musicvae_core.models.presets import preset
from musicvae_core.music.drums import SNARE
from musicvae_core.music.line import Line, Note
from musicvae_core.music.line_attributes import LINE_CONTROLS
from musicvae_core.studio import Studio
from pages.shared.card import Card, payload
from pages.shared.collection import Source
from pages.shared.edits import CARD_EVENTS, _Edit, _edited, _fits
from pages.shared.store import History

LINE = Line.from_notes([Note(4 * beat, 3, 60 + beat, 0.51234567) for beat in range(8)], 2)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models")
    for name in ("melody_2bar", "drums_2bar", "trio_16bar"):
        save_checkpoint(Checkpoint.new(preset(f"{name}_tiny")), folder / name)
    return folder


@pytest.fixture
def tunes(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(shared, "_open_studio", lambda: Studio(models))
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


def decks(app: AppTest) -> list[dict]:
    return [data for data in components(app) if "cards" in data]


def page(name: str, function: str) -> AppTest:
    return AppTest.from_string(
        f"from pages.{name}.page import {function}\n{function}()", default_timeout=60
    )


def test_sample_draws_melodies_beside_drums_and_each_keeps_its_shelf(tunes: None) -> None:
    app = page("sample", "sample")
    app.session_state["prior"] = "normal"  # untrained models have no other
    app.session_state["n"] = 2
    app.run()
    assert not app.exception
    assert app.button(key="sample").label == "New grooves"
    [drums] = decks(app)
    app.segmented_control(key="plays").set_value("line").run()
    assert app.button(key="sample").label == "New melodies"
    [melodies] = decks(app)
    assert len(melodies["cards"]) == 2
    for card in melodies["cards"]:
        assert (card["plays"], card["has_drums"], card["hits"]) == ("line", False, [])
        assert [line["name"] for line in card["lines"]] == ["melody"]
    app.button(key="sample").click().run()
    [again] = decks(app)
    assert again["cards"][0]["id"] != melodies["cards"][0]["id"]
    app.button(key="undo").click().run()
    app.segmented_control(key="plays").set_value("drums").run()
    [back] = decks(app)
    assert [card["hits"] for card in back["cards"]] == [card["hits"] for card in drums["cards"]]


def test_wildness_is_measured_by_the_temperature_of_the_model(
    tunes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[float] = []
    decode = Studio.decode

    def note(studio: Studio, *args: Any, **how: Any) -> list[Take]:
        drawn.append(how["temperature"])
        return decode(studio, *args, **how)

    monkeypatch.setattr(Studio, "decode", note)
    app = page("sample", "sample")
    app.session_state["prior"] = "normal"
    app.session_state["n"] = 1
    for plays, name in (("drums", "drums_2bar_tiny"), ("piece", "trio_16bar_tiny")):
        app.session_state["plays"] = plays
        app.run()
        app.slider(key="temperature").set_value(1.5)
        app.button(key="sample").click().run()
        assert drawn[-1] == pytest.approx(1.5 * kind_of(preset(name).model).temperature)
    assert drawn[-1] < 1.5


def test_a_new_bass_comes_under_the_melody_and_the_drums_of_a_band(tunes: None) -> None:
    app = page("sample", "sample")
    app.session_state["prior"] = "normal"
    app.session_state["plays"] = "piece"
    app.session_state["n"] = 1
    app.session_state["sample.parts"] = ["bass"]
    app.run()
    assert app.button(key="sample").label == "New pieces"
    [band] = decks(app)[0]["cards"]
    assert [line["name"] for line in band["lines"]] == ["melody", "bass"]
    assert (band["plays"], band["has_drums"], band["steps"]) == ("piece", True, 256)
    app.session_state["sample.more"] = (band["id"],)
    app.run()
    same, *others = decks(app)[0]["cards"]
    assert same["lines"] == band["lines"]
    assert len(others) == 4
    for card in others:
        assert card["lines"][0]["notes"] == band["lines"][0]["notes"]
        assert card["hits"] == band["hits"]
        assert card["lines"][1]["notes"] != band["lines"][1]["notes"]


def test_morph_leads_from_one_demo_melody_to_another(tunes: None) -> None:
    app = page("morph", "morph")
    app.session_state["plays"] = "line"
    app.run()
    assert not app.exception
    strip, ends = decks(app)[:2]
    assert strip["cards"][0]["name"] == "Ode to Joy, bars 1-2 to Frère Jacques, bars 1-2"
    places = strip["cards"][0]["morph"]["places"]
    assert len(places) == 9
    assert all(len(place["lines"]) == 1 for place in places)
    assert "F1 of notes" in ends["cards"][1]["note"]


def test_a_melody_in_the_groove_lab_gets_a_drummer_and_plays_along(studio: FakeStudio) -> None:
    app = page("groove_lab", "groove_lab")
    app.session_state["kept.groove_lab.slots"] = History(
        {"groove_lab.groove": Source("Tune", LINE)}
    )
    app.run()
    assert "/Tune/" in newest(app.selectbox, "groove_lab.groove.choice").value
    app.button(key="groove_lab.do").click().run()
    assert "has no drums" in app.error[0].value
    app.segmented_control(key="groove_lab.tool").set_value("drumify").run()
    app.button(key="groove_lab.do").click().run()
    [card] = decks(app)[-1]["cards"]
    assert (card["name"], card["plays"]) == ("Tune, drumified", "piece")
    notes = [note[:3] for note in card["lines"][0]["notes"]]
    assert notes == [list(note[:3]) for note in LINE.notes()]
    assert {step for step, row, *_ in card["hits"] if row == SNARE} == set(range(0, 32, 4))
    assert card["before"]["hits"] == []


def test_an_edited_line_keeps_the_digits_of_the_notes_that_stay() -> None:
    sent = payload(Card("one", "One", LINE), {})["lines"][0]["notes"]
    [[step, length, _, loud], *rest] = sent
    notes = [[step, length - 1, 72, loud], *rest]
    [edit] = CARD_EVENTS["edit"].validate_python([["one", 1, [], [notes]]])
    assert isinstance(edit, _Edit)
    assert _fits(edit, LINE)
    after = _edited(edit, LINE)
    assert isinstance(after, Line)
    assert next(after.notes()) == (step, length - 1, 72, next(LINE.notes()).velocity)
    assert list(after.notes())[1:] == list(LINE.notes())[1:]


@pytest.mark.parametrize(
    "notes",
    [
        [],  # no line at all
        [[[30, 3, 60, 0.5]]],  # ends after the bars
        [[[0, 1, 60, 0.5]], [[0, 1, 60, 0.5]]],  # one line too many
    ],
)
def test_an_edit_that_does_not_fit_is_refused(notes: list) -> None:
    [edit] = CARD_EVENTS["edit"].validate_python([["one", 1, [], notes]])
    assert not _fits(edit, LINE)


@pytest.fixture
def mapped(models: Path, tmp_path: Path, tiny_dataset: Dataset) -> Iterator[None]:
    rows = [(f"{at}.mid", "cre", "train", walk(at)) for at in range(20)]
    dataset = load_lines(archive(tmp_path / "melody_walks.zip", rows))
    checkpoint = load_checkpoint(models / "melody_2bar")
    folder = models / "melody_2bar"
    made = [
        save_atlas(build_atlas(checkpoint, dataset), folder),
        save_vectors(fit_vectors(checkpoint, dataset), folder),
        save_vectors(
            fit_vectors(load_checkpoint(models / "drums_2bar"), tiny_dataset), models / "drums_2bar"
        ),
    ]
    yield
    for path in made:
        path.unlink()


def walk(tonic: int) -> Line:
    """Return four bars up and down a major scale."""
    degrees = (0, 2, 4, 5, 7, 9, 11, 12, 11, 9, 7, 5, 4, 2, 0, 0)
    notes = [Note(4 * at, 4, 60 + tonic % 12 + degree, 0.8) for at, degree in enumerate(degrees)]
    return Line.from_notes(notes, 4)


def test_the_map_lays_out_melodies_by_collection_and_key(mapped: None, tunes: None) -> None:
    app = page("map", "groove_map").run()
    assert not app.exception
    assert not app.error
    colours = app.selectbox(key="map.colour.melody_2bar")
    assert colours.options[:3] == ["Collection", "Key", "Tempo"]
    assert "Drummer" not in colours.options
    colours.select("tonic").run()
    assert not app.exception
    assert "60 melodies" in app.caption[0].value
    [card] = decks(app)[0]["cards"]
    assert card["plays"] == "line"
    assert card["name"] == "Irish dance tunes"


def test_a_melody_is_steered_by_the_attributes_of_melodies(mapped: None, tunes: None) -> None:
    app = page("attributes", "attributes").run()
    [drums] = decks(app)[0]["cards"]
    assert drums["plays"] == "drums"
    app.segmented_control(key="plays").set_value("line").run()
    assert not app.exception
    assert not app.error
    [sliders] = [data["sliders"] for data in components(app) if "sliders" in data]
    assert [one["name"] for one in sliders] == list(LINE_CONTROLS)
    assert "c_diatonic" in {one["name"] for one in sliders if not one["why"]}
    [card] = decks(app)[0]["cards"]
    assert card["plays"] == "line"
