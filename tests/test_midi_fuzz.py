"""Thousands of damaged files: each is read or refused in a sentence, soon."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from midi_builders import (
    drum_file,
    metre,
    midi_file,
    name,
    note,
    tempo,
    track,
    without_drum_channel,
)

from musicvae_core.errors import MidiError
from musicvae_core.music.line_midi import read_line
from musicvae_core.music.midi.read import read_midi, read_rhythm

ROOT = Path(__file__).resolve().parents[1]
CASES = ROOT.parent / "shared" / "cases" / "midi"
SECONDS_FOR_EACH = 2.0
N_OF_EACH = 150
MIN_SHARE_READ = 0.3


def sources() -> list[bytes]:
    """Return the demo files, a few that are built here, and the cases where they are."""
    paths = [*sorted(ROOT.glob("assets/**/*.mid")), *sorted(CASES.glob("*.mid"))]
    conductor = track(tempo(0, 400_000), metre(0, 4, 2))
    beat = track(name("Drums"), *(note(120, pitch) for pitch in (36, 42, 38, 42) * 8))
    built = [midi_file(conductor, beat), without_drum_channel(), drum_file(note(0, 36), n_tracks=1)]
    return [path.read_bytes() for path in paths] + built


def damaged(data: bytes, n: int, rng: np.random.Generator) -> Iterator[bytes]:
    """Yield the file with bytes changed, cut out, repeated, inserted, or cut short."""
    for _ in range(n):
        content = bytearray(data)
        for _ in range(int(rng.integers(1, 6))):
            at, length = int(rng.integers(len(content) or 1)), int(rng.integers(1, 24))
            match int(rng.integers(6)):
                case 0:
                    content[at : at + 1] = bytes([int(rng.integers(256))])
                case 1:
                    content[at : at + 1] = bytes(byte ^ 0x80 for byte in content[at : at + 1])
                case 2:
                    del content[at : at + length]
                case 3:
                    content[at:at] = content[at : at + length]
                case 4:
                    content[at:at] = rng.bytes(length)
                case _:
                    del content[at:]
        yield bytes(content)


@pytest.mark.parametrize("read", [read_midi, read_rhythm, read_line])
def test_damaged_files_are_read_or_refused_in_a_sentence_soon(read):
    rng = np.random.default_rng(0)
    n_read = n_tried = 0
    for data in sources():
        for broken in damaged(data, N_OF_EACH, rng):
            started = time.process_time()
            try:
                text = read(broken).summary
                n_read += 1
            except MidiError as error:
                text = str(error)
            n_tried += 1
            assert text.endswith(".")
            assert time.process_time() - started < SECONDS_FOR_EACH, broken.hex()
    if read is read_midi:
        assert n_read > MIN_SHARE_READ * n_tried
