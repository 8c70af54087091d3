"""Map: real playing laid out in a model's latent space, to hear, search and explore."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from musicvae_core.errors import GridError, MusicVAEError
from musicvae_core.latent.atlas import Atlas
from musicvae_core.music.forms import FORMS
from musicvae_core.studio import Studio
from pages.map.cards import (
    SpotDecoder,
    draw_list,
    draw_neighbours,
    draw_path_controls,
    strip_card,
)
from pages.map.chart import draw_chart
from pages.map.figure import TEMPO, Field, axis_titles, fields_of, map_figure, matching
from pages.map.points import Actions, MapSettings, Path, Spot, own_spots
from pages.shared.actions import as_text, in_background
from pages.shared.card import Card, piece_card
from pages.shared.collection import Source
from pages.shared.deck import shared_studio, source_deck
from pages.shared.play_settings import choose_bars, choose_model
from pages.shared.store import SessionVar, persist_settings

_WIDTH = 120
"""Pixels of a widget: all fit in one row of a screen of 1,440."""
_HINT = """
Click a point to hear it.

Scroll to zoom, drag to move, lasso or box to select.
"""
"""The second paragraph is not shown on a phone: see assets/page.css."""
_POINTER = SessionVar("kept.map.at", (0.0, 0.0))
"""The position of the pointer on the path's strip."""


def groove_map() -> None:
    """Read the settings; draw the map, the selected groove, the lasso's grooves and neighbours."""
    try:
        studio = shared_studio()
        settings = _read_map_settings(studio)
        actions = Actions(settings, own_spots(studio, settings.model))
        try:
            actions.take_sent()
        except GridError as error:  # the map is shown all the same
            st.error(as_text(str(error)))
        actions.start()
        decoder = SpotDecoder(studio, settings.model.name)
        with st.container(key="map-columns"):
            chart, side = st.columns([3, 2])
        with side:
            path = draw_path_controls(decoder, actions)
        with chart:
            draw_chart(settings, actions, path, decoder.DECK, decoder.edited.get())
        with side:
            _draw_selection(decoder, actions, path)
        st.caption(_caption(settings, len(actions.own_spots)))
        draw_list(settings, actions)
        if actions.now.choice:
            draw_neighbours(decoder, actions)
        decoder.send_ahead(settings)
    except MusicVAEError as error:
        st.error(as_text(str(error)))


def prepare_map(open_studio: Callable[[], Studio]) -> None:
    """Prepare a map before anyone opens it, so that the first visit is fast."""
    try:
        _prepare_once(open_studio())
    except MusicVAEError:
        return  # the page explains why


@st.cache_resource(show_spinner=False)
def _prepare_once(_studio: Studio) -> None:
    in_background(lambda: _prepare(_studio))


def _prepare(studio: Studio) -> None:
    """Prepare the map of the first model that has one."""
    model = next((model for model in studio.models() if model.has_atlas), None)
    if model:
        atlas = studio.atlas(model.name)
        atlas.tsne_map.prepare()
        map_figure(
            atlas, next(iter(_PROJECTIONS)), next(iter(fields_of(atlas))), np.ones(len(atlas), bool)
        )
        SpotDecoder(studio, model.name).prepare(model, atlas)


def _draw_selection(decoder: SpotDecoder, actions: Actions, path: Path | None) -> None:
    """Draw the selected groove and, if there is one, the path."""
    now = actions.now
    if not now.choice:
        st.info(_HINT)
    cards = decoder.cards([now.spot] if now.spot else [])
    if path:
        cards.append(strip_card(path, _POINTER.get()))
    if path and now.plays_path:
        bars = choose_bars(len(path.grooves), actions.settings.model.n_bars)
        cards.append(piece_card(path.grooves, bars, path.name))
    selected = now.spot.id if now.spot else ""
    token = f"{decoder.model}.{now.choice}"
    sources = _sources(decoder, now.spot, cards, path)
    source_deck(
        decoder.studio,
        cards,
        sources.__getitem__,
        key=decoder.DECK,
        play=(Path.PIECE if now.plays_path else selected, token) if now.choice else None,
        on_move=lambda _, at: _POINTER.set(at),
    )


def _sources(
    decoder: SpotDecoder, spot: Spot | None, cards: list[Card], path: Path | None
) -> dict[str, Source]:
    """Return each card's source, for favourites and other pages, by the cards' ids."""
    found = {card.id: Source(card.name, card.groove, origin="map") for card in cards}
    if spot:
        found[spot.id] = spot.source(cards[0].groove, decoder.model)
    for card in cards:
        if path and card.morph:
            z = path.codes[card.morph.index_at(card.morph.at)]
            found[Path.STRIP] = Source(path.name, card.groove, z, decoder.model, "map")
    return found


def _caption(settings: MapSettings, n_own: int) -> str:
    n, n_shown = len(settings.atlas), int(settings.shown.sum())
    nouns = FORMS[settings.model.plays].nouns
    count = f"{n_shown:,} of {n:,} {nouns}" if n_shown < n else f"{n:,} {nouns}"
    says = [f"{count} from real performances"]
    if settings.projection == "tsne":
        says.append("Neighbours sound alike; long distances mean little")
    else:
        says.append("; ".join(axis_titles(settings.atlas, settings.projection)))
    if n_own:
        says.append("Yours: ▲ uploads, ★ favourites, ◆ samples and others")
    return ". ".join(says) + "."


_PROJECTIONS = {"tsne": "t-SNE", "pca": "PCA", "pca3": "PCA in 3D"}
_HOVER = "map.hover"
persist_settings({_HOVER: bool})
_CLICKS = {False: "plays", True: "adds to path"}


def _read_map_settings(studio: Studio) -> MapSettings:
    """Draw the widgets in rows that wrap, and return their values.

    Raises
    ------
    MusicVAEError
        If there is no model, or the model has no usable atlas.
    """
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", key="settings")
    with row:
        model = choose_model(studio.models(), lambda model: model.has_atlas)
        atlas = studio.atlas(model.name)
        fields = fields_of(atlas)
        projection = st.selectbox(
            "Map",
            _PROJECTIONS,
            format_func=_PROJECTIONS.__getitem__,
            key="map.projection",
            width=_WIDTH,
            persist_state="session",
            help="t-SNE keeps neighbours together, but its long distances mean little; PCA "
            "shows the directions in which grooves differ most.",
        )
        colour = st.selectbox(
            "Colour",
            fields,
            format_func=lambda key: fields[key].title,
            key=f"map.colour.{model.name}",
            width=_WIDTH,
            persist_state="session",
        )
        shown = _choose_shown(atlas, fields, model.name)
        to_path = st.segmented_control(
            "A click",
            _CLICKS,
            default=False,
            required=True,
            format_func=_CLICKS.__getitem__,
            key="map.to_path",
            persist_state="session",
        )
        hover = st.toggle(
            "Hover plays",
            key=_HOVER,
            persist_state="session",
            help="Play the point under the pointer, without selecting it.",
        )
    return MapSettings(model, atlas, projection, colour, shown, bool(to_path), hover)


def _choose_shown(atlas: Atlas, fields: dict[str, Field], model: str) -> NDArray[np.bool_]:
    search = st.text_input(
        "Search",
        key="map.search",
        max_chars=100,
        width=_WIDTH,
        persist_state="session",
        placeholder="rock 120 beat",
        help="Any words: style, player, tempo, beat or fill, or name.",
    )
    shown = matching(atlas, search)
    with st.popover("Filter", icon=":material/filter_alt:", key="map.filter"):
        for key in (key for key, field in fields.items() if field.is_label):
            shown &= _choose_labels(fields[key], f"map.{key}.{model}")
        shown &= _choose_range(fields[TEMPO], f"map.tempo.{model}")
        numbers = {key: field for key, field in fields.items() if not field.is_label}
        chosen = st.selectbox(
            "Attribute",
            [key for key in numbers if key != TEMPO],
            index=None,
            format_func=lambda key: numbers[key].title,
            key=f"map.attribute.{model}",
            persist_state="session",
            placeholder="None",
        )
        if chosen:
            shown &= _choose_range(numbers[chosen], f"map.range.{chosen}.{model}")
    return shown


def _choose_labels(field: Field, key: str) -> NDArray[np.bool_]:
    names, counts = np.unique(field.values, return_counts=True)
    order = [str(names[at]) for at in np.argsort(-counts, kind="stable")]
    chosen = st.multiselect(field.title, order, key=key, persist_state="session", placeholder="All")
    return np.isin(field.values, chosen) if chosen else np.ones(len(field.values), bool)


def _choose_range(field: Field, key: str) -> NDArray[np.bool_]:
    numbers = field.numbers
    low, high = float(np.floor(numbers.min())), float(np.ceil(numbers.max()))
    if low == high:
        return np.ones(len(numbers), bool)
    chosen = st.slider(
        f"{field.title}, {field.unit}" if field.unit else field.title,
        *(low, high, (low, high)),
        key=key,
        persist_state="session",
    )
    return (numbers >= chosen[0]) & (numbers <= chosen[1])
