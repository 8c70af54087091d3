"""Attributes: sliders that say how a groove should be, and the groove steered to match."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import numpy as np
import streamlit as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from musicvae_core.errors import MusicVAEError
from musicvae_core.latent.attribute_vectors import FILL, AttributeVectors
from musicvae_core.latent.results import ModelInfo, SteeredTake
from musicvae_core.music.attributes import Control
from musicvae_core.music.forms import FORMS, Music, drums_of, form_of
from musicvae_core.music.grid import VELOCITY_LEVELS
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import Line
from musicvae_core.studio import Studio
from pages.attributes.steering import RequestHistory, SteeringRequest
from pages.shared.actions import Name, Revision, action, as_text, component, on_event
from pages.shared.card import Card
from pages.shared.collection import Source, favourites, slots
from pages.shared.deck import HASH_FUNCS, shared_studio, source_deck
from pages.shared.names import style_in_text
from pages.shared.play_settings import choose_model, draw_undo
from pages.shared.sources import choose_groove
from pages.shared.store import SessionVar

_PRESS = 1.0
"""How much of a style's vector one press of its button adds."""
_MAX_STEERED = 64
_SHORT_BARS = 4
_POSITIONS, _POSITIONS_OF_PIECES = 9, 5
"""Positions decoded ahead along each slider: for grooves up to `_SHORT_BARS` bars, and longer."""
_DECK, _CARD = "attributes.deck", "steered"


def attributes() -> None:
    """Read the requests for the groove, steer it accordingly, and draw it above the sliders."""
    try:
        studio = shared_studio()
        settings = st.container(horizontal=True, vertical_alignment="bottom", key="settings")
        details = st.container(horizontal=True, vertical_alignment="bottom", key="details")
        with settings:
            model = choose_model(studio.models(), lambda model: model.has_vectors)
            noun = FORMS[model.plays].noun
            label = noun.capitalize()
            [slot] = slots.keys("attributes", model.plays, ["groove"])
            source = choose_groove(studio, slot, label, model=model, details=details)
            if source is None:
                st.info(f"Choose a {noun} to steer.")
                return
        vectors = studio.attribute_vectors(model.name)
        followed = RequestHistory(source.id).now.limited_to(vectors.names)
        steered = _steered(studio, model, source.groove, *followed.as_key())
        panel = _Panel(source.id, model, vectors, followed, steered)
        left, right = st.columns(2, gap="large")
        with left:
            _draw_deck(studio, steered, source, followed)
        with right:
            _draw_buttons(panel)
            _draw_styles(panel)
        # Decode ahead what the sliders will do; last, so that nothing waits for it.
        ahead: _Ahead = {}
        if isinstance(source.groove, Groove | Line):
            ahead = _ahead(studio, steered, model, source.groove, *followed.as_key())
        _draw_sliders(panel, _DECK, _CARD, ahead)
    except MusicVAEError as error:
        st.error(as_text(str(error)))


@st.cache_resource(max_entries=_MAX_STEERED, show_spinner=False, hash_funcs=HASH_FUNCS)
def _steered(
    _studio: Studio,
    model: ModelInfo,
    groove: Music,
    targets: tuple[tuple[str, float], ...],
    presses: tuple[tuple[str, int], ...],
) -> SteeredTake:
    """Return a groove steered as requested, computed once for all sessions."""
    [z] = _studio.encode(model.name, [groove])
    styles = {label: _PRESS * count for label, count in presses}
    tempo_bpm = groove.tempo_bpm
    return _studio.steer(model.name, z, dict(targets), styles=styles, tempo_bpm=tempo_bpm)


@st.cache_resource(max_entries=_MAX_STEERED, show_spinner=False, hash_funcs=HASH_FUNCS)
def _ahead(
    _studio: Studio,
    _steered: SteeredTake,
    model: ModelInfo,
    groove: Music,
    targets: tuple[tuple[str, float], ...],
    presses: tuple[tuple[str, int], ...],
) -> _Ahead:
    """Return what each slider leads to from a steered groove, computed once for all sessions."""
    take = _steered.take
    n = _POSITIONS if model.n_bars <= _SHORT_BARS else _POSITIONS_OF_PIECES
    return _studio.steer_ahead(model.name, take.z, n, tempo_bpm=take.groove.tempo_bpm)


def _draw_deck(
    studio: Studio, steered: SteeredTake, source: Source, request: SteeringRequest
) -> None:
    take, groove = steered.take, steered.take.groove
    name = f"{source.name}, steered" if request else source.name
    result = Source(name, groove, take.z, take.model, "steered")
    card = Card(
        _CARD, name, groove, _in_words(request, form_of(groove).controls), favourites.has(groove)
    )
    source_deck(
        studio,
        [replace(card, before=source.groove, before_name=source.name)],
        lambda _: result,
        key=_DECK,
    )


def _draw_buttons(panel: _Panel) -> None:
    known, history = panel.vectors.names, RequestHistory(panel.groove)
    with st.container(horizontal=True, gap="xsmall", key="buttons"):
        st.button(
            "Reset all",
            icon=":material/restart_alt:",
            key="attributes.reset",
            disabled=not panel.request,
            help="Release all sliders" if panel.request else "No slider is set",
            on_click=action(history.reset, known),
        )
        draw_undo(
            "attributes.undo",
            history.can_undo(known),
            "the sliders",
            lambda: history.undo(known),
        )
    if waiting := history.now.beyond(known):
        said = _in_words(waiting, FORMS[panel.model.plays].controls)
        st.caption(f"Not available in this model: {said}")


_Ahead = Mapping[str, Sequence[tuple[float, Music]]]
"""By attribute, what a slider leads to: see `Studio.steer_ahead`."""
_KEY = "attributes.sliders"
_REVISION = SessionVar("attributes.sliders.revision", 0)
_NO_FEEL = "{} has no loudness or timing: choose a model with feel."
_NO_CHANGE = "This never varies in the music that the model learned from."


@dataclass(frozen=True, eq=False)
class _Panel:
    """What the sliders represent: a groove, the requests for it, and the result.

    Parameters
    ----------
    groove
        The id of the groove.
    model, vectors
        What steers it.
    request, steered
        The requests that the model can follow, and the result.
    """

    groove: str
    model: ModelInfo
    vectors: AttributeVectors
    request: SteeringRequest
    steered: SteeredTake


def _draw_styles(panel: _Panel) -> None:
    """Draw a button for more of each style, and two for more like a beat or a fill."""
    with st.container(horizontal=True, gap="xsmall", key="attributes.styles"):
        for label in panel.vectors.labels:
            if label == FILL:
                _draw_press(panel, label, -1, "More like a beat")
                _draw_press(panel, label, 1, "More like a fill")
            else:
                _draw_press(panel, label, 1, f"More {style_in_text(label)}")


def _draw_press(panel: _Panel, label: str, by: int, text: str) -> None:
    count = by * panel.request.presses.get(label, 0)
    is_full = count >= SteeringRequest.MAX_PRESSES
    st.button(
        f"{text} ({count})" if count > 0 else text,
        key=f"attributes.press.{label}.{by}",
        disabled=is_full,
        help="This is the limit; use Undo or Reset all to go back." if is_full else None,
        on_click=action(_press, panel.groove, label, by),
    )


def _draw_sliders(panel: _Panel, deck: str, card: str, ahead: _Ahead) -> None:
    """Draw every slider under its heading; one that the model cannot follow says why.

    Parameters
    ----------
    panel
        What they represent.
    deck, card
        Keys of the deck and card that show the groove, and play `ahead` while a slider is dragged.
    ahead
        See `Studio.steer_ahead`.
    """
    controls = FORMS[panel.model.plays].controls
    set_targets = partial(_set_targets, panel.groove, controls)
    _mount(
        key=_KEY,
        data={
            "groove": panel.groove,
            "deck": deck,
            "card": card,
            "plays": panel.model.plays,
            "revision": _REVISION.get(),
            "sliders": [
                _slider(panel, name, control, ahead.get(name, ()))
                for name, control in controls.items()
            ],
        },
        on_set_change=on_event(_KEY, "set", _TARGETS, set_targets),
    )


def _slider(
    panel: _Panel, name: str, control: Control, ahead: Sequence[tuple[float, Music]]
) -> dict[str, Any]:
    """Return what the browser needs to draw a slider."""
    title = {"name": name, "title": control.title, "unit": control.unit, "group": control.group}
    if name not in panel.vectors.controls:
        is_flat = control.of_feel and not panel.model.has_feel
        why = _NO_FEEL.format(panel.model.title) if is_flat else _NO_CHANGE
        still = {
            "min": 0,
            "max": 1,
            "step": 1,
            "value": 0,
            "isSet": False,
            "result": "",
            "ahead": [],
        }
        return title | still | {"help": control.help, "why": why}
    measured = panel.steered.after[name]
    is_set = name in panel.request.targets
    value = panel.request.targets.get(name, measured)
    low, high = _slider_range(panel.vectors, name, control, value)
    is_off = is_set and abs(measured - value) * control.scale > control.step
    return title | {
        "help": control.help,
        "min": low,
        "max": high,
        "step": float(control.step),
        "value": min(high, max(low, _shown(control, value))),
        "isSet": is_set,
        "why": "",
        "result": f"The closest this groove gets: {_amount(control, measured)}" if is_off else "",
        "ahead": [[_shown(control, value), _packed(music)] for value, music in ahead],
    }


def _packed(music: Music) -> list[int]:
    """Return the hits of drums or the notes of a melody in one list, four numbers for each.

    Step, voice, velocity in 127ths and offset in 100ths of a hit; step, length in steps, pitch
    and velocity in 127ths of a note.
    """
    if isinstance(music, Line):
        notes = [(*note[:3], round(VELOCITY_LEVELS * note.velocity)) for note in music.notes()]
        return [number for note in notes for number in note]
    groove = drums_of(music)
    cells = np.argwhere(groove.hits)
    at = tuple(cells.T)
    levels = np.rint(VELOCITY_LEVELS * groove.velocities[at]).astype(int)
    hundredths = np.rint(100 * groove.offsets[at]).astype(int)
    packed: list[int] = np.column_stack([cells, levels, hundredths]).ravel().tolist()
    return packed


class _Targets(BaseModel):
    """Positions of the sliders, in shown units; None releases one."""

    model_config = ConfigDict(frozen=True)

    groove: Annotated[str, Field(strict=True, max_length=400)]
    revision: Revision
    targets: Annotated[
        dict[Name, Annotated[float, Field(strict=True, ge=-1e4, le=1e4)] | None],
        Field(max_length=64),
    ]


_TARGETS = TypeAdapter(_Targets)


def _set_targets(groove: str, controls: Mapping[str, Control], sent: _Targets) -> None:
    """Request what the sliders of a groove say.

    Ignore those of a groove no longer on the page, and what is sent again: it was carried out, and
    may have been undone since.
    """
    if sent.groove != groove or sent.revision <= _REVISION.get():
        return
    _REVISION.set(sent.revision)
    history = RequestHistory(groove)
    request = history.now
    for name in sent.targets.keys() & controls.keys():
        value = sent.targets[name]
        if value is None:
            request = request.without_target(name)
        else:
            request = request.with_target(name, value / controls[name].scale)
    history.record(request)


def _press(groove: str, label: str, by: int) -> None:
    history = RequestHistory(groove)
    history.record(history.now.pressed(label, by))


def _slider_range(
    vectors: AttributeVectors, name: str, control: Control, value: float
) -> tuple[float, float]:
    """Return the ends of a slider in shown units: the range in real music, with the value."""
    at = vectors.controls.index(name)
    lowest, highest = min(vectors.lowest[at], value), max(vectors.highest[at], value)
    low = control.step * math.floor(lowest * control.scale / control.step)
    high = control.step * math.ceil(highest * control.scale / control.step)
    return float(low), float(max(high, low + control.step))


def _shown(control: Control, value: float) -> float:
    """Return a value in shown units, rounded to the slider's steps."""
    return float(control.step * round(value * control.scale / control.step))


def _amount(control: Control, value: float) -> str:
    """Return a value with its unit, such as ``"12% of a step"`` or ``"4.5 hits a bar"``."""
    number = f"{value * control.scale:.{0 if control.step >= 1 else 1}f}"
    return f"{number}{control.unit}" if control.unit.startswith("%") else f"{number} {control.unit}"


def _in_words(request: SteeringRequest, controls: Mapping[str, Control]) -> str:
    """Return the requests in a line."""
    parts = [
        f"{controls[name].title} {_amount(controls[name], value)}"
        for name, value in request.targets.items()
    ]
    for label, count in request.presses.items():
        times = f" ({abs(count)})" if abs(count) > 1 else ""
        what = ("a fill" if count > 0 else "a beat") if label == FILL else style_in_text(label)
        parts.append(f"more {'of ' if label == FILL else ''}{what}{times}")
    return ", ".join(parts) or "As the model plays it"


_mount = component("sliders")
