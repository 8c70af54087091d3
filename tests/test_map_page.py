"""The Map page over a fake `Studio`: what is drawn, listed and selected."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from fake_studio import FakeStudio, fake_atlas, groove_at
from page_driver import components
from streamlit.testing.v1 import AppTest
from tiny_data import drummed_groove

from musicvae_core.errors import CheckpointError
from musicvae_core.latent.atlas import mean_code
from musicvae_core.music.groove import Groove
from musicvae_core.studio import Studio
from pages.map.cards import _rows_of, _summary
from pages.map.figure import Field, fields_of, map_figure, matching
from pages.map.points import MapSelection, Spot, _middle_spot, _mine_id, point_of
from pages.shared.card import _hits_payload
from pages.shared.collection import Source, bars_phrase, fingerprint
from pages.shared.session import Shelf
from pages.shared.store import History

PAGE = "from pages.map.page import groove_map\ngroove_map()"
MODEL = "groove_2bar"
ATLAS = fake_atlas(MODEL)
SELECTION = f"kept.map.selection.{MODEL}"


@pytest.fixture
def page(studio: FakeStudio) -> AppTest:
    return AppTest.from_string(PAGE, default_timeout=60).run()


def numbers(encoded: object) -> list[float]:
    """What a figure says of an array: a list, or its bytes."""
    if isinstance(encoded, list):
        return encoded
    assert isinstance(encoded, dict)
    return np.frombuffer(base64.b64decode(encoded["bdata"]), encoded["dtype"]).tolist()


def figure(page: AppTest) -> dict:
    assert not page.exception
    [chart] = page.get("plotly_chart")
    return json.loads(chart.proto.spec)


def points(page: AppTest) -> list[int]:
    """The points of the atlas that are drawn in colour."""
    traces = [trace for trace in figure(page)["data"] if "customdata" in trace]
    return sorted(int(point) for trace in traces for point in numbers(trace["customdata"]))


def overlay(page: AppTest) -> dict:
    [found] = [data for data in components(page) if "marks" in data]
    return found


def decks(page: AppTest) -> list[dict]:
    return [data for data in components(page) if "cards" in data]


def select(page: AppTest, *chosen: int, to_path: bool = False) -> AppTest:
    """Do what clicks on points of the atlas do."""
    now = page.session_state[SELECTION] if SELECTION in page.session_state else MapSelection()
    for point in chosen:
        now = now.with_spot(Spot.of_point(ATLAS, point), to_path=to_path)
    page.session_state[SELECTION] = now
    return page.run()


def some_groove(seed: int, n_bars: int = 2) -> Groove:
    return drummed_groove(np.random.default_rng(seed), n_bars, 97.0)


def test_a_first_visit_finds_every_point_and_says_what_to_do(page: AppTest) -> None:
    assert points(page) == list(range(96))
    assert {trace["name"] for trace in figure(page)["data"]} == {
        *("Rock (32)", "Funk (32)", "New Orleans (32)")
    }
    assert "Click a point" in page.info[0].value
    [shown] = decks(page)
    [first] = shown["cards"]
    assert first["id"].startswith("point.")
    assert shown["play"] is None, "nothing plays before it is asked for"
    assert overlay(page)["now"]["id"] == first["id"]
    assert overlay(page) | {"chart": "", "now": None} == {
        **{"chart": "", "marks": [], "now": None, "path": None},
        **{"deck": shown["key"], "model": MODEL, "edited": [], "hover": False, "answered": None},
    }


def test_the_chart_is_of_webgl_with_an_id_and_a_text_for_each_point(page: AppTest) -> None:
    for trace in figure(page)["data"]:
        assert trace["type"] == "scattergl"
        n = len(numbers(trace["customdata"]))
        assert len(numbers(trace["x"])) == len(trace["text"]) == n
        at = int(numbers(trace["customdata"])[5])
        assert numbers(trace["x"])[5] == pytest.approx(float(ATLAS.tsne[at, 0]))


def test_a_chosen_point_plays_and_its_neighbours_stand_below(page: AppTest) -> None:
    shown, near = decks(select(page, 40))
    assert [card["id"] for card in shown["cards"]] == ["point.40"]
    assert shown["play"] == ["point.40", "groove_2bar.1"]
    performance = ATLAS.performance_of(40)
    assert shown["cards"][0]["tempo"] == performance.tempo_bpm
    assert performance.name in shown["cards"][0]["note"]
    assert shown["cards"][0]["hits"] == _hits_payload(
        groove_at(ATLAS.codes[40], performance.tempo_bpm)
    )
    angles = [
        np.arccos(code @ ATLAS.codes[40] / np.linalg.norm(code) / np.linalg.norm(ATLAS.codes[40]))
        for code in ATLAS.codes
    ]
    nearest = [f"point.{at}" for at in np.argsort(angles) if at != 40][:6]
    assert [card["id"] for card in near["cards"]] == nearest
    assert near["cards"][0]["note"].startswith(f"{np.degrees(sorted(angles)[1]):.0f}° away")
    assert overlay(page)["now"]["at"] == pytest.approx(ATLAS.tsne[40].tolist(), abs=1e-4)


def test_choosing_again_plays_again(page: AppTest) -> None:
    select(page, 3)
    assert decks(select(page, 3))[0]["play"] == ["point.3", "groove_2bar.2"]


def test_the_chart_stays_as_it_is_while_grooves_are_chosen(page: AppTest) -> None:
    [before] = page.get("plotly_chart")
    select(page, 3, 70, to_path=True)
    [after] = page.get("plotly_chart")
    assert (before.proto.id, before.proto.spec) == (after.proto.id, after.proto.spec)


def test_a_rerun_decodes_and_renders_nothing_again(
    page: AppTest, studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = components(select(page, 3, 70, to_path=True))
    for name in ("decode", "journey", "wav", "encode"):
        monkeypatch.setattr(studio, name, None)
    assert components(page.run()) == before


def test_two_points_make_a_morph_and_more_a_journey(page: AppTest) -> None:
    shown = decks(select(page, 3, 70, to_path=True))[0]
    strip = shown["cards"][1]
    assert strip["id"] == overlay(page)["path"]["strip"]
    assert len(strip["morph"]["places"]) == 5
    shown = decks(select(page, 20, to_path=True))[0]
    assert len(shown["cards"][1]["morph"]["places"]) == 9
    path = overlay(page)["path"]
    assert len(path["stops"]) == 3
    assert len(path["trail"]) == 9
    np.testing.assert_allclose(path["stops"], ATLAS.tsne[[3, 70, 20]], atol=1e-4)
    assert path["trail"][::4] == path["stops"]
    page.button(key="map.play_path").click().run()
    shown = decks(page)[0]
    piece = shown["cards"][2]
    assert shown["play"][0] == piece["id"] == overlay(page)["path"]["piece"]
    assert piece["steps"] == 9 * 32


def test_a_path_is_taken_back_stop_by_stop_or_as_a_whole(page: AppTest) -> None:
    select(page, 3, 70, 20, to_path=True)
    page.button(key="map.back").click().run()
    assert len(overlay(page)["path"]["stops"]) == 2
    page.button(key="map.clear").click().run()
    assert overlay(page)["path"] is None
    assert [card["id"] for card in decks(page)[0]["cards"]] == ["point.20"]


def test_a_path_has_as_many_stops_as_it_may_and_none_twice_in_a_row() -> None:
    spots = [Spot.of_point(ATLAS, at) for at in range(MapSelection.MAX_STOPS + 3)]
    now = MapSelection()
    for spot in [spots[0], spots[0], *spots[1:]]:
        now = now.with_spot(spot, to_path=True)
    assert [spot.id for spot in now.path] == [spot.id for spot in spots[: MapSelection.MAX_STOPS]]
    assert now.spot is spots[-1]
    assert not now.with_spot(spots[0]).plays_path


def test_the_middle_of_a_lasso_plays_and_what_is_inside_is_listed(page: AppTest) -> None:
    inside = (2, 5, 40)
    spot = _middle_spot(ATLAS, np.array(inside))
    np.testing.assert_allclose(spot.z, mean_code(ATLAS.codes[list(inside)]))
    page.session_state[SELECTION] = MapSelection().with_lasso(spot, inside)
    page.run()
    assert page.subheader[0].value == "Inside: 3 grooves"
    assert page.dataframe[0].value["Style"].tolist() == ["Rock", "Rock", "Funk"]
    assert decks(page)[0]["cards"][0]["name"] == "Middle of 3"
    page.button(key="map.clear_lasso").click().run()
    assert not page.dataframe
    assert decks(page)[0]["cards"][0]["name"] == "Middle of 3"


def test_the_search_that_the_field_shows_finds_grooves(page: AppTest) -> None:
    shipped = Studio()
    for model in shipped.models("drums"):
        example = page.text_input(key="map.search").placeholder
        assert matching(shipped.atlas(model.name), example).any(), model.name


def test_search_leaves_ghosts_and_a_list(page: AppTest) -> None:
    page.text_input(key="map.search").set_value("new orleans fill").run()
    assert points(page) == list(range(80, 96))
    ghosts = figure(page)["data"][0]
    assert ghosts["hoverinfo"] == "skip"
    assert len(numbers(ghosts["x"])) == 80
    assert page.subheader[0].value == "Found: 16 grooves"
    page.text_input(key="map.search").set_value("nothing like it").run()
    assert points(page) == []
    assert page.subheader[0].value == "Found: 0 grooves"


def test_filters_add_up(page: AppTest) -> None:
    page.multiselect(key=f"map.style.{MODEL}").set_value(["Rock", "Funk"]).run()
    page.multiselect(key=f"map.kind.{MODEL}").set_value(["fill"]).run()
    assert points(page) == [*range(16, 32), *range(48, 64)]
    page.slider(key=f"map.tempo.{MODEL}").set_value((100.0, 130.0)).run()
    assert points(page) == list(range(48, 64))
    select(page, 50)
    near = decks(page)[1]["cards"]
    assert all(48 <= point_of(card["id"]) < 64 for card in near)


def test_an_attribute_colours_and_filters(page: AppTest) -> None:
    page.selectbox(key=f"map.colour.{MODEL}").set_value("kick_activity").run()
    [trace] = figure(page)["data"]
    field = fields_of(ATLAS)["kick_activity"]
    np.testing.assert_allclose(numbers(trace["marker"]["color"]), field.values, rtol=1e-6)
    assert "hits a bar" in trace["marker"]["colorbar"]["title"]["text"]
    page.selectbox(key=f"map.attribute.{MODEL}").set_value("kick_activity").run()
    page.slider(key=f"map.range.kick_activity.{MODEL}").set_value((2.0, 4.0)).run()
    expected = np.flatnonzero((field.values >= 2) & (field.values <= 4))
    assert points(page) == expected.tolist()


@pytest.mark.parametrize(("projection", "n_axes"), [("pca", 2), ("pca3", 3)])
def test_principal_components_say_their_share(page: AppTest, projection: str, n_axes: int) -> None:
    page.selectbox(key="map.projection").set_value(projection).run()
    select(page, 7)
    drawn = figure(page)
    kind = "scatter3d" if n_axes == 3 else "scattergl"
    assert {trace["type"] for trace in drawn["data"]} == {kind}
    assert "PC 1, 40.0% of the variance" in json.dumps(drawn["layout"])
    assert "PC 2, 30.0% of the variance" in page.caption[0].value
    expected = ATLAS.principal.place(ATLAS.codes[[7]])[0, :n_axes]
    assert overlay(page)["now"]["at"] == pytest.approx(expected.tolist(), abs=1e-4)


def test_the_users_grooves_are_on_the_map_once(page: AppTest, studio: FakeStudio) -> None:
    upload = Source("Mine", some_groove(1, n_bars=5), origin="upload")
    short = Source("Short", some_groove(2, n_bars=1), origin="demo")
    star = Source("Star", some_groove(3), origin="favourite")
    [sample] = studio.sample(MODEL, 1, seed=9)
    page.session_state["kept.library"] = {
        source.id: source for source in (upload, short, Source("Twin", star.groove))
    }
    page.session_state["kept.favourites"] = History({fingerprint(star.groove): star})
    page.session_state["kept.sample.shelf"] = History(Shelf().renewed([sample], "seed 9"))
    marks = {mark["name"]: mark for mark in overlay(page.run())["marks"]}
    kinds = {name: marks[name]["kind"] for name in ("Mine", "Short", "Star")}
    assert kinds == {"Mine": "upload", "Short": "other", "Star": "favourite"}
    assert len(marks) == 4
    page.selectbox(key="map.projection").set_value("pca").run()
    [sampled] = [m for m in overlay(page)["marks"] if m["name"] not in kinds]
    expected = ATLAS.principal.place(sample.z[None])[0, :2]
    assert sampled["at"] == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_groove_that_was_sent_is_selected_and_plays_as_it_is(page: AppTest) -> None:
    sent = Source("Sent", some_groove(4), origin="sample")
    page.session_state["kept.library"] = {sent.id: sent}
    page.session_state["kept.map.inbox"] = [sent]
    [card] = decks(page.run())[0]["cards"]
    assert (card["id"], card["name"], card["tempo"]) == (_mine_id(sent.groove), "Sent", 97.0)
    assert card["hits"] == _hits_payload(sent.groove)
    assert decks(page)[0]["play"] == [card["id"], "groove_2bar.1"]


def test_each_model_has_its_own_selection(page: AppTest) -> None:
    select(page, 3)
    page.selectbox(key="model").set_value("drums_2bar").run()
    assert decks(page)[0]["cards"][0]["id"] != "point.3"
    page.selectbox(key="model").set_value(MODEL).run()
    assert decks(page)[0]["cards"][0]["id"] == "point.3"


def test_a_missing_atlas_is_one_sentence_and_other_models_can_be_chosen(
    page: AppTest, studio: FakeStudio
) -> None:
    studio.error = CheckpointError("There is no atlas: make it with the atlas command.")
    page.run()
    assert [error.value for error in page.error] == [str(studio.error)]
    studio.error = None
    page.selectbox(key="model").set_value("drums_2bar").run()
    assert not page.error
    assert points(page) == list(range(96))


def test_without_sound_points_are_drawn_and_saved(page: AppTest, studio: FakeStudio) -> None:
    studio.sound_problem = "FluidSynth is missing: install libfluidsynth3."
    [card] = decks(select(page, 3))[0]["cards"]
    assert card["midi"]
    assert all(
        deck["problem"] == studio.sound_problem for deck in components(page) if "cards" in deck
    )


def test_a_view_is_part_of_the_figure_and_the_figure_is_made_once() -> None:
    shown = np.ones(96, bool)
    whole = map_figure(ATLAS, "tsne", "style", shown, None)
    near = map_figure(ATLAS, "tsne", "style", shown, (0.0, 2.0, 1.0, 3.0))
    fitted = whole.layout.xaxis.autorangeoptions
    low, high = fitted.minallowed, fitted.maxallowed
    assert low < ATLAS.tsne[:, 0].min() < ATLAS.tsne[:, 0].max() < high
    assert (near.layout.xaxis.range, near.layout.yaxis.range) == ((0.0, 2.0), (1.0, 3.0))
    assert map_figure(ATLAS, "tsne", "style", shown.copy(), None) is whole
    assert {trace.type for trace in whole.data} == {"scattergl"}
    plain = map_figure(ATLAS, "tsne", "style", shown, None, webgl=False)
    assert {trace.type for trace in plain.data} == {"scatter"}
    assert [trace.name for trace in plain.data] == [trace.name for trace in whole.data]


@pytest.mark.parametrize(
    ("unit", "value", "said"),
    [
        ("semitones", 1.0, "1 semitone"),
        ("hits a bar", 1.0, "1 hit a bar"),
        ("hits a bar", 1.5, "1.5 hits a bar"),
        ("% of steps", 56.0, "56% of steps"),
        ("", 2.0, "2"),
    ],
)
def test_a_value_stands_with_its_unit(unit: str, value: float, said: str) -> None:
    assert Field("Title", unit, np.array([value])).amount(value) == said


def test_a_search_finds_words_of_all_that_is_known() -> None:
    assert matching(ATLAS, "").all()
    assert np.flatnonzero(matching(ATLAS, "FUNK 110 bpm")).tolist() == list(range(48, 64))
    for search in ("drummer 2 neworleans", "drummer2 new orl", "fill New Orleans 130"):
        assert np.flatnonzero(matching(ATLAS, search)).tolist() == list(range(80, 96))
    assert not matching(ATLAS, "drummer2 funk 11").any()


def test_the_list_names_performance_and_window() -> None:
    rows = _rows_of(ATLAS, [0, 95])
    assert rows["Performance"] == ["drummer1/0.mid", "drummer2/5.mid"]
    assert rows["Window"] == [bars_phrase(0, 2), bars_phrase(15, 2)]
    assert rows["Style"] == ["Rock", "New Orleans"]
    assert _summary(ATLAS, [0, 1, 95]) == "Rock 2, New Orleans 1. 2 drummers; 80 to 130 bpm."


@pytest.mark.parametrize("projection", ["tsne", "pca"])
def test_a_search_moves_no_point(projection: str) -> None:
    every, few = np.ones(len(ATLAS), bool), np.arange(len(ATLAS)) < 7
    layouts = [map_figure(ATLAS, projection, "style", shown).layout for shown in (every, few)]
    views = [
        (one.xaxis.autorangeoptions, one.yaxis.autorangeoptions, one.margin) for one in layouts
    ]
    assert views[0] == views[1]
    assert layouts[0].margin.autoexpand is False
