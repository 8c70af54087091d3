"""The sound of lines: pitches by spectrum, lengths, loops without a seam, instruments."""

import numpy as np
import pytest

from musicvae_core.errors import RenderError, SoundTooLongError
from musicvae_core.music.line import Line, Note
from musicvae_core.sound.render import Renderer, render_music

FLUTE, VIOLIN, PIANO = 73, 40, 0


@pytest.fixture(scope="module")
def renderer():
    return Renderer()


def loudness(audio):
    return float(np.sqrt((audio.astype(np.float64) ** 2).mean()))


def strongest_hz(audio, sample_rate):
    spectrum = np.abs(np.fft.rfft(audio[:, 0] * np.hanning(len(audio))))
    return float(np.fft.rfftfreq(len(audio), 1 / sample_rate)[spectrum.argmax()])


def test_notes_sound_at_their_pitches_when_it_is_their_turn(renderer):
    pitches = [69, 76, 72, 81]
    notes = [Note(4 * i, 4, pitch, 0.8) for i, pitch in enumerate(pitches)]
    audio = render_music(renderer, Line.from_notes(notes, 1, program=FLUTE))
    assert audio.shape == (2 * renderer.sample_rate, 2)
    for pitch, part in zip(pitches, np.array_split(audio, 4), strict=True):
        middle = part[len(part) // 4 :]
        heard = 69 + 12 * np.log2(strongest_hz(middle, renderer.sample_rate) / 440)
        # an octave above may be the strongest partial
        assert min((heard - pitch) % 12, (pitch - heard) % 12) < 0.4


def test_a_rest_is_quiet_and_a_held_note_is_not(renderer):
    held = Line.from_notes([Note(0, 16, 69, 0.8)], 2, program=VIOLIN)
    short = Line.from_notes([Note(0, 2, 69, 0.8)], 2, program=VIOLIN)
    step = renderer.sample_rate // 8
    late = slice(10 * step, 14 * step)
    loud = loudness(render_music(renderer, held)[late])
    assert loudness(render_music(renderer, short)[late]) < 0.02 * loud


def test_tails_past_the_end_sound_at_the_start(renderer):
    last = Line.from_notes([Note(14, 2, 69, 0.9)], 1, program=PIANO)
    assert loudness(render_music(renderer, last)[: renderer.sample_rate // 10]) > 0


def test_louder_notes_are_louder_and_instruments_are_balanced(renderer):
    def sound(velocity, program=PIANO):
        line = Line.from_notes([Note(0, 8, 67, velocity)], 1, program=program)
        return render_music(renderer, line)

    assert loudness(sound(0.3)) < loudness(sound(0.6)) < loudness(sound(1.0))
    peaks = [float(np.abs(sound(1.0, program)).max()) for program in (0, 40, 56, 73)]
    assert max(peaks) < 0.9
    assert max(peaks) < 4 * min(peaks)


def test_the_same_line_is_the_same_bytes_whatever_was_played_before(renderer):
    line = Line.from_notes([Note(0, 3, 60, 0.7), Note(3, 5, 67, 0.5)], 1, program=VIOLIN)
    first = Renderer(renderer.soundfont)
    render_music(first, line.transposed(3))
    assert np.array_equal(render_music(first, line), render_music(renderer, line))


def test_a_line_that_would_last_too_long_is_refused(renderer):
    with pytest.raises(SoundTooLongError):
        render_music(renderer, Line.from_notes([Note(0, 1, 60, 0.5)], 100, tempo_bpm=30))


def test_an_instrument_that_the_font_lacks_is_refused(renderer):
    silent = Line.from_notes([], 1, program=99)
    assert not render_music(renderer, silent).any()
    with pytest.raises(RenderError, match="instrument 200"):
        renderer.sampler.line_note(200, 60, 100, 1000)
