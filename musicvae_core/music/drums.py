"""The nine drum voices and their pitches.

Source: the nine voices and their order are those of MusicVAE's and GrooVAE's drum
models (Roberts et al. 2018, section 4; Gillick et al. 2019, section 3); pitches are
General MIDI's percussion key map and the Roland TD-11's, on which the Groove MIDI
Dataset was played.
"""

from types import MappingProxyType

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
