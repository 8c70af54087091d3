"""Two-word names of grooves, determined by z, and descriptions in words of what they play."""

from collections.abc import Collection
from hashlib import blake2b
from itertools import count

import numpy as np
from numpy.typing import NDArray

from musicvae_core.music.drums import VOICES
from musicvae_core.music.forms import Music, parts_of
from musicvae_core.music.grid import COMMON_TIME, Grid
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import Line
from musicvae_core.music.piece import Part

_FIRST = """
Amber Autumn Blue Brass Bright Broken Chalk Cinder Copper Coral Dusty Early Electric Ember Fallen
Feather Glass Golden Granite Hollow Indigo Ivory Late Little Lunar Marble Midnight Misty Neon
Northern Olive Paper Pearl Quiet River Rusty Sandy Scarlet Silent Silver Slow Smoky Solar Stone
Sugar Tidal Velvet Wild Winter Woven
"""
_SECOND = """
Alley Anchor Arcade Avenue Bridge Canal Canyon Cellar Corner Diner Engine Ferry Garage Garden
Harbour Highway Island Junction Kitchen Ladder Lantern Market Meadow Mill Motel Orchard Parade
Pavement Pier Platform Porch Quarry Railway Roof Room Shuffle Signal Square Stairs Station Street
Stroll Tower Train Tunnel Valley Viaduct Walk Wharf Yard
"""


def name_of(z: NDArray[np.float32], taken: Collection[str] = ()) -> str:
    """Return a name for the groove at z, with a number if the name is `taken`.

    Parameters
    ----------
    z
        (Z,) float32.
    taken
        Names that are in use.
    """
    first, second = _FIRST.split(), _SECOND.split()
    digest = int.from_bytes(blake2b(z.tobytes(), digest_size=8).digest(), "big")
    rest, at = divmod(digest, len(first))
    name = f"{first[at]} {second[rest % len(second)]}"
    if name not in taken:
        return name
    return next(numbered for n in count(2) if (numbered := f"{name} {n}") not in taken)


UNKNOWN = "unknown"
"""The name of a style or a drummer that the data set does not name."""
_STYLES = {
    "cre": "Irish dance tunes",
    "game_melodies": "game music",
    "openewld_pd": "lead sheets",
    "openscore_lieder": "Lieder",
    "openscore_quartets_violin1": "string quartets, first violin",
    "afrobeat": "Afrobeat",
    "afrocuban": "Afro-Cuban",
    "hiphop": "hip-hop",
    "latin": "Latin",
    "middleeastern": "Middle Eastern",
    "neworleans": "New Orleans",
}
"""Styles and collections whose spelling differs from the data set's."""


def style_in_text(style: str) -> str:
    """Return a style of the data set as written within a sentence."""
    return _STYLES.get(style, style) or UNKNOWN


def style_title(style: str) -> str:
    """Return a style of the data set as written on its own."""
    text = style_in_text(style)
    return text if text == UNKNOWN else text[:1].upper() + text[1:]


def drummer_title(drummer: str) -> str:
    """Return `drummer1` as `Drummer 1`."""
    return drummer.replace("drummer", "Drummer ") or UNKNOWN


_SIXTEENTHS = ("", "e", "and", "a")
"""How drummers count the sixteenths of a beat: 1, 1 e, 1 and, 1 a."""


def _count_of(step: int, grid: Grid) -> str:
    """Return the count of a step within its bar, such as ``"2 and"`` for step 6.

    If drummers have no word for it, it is ``"2 step 6 of 6"``.
    """
    n_steps = grid.steps_per_beat
    beat, place = divmod(step % grid.steps_per_bar, n_steps)
    if not place:
        return f"{beat + 1}"
    if 2 * place == n_steps:
        return f"{beat + 1} and"
    word = _SIXTEENTHS[place] if n_steps == 4 else f"step {place + 1} of {n_steps}"
    return f"{beat + 1} {word}"


def describe(music: Music) -> str:
    """Describe which voice or note plays on which counts, bar by bar, and the tempo."""
    parts = parts_of(music)
    said = [_describe_part(part) for part in parts.values()]
    if len(parts) > 1:
        said = [f"{name.capitalize()}: {words}" for name, words in zip(parts, said, strict=True)]
    length = "1 bar" if music.n_bars == 1 else f"{music.n_bars} bars"
    beats = music.grid.beats_per_bar
    metre = "" if beats == COMMON_TIME.beats_per_bar else f" of {beats}/4"
    return f"{length}{metre} at {music.tempo_bpm:g} bpm. {' '.join(said)}"


def _describe_part(part: Part) -> str:
    bars = []
    for bar in range(part.n_bars):
        one = part.bars(bar, 1)
        words = _describe_bar(one) if isinstance(one, Groove) else _describe_notes(one)
        bars.append(f"Bar {bar + 1}: {words}.")
    return " ".join(bars)


def _describe_notes(line: Line) -> str:
    """Describe the notes of a bar of a line, and the counts on which they start."""
    notes = [
        f"{_pitch_name(note.pitch)} on {_count_of(note.step, line.grid)}" for note in line.notes()
    ]
    return ", ".join(notes) or "silence"


_PITCH_CLASSES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
MAJOR_KEYS = tuple(
    f"{major} major, {_PITCH_CLASSES[at - 3]} minor" for at, major in enumerate(_PITCH_CLASSES)
)
"""The two keys of each major scale, by the scale's first pitch class."""


def _pitch_name(pitch: int) -> str:
    """Return the name of a MIDI pitch: C4 is 60."""
    octave, pitch_class = divmod(pitch, 12)
    return f"{_PITCH_CLASSES[pitch_class]}{octave - 1}"


def _describe_bar(bar: Groove) -> str:
    """Describe the voices of one bar, and the counts of their hits."""
    voices = []
    for voice, column in zip(VOICES, bar.hits.T, strict=True):
        counts = [_count_of(int(step), bar.grid) for step in np.flatnonzero(column)]
        voices += [f"{voice} on {', '.join(counts)}"] if counts else []
    return "; ".join(voices) or "silence"
