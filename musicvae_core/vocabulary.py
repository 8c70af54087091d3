"""The words that every module shares: nine drum voices, their pitches, and the grid.

Source: the nine voices and their order are those of MusicVAE's and GrooVAE's drum
models (Roberts et al. 2018, section 4; Gillick et al. 2019, section 3); pitches are
General MIDI's percussion key map and the Roland TD-11's, on which the Groove MIDI
Dataset was played.
"""

from types import MappingProxyType

BEATS_PER_BAR = 4
STEPS_PER_BEAT = 4
STEPS_PER_BAR = BEATS_PER_BAR * STEPS_PER_BEAT
"""A step is a sixteenth note; only 4/4 is modelled."""

TICKS_PER_BEAT = 480
"""Resolution of written MIDI files, the data set's own."""
TICKS_PER_STEP = TICKS_PER_BEAT // STEPS_PER_BEAT
LATEST_OFFSET = 0.5 - 0.5 / TICKS_PER_STEP
"""In steps, what an offset that grew too late is cut to: half a step is the next step's."""

VELOCITY_LEVELS = 127
"""Loudness levels of a MIDI note; a velocity of 1.0 is level 127."""

MIN_TEMPO_BPM = 20.0
MAX_TEMPO_BPM = 400.0
MAX_TEMPERATURE = 2.0
"""What divides the logits of a draw at the most; 0 is the least, and takes the likeliest."""

VOICES: tuple[str, ...] = (
    "kick",
    "snare",
    "closed hi-hat",
    "open hi-hat",
    "low tom",
    "mid tom",
    "high tom",
    "crash",
    "ride",
)
N_VOICES = len(VOICES)
N_COMBINATIONS = 2**N_VOICES
"""Every set of voices that can sound at one step is one class: bit v is voice v."""

KICK, SNARE, CLOSED_HAT, OPEN_HAT, LOW_TOM, MID_TOM, HIGH_TOM, CRASH, RIDE = range(N_VOICES)

WRITTEN_PITCHES: tuple[int, ...] = (36, 38, 42, 46, 43, 47, 50, 49, 51)
"""The General MIDI pitch that each voice is written as, in the order of `VOICES`."""

_PITCHES_OF_VOICE: dict[int, tuple[int, ...]] = {
    KICK: (36, 35),
    SNARE: (38, 37, 40, 39),
    CLOSED_HAT: (42, 22, 44, 54, 69, 70, 82),
    OPEN_HAT: (46, 26),
    LOW_TOM: (43, 58, 41),
    MID_TOM: (47, 45),
    HIGH_TOM: (50, 48),
    CRASH: (49, 52, 55, 57),
    RIDE: (51, 53, 59, 56),
}

VOICE_OF_PITCH = MappingProxyType(
    {pitch: voice for voice, pitches in _PITCHES_OF_VOICE.items() for pitch in pitches}
)
"""General MIDI and Roland TD-11 pitches to a voice; any other pitch is counted and dropped."""
