"""What the points of an atlas can be coloured and filtered by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from musicvae_core.controls import CONTROLS
from musicvae_core.space.atlas import Atlas
from pages.components.map.points import label_of
from pages.components.names import UNKNOWN, drummer_title, style_title

LABELS = {"style": "Style", "drummer": "Drummer", "kind": "Beat or fill"}
TEMPO = "tempo"
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, eq=False)
class Field:
    """One thing that is known of every point.

    Parameters
    ----------
    title, unit
        What it is called, and in what it is shown; a label has no unit.
    values
        (N,) text for labels, float64 in the unit for numbers.
    """

    title: str
    unit: str
    values: NDArray[np.str_] | NDArray[np.float64]

    @property
    def is_label(self) -> bool:
        """Whether the values are text."""
        return self.values.dtype.kind == "U"


@lru_cache(maxsize=8)
def fields_of(atlas: Atlas) -> dict[str, Field]:
    """Return every field of an atlas by its key, labels first."""
    performances = atlas.performances
    labels = {
        "style": [style_title(one.style) for one in performances],
        "drummer": [drummer_title(one.drummer) for one in performances],
        "kind": [one.beat_type or UNKNOWN for one in performances],
    }
    found = {
        key: Field(LABELS[key], "", np.array(values)[atlas.performance])
        for key, values in labels.items()
    }
    tempos = np.array([one.tempo_bpm for one in performances])
    found[TEMPO] = Field("Tempo", "bpm", tempos[atlas.performance])
    for name, values in atlas.attributes.items():
        control = CONTROLS.get(name)
        title = control.title if control else name.replace("_", " ").capitalize()
        scale, unit = (control.scale, control.unit) if control else (1.0, "")
        found[name] = Field(title, unit, values.astype(np.float64) * scale)
    return found


@lru_cache(maxsize=8)
def hover_texts(atlas: Atlas) -> NDArray[np.str_]:
    """Return what is said of each point under the pointer, (N,)."""
    said = [
        f"{style_title(one.style)}, {drummer_title(one.drummer)}<br>{label_of(one)}"
        for one in atlas.performances
    ]
    return np.array(said)[atlas.performance]


def matching(atlas: Atlas, search: str) -> NDArray[np.bool_]:
    """Return which points have every word of a search in what is known of them, (N,).

    A word may be cut short, a number may not: 12 does not find 120.
    """
    words = _WORD.findall(search.lower())
    known = [
        _WORD.findall(
            f"{style_title(one.style)} {one.style} {drummer_title(one.drummer)} {one.drummer} "
            f"{one.tempo_bpm:.0f} bpm {one.beat_type} {one.name}".lower()
        )
        for one in atlas.performances
    ]
    found = [all(any(_finds(word, one) for one in those) for word in words) for those in known]
    return np.array(found, bool)[atlas.performance]


def _finds(word: str, known: str) -> bool:
    return known == word or (not word[-1].isdigit() and known.startswith(word))
