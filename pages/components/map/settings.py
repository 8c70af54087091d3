"""The settings of the map: its widgets, and which points they leave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from musicvae_core.space.atlas import Atlas
from musicvae_core.studio import Studio
from musicvae_core.takes import ModelInfo
from pages.components.map.fields import LABELS, TEMPO, Field, fields_of, matching
from pages.components.settings import WIDTH, choose_kit, choose_model

PROJECTIONS = {"tsne": "t-SNE", "pca": "PCA", "pca3": "PCA in 3D"}
_CLICKS = {False: "plays", True: "adds to the path"}


@dataclass(frozen=True, eq=False)
class MapSettings:
    """What the widgets say.

    Parameters
    ----------
    model, atlas, kit
        Whose map, and how it sounds; `kit` is None where there is no sound.
    projection
        One of `PROJECTIONS`.
    colour
        One of `fields_of`.
    shown
        (N,) bool: the points that filter and search leave.
    to_path
        Whether a click adds to the path.
    """

    model: ModelInfo
    atlas: Atlas
    kit: str | None
    projection: str
    colour: str
    shown: NDArray[np.bool_]
    to_path: bool

    @property
    def is_filtered(self) -> bool:
        """Whether filter or search leave points out."""
        return not bool(self.shown.all())


def read_map_settings(studio: Studio) -> MapSettings:
    """Draw the widgets in rows that wrap, and return what they say.

    Raises
    ------
    MusicVAEError
        If there is no model, or the model has no atlas that can be used.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", key="settings"):
        name = choose_model(studio)
        model = next(model for model in studio.models() if model.name == name)
        atlas = studio.atlas(name)
        fields = fields_of(atlas)
        projection = st.selectbox(
            "Map",
            PROJECTIONS,
            format_func=PROJECTIONS.__getitem__,
            key="map.projection",
            width=WIDTH,
            persist_state="session",
            help="t-SNE keeps neighbours together and says little of what is far apart; PCA "
            "shows the directions in which grooves differ most.",
        )
        colour = st.selectbox(
            "Colour",
            fields,
            format_func=lambda key: fields[key].title,
            key=f"map.colour.{name}",
            width=WIDTH,
            persist_state="session",
        )
        kit = choose_kit(studio)
        shown = _choose_shown(atlas, fields, name)
        to_path = st.segmented_control(
            "A click",
            _CLICKS,
            default=False,
            required=True,
            format_func=_CLICKS.__getitem__,
            key="map.to_path",
            persist_state="session",
        )
    return MapSettings(model, atlas, kit, projection, colour, shown, bool(to_path))


def _choose_shown(atlas: Atlas, fields: dict[str, Field], model: str) -> NDArray[np.bool_]:
    search = st.text_input(
        "Search",
        key="map.search",
        width=WIDTH,
        persist_state="session",
        placeholder="rock 120 beat",
        help="Words of style, drummer, tempo, beat or fill, or the file's name.",
    )
    shown = matching(atlas, search)
    with st.popover("Filter", icon=":material/filter_alt:", key="map.filter"):
        for key in LABELS:
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
    low = float(np.floor(field.values.min()))
    high = float(np.ceil(field.values.max()))
    if low == high:
        return np.ones(len(field.values), bool)
    chosen = st.slider(
        f"{field.title}, {field.unit}" if field.unit else field.title,
        *(low, high, (low, high)),
        key=key,
        persist_state="session",
    )
    return np.asarray((field.values >= chosen[0]) & (field.values <= chosen[1]))
