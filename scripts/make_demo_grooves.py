"""Write the app's demos as MIDI files: our own two-bar grooves, and traditional tunes.

    python -m scripts.make_demo_grooves [--out assets/demo]

Each row is a voice and each letter a sixteenth: X is an accent, x a normal hit, o a soft one, g a
ghost note, and a dot a rest. Spaces separate beats, and bar lines separate bars. The timing is then
shaped as a player would: `swing` delays the second sixteenth of each eighth, `lean` shifts a whole
voice (both in steps, positive is late), and `triplet` moves the last sixteenth of a beat to the
last third of its triplet. The script always gives the same files: random variation is seeded with
the groove's name.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from musicvae_core.music.drums import N_VOICES, VOICES
from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import Line, Note
from musicvae_core.music.midi.write import write_line, write_midi

_FOLDER = Path(__file__).resolve().parents[1] / "assets" / "demo"
_LEVELS = {"X": 112, "x": 90, "o": 62, "g": 30}
_TRIPLET = -1 / 3
"""From the last sixteenth of a beat to the last third of it, in steps."""
_LATEST, _EARLIEST = 0.49, -0.49


@dataclass(frozen=True)
class _Pattern:
    """A groove in drum notation; see the module's docstring."""

    name: str
    tempo_bpm: float
    rows: Mapping[str, str]
    swing: float = 0.0
    triplet: bool = False
    lean: Mapping[str, float] = field(default_factory=dict)
    loose: float = 0.025
    """Standard deviation of the timing, in steps."""
    lively: float = 5.0
    """Standard deviation of the loudness, in MIDI's levels."""


_PATTERNS = (
    _Pattern(
        "Rock",
        118,
        {
            "kick": "X... .... X.x. .... | X... ...x X.x. ....",
            "snare": ".... X... .... X... | .... X... .... X..o",
            "closed hi-hat": "..o. X.o. X.o. X.o. | X.o. X.o. X.o. X...",
            "open hi-hat": ".... .... .... .... | .... .... .... ..x.",
            "crash": "X... .... .... .... | .... .... .... ....",
        },
        lean={"snare": 0.05},
    ),
    _Pattern(
        "Funk",
        102,
        {
            "kick": "X..x .... ..x. .x.. | X..x .... .xx. ....",
            "snare": ".... X..g .g.g X..g | .... X..g .g.g X.gg",
            "closed hi-hat": "XoXo XoXo XoXo Xoo. | XoXo XoXo XoXo X.oo",
            "open hi-hat": ".... .... .... ...x | .... .... .... .x..",
        },
        swing=0.07,
        lean={"snare": 0.06, "kick": -0.02},
    ),
    _Pattern(
        "Shuffle",
        124,
        {
            "kick": "X... .... X..o .... | X... ...x X... ....",
            "snare": "...g X..g ...g X..g | ...g X..g ...g X..x",
            "closed hi-hat": "X..o x..o X..o x..o | X..o x..o X..o x..o",
        },
        triplet=True,
        lean={"snare": 0.05},
    ),
    _Pattern(
        "Bossa",
        134,
        {
            "kick": "X..o X..o X..o X..o | X..o X..o X..o X..o",
            "snare": "x... ..x. .... x... | .... x... ..x. ....",
            "closed hi-hat": "o.g. o.g. o.g. o.g. | o.g. o.g. o.g. o.g.",
        },
        lively=4.0,
    ),
    _Pattern(
        "Hip-hop",
        88,
        {
            "kick": "X..x .... ..X. ...o | X..x ..x. ..X. ....",
            "snare": ".... X... .... X..g | .... X... .g.. X...",
            "closed hi-hat": "x.o. x.o. x.oo x.o. | x.o. x.o. x.o. x...",
            "open hi-hat": ".... .... .... .... | .... .... .... ..x.",
        },
        swing=0.22,
        lean={"snare": 0.14, "closed hi-hat": 0.05},
        loose=0.04,
    ),
    _Pattern(
        "Reggae",
        76,
        {
            "kick": ".... .... X... .... | .... .... X... ....",
            "snare": ".... .... X... ...g | .... .... X.g. .g.o",
            "closed hi-hat": "o..g X..g o..g X..g | o..g X..g o..g X...",
            "open hi-hat": ".... .... .... .... | .... .... .... ..x.",
        },
        swing=0.18,
        lean={"snare": 0.1, "kick": 0.1, "closed hi-hat": 0.06},
        loose=0.035,
    ),
    _Pattern(
        "Jazz ride",
        158,
        {
            "kick": "g... g... g... g... | g... g... g..o g...",
            "snare": ".... .... ...g .... | ...o .... .... ...g",
            "closed hi-hat": ".... x... .... x... | .... x... .... x...",
            "ride": "x... X..o x... X..o | x... X..o x..o X..o",
        },
        triplet=True,
        lean={"ride": -0.04, "snare": 0.05},
        lively=6.0,
    ),
    _Pattern(
        "Half-time",
        142,
        {
            "kick": "X... .... .... ..x. | X... ..x. .... ....",
            "snare": ".... .... X... .... | .... .... X... ..g.",
            "closed hi-hat": "..o. x.o. x.o. x.oo | x.o. x.o. x.o. x.o.",
            "crash": "X... .... .... .... | .... .... .... ....",
            "low tom": ".... .... .... .... | .... .... .... ...x",
        },
        lean={"snare": 0.1, "kick": 0.03},
        loose=0.02,
    ),
    _Pattern(
        "Disco",
        120,
        {
            "kick": "X... X... X... X... | X... X... X... X...",
            "snare": ".... X... .... X... | .... X... .... X.gg",
            "closed hi-hat": "xo.o xo.o xo.o xo.o | xo.o xo.o xo.o xo..",
            "open hi-hat": "..X. ..X. ..X. ..X. | ..X. ..X. ..X. ....",
        },
        loose=0.015,
    ),
    _Pattern(
        "New Orleans",
        96,
        {
            "kick": "X..x ..x. .... x... | X..x ..x. ..x. X...",
            "snare": "ggXg gXgg Xggo XgXg | ggXg gXgX ggXg XgXo",
            "closed hi-hat": ".... x... .... x... | .... x... .... x...",
        },
        swing=0.2,
        lean={"snare": 0.03},
        loose=0.04,
        lively=7.0,
    ),
    _Pattern(
        "Punk",
        184,
        {
            "kick": "X.x. .... X.x. .... | X.x. .... X.x. ....",
            "snare": ".... X... .... X... | .... X... .... X.XX",
            "closed hi-hat": "..X. X.X. X.X. X.X. | X.X. X.X. X.X. X...",
            "crash": "X... .... .... .... | .... .... .... ....",
        },
        lean={"closed hi-hat": -0.04, "snare": -0.03},
        loose=0.03,
    ),
    _Pattern(
        "Fill",
        112,
        {
            "kick": "X... .... X.x. .... | X... .... x..x ....",
            "snare": ".... X... .... X..g | .... X.gg XxX. ....",
            "closed hi-hat": "X.o. X.o. X.o. X.o. | X.o. X... .... ....",
            "high tom": ".... .... .... .... | .... .... ...x Xo..",
            "mid tom": ".... .... .... .... | .... .... .... ..X.",
            "low tom": ".... .... .... .... | .... .... .... ...X",
        },
        lean={"snare": 0.03, "low tom": 0.05},
        loose=0.03,
    ),
    _Pattern(
        "Samba",
        104,
        {
            "kick": "X..o X..o X..o X..o | X..o X..o X..o X..o",
            "snare": "xgox goxg oxgx gxog | xgox goxg xgox goxx",
            "closed hi-hat": "..x. ..x. ..x. ..x. | ..x. ..x. ..x. ..x.",
            "low tom": ".... X... .... X... | .... X... .... X...",
        },
        swing=-0.06,
        lively=6.0,
    ),
    _Pattern(
        "Afrobeat",
        112,
        {
            "kick": "X..o ..x. ...x ..x. | X..o ..x. o..x ..x.",
            "snare": "...g ..g. x..g .g.x | ...g ..g. x.g. .g.x",
            "closed hi-hat": "X.oX .oXo .oX. oXo. | X.oX .oXo .oX. oX..",
            "open hi-hat": ".... .... .... .... | .... .... .... ..x.",
        },
        swing=0.08,
        lean={"snare": 0.05},
        loose=0.035,
    ),
    _Pattern(
        "Breakbeat",
        136,
        {
            "kick": "X.x. .... ..x. .... | X.x. .... ..x. ....",
            "snare": ".... X..g .g.. X..g | .... X..g .g.. ..X.",
            "ride": "X.o. X.o. X.o. X.o. | X.o. X.o. X.o. X.o.",
        },
        swing=0.06,
        lean={"snare": 0.04},
        loose=0.035,
        lively=6.0,
    ),
    _Pattern(
        "Train beat",
        108,
        {
            "kick": "x... x... x... x... | x... x... x... x...",
            "snare": "ggXg ggXg ggXg ggXg | ggXg ggXg ggXg gXXo",
            "closed hi-hat": "..o. ..o. ..o. ..o. | ..o. ..o. ..o. ..o.",
        },
        swing=0.04,
        lively=6.0,
    ),
)


def _make_groove(pattern: _Pattern) -> Groove:
    """Play a pattern."""
    rng = np.random.default_rng(zlib.crc32(pattern.name.encode()))
    n_steps = 2 * COMMON_TIME.steps_per_bar
    levels, offsets = np.zeros((2, n_steps, N_VOICES))
    places = np.arange(n_steps)
    for voice, row in pattern.rows.items():
        column = VOICES.index(voice)
        levels[:, column] = _read_row(row)
        offsets[:, column] = pattern.lean.get(voice, 0.0)
    offsets[places % 2 == 1] += pattern.swing
    if pattern.triplet:
        offsets[places % COMMON_TIME.steps_per_beat == COMMON_TIME.steps_per_beat - 1] += _TRIPLET
    offsets += pattern.loose * rng.standard_normal(offsets.shape)
    varied = np.rint(levels + pattern.lively * rng.standard_normal(levels.shape))
    is_hit = levels > 0
    velocities = np.clip(varied, 8, VELOCITY_LEVELS) / VELOCITY_LEVELS
    return Groove.from_hits(
        is_hit, velocities, np.clip(offsets, _EARLIEST, _LATEST), pattern.tempo_bpm
    )


def _read_row(row: str) -> list[int]:
    """Return the level of each step of a row, 0 for a rest."""
    letters = row.replace(" ", "").replace("|", "")
    return [_LEVELS.get(letter, 0) for letter in letters]


@dataclass(frozen=True)
class _Tune:
    """A public-domain melody: note names, each with its length in sixteenths unless it is 4."""

    name: str
    tempo_bpm: float
    notes: str
    program: int = 0


_TUNES = (
    _Tune("Ode to Joy", 116, "E4 E4 F4 G4 G4 F4 E4 D4 C4 C4 D4 E4 E4:6 D4:2 D4:8", 73),
    _Tune("Frère Jacques", 120, "C4 D4 E4 C4 C4 D4 E4 C4 E4 F4 G4:8 E4 F4 G4:8", 11),
    _Tune("Au clair de la lune", 104, "G4 G4 G4 A4 B4:8 A4:8 G4 B4 A4 A4 G4:16", 40),
    _Tune("Ah vous dirai-je maman", 112, "C4 C4 G4 G4 A4 A4 G4:8 F4 F4 E4 E4 D4 D4 C4:8", 10),
    _Tune("Yankee Doodle", 126, "G4 G4 A4 B4 G4 B4 A4:8 G4 G4 A4 B4 G4:8 F#4:8", 72),
)
_PITCH_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "F#": 6, "G": 7, "A": 9, "B": 11}


def _make_melody(tune: _Tune) -> Line:
    """Return a tune as a line, the first note of each bar a little louder."""
    notes, step = [], 0
    for word in tune.notes.split():
        name, _, length = word.partition(":")
        pitch = 12 * (int(name[-1]) + 1) + _PITCH_CLASSES[name[:-1]]
        loud = 100 if step % COMMON_TIME.steps_per_bar == 0 else 84
        notes.append(Note(step, int(length or 4), pitch, loud / VELOCITY_LEVELS))
        step += int(length or 4)
    return Line.from_notes(notes, step // COMMON_TIME.steps_per_bar, tune.tempo_bpm, tune.program)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=_FOLDER)
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for number, pattern in enumerate(_PATTERNS, 1):
        stem = f"{number:02d}_{pattern.name.replace(' ', '_')}"
        (folder / f"{stem}.mid").write_bytes(write_midi(_make_groove(pattern)))
    (folder / "melodies").mkdir(exist_ok=True)
    for number, tune in enumerate(_TUNES, 1):
        stem = f"{number:02d}_{tune.name.replace(' ', '_')}"
        (folder / "melodies" / f"{stem}.mid").write_bytes(write_line(_make_melody(tune)))


if __name__ == "__main__":
    _main()
