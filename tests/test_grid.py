"""Grids other than sixteenths in 4/4: grooves are made, written, rendered and measured on them."""

import io

import mido
import numpy as np
import pytest

from musicvae_core.errors import ConfigError, GridError, InvalidMusicError, ShareCodeError
from musicvae_core.music import share
from musicvae_core.music.attributes import _Beats, _fill_ness, _hat_activity, _swing, measure
from musicvae_core.music.attributes import _eighth_syncopation as eighths
from musicvae_core.music.attributes import _sixteenth_syncopation as sixteenths
from musicvae_core.music.drums import CLOSED_HAT, KICK, N_VOICES, SNARE, WRITTEN_PITCHES
from musicvae_core.music.forms import bar_similarity, taps_to_groove
from musicvae_core.music.grid import COMMON_TIME, TICKS_PER_BEAT, Grid, TempoMap
from musicvae_core.music.groove import Groove, groove_to_features
from musicvae_core.music.line import Line, Note
from musicvae_core.music.midi.write import write_midi
from musicvae_core.music.piece import Piece
from musicvae_core.music.share import Shared, read_share_code, write_share_code

WALTZ, TRIPLETS = Grid(beats_per_bar=3), Grid(steps_per_beat=6)
GRIDS = (WALTZ, TRIPLETS, Grid(5, 4), Grid(3, 3), Grid(1, 1), Grid(7, 24))


def any_groove(grid, n_bars=3, seed=0):
    rng = np.random.default_rng(seed)
    shape = (n_bars * grid.steps_per_bar, N_VOICES)
    hits = rng.random(shape) < 0.3
    hits[0, KICK] = hits[-1, SNARE] = True
    return Groove.from_hits(
        hits, rng.uniform(0.1, 1, shape), rng.uniform(-0.5, 0.49, shape), 97.0, grid
    )


def test_the_default_is_sixteenths_in_four_four():
    assert (COMMON_TIME.steps_per_bar, COMMON_TIME.ticks_per_step) == (16, 120)
    assert Groove.silent(2).grid == COMMON_TIME
    assert (WALTZ.steps_per_bar, TRIPLETS.steps_per_bar, TRIPLETS.ticks_per_step) == (12, 24, 80)


@pytest.mark.parametrize("sizes", [(0, 4), (17, 4), (4, 0), (4, 25), (4, 7), (4, 9)])
def test_an_invalid_grid_is_refused(sizes):
    with pytest.raises(ConfigError, match="it must be 1 to"):
        Grid(*sizes)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_derived_grooves_keep_the_grid(grid):
    groove = any_groove(grid)
    assert (groove.n_bars, groove.n_steps) == (3, 3 * grid.steps_per_bar)
    made = [
        groove.at_tempo(60.0),
        groove.performed(swing=0.5, feel=0.5),
        groove.bars(1, 2),
        groove.padded(5),
        groove.repeated(7),
        Groove.joined([groove, groove]),
        Groove.from_text(groove.to_text()),
        Groove.silent(2, grid=grid),
    ]
    assert {one.grid for one in made} == {grid}
    assert [one.n_bars for one in made] == [3, 3, 2, 5, 7, 6, 3, 2]
    assert Groove.from_text(groove.to_text()) == groove
    assert groove.bars(1, 1) == Groove.joined([groove.bars(1, 1)])


def test_a_grid_tells_grooves_apart_and_has_whole_bars():
    twelve = [Groove.silent(4, grid=grid) for grid in (WALTZ, Grid(6, 2))]
    assert np.array_equal(twelve[0].hits, twelve[1].hits)
    assert twelve[0] != twelve[1]
    assert len(set(twelve)) == 2
    with pytest.raises(InvalidMusicError, match="different grids"):
        Groove.joined(twelve)
    with pytest.raises(InvalidMusicError, match="multiple of 12 steps"):
        Groove.from_hits(np.zeros((16, N_VOICES), bool), grid=WALTZ)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_a_file_has_the_metre_and_every_hit_at_its_tick(grid):
    groove = any_groove(grid)
    file = mido.MidiFile(file=io.BytesIO(write_midi(groove, loop=True)))
    metre = next(m for m in file.tracks[0] if m.type == "time_signature")
    assert (metre.numerator, metre.denominator) == (grid.beats_per_bar, 4)
    assert file.length == pytest.approx(groove.duration_seconds, rel=1e-5)
    end, now, found = 3 * grid.beats_per_bar * TICKS_PER_BEAT, 0, []
    for message in file.tracks[1]:
        now += message.time
        if message.type == "note_on" and message.velocity:
            found.append((now, message.note))
    assert now == end
    steps, voices = np.nonzero(groove.hits)
    places = (steps + groove.offsets[steps, voices]) * grid.ticks_per_step
    wanted = sorted(
        (round(place) % end, WRITTEN_PITCHES[v]) for place, v in zip(places, voices, strict=True)
    )
    assert len(found) == len(wanted)
    assert all(abs(a - b) <= 1 for (a, _), (b, _) in zip(sorted(found), wanted, strict=True))


def test_a_groove_on_a_finer_grid_measures_the_same():
    """Thirty-seconds that are struck like sixteenths have the same notes at the same times."""
    groove = any_groove(COMMON_TIME, seed=4)
    hits = np.zeros((2 * groove.n_steps, N_VOICES), bool)
    velocities, offsets = np.zeros(hits.shape, np.float32), np.zeros(hits.shape, np.float32)
    hits[::2], velocities[::2], offsets[::2] = groove.hits, groove.velocities, groove.offsets / 2
    fine = Groove(hits, velocities, offsets, groove.tempo_bpm, Grid(4, 8))
    assert fine.duration_seconds == groove.duration_seconds
    own, coarse = measure(fine), measure(groove)
    for name in ("velocity_mean", "velocity_spread", "voices_used"):
        assert own[name] == pytest.approx(coarse[name]), name
    for name in ("offset_spread", "laid_backness"):
        assert own[name] == pytest.approx(coarse[name] / 2, rel=1e-5), name
    assert own["step_density"] == coarse["step_density"] / 2
    for attribute in (eighths, _fill_ness, _hat_activity):
        assert attribute(beats_of(fine)) == attribute(beats_of(groove)), attribute.__name__


def beats_of(groove):
    return _Beats(groove.hits, groove.velocities, groove.offsets, groove.grid)


def struck(grid, steps, voice=CLOSED_HAT, late=0.0):
    hits = np.zeros((grid.steps_per_bar, N_VOICES), bool)
    hits[steps, voice] = True
    offsets = np.zeros(hits.shape, np.float32)
    offsets[steps, voice] = late
    return beats_of(Groove.from_hits(hits, 0.8, offsets, grid=grid))


def test_attributes_know_where_eighths_lie():
    assert sixteenths(struck(TRIPLETS, [0, 3, 6, 9])) == 0
    assert sixteenths(struck(TRIPLETS, [1, 4, 5, 10])) == 0.75  # 5 follows 4
    assert eighths(struck(TRIPLETS, [3, 6, 9, 21])) == 0.5  # a hit at 6 comes before 9
    assert eighths(struck(Grid(4, 3), [1, 4])) == 0
    assert _hat_activity(struck(WALTZ, [0, 4, 8])) == 3
    assert _swing(struck(WALTZ, [0, 4], late=[0.0, 0.0])) == 0
    assert _swing(struck(WALTZ, [0, 3], late=[0.0, 0.25])) == 0.25


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_every_attribute_of_every_grid_is_a_number(grid):
    values = measure(any_groove(grid))
    assert all(np.isfinite(value) for value in values.values())
    beats = beats_of(any_groove(grid))
    assert all(np.isfinite(float(one(beats))) for one in (eighths, sixteenths, _fill_ness))
    assert bar_similarity(any_groove(grid).hits, grid).shape == (3, 3)


@pytest.mark.parametrize("grid", [WALTZ, TRIPLETS], ids=str)
def test_a_groove_of_any_grid_is_rendered_in_time(sound, checkpoints_dir, grid):
    from musicvae_core.sound.render import Renderer

    hits = np.zeros((grid.steps_per_bar, N_VOICES), bool)
    hits[grid.steps_per_beat, SNARE] = True
    groove = Groove.from_hits(hits, tempo_bpm=120.0, grid=grid)
    renderer = Renderer()
    heard = renderer.render(groove)
    assert len(heard) == round(groove.duration_seconds * renderer.sample_rate)
    loudness = np.abs(heard).max(axis=1)
    start = int(np.flatnonzero(loudness > 0.1 * loudness.max())[0])
    assert start / renderer.sample_rate == pytest.approx(0.5, abs=0.02)  # the second beat


def test_swing_delays_every_second_step_of_a_beat():
    def late(grid):
        groove = Groove.from_hits(np.ones((grid.steps_per_bar, N_VOICES), bool), grid=grid)
        return np.flatnonzero(groove.performed(swing=1.0).offsets[:, KICK]).tolist()

    assert late(WALTZ) == [1, 3, 5, 7, 9, 11]
    assert late(Grid(1, 6)) == [1, 3, 5]
    assert late(Grid(2, 3)) == []  # else the whole second beat would be late
    line = Line.from_notes([Note(0, 1, 60, 1.0)], 1, grid=Grid(2, 3)).performed(swing=1.0)
    assert [line.place_of(step) for step in range(6)] == [0, 1, 2, 3, 4, 5]


def test_taps_lie_on_their_grid():
    groove = taps_to_groove([(0.1, 0.5), (23.6, 0.9)], 2, 100.0, WALTZ)
    assert (groove.grid, groove.n_bars) == (WALTZ, 2)
    assert np.argwhere(groove.hits).tolist() == [[0, SNARE]]
    with pytest.raises(InvalidMusicError, match="record again"):
        taps_to_groove([(24.5, 0.5)], 2, 100.0, WALTZ)


def test_models_refuse_what_they_do_not_know():
    with pytest.raises(GridError, match=r"sixteenths in 3/4; only sixteenths in 4/4"):
        groove_to_features(any_groove(WALTZ))


def coarse(groove):
    """Return a groove as a share code tells it."""
    n_ticks = min(groove.grid.ticks_per_step, 240)
    levels = np.rint(groove.velocities * 127) / 127
    ticks = np.clip(np.rint(groove.offsets * n_ticks), -n_ticks // 2, n_ticks // 2 - 1)
    return Groove(groove.hits, levels, ticks / n_ticks, groove.tempo_bpm, groove.grid)


@pytest.mark.parametrize("grid", [COMMON_TIME, *GRIDS], ids=str)
def test_share_codes_carry_the_grid(grid):
    drums = coarse(any_groove(grid))
    line = Line.from_notes(
        [Note(0, 1, 60, 1.0), Note(grid.steps_per_bar, 1, 64, 50 / 127)], 3, grid=grid
    )
    piece = Piece({"melody": line, "bass": line.transposed(-12), "drums": drums.at_tempo(120)})
    for music in (drums, line, piece):
        code = write_share_code(Shared(music, "a model", "a kit", "a name"))
        is_old = code.startswith(("gs2.", "ps1."))
        assert is_old == (grid == COMMON_TIME)
        shared = read_share_code(code)
        assert shared.music == music
        assert (shared.model, shared.kit, shared.name) == ("a model", "a kit", "a name")


def test_a_share_code_of_no_grid_is_damaged():
    code = write_share_code(Shared(any_groove(WALTZ)))
    body = share._decode(code.removeprefix("gs3."))
    for grid in (b"\x00\x04", b"\x04\x07", b"\x11\x04"):
        with pytest.raises(ShareCodeError, match="damaged"):
            read_share_code(share._encode("gs3.", body[:5] + grid + body[7:]))


SLOWER = TempoMap(((0.0, 500_000), (8.0, 1_000_000)))
"""120 bpm for two bars, then 60."""


def test_without_a_tempo_it_is_120():
    assert TempoMap(()).tempos_bpm == (120.0,)
    assert TempoMap(((4.0, 1_000_000),)).changes == ((0.0, 500_000), (4.0, 1_000_000))


def test_changes_are_sorted_the_later_of_two_counts_and_a_repeated_tempo_is_left_out():
    stated = ((4.0, 400_000), (0.0, 500_000), (0.0, 600_000), (2.0, 600_000), (4.0, 300_000))
    assert TempoMap(stated).changes == ((0.0, 600_000), (4.0, 300_000))


@pytest.mark.parametrize("microseconds", [0, -1, 2**24])
def test_a_tempo_that_midi_cannot_state_is_refused(microseconds):
    with pytest.raises(ValueError, match="microseconds"):
        TempoMap(((0.0, microseconds),))


def test_seconds_follow_the_tempo_of_each_beat():
    beats = [-1, 0, 4, 8, 9, 12.5]
    np.testing.assert_allclose(SLOWER.seconds_at(beats), [-0.5, 0, 2, 4, 5, 8.5])


def test_a_section_keeps_the_tempo_that_held_at_its_start():
    assert SLOWER.section(4, 12).changes == ((0.0, 500_000), (4.0, 1_000_000))
    assert SLOWER.section(8, 12).changes == ((0.0, 1_000_000),)
    assert SLOWER.section(0, 8).is_steady


def test_the_tempo_of_most_beats_is_the_main_one():
    assert SLOWER.main_tempo_bpm(12) == 120.0
    assert SLOWER.main_tempo_bpm(16) == 120.0  # of equally long ones the first
    assert SLOWER.main_tempo_bpm(17) == 60.0


def test_a_take_that_drifts_is_played_near_its_own_tempo():
    drift = [(4.0 * bar, round(60e6 / (120 + 0.1 * bar))) for bar in range(4)]
    held = [(16.0, 1_000_000)]
    assert TempoMap((*drift, *held)).main_tempo_bpm(28) == pytest.approx(120.0, abs=0.4)


def test_tempos_that_no_groove_has_are_passed_over_where_there_are_others():
    fermata = TempoMap(((0.0, 500_000), (4.0, 4_000_000)))
    assert fermata.main_tempo_bpm(40) == 120.0
    assert TempoMap(((0.0, 4_000_000),)).main_tempo_bpm(4) == 20.0
