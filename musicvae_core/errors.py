"""The errors that a caller can tell apart, all under `MusicVAEError`.

Every message says what was wrong and what to do about it, in one sentence or
two: pages and the command line show it as it is.
"""


class MusicVAEError(Exception):
    """Root of every error that this package raises on purpose."""


class InvalidMusicError(MusicVAEError, ValueError):
    """No groove, line or piece: of a wrong shape or range, or of a length that does not suit."""


class GridError(MusicVAEError, ValueError):
    """Music on another grid than a model plays or a format holds."""


class ConfigError(MusicVAEError, ValueError):
    """A configuration value out of its range, or a name that does not exist."""


class OptionError(MusicVAEError):
    """An argument that is not a number, or out of its range.

    It is no `ValueError`: argparse would put those in words of its own, after the usage.
    """


class MidiError(MusicVAEError):
    """A MIDI file that cannot be read, or that holds nothing to use."""


class NoDrumsError(MidiError):
    """No track is known to be drums; `tracks` lists what can be read as drums."""

    def __init__(self, message: str, tracks: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.tracks = tracks


class NoMelodyError(MidiError):
    """No part of the file is a melody; `tracks` lists those that can be read as one."""

    def __init__(self, message: str, tracks: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.tracks = tracks


class DrumMapError(MusicVAEError, ValueError):
    """A drum map that does not exist, or a file of one that cannot be understood."""


class ShareCodeError(MusicVAEError, ValueError):
    """A text that is not a share code of this version, or a groove too long for one."""


class LibraryError(MusicVAEError):
    """The library of what listeners keep cannot be opened, read or written."""


class RenderError(MusicVAEError):
    """Sound cannot be made: FluidSynth, a SoundFont or a kit is missing or damaged."""


class SoundTooLongError(RenderError):
    """A groove too long to render: it would take too much time and memory."""


class DataError(MusicVAEError):
    """A data set that is missing, or could not be downloaded whole."""


class DamagedDataError(DataError):
    """A data set whose archive is incomplete, or whose table is invalid."""


class TooFewExamplesError(DataError):
    """Fewer windows than training or evaluation can use."""


class CheckpointError(MusicVAEError):
    """A checkpoint, or a file beside it, is missing, damaged, foreign or of a later version."""


class TrainingError(MusicVAEError):
    """A training run that had to stop: the loss is not finite, or the disk is full."""
