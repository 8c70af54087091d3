"""The sliders and style buttons of the Attributes page."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from musicvae_core.latent.attribute_vectors import FILL, AttributeVectors
from musicvae_core.latent.results import ModelInfo, SteeredTake
from musicvae_core.music.attributes import CONTROLS, Control
from musicvae_core.music.grid import VELOCITY_LEVELS
from musicvae_core.music.groove import Groove
from pages.shared.actions import action, component, on_event
from pages.shared.events import TARGETS, Targets
from pages.shared.lasting import lasting
from pages.shared.names import style_in_text

Ahead = Mapping[str, Sequence[tuple[float, Groove]]]
"""By attribute, what a slider leads to: see `Studio.steer_ahead`."""
_KEY = "attributes.sliders"
_REVISION = "attributes.sliders.revision"
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
    is_full = count >= _MAX_PRESSES
    st.button(
        f"{text} ({count})" if count > 0 else text,
        key=f"attributes.press.{label}.{by}",
        disabled=is_full,
        help="That is as far as it goes; Undo or Reset all leads back." if is_full else None,
        on_click=action(_press, panel.groove, label, by),
    )


def draw_sliders(panel: Panel, deck: str, card: str, ahead: Ahead) -> None:
    """Draw every slider under its heading; those that the model cannot follow say why.

    Parameters
    ----------
    panel
        What they stand for.
    deck, card
        Keys of what shows the groove, and plays what is `ahead` while a slider is dragged.
    ahead
        See `Studio.steer_ahead`.
    """
    revision = st.session_state.get(_REVISION, 0)
    _mount(
        key=_KEY,
        data={
            "groove": panel.groove,
            "deck": deck,
            "card": card,
            "revision": revision,
            "sliders": [
                _slider(panel, name, control, ahead.get(name, ()))
                for name, control in CONTROLS.items()
            ],
        },
        on_set_change=on_event(_KEY, "set", TARGETS, partial(_set_targets, panel.groove)),
    )


def _slider(
    panel: Panel, name: str, control: Control, ahead: Sequence[tuple[float, Groove]]
) -> dict[str, Any]:
    """Return what the front shows of a slider."""
    title = {"name": name, "title": control.title, "unit": control.unit, "group": control.group}
    if name not in panel.vectors.controls:
        is_flat = control.of_feel and not panel.model.has_feel
        why = _NO_FEEL.format(panel.model.title) if is_flat else _NO_CHANGE
        still = {"min": 0, "max": 1, "step": 1, "value": 0, "isSet": False, "said": "", "ahead": []}
        return title | still | {"help": control.help, "why": why}
    measured = panel.steered.after[name]
    is_set = name in panel.wishes.targets
    value = panel.wishes.targets.get(name, measured)
    low, high = _slider_range(panel.vectors, name, value)
    is_off = is_set and abs(measured - value) * control.scale > control.step
    return title | {
        "help": control.help,
        "min": low,
        "max": high,
        "step": float(control.step),
        "value": min(high, max(low, _shown(control, value))),
        "isSet": is_set,
        "why": "",
        "said": f"As near as this groove gets: {_amount(control, measured)}" if is_off else "",
        "ahead": [[_shown(control, value), _packed_hits(groove)] for value, groove in ahead],
    }


def _packed_hits(groove: Groove) -> list[int]:
    """Return step, voice, velocity in 127ths and offset in 100ths of every hit, in one list."""
    cells = np.argwhere(groove.hits)
    at = tuple(cells.T)
    levels = np.rint(VELOCITY_LEVELS * groove.velocities[at]).astype(int)
    hundredths = np.rint(100 * groove.offsets[at]).astype(int)
    packed: list[int] = np.column_stack([cells, levels, hundredths]).ravel().tolist()
    return packed


def _set_targets(groove: str, said: Targets) -> None:
    """Ask of a groove what its sliders say; those of one that has left the page are ignored."""
    if said.groove != groove:
        return
    st.session_state[_REVISION] = said.revision
    wishes = wishes_of(groove)
    for name in said.targets.keys() & CONTROLS.keys():
        value = said.targets[name]
        if value is None:
            wishes = wishes.without_target(name)
        else:
            wishes = wishes.with_target(name, value / CONTROLS[name].scale)
    _ask(groove, wishes)


def _press(groove: str, label: str, by: int) -> None:
    _ask(groove, wishes_of(groove).pressed(label, by))


def _slider_range(vectors: AttributeVectors, name: str, value: float) -> tuple[float, float]:
    """Return the ends of a slider in shown units: where music lies, and the value with it."""
    control, at = CONTROLS[name], vectors.controls.index(name)
    lowest, highest = min(vectors.lowest[at], value), max(vectors.highest[at], value)
    low = control.step * math.floor(lowest * control.scale / control.step)
    high = control.step * math.ceil(highest * control.scale / control.step)
    return float(low), float(max(high, low + control.step))


def _shown(control: Control, value: float) -> float:
    """Return a value in shown units, on the slider's steps."""
    return float(control.step * round(value * control.scale / control.step))


def _amount(control: Control, value: float) -> str:
    """Return a value with its unit, such as ``"12% of a step"`` or ``"4.5 hits a bar"``."""
    number = f"{value * control.scale:.{0 if control.step >= 1 else 1}f}"
    return f"{number}{control.unit}" if control.unit.startswith("%") else f"{number} {control.unit}"


def in_words(wishes: Wishes) -> str:
    """Return what is asked for in a line."""
    parts = [
        f"{CONTROLS[name].title} {_amount(CONTROLS[name], value)}"
        for name, value in wishes.targets.items()
    ]
    for label, count in wishes.presses.items():
        times = f" ({abs(count)})" if abs(count) > 1 else ""
        what = ("a fill" if count > 0 else "a beat") if label == FILL else style_in_text(label)
        parts.append(f"more {'of ' if label == FILL else ''}{what}{times}")
    return ", ".join(parts) or "As the model plays it"


_mount = component("sliders")

_MAX_PRESSES = 4
"""How often a style can be asked for, either way: further out there is little music."""
_KEPT = "kept.attributes.wishes"


@dataclass(frozen=True)
class Wishes:
    """What is asked for.

    Parameters
    ----------
    targets
        What attributes should measure, by name, in their own units.
    presses
        How often more of a label was asked for, less of it counted down; never 0.
    """

    targets: Mapping[str, float] = field(default_factory=dict)
    presses: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.targets or self.presses)

    def with_target(self, name: str, value: float) -> Wishes:
        """Return the wishes with one attribute set."""
        return replace(self, targets={**self.targets, name: value})

    def without_target(self, name: str) -> Wishes:
        """Return the wishes with one attribute at rest."""
        rest = {other: value for other, value in self.targets.items() if other != name}
        return replace(self, targets=rest)

    def limited_to(self, known: Collection[str]) -> Wishes:
        """Return the wishes that a model can follow, by the names of what it knows."""
        targets = {name: value for name, value in self.targets.items() if name in known}
        return Wishes(targets, {name: n for name, n in self.presses.items() if name in known})

    def beyond(self, known: Collection[str]) -> Wishes:
        """Return the wishes that wait for a model that can follow them."""
        targets = {name: value for name, value in self.targets.items() if name not in known}
        return Wishes(targets, {name: n for name, n in self.presses.items() if name not in known})

    def joined_with(self, other: Wishes) -> Wishes:
        """Return these wishes and others."""
        return Wishes({**self.targets, **other.targets}, {**self.presses, **other.presses})

    def as_key(self) -> tuple[tuple[tuple[str, float], ...], tuple[tuple[str, int], ...]]:
        """Return the targets and the presses in an order of their own, for a cache."""
        return tuple(sorted(self.targets.items())), tuple(sorted(self.presses.items()))

    def pressed(self, label: str, by: int) -> Wishes:
        """Return the wishes with more of a label, or less."""
        count = self.presses.get(label, 0) + by
        presses = {**self.presses, label: max(-_MAX_PRESSES, min(_MAX_PRESSES, count))}
        return replace(self, presses={name: n for name, n in presses.items() if n})


_MAX_LASTING = 32
"""Of how many grooves the wishes outlast the session."""


def _last_wishes(histories: Mapping[str, list[Wishes]]) -> dict[str, Wishes]:
    asked = {groove: history[-1] for groove, history in histories.items() if len(history) > 1}
    return dict(list(asked.items())[-_MAX_LASTING:])


lasting(
    _KEPT,
    dict[str, Wishes],
    _last_wishes,
    lambda saved: {groove: [Wishes(), wishes] for groove, wishes in saved.items()},
)


def wishes_of(groove: str) -> Wishes:
    """Return what is asked of the groove of that id."""
    return _history(groove)[-1]


def _ask(groove: str, wishes: Wishes) -> None:
    """Ask something else of a groove; `take_back` returns to what was asked before."""
    if wishes != wishes_of(groove):
        _history(groove).append(wishes)


def reset(groove: str, known: Collection[str]) -> None:
    """Let all rest that a model can follow; what waits for another goes on waiting."""
    _ask(groove, wishes_of(groove).beyond(known))


def can_take_back(groove: str, known: Collection[str]) -> bool:
    """Return whether something else that a model can follow was asked of the groove before."""
    return _last_other(groove, known) is not None


def take_back(groove: str, known: Collection[str]) -> None:
    """Return what a model can follow to what it was before; the rest goes on waiting."""
    at = _last_other(groove, known)
    if at is None:
        return
    history, waiting = _history(groove), wishes_of(groove).beyond(known)
    del history[at + 1 :]
    _ask(groove, history[at].limited_to(known).joined_with(waiting))


def _last_other(groove: str, known: Collection[str]) -> int | None:
    """Return where in the history the model was last asked for something else."""
    followed = [wishes.limited_to(known) for wishes in _history(groove)]
    places = reversed(range(len(followed)))
    return next((at for at in places if followed[at] != followed[-1]), None)


def _history(groove: str) -> list[Wishes]:
    kept: dict[str, list[Wishes]] = st.session_state.setdefault(_KEPT, {})
    return kept.setdefault(groove, [Wishes()])
