"""Audio to FLAC: the samples of a 16-bit WAV file, bit for bit, in fewer bytes.

Every browser decodes FLAC, and unlike a lossy format it keeps a loop's length to the sample.
"""

from __future__ import annotations

import io

import numpy as np
import soundfile

from musicvae_core.sound.sampler import Audio

_LEVEL = 0.5
"""Of libsndfile's 0 (fast) to 1 (small)."""


def flac_bytes(audio: Audio, sample_rate: int) -> bytes:
    """Return audio as a 16-bit FLAC file.

    Parameters
    ----------
    audio
        (n_samples, channels) float in [-1, 1]; what lies beyond is clipped. It is rounded
        as `render.wav_bytes` does, so both files hold the same samples.
    sample_rate
        Samples a second.
    """
    pcm = np.rint(np.clip(audio, -1.0, 1.0) * 32767.0).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(
        buffer, pcm, sample_rate, format="FLAC", subtype="PCM_16", compression_level=_LEVEL
    )
    return buffer.getvalue()
