"""The sliders and style buttons of the Attributes page."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from musicvae_core.controls import CONTROLS, Control
from musicvae_core.space.attribute_vectors import FILL, AttributeVectors
from musicvae_core.takes import ModelInfo, SteeredTake
from pages.components.attributes.wishes import MAX_PRESSES, Wishes, ask, wishes_of
from pages.components.moving import key_where, newest_key
from pages.components.names import style_in_text

_NO_FEEL = "{} plays no loudness or timing of its own: choose a model with feel."
_NO_CHANGE = "The music that this model learned from never varies in it."


@dataclass(frozen=True, eq=False)
class Panel:
    """What the sliders stand for: a groove, what is asked of it, and what came of that.

    Parameters
    ----------
    groove
        The id of the groove.
    model, vectors
        What steers it.
    wishes, steered
        What is asked that the model can follow, and the answer.
    """

    groove: str
    model: ModelInfo
    vectors: AttributeVectors
    wishes: Wishes
    steered: SteeredTake


def draw_styles(panel: Panel) -> None:
    """Draw a button for more of each style, and two between beat and fill."""
    with st.container(horizontal=True, gap="xsmall", key="attributes.styles"):
        for label in panel.vectors.labels:
            if label == FILL:
                _draw_press(panel, label, -1, "More of a beat")
                _draw_press(panel, label, 1, "More of a fill")
            else:
                _draw_press(panel, label, 1, f"More {style_in_text(label)}")


def _draw_press(panel: Panel, label: str, by: int, text: str) -> None:
    count = by * panel.wishes.presses.get(label, 0)
    is_full = count >= MAX_PRESSES
    st.button(
        f"{text} ({count})" if count > 0 else text,
        key=f"attributes.press.{label}.{by}",
        disabled=is_full,
        help="That is as far as it goes; Undo or Reset all leads back." if is_full else None,
        on_click=lambda: ask(panel.groove, wishes_of(panel.groove).pressed(label, by)),
    )


def draw_sliders(panel: Panel) -> None:
    """Draw every slider under its heading; those that the model cannot follow say why."""
    groups = list(dict.fromkeys(control.group for control in CONTROLS.values()))
    for group, column in zip(groups, st.columns(len(groups), gap="large"), strict=True):
        with column:
            st.markdown(f"**{group}**")
            for name, control in CONTROLS.items():
                if control.group == group:
                    _draw_slider(panel, name, control)


def _draw_slider(panel: Panel, name: str, control: Control) -> None:
    if name not in panel.vectors.controls:
        is_flat = control.of_feel and not panel.model.has_feel
        why = _NO_FEEL.format(panel.model.title) if is_flat else _NO_CHANGE
        key = f"attributes.none.{name}"
        st.slider(control.title, 0.0, 1.0, 0.0, key=key, format=" ", disabled=True, help=why)
        return
    measured = panel.steered.after[name]
    is_set = name in panel.wishes.targets
    value = panel.wishes.targets.get(name, measured)
    low, high = slider_range(panel.vectors, name, value)
    at = min(high, max(low, shown(control, value)))
    key = key_where(
        _name(name), lambda now: math.isclose(now, at, abs_tol=control.step / 100), (low, high)
    )
    with st.container(horizontal=True, wrap=False, vertical_alignment="bottom", gap="xsmall"):
        st.slider(
            f"{control.title}, {control.unit}",
            *(low, high, at),
            step=float(control.step),
            format="%.1f" if control.step < 1 else "%.0f",
            key=key,
            help=control.help,
            on_change=_setter(panel, name, key),
        )
        st.button(
            "",
            icon=":material/restart_alt:",
            key=f"attributes.reset.{name}",
            type="tertiary",
            disabled=not is_set,
            help=f"Let {control.title} rest" if is_set else "It rests; nothing to reset",
            on_click=lambda: ask(panel.groove, wishes_of(panel.groove).without_target(name)),
        )
    if is_set and abs(measured - value) * control.scale > control.step:
        st.caption(f"As near as this groove gets: {amount(control, measured)}")


def _name(name: str) -> str:
    return f"attributes.slider.{name}"


def _setter(panel: Panel, name: str, key: str) -> Callable[[], None]:
    def set_target() -> None:
        if key != newest_key(_name(name)):
            return
        target = st.session_state[key] / CONTROLS[name].scale
        ask(panel.groove, wishes_of(panel.groove).with_target(name, target))

    return set_target


def slider_range(vectors: AttributeVectors, name: str, value: float) -> tuple[float, float]:
    """Return the ends of a slider in shown units: where music lies, and the value with it."""
    control, at = CONTROLS[name], vectors.controls.index(name)
    lowest, highest = min(vectors.lowest[at], value), max(vectors.highest[at], value)
    low = control.step * math.floor(lowest * control.scale / control.step)
    high = control.step * math.ceil(highest * control.scale / control.step)
    return float(low), float(max(high, low + control.step))


def shown(control: Control, value: float) -> float:
    """Return a value in shown units, on the slider's steps."""
    return float(control.step * round(value * control.scale / control.step))


def amount(control: Control, value: float) -> str:
    """Return a value with its unit, such as ``"12% of a step"`` or ``"4.5 hits a bar"``."""
    number = f"{value * control.scale:.{0 if control.step >= 1 else 1}f}"
    return f"{number}{control.unit}" if control.unit.startswith("%") else f"{number} {control.unit}"


def in_words(wishes: Wishes) -> str:
    """Return what is asked for in a line."""
    parts = [
        f"{CONTROLS[name].title} {amount(CONTROLS[name], value)}"
        for name, value in wishes.targets.items()
    ]
    for label, count in wishes.presses.items():
        times = f" ({abs(count)})" if abs(count) > 1 else ""
        what = ("a fill" if count > 0 else "a beat") if label == FILL else style_in_text(label)
        parts.append(f"more {'of ' if label == FILL else ''}{what}{times}")
    return ", ".join(parts) or "As the model plays it"
