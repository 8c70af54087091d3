"""Morphs: codes against a scalar reference at every awkward angle, shared noise, pieces."""

import itertools
import math

import numpy as np
import pytest
import torch
from tiny_data import drummed_groove

from musicvae_core.errors import CheckpointError, ConfigError, InvalidMusicError
from musicvae_core.latent.morph import (
    _compare,
    _fractions,
    _pad_codes,
    _path_codes,
    _with_exact_ends,
)
from musicvae_core.models.checkpoint import Checkpoint, save_checkpoint
from musicvae_core.models.kinds import build
from musicvae_core.models.presets import preset
from musicvae_core.music.drums import KICK, N_VOICES, SNARE
from musicvae_core.music.groove import Groove
from musicvae_core.studio import Studio


def slerp_slowly(a, b, t):
    """Interpolate one number at a time; a straight line where there is no one great circle."""
    a, b = [float(x) for x in a], [float(x) for x in b]
    lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    cosine = sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 1.0
    angle = math.acos(max(-1.0, min(1.0, cosine)))
    first, second = 1 - t, t
    if math.sin(angle) >= 1e-6:
        first, second = (math.sin(part * angle) / math.sin(angle) for part in (first, second))
    return [first * x + second * y for x, y in zip(a, b, strict=True)]


def directions():
    """Codes at every awkward angle to one another."""
    rng = np.random.default_rng(0)
    code = rng.standard_normal(16)
    across = rng.standard_normal(16)
    across -= across @ code / (code @ code) * code
    angles = [1e-7, 1e-5, 1e-3, 1.0, math.pi / 2, 3.0, math.pi - 1e-3, math.pi - 1e-7]
    length = np.linalg.norm(code) / np.linalg.norm(across)
    turned = [math.cos(angle) * code + math.sin(angle) * length * across for angle in angles]
    plain = [code, 3 * code, -code, -2 * code, 0 * code, across, 1e-3 * across]
    return [np.asarray(each, np.float32) for each in (*plain, *turned)]


@pytest.mark.parametrize("n_steps", [3, 9, 33])
def test_every_path_equals_the_slow_implementation(n_steps):
    for start, end in itertools.product(directions(), repeat=2):
        path = _path_codes(start, end, n_steps)
        assert path.shape == (n_steps, 16)
        assert np.isfinite(path).all()
        assert np.array_equal(path[0], start)
        assert np.array_equal(path[-1], end)
        for at, code in enumerate(path):
            expected = slerp_slowly(start, end, at / (n_steps - 1))
            np.testing.assert_allclose(code, expected, rtol=1e-5, atol=2e-3)


def test_lerp_is_a_straight_line():
    start, end = directions()[0], directions()[5]
    path = _path_codes(start, end, 5, "lerp")
    np.testing.assert_allclose(np.diff(path, axis=0), np.tile((end - start) / 4, (4, 1)), atol=1e-6)
    middle = np.linalg.norm(path[2])
    assert middle < np.linalg.norm(_path_codes(start, end, 5)[2]) - 0.1


def test_a_pad_is_paths_between_paths():
    corners = np.stack([directions()[at] for at in (0, 5, 2, 10)])
    pad = _pad_codes(corners).reshape(5, 5, 16)
    for at, corner in zip([(0, 0), (0, 4), (4, 0), (4, 4)], corners, strict=True):
        assert np.array_equal(pad[at], corner)
    upper, lower = _path_codes(*corners[:2], 5), _path_codes(*corners[2:], 5)
    np.testing.assert_array_equal(pad[0], upper)
    np.testing.assert_array_equal(pad[4], lower)
    for column in range(5):
        expected = slerp_slowly(upper[column], lower[column], 0.25)
        np.testing.assert_allclose(pad[1, column], expected, atol=1e-5)


def test_a_pad_is_as_far_from_its_corners_as_a_path_is_from_its_ends():
    pad = _fractions(25, 5).reshape(5, 5)
    assert pad[0].tolist() == pad[:, -1].tolist() == [0.0, 0.25, 0.5, 0.25, 0.0]
    assert pad[2].tolist() == [0.5] * 5
    assert 0.25 < pad[1, 1] < 0.5
    assert _fractions(5, 1).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("n_steps", [0, 2, 34])
def test_too_few_or_too_many_steps_are_refused(n_steps):
    with pytest.raises(ConfigError, match="3 to 33"):
        _path_codes(*directions()[:2], n_steps)


def test_reconstruction_errors_are_counted():
    hits = np.zeros((32, 9), bool)
    hits[[0, 8, 16, 24], KICK] = True
    other = hits.copy()
    other[0, KICK] = False
    other[4, SNARE] = True
    measured = _compare(Groove.from_hits(hits), Groove.from_hits(other))
    assert measured.accuracy == 30 / 32
    assert measured.hit_f1 == pytest.approx(2 * 3 / (4 + 4))
    silent = _compare(Groove.silent(2), Groove.silent(2))
    assert (silent.accuracy, silent.hit_f1) == (1, 1)


def test_exact_ends_stand_at_the_corners_at_the_paths_tempo():
    ends = [drummed_groove(np.random.default_rng(seed), 2, 90 + seed) for seed in range(4)]
    path = _with_exact_ends([Groove.silent(2)] * 5, ends[:2], 1)
    assert [groove.n_hits > 0 for groove in path] == [True, False, False, False, True]
    assert path[4] == ends[1].at_tempo(120)
    pad = _with_exact_ends([Groove.silent(2)] * 25, ends, 5)
    assert [at for at, groove in enumerate(pad) if groove.n_hits] == [0, 4, 20, 24]
    assert [pad[at] for at in (0, 4, 20, 24)] == [end.at_tempo(120) for end in ends]


ARCHITECTURES = ("groove_2bar", "drums_2bar", "groove_16bar", "drums_16bar_flat")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_equal_codes_decoded_alike_are_equal_and_else_are_not(name):
    torch.manual_seed(0)
    model = build(preset(f"{name}_tiny").model).eval()
    z = torch.randn(1, model.config.z_size).repeat(6, 1)
    with torch.inference_mode():
        alike = model.decode(z, 1.0, torch.Generator().manual_seed(0), share_noise=True)
        apart = model.decode(z, 1.0, torch.Generator().manual_seed(0))
        alone = model.decode(z[:1], 1.0, torch.Generator().manual_seed(0))
    assert (alike == alike[0]).all()
    assert not (apart == apart[0]).all()
    np.testing.assert_allclose(alike[0], alone[0], atol=0.02)
    bars = alike[0].view(model.config.n_bars, -1)
    assert not (bars == bars[0]).all()


@pytest.mark.parametrize("n", [2, 25, 33, 700])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_shared_noise_is_the_same_for_any_number_of_codes(name, n):
    torch.manual_seed(0)
    model = build(preset(f"{name}_tiny").model).eval()
    z = torch.randn(1, model.config.z_size).repeat(n, 1)
    with torch.inference_mode():
        few = model.decode(z[:2], 1.0, torch.Generator().manual_seed(0), share_noise=True)
        many = model.decode(z, 1.0, torch.Generator().manual_seed(0), share_noise=True)
    assert (many[..., :N_VOICES] == few[0, :, :N_VOICES]).all()


@pytest.mark.parametrize("name", ["groove_16bar", "drums_16bar_hier"])
def test_long_grooves_morph_as_short_ones_do(name, tmp_path):
    torch.manual_seed(0)
    save_checkpoint(Checkpoint.new(preset(f"{name}_tiny")), tmp_path / name)
    n_bars = preset(f"{name}_tiny").model.n_bars
    ends = [drummed_groove(np.random.default_rng(seed), n_bars) for seed in range(2)]
    morph = Studio(tmp_path).morph(name, ends, 5, temperature=1.0, exact_ends=True)
    assert [groove.n_bars for groove in morph.grooves] == [n_bars] * 5
    assert [morph.grooves[0], morph.grooves[-1]] == ends


@pytest.fixture
def studio(checkpoints_dir):
    return Studio(checkpoints_dir)


@pytest.fixture
def ends():
    return [drummed_groove(np.random.default_rng(seed), 2, 90) for seed in range(4)]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_studio_morphs_between_two_and_four(studio, ends, temperature):
    path = studio.morph("groove_2bar", ends[:2], 7, temperature=temperature, tempo_bpm=101)
    assert (len(path.grooves), path.n_rows, path.n_columns) == (7, 1, 7)
    assert {groove.tempo_bpm for groove in path.grooves} == {101}
    np.testing.assert_array_equal(path.codes[[0, -1]], studio.encode("groove_2bar", ends[:2]))
    assert [back.original for back in path.reconstructions] == ends[:2]
    pad = studio.morph("drums_2bar", ends, temperature=temperature)
    assert (len(pad.grooves), pad.n_rows, pad.n_columns) == (25, 5, 5)
    assert len(pad.reconstructions) == 4


def test_at_temperature_0_the_ends_are_their_reconstructions(studio, ends):
    path = studio.morph("groove_2bar", ends[:2], 9)
    for groove, back in zip((path.grooves[0], path.grooves[-1]), path.reconstructions, strict=True):
        assert _compare(groove, back.groove).hit_f1 > 0.98
    exact = studio.morph("groove_2bar", ends[:2], 9, exact_ends=True, tempo_bpm=90)
    assert [exact.grooves[0], exact.grooves[-1]] == ends[:2]


def test_invalid_ends_of_a_morph_are_refused_by_name(studio, ends):
    with pytest.raises(ConfigError, match="between 3 grooves"):
        studio.morph("groove_2bar", ends[:3])
    with pytest.raises(InvalidMusicError):
        studio.morph("groove_2bar", [ends[0], ends[1].repeated(3)])
    with pytest.raises(ConfigError, match="no curve"):
        studio.morph("groove_2bar", ends[:2], curve="bezier")
    with pytest.raises(CheckpointError):
        studio.morph("gone", ends[:2])
