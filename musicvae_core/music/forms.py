"""The forms of music: drums, a line, and a piece of several parts.

Each has a grid, a tempo and bars. `FORMS` holds what differs between them when music is drawn,
kept or sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainSerializer, PlainValidator

from musicvae_core.errors import InvalidMusicError, NoDrumsError
from musicvae_core.music.attributes import CONTROLS, Control
from musicvae_core.music.drums import DRUMS, N_VOICES, SNARE
from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS, Grid
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import Line
from musicvae_core.music.line_attributes import LINE_CONTROLS
from musicvae_core.music.midi.write import write_line, write_midi, write_piece
from musicvae_core.music.piece import MELODY, Part, Piece, Plays

Music = Groove | Line | Piece


@dataclass(frozen=True)
class _Form:
    """One form of music.

    Parameters
    ----------
    name
        As in a model's `plays`, and before the text of music of this form.
    type
        The class of its music.
    noun, nouns, notes
        What a listener calls one, several, and its notes.
    write
        Takes music, and whether the file is to be a loop; returns a standard MIDI file.
    parts
        Returns the parts of music, by name.
    of_parts
        Undoes `parts`.
    controls
        What can be steered, by the names of attributes, in the order of the sliders.
    """

    name: Plays
    type: type[Groove] | type[Line] | type[Piece]
    noun: str
    nouns: str
    notes: str
    write: Callable[[Any, bool], bytes]
    parts: Callable[[Any], Mapping[str, Part]]
    of_parts: Callable[[Mapping[str, Part]], Any]
    controls: Mapping[str, Control]


_ALL = (
    _Form(
        "drums",
        Groove,
        noun="groove",
        nouns="grooves",
        notes="hits",
        write=lambda groove, loop: write_midi(groove, loop=loop),
        parts=lambda groove: {DRUMS: groove},
        of_parts=lambda parts: parts[DRUMS],
        controls=CONTROLS,
    ),
    _Form(
        "line",
        Line,
        noun="melody",
        nouns="melodies",
        notes="notes",
        write=lambda line, loop: write_line(line),
        parts=lambda line: {MELODY: line},
        of_parts=lambda parts: parts[MELODY],
        controls=LINE_CONTROLS,
    ),
    _Form(
        "piece",
        Piece,
        noun="piece",
        nouns="pieces",
        notes="notes",
        write=lambda piece, loop: write_piece(piece, loop=loop),
        parts=lambda piece: piece.parts,
        of_parts=Piece,
        controls={},
    ),
)
FORMS: Mapping[str, _Form] = MappingProxyType({form.name: form for form in _ALL})


def form_of(music: Music) -> _Form:
    """Return the form of some music."""
    return next(form for form in _ALL if isinstance(music, form.type))


def parts_of(music: Music) -> Mapping[str, Part]:
    """Return the parts of music by name: drums alone and a line are their one part."""
    return form_of(music).parts(music)


def windows(music: Music, n_bars: int) -> list[Any]:
    """Return every stretch of `n_bars` bars, one for each bar that it can start at."""
    return [music.bars(start, n_bars) for start in range(music.n_bars - n_bars + 1)]


def padded(music: Music, n_bars: int) -> Any:
    """Return music with silence after it, `n_bars` bars long in all; see `Groove.padded`."""
    return _by_part(music, lambda part: part.padded(n_bars))


def performed(music: Music, swing: float = 0.0, feel: float = 1.0) -> Any:
    """Return music with more swing, 0 to 1, and with less or more of its feel.

    See `Groove.performed`; of a line, the feel is its dynamics.
    """
    return _by_part(music, lambda part: part.performed(swing, feel))


def joined(pieces: Sequence[Music]) -> Any:
    """Return music of one form, one after the other, at the tempo of the first.

    Raises
    ------
    InvalidMusicError
        If their grids differ, or their parts.
    """
    parts: list[Mapping[str, Any]] = [parts_of(one) for one in pieces]
    return form_of(pieces[0]).of_parts(
        {name: type(part).joined([one[name] for one in parts]) for name, part in parts[0].items()}
    )


def _by_part(music: Music, change: Callable[[Part], Part]) -> Any:
    form = form_of(music)
    return form.of_parts({name: change(part) for name, part in form.parts(music).items()})


def drums_of(music: Music) -> Groove:
    """Return the drums of music, which may be all of it.

    Raises
    ------
    NoDrumsError
        If it has none.
    """
    drums = parts_of(music).get(DRUMS)
    if not isinstance(drums, Groove):
        raise NoDrumsError(f"This {form_of(music).noun} has no drums: choose a groove.", ())
    return drums


def with_drums(music: Music, drums: Groove) -> Music:
    """Return music with these drums in place of its own, or beside its lines.

    What is shorter ends with silence.
    """
    parts = {**parts_of(music), DRUMS: drums}
    return drums if len(parts) == 1 else Piece.together(parts, drums.tempo_bpm)


def rhythm_of(music: Music) -> Groove:
    """Return where music plays, as drums: its own, or a snare wherever a note of a line begins.

    A snare is as loud as the loudest of the notes.
    """
    parts = parts_of(music)
    if isinstance(drums := parts.get(DRUMS), Groove):
        return drums
    velocities = np.max([part.velocities for part in parts.values()], axis=0)  # (T,)
    levels = np.zeros((music.n_steps, N_VOICES), np.float32)
    levels[:, SNARE] = velocities
    return Groove(levels > 0, levels, np.zeros_like(levels), music.tempo_bpm, music.grid)


def n_notes(music: Music) -> int:
    """Return how many notes begin, in all parts."""
    parts = parts_of(music).values()
    return sum(part.n_hits if isinstance(part, Groove) else part.n_notes for part in parts)


_TICKS_IN_A_BYTE = 256


def notes_as_heard(music: Music) -> bytes:
    """Return bytes that two have in common when MIDI cannot tell their notes apart."""
    notes = b"".join(map(_notes_of_part, parts_of(music).values()))
    grid = music.grid  # added only if not the default, so that what was kept before grids is found
    own = b"" if grid == COMMON_TIME else bytes((grid.beats_per_bar, grid.steps_per_beat))
    return notes + own


def _notes_of_part(part: Part) -> bytes:
    levels = np.rint(part.velocities * VELOCITY_LEVELS).astype(np.int8).tobytes()
    if isinstance(part, Line):
        return part.events().astype(np.uint8).tobytes() + levels
    ticks_per_step = part.grid.ticks_per_step
    ticks = np.rint(part.offsets * ticks_per_step)
    ticks = ticks.astype(np.int8 if ticks_per_step <= _TICKS_IN_A_BYTE else np.int16)
    return part.hits.tobytes() + levels + ticks.tobytes()


def music_to_text(music: Music) -> str:
    """Return music as a text, exactly: its form, a colon and its own; drums are without a form."""
    form = form_of(music).name
    return music.to_text() if form == "drums" else f"{form}:{music.to_text()}"


def _text_to_music(text: str) -> Music:
    """Undo `music_to_text`.

    Raises
    ------
    ValueError
        If the text is damaged, or of a form that is not known.
    """
    name, colon, rest = text.partition(":")
    form = FORMS.get(name if colon else "drums")
    if form is None:
        raise ValueError(f"there is no form of music {name!r}")
    return form.type.from_text(rest if colon else text)


def _validated(value: Any) -> Music:
    if isinstance(value, Music):
        return value
    if not isinstance(value, str):
        raise ValueError("no music, and no text of any")
    return _text_to_music(value)


AnyMusic = Annotated[Music, PlainValidator(_validated), PlainSerializer(music_to_text)]
"""Music of any form, as a field that pydantic writes to JSON."""


def taps_to_groove(
    taps: Sequence[tuple[float, float]], n_bars: int, tempo_bpm: float, grid: Grid = COMMON_TIME
) -> Groove:
    """Put taps on the grid, as hits of the snare.

    Parameters
    ----------
    taps
        (steps from the first beat, velocity) of each. Half a step before the first beat and
        half a step before the end both belong to the first beat: it is a loop.
    n_bars, tempo_bpm, grid
        Of the recording.

    Returns
    -------
    Groove
        Of two taps on one step the louder is kept, and the first of equals.

    Raises
    ------
    InvalidMusicError
        If a tap is no place in the recording, or a velocity is not in (0, 1].
    """
    n_steps = n_bars * grid.steps_per_bar
    arrays = np.zeros((3, n_steps, N_VOICES), np.float32)  # hits, velocities, offsets
    for place, velocity in taps:
        if not (-0.5 <= place <= n_steps and 0 < velocity <= 1):
            raise InvalidMusicError(
                f"A tap at step {place:g} with velocity {velocity:g} is not of a recording of "
                f"{n_bars} bars: record again."
            )
        step = int(np.floor(place + 0.5))
        cell = (slice(None), step % n_steps, SNARE)
        if velocity > arrays[cell][1]:
            arrays[cell] = 1, velocity, np.clip(place - step, -0.5, grid.latest_offset)
    return Groove(arrays[0] > 0, arrays[1], arrays[2], tempo_bpm, grid)


def bar_similarity(hits: NDArray[np.bool_], grid: Grid = COMMON_TIME) -> NDArray[np.float32]:
    """Compare every bar with every other.

    Two bars are as alike as the F1 of their hits is high: twice the hits that both have, by
    the hits of both together; so 1 is the same bar and 0 has no hit in common. Silence is like
    silence. Velocity and timing do not count.

    Parameters
    ----------
    hits
        (..., T, 9) bool.
    grid
        How their steps divide time.

    Returns
    -------
    (..., U, U) float32, symmetric, 1 on the diagonal.

    Source: the measure is Dice's coefficient; a matrix of it shows form as in Foote 1999.
    """
    *leading, n_steps, _ = hits.shape
    shape = (*leading, n_steps // grid.steps_per_bar, grid.steps_per_bar * N_VOICES)
    bars = hits.reshape(shape).astype(np.float32)  # (..., U, steps * 9)
    n_both = bars @ bars.swapaxes(-1, -2)  # (..., U, U)
    counts = bars.sum(axis=-1)  # (..., U)
    n_either = counts[..., :, None] + counts[..., None, :]
    similarity = 2 * n_both / np.maximum(n_either, 1)
    return np.where(n_either > 0, similarity, 1).astype(np.float32)
