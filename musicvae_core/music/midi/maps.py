"""Drum maps: the voice of each pitch, for General MIDI and common drum samplers.

A user's own map is a text file with one line per pitch: the pitch, then a voice, or `none` to leave
it out; `#` starts a comment. Pitches that it does not list are read as in `STANDARD`.

    62 = closed hi-hat
    60 = open hi-hat
    54 = none          # no tambourine
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from musicvae_core.errors import DrumMapError
from musicvae_core.music.drums import (
    CLOSED_HAT,
    CRASH,
    HIGH_TOM,
    KICK,
    LOW_TOM,
    MID_TOM,
    OPEN_HAT,
    RIDE,
    SNARE,
    VOICE_OF_PITCH,
    VOICES,
)

with redirect_stdout(None):  # it imports pyfluidsynth, which prints when CI is set
    import pretty_midi

_MAX_FILE_BYTES = 100_000
_MAX_NAMES_LISTED = 8
_HAND_DRUMS = frozenset(range(60, 65))
"""Bongos and congas: common beside a General MIDI kit, so they do not suggest another map."""
_NAMES_BEYOND = {
    27: "High Q",
    28: "Slap",
    29: "Scratch Push",
    30: "Scratch Pull",
    31: "Sticks",
    32: "Square Click",
    33: "Metronome Click",
    34: "Metronome Bell",
    82: "Shaker",
    83: "Jingle Bell",
    84: "Bell Tree",
    85: "Castanets",
    86: "Mute Surdo",
    87: "Open Surdo",
}
"""Percussion of General MIDI 2 outside the range of General MIDI 1."""
_PERCUSSION = frozenset((39, 54, 56, 58, 69, 70, 82))
"""General MIDI pitches of other percussion that are read as a voice of the kit."""


@dataclass(frozen=True)
class DrumMap:
    """The voice of each pitch.

    Parameters
    ----------
    name
        Its common name.
    voices
        Voices (indices of `VOICES`) by pitch, 0 to 127; other pitches are left out.
    is_general_midi
        Whether its pitches have General MIDI's names, so that other percussion can be named.
    """

    name: str
    voices: Mapping[int, int]
    is_general_midi: bool = False

    def __reduce__(self) -> tuple[type[DrumMap], tuple[str, dict[int, int], bool]]:
        """Pickle the voices as a plain dict; a mapping proxy cannot be pickled."""
        return DrumMap, (self.name, dict(self.voices), self.is_general_midi)

    def n_fitting(self, pitches: Iterable[int]) -> int:
        """Return the number of pitches that have a voice."""
        return sum(pitch in self.voices for pitch in pitches)

    def substitute(self, pitch: int) -> str | None:
        """Return the percussion's name if the pitch is read as a voice that it is not."""
        if self.is_general_midi and pitch in _PERCUSSION and pitch in self.voices:
            return drum_name(pitch).lower()
        return None


def drum_name(pitch: int) -> str:
    """Return the General MIDI name of a drum pitch; empty if it has none."""
    return pretty_midi.note_number_to_drum_name(pitch) or _NAMES_BEYOND.get(pitch, "")


def described_pitch(pitch: int) -> str:
    """Return a pitch with its General MIDI drum name, if it has one."""
    name = drum_name(pitch)
    return f"pitch {pitch}, {name} in General MIDI" if name else f"pitch {pitch}"


def program_name(program: int) -> str:
    """Return the General MIDI name of a program, 0 to 127."""
    name: str = pretty_midi.program_to_instrument_name(program)
    return name


def number_repeats(plain_names: Iterable[str]) -> tuple[str, ...]:
    """Return the names with repeats numbered: Piano, Piano (2)."""
    plain = list(plain_names)
    taken = set(plain)
    n_used = Counter[str]()
    names = []
    for one in plain:
        n_used[one] += 1
        name = one
        while n_used[one] > 1 and (name := f"{one} ({n_used[one]})") in taken:
            n_used[one] += 1
        taken.add(name)
        names.append(name)
    return tuple(names)


def list_names(names: Sequence[str]) -> str:
    """Join names for a message: the first few, then the number of the others."""
    listed = ", ".join(names[:_MAX_NAMES_LISTED]) or "none"
    n_more = len(names) - _MAX_NAMES_LISTED
    return f"{listed} and {n_more} more" if n_more > 0 else listed


def _map(name: str, pitches_of_voice: Mapping[int, Iterable[int]]) -> DrumMap:
    return DrumMap(
        name,
        MappingProxyType(
            {pitch: voice for voice, pitches in pitches_of_voice.items() for pitch in pitches}
        ),
    )


def _part_of_standard(name: str, without: Iterable[int]) -> DrumMap:
    left_out = frozenset(without)
    voices = {pitch: voice for pitch, voice in VOICE_OF_PITCH.items() if pitch not in left_out}
    return DrumMap(name, MappingProxyType(voices), is_general_midi=True)


STANDARD = DrumMap("General MIDI and TD-11", VOICE_OF_PITCH, is_general_midi=True)
"""The default map."""

_TD_11 = _map(
    "TD-11",
    {
        KICK: (36,),
        SNARE: (37, 38, 40),
        CLOSED_HAT: (22, 42, 44),
        OPEN_HAT: (26, 46),
        LOW_TOM: (43, 58),
        MID_TOM: (45, 47),
        HIGH_TOM: (48, 50),
        CRASH: (49, 52, 55, 57),
        RIDE: (51, 53, 59),
    },
)
"""The Roland kit that the Groove MIDI Dataset was played on."""
_TOONTRACK = _map(
    "EZdrummer and Superior Drummer",
    {
        KICK: (34, 35, 36),
        SNARE: (33, 37, 38, 39, 40, *range(66, 72), 125, 126, 127),
        CLOSED_HAT: (8, 9, 10, 11, 21, 22, 23, 42, 44, *range(61, 66), 119, 122),
        OPEN_HAT: (12, 13, 14, 15, 16, 17, 18, 24, 25, 26, 46, 60, 120, 121, 123, 124),
        LOW_TOM: (41, 43, *range(72, 76)),
        MID_TOM: (45, 47, *range(77, 81)),
        HIGH_TOM: (48, 50, 81, 82),
        CRASH: (27, 28, 31, 32, 49, 52, 54, 55, 57, 58, *range(86, 118)),
        RIDE: (30, 51, 53, 59, 84, 85),
    },
)
_ADDICTIVE_DRUMS = _map(
    "Addictive Drums",
    {
        KICK: (36,),
        SNARE: (37, 38, 39, 40, 41, 42, 43, 44),
        CLOSED_HAT: (7, 8, 9, 10, 11, 48, 49, 50, 51, 52, 53),
        OPEN_HAT: (54, 55, 56, 57, 58, 59),
        LOW_TOM: (65, 66, 67, 68),
        MID_TOM: (69, 70),
        HIGH_TOM: (71, 72),
        CRASH: (46, 47, 73, 74, 75, 77, 79, 81, 89, 91, 93),
        RIDE: (60, 61, 62, 84, 86),
    },
)
_BFD = _map(
    "BFD",
    {
        KICK: (24, 36),
        SNARE: (25, 26, 37, 38, 39, 40),
        CLOSED_HAT: (27, 28, 42, 44),
        OPEN_HAT: (29, 30, 31, 46),
        LOW_TOM: (41, 43),
        MID_TOM: (45,),
        HIGH_TOM: (47,),
        CRASH: (48, 49, 52, 53, 54, 55, 56),
        RIDE: (50, 51, 57),
    },
)
_PADS = _map(
    "Battery and MPC pads",
    {
        KICK: (35, 36),
        SNARE: (37, 38, 39, 40),
        CLOSED_HAT: (42, 44),
        OPEN_HAT: (46, 82),
        LOW_TOM: (41, 43),
        MID_TOM: (45, 47),
        HIGH_TOM: (48, 50),
        CRASH: (49, 55),
        RIDE: (51, 53),
    },
)
_LOGIC = _map(
    "Logic",
    {
        KICK: (35, 36),
        SNARE: (32, 34, 37, 38, 39, 40),
        CLOSED_HAT: (33, 42, 44),
        OPEN_HAT: (31, 46),
        LOW_TOM: (41, 43),
        MID_TOM: (45, 47),
        HIGH_TOM: (48, 50),
        CRASH: (28, 29, 49, 52, 55, 57),
        RIDE: (51, 53, 59),
    },
)

DRUM_MAPS: Mapping[str, DrumMap] = MappingProxyType(
    {
        "standard": STANDARD,
        "general-midi": _part_of_standard("General MIDI", (22, 26, 58)),
        "kit-only": _part_of_standard("General MIDI without percussion", _PERCUSSION - {58}),
        "td-11": _TD_11,
        "ezdrummer": _TOONTRACK,
        "superior": _TOONTRACK,
        "addictive-drums": _ADDICTIVE_DRUMS,
        "bfd": _BFD,
        "battery": _PADS,
        "mpc": _PADS,
        "logic": _LOGIC,
    }
)
"""The maps to choose from, by their names for `--map`."""

_SAMPLERS = (_TOONTRACK, _ADDICTIVE_DRUMS, _BFD, _PADS, _LOGIC)

_ALIASES = {
    KICK: "kick drum, bass drum, bd, kd",
    SNARE: "snare drum, sd, rim, rimshot, side stick, sidestick",
    CLOSED_HAT: "closed hat, closed hihat, hi-hat, hihat, hat, hh, pedal hi-hat, chh",
    OPEN_HAT: "open hat, open hihat, ohh",
    LOW_TOM: "floor tom",
    MID_TOM: "middle tom, tom",
    HIGH_TOM: "rack tom",
    CRASH: "crash cymbal, splash, china, cymbal",
    RIDE: "ride cymbal, ride bell, bell",
}


def _squeeze(text: str) -> str:
    return re.sub(r"[\W_]", "", text).casefold()


_VOICE_OF_NAME: Mapping[str, int | None] = MappingProxyType(
    {_squeeze(name): voice for voice, name in enumerate(VOICES)}
    | {_squeeze(name): voice for voice, names in _ALIASES.items() for name in names.split(",")}
    | {"none": None}
)


def guess_map(pitches: Iterable[int]) -> DrumMap | None:
    """Return the only sampler's map that explains most of the pitches, or None.

    General MIDI must leave out more than half of the pitches, not only bongos and congas. The map
    must fit more than half, including a kick or a snare, and more than any other map.
    """
    distinct = set(pitches)
    left_out = distinct - STANDARD.voices.keys()
    if 2 * len(left_out) <= len(distinct) or left_out <= _HAND_DRUMS:
        return None
    ranked = sorted(_SAMPLERS, key=lambda one: one.n_fitting(distinct), reverse=True)
    best, most, second = ranked[0], *(one.n_fitting(distinct) for one in ranked[:2])
    has_kit = {best.voices.get(pitch) for pitch in distinct} & {KICK, SNARE}
    return best if most > second and 2 * most > len(distinct) and has_kit else None


def maps_with(pitches: Iterable[int]) -> list[str]:
    """Return a clause for each sampler's map that has a voice for some of the pitches."""
    clauses = []
    wanted = sorted(set(pitches))
    for one in (*_SAMPLERS, _TD_11):
        found: dict[str, list[str]] = {}
        for pitch in wanted:
            if pitch in one.voices:
                found.setdefault(VOICES[one.voices[pitch]], []).append(str(pitch))
        if found:
            voices = "; ".join(f"{', '.join(group)} {name}" for name, group in found.items())
            clauses.append(f"{one.name} ({voices})")
    return clauses


def find_map(name_or_path: str | Path) -> DrumMap:
    """Return the map with a name in `DRUM_MAPS`, or from a user's own file.

    Raises
    ------
    DrumMapError
        If there is neither, or a line of the file cannot be parsed.
    """
    wanted = _squeeze(str(name_or_path))
    for key, one in DRUM_MAPS.items():
        if wanted in (_squeeze(key), _squeeze(one.name)):
            return one
    path = Path(name_or_path)
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise DrumMapError(
            f"There is no drum map {str(name_or_path)!r}, and no such file; "
            f"choose one of {', '.join(DRUM_MAPS)}, or give a file of lines like "
            "'62 = closed hi-hat'."
        ) from error
    if len(text) > _MAX_FILE_BYTES:
        raise DrumMapError(f"{path} is too large for a drum map: write a line for each pitch.")
    return _parse_map(path.stem, text.decode("utf-8-sig", "replace"))


def _parse_map(name: str, text: str) -> DrumMap:
    """Return `STANDARD` overridden by lines like `62 = closed hi-hat`.

    Raises
    ------
    DrumMapError
        If a line is not a pitch and a voice, or there are no lines.
    """
    named: dict[int, int | None] = {}
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].strip()
        if content:
            pitch, voice = _parse_line(content, number)
            named[pitch] = voice
    if not named:
        raise DrumMapError(f"The drum map {name} is empty: write lines like '62 = closed hi-hat'.")
    return override_map(name, named)


def override_map(name: str, voices: Mapping[int, int | None]) -> DrumMap:
    """Return `STANDARD` with some pitches read as other voices; None leaves a pitch out."""
    merged: dict[int, int | None] = {**STANDARD.voices, **voices}
    return DrumMap(
        name, MappingProxyType({p: voice for p, voice in merged.items() if voice is not None})
    )


def _parse_line(content: str, number: int) -> tuple[int, int | None]:
    match = re.fullmatch(r"(\d{1,3})\s*[=:,;\s]\s*(\S.*)", content)
    voice_name = _squeeze(match[2]) if match else ""
    if not match or int(match[1]) > 127 or voice_name not in _VOICE_OF_NAME:
        raise DrumMapError(
            f"Line {number} of the drum map is {content[:60]!r}; write a pitch from 0 to 127 and "
            f"one of {', '.join(VOICES)} or none, such as '62 = closed hi-hat'."
        )
    return int(match[1]), _VOICE_OF_NAME[voice_name]
