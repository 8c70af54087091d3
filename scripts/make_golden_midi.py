"""Make the golden MIDI file of the tests, and the groove that it holds.

Run `python -m scripts.make_golden_midi` only when the format of written files is meant to
change, and look at the difference before committing it.
"""

from pathlib import Path

import numpy as np

from musicvae_core.groove import Groove
from musicvae_core.midi import write_midi
from musicvae_core.vocabulary import (
    CLOSED_HAT,
    CRASH,
    KICK,
    N_VOICES,
    SNARE,
    STEPS_PER_BAR,
    TICKS_PER_STEP,
    VELOCITY_LEVELS,
)

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "golden"
TEMPO_BPM = 96.0


def make_groove() -> Groove:
    """Two bars with a crash early for the first beat and a snare late on the last step."""
    levels = np.zeros((2 * STEPS_PER_BAR, N_VOICES))
    ticks = np.zeros_like(levels)
    levels[[0, 7, 10, 16, 26], KICK] = 112, 70, 101, 127, 88
    levels[[4, 12, 20, 28, 31], SNARE] = 118, 120, 115, 121, 1
    levels[::2, CLOSED_HAT] = np.tile([90, 55], 8)
    levels[0, CRASH] = 104
    ticks[[4, 12, 20, 28, 31], SNARE] = 6, 9, 4, 8, 59
    ticks[2::4, CLOSED_HAT] = 13
    ticks[[0, 16], KICK] = -3, -60
    ticks[0, CRASH] = -11
    return Groove(levels > 0, levels / VELOCITY_LEVELS, ticks / TICKS_PER_STEP, TEMPO_BPM)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    groove = make_groove()
    (FOLDER / "two_bars.mid").write_bytes(write_midi(groove))
    np.savez_compressed(
        FOLDER / "two_bars.npz",
        hits=groove.hits,
        velocities=groove.velocities,
        offsets=groove.offsets,
        tempo_bpm=groove.tempo_bpm,
    )


if __name__ == "__main__":
    main()
