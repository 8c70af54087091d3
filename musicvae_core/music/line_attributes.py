"""Attributes of a melody, each a number: density, intervals, key, rhythm, form, harmony."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from musicvae_core.music.attributes import Control
from musicvae_core.music.drums import KICK
from musicvae_core.music.grid import Grid
from musicvae_core.music.line import SILENT, Line
from musicvae_core.music.piece import BASS, MELODY, Piece

_Array = NDArray[np.float64]

_MAJOR = np.isin(np.arange(12), [0, 2, 4, 5, 7, 9, 11])
_LARGEST_STEP, _LARGEST_SKIP = 2, 4
"""Semitones: a whole tone is the largest step of a scale, a major third the largest skip."""
_LAGS = (1, 2, 4, 8)
_TRIADS = (0, 3, 4, 7)

LINE_CONTROLS: Mapping[str, Control] = MappingProxyType(
    {
        "note_density": Control(
            *("How busy", "notes a bar", 1, 0.5, "Rhythm"),
            "More notes.",
        ),
        "sixteenth_syncopation": Control(
            *("16th syncopation", "% of notes", 100, 1, "Rhythm"),
            "More notes on the “e” and the “a” with none just before.",
        ),
        "eighth_syncopation": Control(
            *("8th syncopation", "% of notes", 100, 1, "Rhythm"),
            "More notes on the “and” with none on the beat.",
        ),
        "average_interval": Control(
            *("Intervals", "semitones", 1, 0.5, "Pitch"),
            "Wider intervals from note to note.",
        ),
        "c_diatonic": Control(
            *("C major", "% of notes", 100, 1, "Pitch"),
            "More notes of the scale of C major.",
        ),
    }
)
"""The attributes of a melody that can be steered: the five of Roberts et al. 2018, section 5.3."""
TONIC = "tonic"
"""The name, among a window's attributes, of the tonic of its `best_scale`."""


def line_attributes(line: Line) -> dict[str, float]:
    """Return every attribute of a line by name; those without any notes to measure are 0."""
    notes = list(line.notes())
    steps = np.array([note.step for note in notes], np.int64)
    pitches = np.array([note.pitch for note in notes], np.int64)
    lengths = np.array([note.n_steps for note in notes], np.int64)
    return (
        {"note_density": len(notes) / line.n_bars, "rest": float((line.pitches == SILENT).mean())}
        | _of_range(pitches)
        | _of_intervals(np.diff(pitches))
        | _of_key(pitches)
        | _of_rhythm(line.onsets, steps, lengths, line.grid)
        | _of_form(line)
    )


def best_scale(line: Line) -> tuple[int, ...]:
    """Return the pitch classes, 0 for C, of the major scale that fits most notes of a line.

    The first is the tonic. If several scales fit equally well, the one with the lowest tonic is
    returned; for silence, that is C major.
    """
    counts = np.bincount(line.pitches[line.onsets] % 12, minlength=12)
    root = int(np.argmax([counts[np.roll(_MAJOR, root)].sum() for root in range(12)]))
    return tuple((root + int(degree)) % 12 for degree in np.flatnonzero(_MAJOR))


def trio_attributes(piece: Piece) -> dict[str, float]:
    """Return every attribute of both lines of a trio, and of how well its parts fit together."""
    melody, bass, drums = piece.lines[MELODY], piece.lines[BASS], piece.drums
    assert drums is not None
    return {
        **{f"melody_{name}": value for name, value in line_attributes(melody).items()},
        **{f"bass_{name}": value for name, value in line_attributes(bass).items()},
        **_harmony(melody, bass),
        **_together(bass, drums.hits[:, KICK]),
    }


def _harmony(melody: Line, bass: Line) -> dict[str, float]:
    """Return how well a melody fits a bass, over the notes that start while the bass sounds.

    `octave_fit` is the share of them on the bass's pitch class; `chord_fit` also counts those a
    third or a fifth above it.
    """
    both = melody.onsets & (bass.pitches != SILENT)
    above = (melody.pitches - bass.pitches)[both] % 12
    return {"chord_fit": _mean(np.isin(above, _TRIADS)), "octave_fit": _mean(above == 0)}


def _together(line: Line, kicks: NDArray[np.bool_]) -> dict[str, float]:
    """Return how well a bass and the kick (T,) coincide.

    These are the share of the bass's notes that start with a kick, and of kicks that start with a
    bass note.
    """
    return {
        "bass_with_kick": _mean(kicks[line.onsets]),
        "kick_with_bass": _mean(line.onsets[kicks]),
    }


def _mean(values: NDArray[np.bool_] | NDArray[np.integer] | _Array) -> float:
    return float(values.mean()) if values.size else 0.0


def _of_range(pitches: NDArray[np.int64]) -> dict[str, float]:
    return {
        "mean_pitch": _mean(pitches),
        "range": float(np.ptp(pitches)) if pitches.size else 0.0,
        "different_pitches": float(len(np.unique(pitches))),
    }


def _of_intervals(intervals: NDArray[np.int64]) -> dict[str, float]:
    """Describe the intervals between successive notes, in semitones.

    Source: Roberts et al. 2018, section 5.3, for the average interval.
    """
    sizes = np.abs(intervals)
    directions = np.sign(intervals[intervals != 0])
    return {
        "average_interval": _mean(sizes),
        "largest_interval": float(sizes.max(initial=0)),
        "repeats": _mean(sizes == 0),
        "steps": _mean((sizes > 0) & (sizes <= _LARGEST_STEP)),
        "skips": _mean((sizes > _LARGEST_STEP) & (sizes <= _LARGEST_SKIP)),
        "leaps": _mean(sizes > _LARGEST_SKIP),
        "rising": _mean(intervals > 0),
        "turns": _mean(directions[1:] != directions[:-1]),
        "first_to_last": float(abs(intervals.sum())),
    }


def _of_key(pitches: NDArray[np.int64]) -> dict[str, float]:
    """Describe how well the notes fit C major, and the best-fitting major scale.

    Source: Roberts et al. 2018, section 5.3, for C diatonic.
    """
    counts = np.bincount(pitches % 12, minlength=12)
    shares = counts / max(1, len(pitches))
    in_scales = [float(shares[np.roll(_MAJOR, root)].sum()) for root in range(12)]
    nonzero = shares[shares > 0]
    return {
        "c_diatonic": in_scales[0],
        "key_fit": max(in_scales),
        "pitch_class_entropy": float(-(nonzero * np.log2(nonzero)).sum()),
    }


def _of_rhythm(
    onsets: NDArray[np.bool_], steps: NDArray[np.int64], lengths: NDArray[np.int64], grid: Grid
) -> dict[str, float]:
    """Describe where notes start and how long they last, in steps.

    An onset is a sixteenth syncopation if it lies between two eighths, without an onset on the
    sixteenth before it. It is an eighth syncopation if it lies halfway between two beats, without
    an onset in the first half of the beat.

    Source: Roberts et al. 2018, section 5.3, which counts them; here they are shares.
    """
    before = np.concatenate([[False], onsets[:-1]])
    steps_per_beat = grid.steps_per_beat
    in_beat = onsets.reshape(-1, steps_per_beat)  # (beats, steps of a beat)
    begun = np.asarray(in_beat[:, : steps_per_beat // 2].any(axis=1))[steps // steps_per_beat]
    places = steps % steps_per_beat
    off_eighth, off_beat = 2 * places % steps_per_beat != 0, 2 * places == steps_per_beat
    return {
        "sixteenth_syncopation": _mean(off_eighth & ~before[steps]),
        "eighth_syncopation": _mean(off_beat & ~begun),
        "on_the_beat": _mean(places == 0),
        "average_length": _mean(lengths),
        "spread_of_lengths": float(lengths.std()) if lengths.size else 0.0,
        "sixteenths": _mean(lengths == 1),
        "longest_note": float(lengths.max(initial=0)),
        "kinds_of_lengths": float(len(np.unique(lengths))),
    }


def _of_form(line: Line) -> dict[str, float]:
    """Describe the similarity of bars that lie one, two, four and eight bars apart.

    Rhythm: common onsets divided by onsets in either bar. Melody: the share of steps at which both
    bars have the same pitch, or both are silent.
    """
    rhythm = line.onsets.reshape(line.n_bars, -1)
    pitches = line.pitches.reshape(line.n_bars, -1)
    attributes = {}
    for lag in (lag for lag in _LAGS if lag < line.n_bars):
        both = (rhythm[lag:] & rhythm[:-lag]).sum(axis=1)
        either = (rhythm[lag:] | rhythm[:-lag]).sum(axis=1)
        alike = np.where(either > 0, both / np.maximum(either, 1), 1.0)
        attributes[f"rhythm_alike_{lag}"] = _mean(alike)
        attributes[f"melody_alike_{lag}"] = _mean(pitches[lag:] == pitches[:-lag])
    return attributes
