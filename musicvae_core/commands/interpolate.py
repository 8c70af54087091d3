"""The command `interpolate`: a morph between MIDI files, as files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from musicvae_core.commands.arguments import read_drums
from musicvae_core.errors import ConfigError, MidiError, NoDrumsError, SoundTooLongError
from musicvae_core.files import make_folder, write_content
from musicvae_core.groove import Groove
from musicvae_core.midi import MidiReading
from musicvae_core.studio import Studio


def interpolate(options: argparse.Namespace) -> None:
    """Write the steps of a morph and the piece that they make, and print how the ends fared."""
    make_folder(options.out)
    folder = options.checkpoint.resolve()
    studio = Studio(folder.parent)
    n_bars = studio.checkpoint(folder.name).config.n_bars
    ends = [_read_end(path, n_bars, options) for path in options.midi]
    morph = studio.morph(
        folder.name,
        ends,
        options.steps,
        curve="lerp" if options.lerp else "slerp",
        temperature=options.temperature,
        tempo_bpm=ends[0].tempo_bpm if options.tempo is None else options.tempo,
        seed=options.seed,
        exact_ends=options.exact_ends,
    )
    for path, back in zip(options.midi, morph.reconstructions, strict=True):
        print(f"{path}: {back.accuracy:.1%} of steps come back right, F1 of hits {back.hit_f1:.3f}")
    bars = n_bars if options.bars is None else options.bars
    piece = Groove.joined([groove.repeated(bars) for groove in morph.grooves])
    _write(studio, morph.grooves, piece, options)


def _read_end(path: Path, n_bars: int, options: argparse.Namespace) -> Groove:
    """Read a file as a groove of the model's length, and print how it was made so."""
    from_bar = options.from_bar
    try:
        reading = _read_or_stand_in(path, options.track)
    except MidiError as error:
        raise ConfigError(f"{path}: {error}") from error
    groove = reading.groove
    print(f"{path}: {reading.summary}")
    if groove.n_bars > n_bars:
        last = groove.n_bars - n_bars + 1
        if not 1 <= from_bar <= last:
            raise ConfigError(
                f"{path} has {groove.n_bars} bars and the model hears {n_bars}: "
                f"--from-bar is {from_bar} and must be 1 to {last}."
            )
        print(f"{path}: {n_bars} of {groove.n_bars} bars are used, from bar {from_bar} on")
        return groove.bars(from_bar - 1, n_bars)
    if groove.n_bars < n_bars:
        print(f"{path}: repeated from {groove.n_bars} to {n_bars} bars")
    return groove.repeated(n_bars)


def _read_or_stand_in(path: Path, track: str | None) -> MidiReading:
    """Read a file's drums; where it has none, the track that is to stand in for them."""
    try:
        return read_drums(path)
    except NoDrumsError:
        if track is None:
            raise
        return read_drums(path, track)


def _write(
    studio: Studio, steps: Sequence[Groove], piece: Groove, options: argparse.Namespace
) -> None:
    """Write the steps and the piece, with their sound; a piece too long to be heard has none."""
    if options.wav:
        studio.check_sound(steps[0], options.kit)  # all are as long
    named = {f"{step:02d}": groove for step, groove in enumerate(steps)} | {"morph": piece}
    for name, groove in named.items():
        write_content(options.out / f"{name}.mid", studio.midi(groove))
        if options.wav:
            _write_sound(studio, name, groove, options)
    print(f"{len(steps)} steps and the piece, morph.mid, in {options.out}")


def _write_sound(studio: Studio, name: str, groove: Groove, options: argparse.Namespace) -> None:
    try:
        write_content(options.out / f"{name}.wav", studio.wav(groove, options.kit))
    except SoundTooLongError as error:
        print(f"{name}.wav is left out. {error}")
