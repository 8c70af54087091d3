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
        As in a model's `plays`; also the prefix of this form's texts.
    type
        The class of its music.
    noun, nouns, notes
        What a listener calls one, several, and their notes.
    write
        Takes music and whether the file should loop; returns a standard MIDI file.
    parts
        Returns the parts by name.
    of_parts
        Undoes `parts`.
    controls
        The attributes that can be steered, by name, in the order of the sliders.
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
    """Return the parts of music by name; drums and a line are a single part."""
    return form_of(music).parts(music)


def windows(music: Music, n_bars: int) -> list[Any]:
    """Return every window of `n_bars` bars, one bar apart."""
    return [music.bars(start, n_bars) for start in range(music.n_bars - n_bars + 1)]


def padded(music: Music, n_bars: int) -> Any:
    """Return music padded with silence to `n_bars` bars; see `Groove.padded`."""
    return _by_part(music, lambda part: part.padded(n_bars))


def performed(music: Music, swing: float = 0.0, feel: float = 1.0) -> Any:
    """Return music with added swing, 0 to 1, and its feel scaled.

    See `Groove.performed`; the feel of a line is its dynamics.
    """
    return _by_part(music, lambda part: part.performed(swing, feel))


def joined(pieces: Sequence[Music]) -> Any:
    """Concatenate music of one form, at the tempo of the first.

    Raises
    ------
    InvalidMusicError
        If their grids or their parts differ.
    """
    parts: list[Mapping[str, Any]] = [parts_of(one) for one in pieces]
    return form_of(pieces[0]).of_parts(
        {name: type(part).joined([one[name] for one in parts]) for name, part in parts[0].items()}
    )


def _by_part(music: Music, change: Callable[[Part], Part]) -> Any:
    form = form_of(music)
    return form.of_parts({name: change(part) for name, part in form.parts(music).items()})


def drums_of(music: Music) -> Groove:
    """Return the drum part of some music.

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
    """Return music with these drums instead of its own, or added to its lines.

    Shorter parts are padded with silence.
    """
    parts = {**parts_of(music), DRUMS: drums}
    return drums if len(parts) == 1 else Piece.together(parts, drums.tempo_bpm)


def rhythm_of(music: Music) -> Groove:
    """Return the rhythm of music as drums: its own drums, or a snare at every onset of its lines.

    Each snare hit is as loud as the loudest note that starts there.
    """
    parts = parts_of(music)
    if isinstance(drums := parts.get(DRUMS), Groove):
        return drums
    velocities = np.max([part.velocities for part in parts.values()], axis=0)  # (T,)
    levels = np.zeros((music.n_steps, N_VOICES), np.float32)
    levels[:, SNARE] = velocities
    return Groove(levels > 0, levels, np.zeros_like(levels), music.tempo_bpm, music.grid)


def n_notes(music: Music) -> int:
    """Return the number of notes, over all parts."""
    parts = parts_of(music).values()
    return sum(part.n_hits if isinstance(part, Groove) else part.n_notes for part in parts)


_TICKS_IN_A_BYTE = 256


def note_bytes(music: Music) -> bytes:
    """Return the notes as bytes, equal for music whose notes are equal once written as MIDI."""
    notes = b"".join(map(_notes_of_part, parts_of(music).values()))
    grid = music.grid  # appended only if not the default, so that older libraries still match
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
    """Return music as a lossless text, prefixed with its form and a colon unless it is drums."""
    form = form_of(music).name
    return music.to_text() if form == "drums" else f"{form}:{music.to_text()}"


def _text_to_music(text: str) -> Music:
    """Undo `music_to_text`.

    Raises
    ------
    ValueError
        If the text is damaged, or its form is unknown.
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
        raise ValueError("neither music nor the text of some")
    return _text_to_music(value)


AnyMusic = Annotated[Music, PlainValidator(_validated), PlainSerializer(music_to_text)]
"""Music of any form, as a field that pydantic reads from and writes to JSON."""


def taps_to_groove(
    taps: Sequence[tuple[float, float]], n_bars: int, tempo_bpm: float, grid: Grid = COMMON_TIME
) -> Groove:
    """Quantise taps to the grid, as snare hits.

    Parameters
    ----------
    taps
        (steps from the first beat, velocity) of each. The recording is a loop: a tap within half
        a step of its start or of its end belongs to the first beat.
    n_bars, tempo_bpm, grid
        Those of the recording.

    Returns
    -------
    Groove
        If two taps fall on one step, the louder is kept, or the first if they are equal.

    Raises
    ------
    InvalidMusicError
        If a tap lies outside the recording, or a velocity outside (0, 1].
    """
    n_steps = n_bars * grid.steps_per_bar
    arrays = np.zeros((3, n_steps, N_VOICES), np.float32)  # hits, velocities, offsets
    for place, velocity in taps:
        if not (-0.5 <= place <= n_steps and 0 < velocity <= 1):
            raise InvalidMusicError(
                f"A tap at step {place:g} with velocity {velocity:g} does not fit a recording of "
                f"{n_bars} bars: record again."
            )
        step = int(np.floor(place + 0.5))
        cell = (slice(None), step % n_steps, SNARE)
        if velocity > arrays[cell][1]:
            arrays[cell] = 1, velocity, np.clip(place - step, -0.5, grid.latest_offset)
    return Groove(arrays[0] > 0, arrays[1], arrays[2], tempo_bpm, grid)


def bar_similarity(hits: NDArray[np.bool_], grid: Grid = COMMON_TIME) -> NDArray[np.float32]:
    """Compare every bar with every other.

    The similarity is the F1 of the hits: twice the number of common hits over the total number
    in both bars. It is 1 for equal bars, two silent ones included, and 0 for bars without a
    common hit. Velocity and timing are ignored.

    Parameters
    ----------
    hits
        (..., T, 9) bool.
    grid
        The grid of the hits.

    Returns
    -------
    (..., U, U) float32, symmetric, 1 on the diagonal.

    Source: the measure is Dice's coefficient; Foote 1999 shows form with such matrices.
    """
    *leading, n_steps, _ = hits.shape
    shape = (*leading, n_steps // grid.steps_per_bar, grid.steps_per_bar * N_VOICES)
    bars = hits.reshape(shape).astype(np.float32)  # (..., U, steps * 9)
    n_both = bars @ bars.swapaxes(-1, -2)  # (..., U, U)
    counts = bars.sum(axis=-1)  # (..., U)
    n_either = counts[..., :, None] + counts[..., None, :]
    similarity = 2 * n_both / np.maximum(n_either, 1)
    return np.where(n_either > 0, similarity, 1).astype(np.float32)
