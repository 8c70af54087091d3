"""One named exception per failure a user can meet, all under `MusicVAEError`.

Every message says what was wrong and what to do about it, in one sentence or
two: pages and the command line show it as it is.
"""


class MusicVAEError(Exception):
    """Root of every error that this package raises on purpose."""


class InvalidGrooveError(MusicVAEError, ValueError):
    """Arrays that are not a groove: wrong shape, range, or a value on a silent cell."""


class GrooveLengthError(InvalidGrooveError):
    """A groove that is shorter or longer than what the model was made for."""


class ConfigError(MusicVAEError, ValueError):
    """A configuration value out of its range, or a name that does not exist."""


class OptionError(MusicVAEError):
    """A number of the command line that is none, or out of its range.

    It is no `ValueError`: argparse would put those in words of its own, after the usage.
    """


class MidiError(MusicVAEError):
    """Root of the failures of reading a MIDI file."""


class MalformedMidiError(MidiError):
    """The bytes are not a MIDI file, or the file is damaged or cut short."""


class MidiTooLargeError(MidiError):
    """The file has more bytes or more notes than a groove can use."""


class EmptyMidiError(MidiError):
    """The file is sound but holds no note."""


class NoDrumsError(MidiError):
    """No note on the drum channel; `tracks` lists what could be read as drums instead."""

    def __init__(self, message: str, tracks: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.tracks = tracks


class UnsupportedMetreError(MidiError):
    """The file is not in 4/4 throughout."""


class UnsupportedMidiError(MidiError):
    """A sound file of a kind that has no common bars: SMPTE timing, or format 2."""


class InvalidTempoError(MidiError):
    """The file states a tempo that no music has."""


class ShareCodeError(MusicVAEError, ValueError):
    """A text that is no share code, a damaged one, or a groove that is too long for one."""


class NewerShareCodeError(ShareCodeError):
    """A share code written by a later version of this package."""


class RenderError(MusicVAEError):
    """Root of the failures of making sound."""


class SynthUnavailableError(RenderError):
    """FluidSynth's system library, or any SoundFont, is missing."""


class SoundFontError(RenderError):
    """The SoundFont is missing, damaged, or has no drum kit."""


class UnknownKitError(RenderError):
    """The SoundFont has no kit of that name."""


class SoundTooLongError(RenderError):
    """A groove that would take more time to play, and more memory, than is given to one."""


class DataError(MusicVAEError):
    """Root of the failures of the data set."""


class DataNotFoundError(DataError):
    """No data set at the path."""


class DamagedDataError(DataError):
    """A data set whose archive is not whole, or whose table says what it cannot."""


class DownloadError(DataError):
    """The public archive could not be fetched whole and unchanged."""


class TooFewExamplesError(DataError):
    """Fewer windows than training or evaluation can use."""


class CheckpointError(MusicVAEError):
    """Root of the failures of loading and saving a checkpoint."""


class CheckpointNotFoundError(CheckpointError):
    """No checkpoint at the path."""


class CorruptCheckpointError(CheckpointError):
    """A checkpoint that is truncated or damaged."""


class ForeignCheckpointError(CheckpointError):
    """A file that is not a checkpoint of this package."""


class NewerCheckpointError(CheckpointError):
    """A checkpoint written by a later version of this package."""


class AtlasError(MusicVAEError):
    """Root of the failures of the atlas that lies beside a checkpoint."""


class AtlasNotFoundError(AtlasError):
    """No atlas beside the checkpoint."""


class CorruptAtlasError(AtlasError):
    """An atlas that is truncated, damaged, or not one at all."""


class NewerAtlasError(AtlasError):
    """An atlas written by a later version of this package."""


class StaleAtlasError(AtlasError):
    """An atlas of other weights than the checkpoint's."""


class VectorsError(MusicVAEError):
    """Root of the failures of the attribute vectors that lie beside a checkpoint."""


class VectorsNotFoundError(VectorsError):
    """No attribute vectors beside the checkpoint."""


class CorruptVectorsError(VectorsError):
    """Attribute vectors that are truncated, damaged, or not such at all."""


class NewerVectorsError(VectorsError):
    """Attribute vectors written by a later version of this package."""


class StaleVectorsError(VectorsError):
    """Attribute vectors of other weights than the checkpoint's."""


class TrainingError(MusicVAEError):
    """Root of the failures of a training run."""


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite; the last good checkpoint is kept."""


class DiskFullError(TrainingError):
    """A checkpoint could not be written for want of space; the last good one is kept."""
