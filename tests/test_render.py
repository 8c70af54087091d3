"""Sound: onsets, seams, loudness, chokes, kits, threads, speed."""

import io
import time
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from musicvae_core.errors import (
    ConfigError,
    RenderError,
    SoundTooLongError,
)
from musicvae_core.music.drums import (
    CLOSED_HAT,
    CRASH,
    KICK,
    N_VOICES,
    OPEN_HAT,
    RIDE,
    SNARE,
    VOICES,
    WRITTEN_PITCHES,
)
from musicvae_core.music.groove import Groove
from musicvae_core.sound.render import Renderer, wav_bytes

RATE = 44100
SMALL_FONT = Path(pretty_midi.__file__).with_name("TimGM6mb.sf2")


@pytest.fixture(scope="module")
def renderer():
    return open_renderer(SMALL_FONT)


@pytest.fixture(scope="module")
def default_renderer():
    return open_renderer(None)


def open_renderer(soundfont):
    try:
        return Renderer(soundfont)
    except RenderError as error:
        pytest.skip(str(error))


def groove_of(*hits, n_bars=1, tempo_bpm=120.0):
    """Build a groove from (step, voice, velocity, offset) hits."""
    shape = (n_bars * 16, N_VOICES)
    velocities, offsets = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for step, voice, velocity, offset in hits:
        velocities[step, voice], offsets[step, voice] = velocity, offset
    return Groove(velocities > 0, velocities, offsets, tempo_bpm)


def random_groove(seed, n_bars=2, tempo_bpm=120.0):
    rng = np.random.default_rng(seed)
    shape = (n_bars * 16, N_VOICES)
    return Groove.from_hits(
        rng.random(shape) < 0.15,
        rng.uniform(0.1, 1.0, shape),
        rng.uniform(-0.4, 0.4, shape),
        tempo_bpm,
    )


def rms(audio):
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


def first_heard(audio, share=0.1):
    loudness = np.abs(audio).max(axis=1)
    return int(np.argmax(loudness >= share * loudness.max()))


@pytest.mark.parametrize("tempo_bpm", [20.0, 97.3, 120.0, 133.7, 400.0])
def test_length_is_exact(renderer, tempo_bpm):
    groove = groove_of((0, KICK, 0.8, 0.0), tempo_bpm=tempo_bpm)
    audio = renderer.render(groove)
    assert audio.shape == (round(groove.duration_seconds * RATE), 2)
    assert audio.dtype == np.float32


@pytest.mark.parametrize("kit_number", range(8))
@pytest.mark.parametrize("voice", range(N_VOICES))
def test_onset_is_within_a_millisecond(renderer, voice, kit_number):
    step, offset, tempo_bpm = 5, 0.137 - 0.05 * voice, 117.3
    groove = groove_of((step, voice, 0.7, offset), n_bars=3, tempo_bpm=tempo_bpm)
    audio = renderer.render(groove, renderer.kits[kit_number])
    expected = (step + offset) * groove.step_seconds
    assert abs(first_heard(audio) / RATE - expected) < 0.001


@pytest.mark.parametrize("voice", range(N_VOICES))
def test_onset_is_within_a_millisecond_in_the_default_font(default_renderer, voice):
    groove = groove_of((7, voice, 1.0, -0.31), n_bars=4, tempo_bpm=60.0)
    expected = (7 - 0.31) * groove.step_seconds
    onset = first_heard(default_renderer.render(groove)) / RATE
    assert abs(onset - expected) < 0.001


def test_an_early_first_hit_sounds_at_the_end(renderer):
    groove = groove_of((0, SNARE, 0.9, -0.4))
    audio = renderer.render(groove)
    expected = groove.duration_seconds - 0.4 * groove.step_seconds
    assert abs(first_heard(audio, 0.5) / RATE - expected) < 0.001
    assert rms(audio[:200]) > 0.01  # and rings on over the seam


@pytest.mark.parametrize("seed", range(3))
def test_rotating_a_groove_rotates_its_sound(renderer, seed):
    groove = random_groove(seed)
    rotated = Groove(
        *(np.roll(a, 4, axis=0) for a in (groove.hits, groove.velocities, groove.offsets)),
        groove.tempo_bpm,
    )
    audio = renderer.render(groove)
    expected = np.roll(audio, round(4 * groove.step_seconds * RATE), axis=0)
    np.testing.assert_allclose(renderer.render(rotated), expected, atol=1e-5)


def test_the_seam_is_no_louder_than_the_sound_around_it(renderer):
    audio = renderer.render(groove_of((14, CRASH, 1.0, 0.3), (4, OPEN_HAT, 0.9, 0.0)))
    steps = np.abs(np.diff(np.concatenate([audio[-4410:], audio[:4410]]), axis=0)).max(axis=1)
    assert steps[4409] <= np.quantile(steps, 0.99)
    assert rms(audio[:2000]) == pytest.approx(rms(audio[-2000:]), rel=0.3)


def test_a_tail_longer_than_the_loop_folds_as_often_as_needed(renderer):
    short = groove_of((0, CRASH, 0.6, 0.0), tempo_bpm=400.0)
    alone = renderer.render(groove_of((0, CRASH, 0.6, 0.0), n_bars=16, tempo_bpm=400.0))
    n_samples = round(short.duration_seconds * RATE)
    folded = alone[: len(alone) // n_samples * n_samples].reshape(-1, n_samples, 2).sum(axis=0)
    np.testing.assert_allclose(renderer.render(short), folded, atol=1e-4)


def test_passes_repeat_the_loop(renderer):
    groove = random_groove(1, n_bars=1)
    once = renderer.render(groove)
    np.testing.assert_array_equal(renderer.render(groove, n_passes=3), np.concatenate([once] * 3))
    with pytest.raises(ConfigError, match="n_passes"):
        renderer.render(groove, n_passes=0)


def test_the_same_groove_gives_the_same_bytes_whatever_was_rendered_before(renderer):
    grooves = [random_groove(seed) for seed in range(6)]
    kits = renderer.kits
    jobs = [(groove, kits[i % len(kits)]) for i, groove in enumerate(grooves)]
    reference = [renderer.render(*job).tobytes() for job in jobs]
    other = Renderer(SMALL_FONT)
    reverse = [other.render(*job).tobytes() for job in reversed(jobs)]
    assert reverse[::-1] == reference
    assert [renderer.render(*job).tobytes() for job in jobs] == reference


def test_twenty_threads_get_what_one_gets(renderer):
    jobs = [(random_groove(seed), renderer.kits[seed % len(renderer.kits)]) for seed in range(20)]
    reference = [renderer.render(*job).tobytes() for job in jobs]
    fresh = Renderer(SMALL_FONT)
    with ThreadPoolExecutor(20) as pool:
        threaded = list(pool.map(lambda job: fresh.render(*job).tobytes(), jobs))
    assert threaded == reference


def test_a_forgotten_note_comes_back_the_same(renderer, monkeypatch):
    reference = renderer.render(random_groove(3)).tobytes()
    monkeypatch.setattr("musicvae_core.sound.sampler._CACHE_BYTES", 100_000)
    forgetful = Renderer(SMALL_FONT)
    assert forgetful.render(random_groove(3)).tobytes() == reference
    assert forgetful.render(random_groove(3)).tobytes() == reference
    assert sum(kept.levels.nbytes for kept in forgetful.sampler._notes.values()) <= 100_000


@pytest.mark.parametrize("voice", range(N_VOICES), ids=VOICES)
def test_louder_velocity_is_louder_sound(renderer, voice):
    loudness = [
        rms(renderer.render(groove_of((0, voice, level / 127, 0.0), tempo_bpm=400.0)))
        for level in range(1, 128)
    ]
    assert np.all(np.diff(loudness) > 0)


def test_gain_is_fixed(renderer):
    alone = renderer.render(groove_of((8, KICK, 0.7, 0.0)))
    busy = renderer.render(groove_of((8, KICK, 0.7, 0.0), (0, SNARE, 1.0, 0.0)))
    without = renderer.render(groove_of((0, SNARE, 1.0, 0.0)))
    np.testing.assert_allclose(busy - without, alone, atol=1e-5)


@pytest.mark.parametrize("kit_number", range(8))
def test_no_clipping_when_every_voice_strikes_every_step(renderer, kit_number):
    torture = Groove.from_hits(np.ones((32, N_VOICES), bool), 1.0, tempo_bpm=160.0)
    assert np.abs(renderer.render(torture, renderer.kits[kit_number])).max() < 1.0


@pytest.mark.parametrize("kit_number", range(8))
def test_four_limbs_at_full_strength_stay_linear_and_audible(renderer, kit_number):
    chord = groove_of(*((0, voice, 1.0, 0.0) for voice in (KICK, SNARE, OPEN_HAT, CRASH)), n_bars=4)
    peak = np.abs(renderer.render(chord, renderer.kits[kit_number])).max()
    assert 0.85 < peak < 1


def test_a_silent_groove_is_silence(renderer):
    assert not renderer.render(Groove.silent(2)).any()


@pytest.mark.parametrize("kit_number", range(8))
@pytest.mark.parametrize("damper", [CLOSED_HAT, OPEN_HAT])
def test_a_hat_hit_damps_the_open_hat_in_every_kit(default_renderer, damper, kit_number):
    kit = default_renderer.kits[-1 - kit_number]
    open_hat, damping = (0, OPEN_HAT, 1.0, 0.0), (4, damper, 0.05, 0.0)
    ringing = default_renderer.render(groove_of(open_hat, n_bars=4), kit)
    damped = default_renderer.render(groove_of(open_hat, damping, n_bars=4), kit)
    late = slice(round(0.9 * RATE), round(1.0 * RATE))  # 0.4 s after the damping hit
    assert np.array_equal(damped[: RATE // 3], ringing[: RATE // 3])
    quiet_hit = default_renderer.render(groove_of(damping, n_bars=4), kit)
    assert rms(damped[late] - quiet_hit[late]) < 0.02 * rms(ringing[late])


def test_no_other_voice_is_damped(renderer):
    first, second = (0, RIDE, 1.0, 0.0), (4, CLOSED_HAT, 0.5, 0.0)
    both = renderer.render(groove_of(first, second))
    apart = renderer.render(groove_of(first)) + renderer.render(groove_of(second))
    np.testing.assert_allclose(both, apart, atol=1e-5)


def test_a_groove_sounds_as_fluidsynth_plays_it(default_renderer):
    """The slow way as the oracle: one synth, event by event, hits on its 64-sample blocks."""
    step_samples = 64 * 86
    events = [(0, KICK), (0, CLOSED_HAT), (2, OPEN_HAT), (4, SNARE), (6, CLOSED_HAT), (8, KICK)]
    groove = groove_of(
        *((step, voice, 1.0, 0.0) for step, voice in events),
        n_bars=2,
        tempo_bpm=15 * RATE / step_samples,
    )
    ours = default_renderer.render(groove)[: 16 * step_samples].mean(axis=1)
    theirs = played_live(default_renderer.soundfont, events, step_samples, 16)

    def envelope(signal):
        return np.sqrt(np.square(signal.reshape(-1, 64 * 43)).mean(axis=1))

    assert np.corrcoef(envelope(ours), envelope(theirs))[0, 1] > 0.97


def played_live(soundfont, events, step_samples, n_steps):
    fluidsynth = pytest.importorskip("fluidsynth")
    synth = fluidsynth.Synth(
        gain=0.3, samplerate=RATE, **{"synth.reverb.active": 0, "synth.chorus.active": 0}
    )
    font = synth.sfload(str(soundfont))
    synth.program_select(9, font, 128, 0)
    parts = []
    for step in range(n_steps):
        for at, voice in events:
            if at == step:
                synth.noteon(9, WRITTEN_PITCHES[voice], 127)
        parts.append(synth.get_samples(step_samples).astype(np.float64).reshape(-1, 2))
    synth.delete()
    return np.concatenate(parts).mean(axis=1)


def test_kits_are_listed_by_name_and_sound_different(renderer):
    assert renderer.kits[0] == "Standard"
    assert {"Room", "Power", "Electronic", "Jazz", "Brush", "Orchestra"} <= set(renderer.kits)
    assert len(set(renderer.kits)) == len(renderer.kits)
    groove = groove_of((0, KICK, 0.9, 0.0), (4, SNARE, 0.9, 0.0), (8, OPEN_HAT, 0.9, 0.0))
    sounds = [renderer.render(groove, kit).tobytes() for kit in ("Standard", "Power", "TR 808")]
    assert len(set(sounds)) == 3
    assert renderer.render(groove).tobytes() == sounds[0]


def test_an_unknown_kit_is_named_with_those_that_exist(renderer):
    with pytest.raises(RenderError, match=r"'Tabla'.*Standard"):
        renderer.render(Groove.silent(1), "Tabla")


def test_another_sample_rate_is_the_same_groove(renderer):
    groove = groove_of((4, SNARE, 0.9, 0.25))
    audio = Renderer(SMALL_FONT, 22050).render(groove)
    assert len(audio) == round(groove.duration_seconds * 22050)
    assert abs(first_heard(audio) / 22050 - 4.25 * groove.step_seconds) < 0.001
    with pytest.raises(ConfigError, match="sample_rate"):
        Renderer(SMALL_FONT, 4000)


def test_wav_reads_back(renderer):
    audio = renderer.render(random_groove(5))
    with wave.open(io.BytesIO(wav_bytes(audio, RATE))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    np.testing.assert_allclose(pcm / 32767, audio, atol=0.5001 / 32767)


def test_wav_clips_rather_than_wraps():
    with wave.open(io.BytesIO(wav_bytes(np.array([[2.0], [-2.0]], np.float32)))) as file:
        assert file.getnchannels() == 1
        assert np.frombuffer(file.readframes(2), "<i2").tolist() == [32767, -32767]


def test_overlong_audio_is_refused_at_once_with_a_remedy(renderer):
    hits = np.zeros((16 * 600, N_VOICES), bool)
    hits[0, 0] = True
    long = Groove.from_hits(hits, tempo_bpm=40.0)
    start = time.monotonic()
    with pytest.raises(SoundTooLongError, match=r"lasts 60 minutes.*limit is 6: choose fewer bars"):
        renderer.render(long)
    with pytest.raises(SoundTooLongError):
        renderer.render(random_groove(1), n_passes=200)
    assert time.monotonic() - start < 0.5


def test_a_batch_renders_a_hundred_times_faster_than_it_plays(renderer):
    grooves = [random_groove(seed) for seed in range(8)]
    for groove in grooves:
        renderer.render(groove)
    spent = []
    for _ in range(5):  # the best of five: a neighbour on the machine slows the others
        start = time.thread_time()
        for groove in grooves:
            renderer.render(groove)
        spent.append(time.thread_time() - start)
    assert sum(groove.duration_seconds for groove in grooves) / min(spent) > 100


def test_a_usual_beat_is_as_loud_as_other_music(default_renderer):
    hats = [(step, CLOSED_HAT, 0.6, 0.0) for step in range(0, 16, 2)]
    beat = [(0, KICK, 0.8, 0.0), (4, SNARE, 0.8, 0.0), (8, KICK, 0.8, 0.0), (12, SNARE, 0.8, 0.0)]
    audio = default_renderer.render(groove_of(*hats, *beat))
    loudness_db = 20 * np.log10(np.sqrt(np.square(audio).mean()))
    assert -25 < loudness_db < -12


def test_the_loudest_that_can_be_played_does_not_clip(default_renderer):
    everything = groove_of(*((step, voice, 1.0, 0.0) for step in range(16) for voice in range(9)))
    for kit in default_renderer.kits[:3]:
        assert np.abs(default_renderer.render(everything, kit)).max() < 1
