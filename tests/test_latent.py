"""Operations on z, against scalar references."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_studio import fake_atlas
from tiny_data import drummed_groove

from musicvae_core.errors import ConfigError, InvalidMusicError
from musicvae_core.latent.codes import (
    encode_music,
    sample_codes,
    sample_codes_like,
    slerp,
)
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.music.groove import Groove

FRACTIONS = (0.0, 0.1, 0.25, 0.5, 0.9, 1.0)


def slerp_slowly(start, end, fraction):
    """Interpolate with Python's own numbers, one coordinate at a time."""
    a, b = ([float(x) for x in vector] for vector in (start, end))
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    length = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(y * y for y in b))
    angle = math.acos(max(-1.0, min(1.0, dot / length)))
    first = math.sin((1 - fraction) * angle) / math.sin(angle)
    second = math.sin(fraction * angle) / math.sin(angle)
    return [first * x + second * y for x, y in zip(a, b, strict=True)]


def code(seed, size=64, scale=1.0):
    return (scale * np.random.default_rng(seed).standard_normal(size)).astype(np.float32)


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_slerp_equals_the_slow_implementation(fraction, scale):
    start, end = code(0), code(1, scale=scale)
    between = slerp(start, end, fraction)
    assert between.dtype == np.float32
    assert between == pytest.approx(slerp_slowly(start, end, fraction), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("degrees", [0.1, 1.0, 60.0, 90.0, 150.0, 179.0])
def test_slerp_turns_evenly_and_keeps_the_length(degrees):
    angle = math.radians(degrees)
    start = np.array([1.0, 0.0], np.float32)
    end = np.array([math.cos(angle), math.sin(angle)], np.float32)
    for fraction in FRACTIONS:
        expected = [math.cos(fraction * angle), math.sin(fraction * angle)]
        assert slerp(start, end, fraction) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_the_ends_are_exact(seed):
    start, end = code(seed), code(seed + 100, scale=30.0)
    assert np.array_equal(slerp(start, end, 0.0), start)
    assert np.array_equal(slerp(start, end, 1.0), end)


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("seed", range(5))
def test_codes_without_a_great_circle_are_joined_by_a_straight_line(seed, fraction):
    start = code(seed)
    zero = np.zeros_like(start)
    nearly = start * np.float32(1 + 1e-6)
    ends = [start, nearly, 3 * start, -start, -2 * start, zero]
    for a, b in [(start, end) for end in ends] + [(zero, start), (zero, zero)]:
        expected = (1 - fraction) * a.astype(float) + fraction * b.astype(float)
        assert slerp(a, b, fraction) == pytest.approx(expected, abs=1e-5)


@pytest.fixture(scope="module")
def flow(checkpoints_dir):
    """A checkpoint whose learned prior is N(3, 1)."""
    return load_checkpoint(checkpoints_dir / "a_flow")


@pytest.mark.parametrize("prior", ["normal", "learned"])
def test_a_seed_gives_the_same_codes_whatever_their_number(flow, prior):
    many, few = (sample_codes(flow, n, prior, seed=5) for n in (9, 4))
    assert many.shape == (9, 8)
    assert many.dtype == np.float32
    assert many[:4] == pytest.approx(few, abs=1e-5)
    assert not np.array_equal(sample_codes(flow, 4, prior, seed=6), few)
    assert len(np.unique(many, axis=0)) == 9


def test_each_prior_has_its_own_law(flow):
    normal, learned = (sample_codes(flow, 2000, prior, seed=0) for prior in ("normal", "learned"))
    assert normal.mean() == pytest.approx(0.0, abs=0.05)
    assert normal.std() == pytest.approx(1.0, abs=0.05)
    assert learned == pytest.approx(normal + 3.0, abs=1e-4)


def test_a_missing_prior_is_refused(flow, checkpoints_dir):
    with pytest.raises(ConfigError, match="no prior 'uniform'; choose learned or normal"):
        sample_codes(flow, 1, "uniform", 0)
    without = load_checkpoint(checkpoints_dir / "drums_2bar")
    with pytest.raises(ConfigError, match="has no learned prior; use --prior normal"):
        sample_codes(without, 1, "learned", 0)
    assert sample_codes(without, 1, "normal", 0).shape == (1, 8)


def test_grooves_are_encoded_alike_alone_and_in_a_batch(checkpoints_dir):
    checkpoint = load_checkpoint(checkpoints_dir / "groove_2bar")
    rng = np.random.default_rng(5)
    grooves = [drummed_groove(rng, 2) for _ in range(300)]
    together = encode_music(checkpoint, grooves)
    assert (together.shape, together.dtype) == ((300, checkpoint.config.z_size), np.float32)
    for at in (0, 255, 256, 299):
        [alone] = encode_music(checkpoint, [grooves[at]])
        np.testing.assert_allclose(alone, together[at], atol=0.02)
    assert encode_music(checkpoint, []).shape == (0, checkpoint.config.z_size)


def test_a_model_without_feel_encodes_only_hits(checkpoints_dir):
    checkpoint = load_checkpoint(checkpoints_dir / "drums_2bar")
    groove = drummed_groove(np.random.default_rng(6), 2)
    flat = Groove.from_hits(groove.hits)
    first, second = encode_music(checkpoint, [groove, flat])
    assert np.array_equal(first, second)


@pytest.mark.parametrize(("n_bars", "length"), [(1, "1 bar"), (3, "3 bars")])
def test_a_groove_of_another_length_is_refused_by_name(checkpoints_dir, n_bars, length):
    checkpoint = load_checkpoint(checkpoints_dir / "groove_2bar")
    with pytest.raises(InvalidMusicError, match=rf"{length} .* takes 2"):
        encode_music(checkpoint, [Groove.silent(2), Groove.silent(n_bars)])


@pytest.fixture
def two_styles(checkpoints_dir):
    """A checkpoint with a prior, and an atlas of its space in two styles."""
    checkpoint = load_checkpoint(checkpoints_dir / "a_flow")
    rng = np.random.default_rng(6)
    n = 200
    return checkpoint, replace(
        fake_atlas("a_flow"),
        codes=rng.standard_normal((n, checkpoint.config.z_size)).astype(np.float32),
        performance=np.repeat([0, 2], n // 2),  # rock, then funk
        attributes={"step_density": np.linspace(0, 1, n, dtype=np.float32)},
    )


def test_codes_like_windows_repeat_and_are_new(two_styles):
    checkpoint, atlas = two_styles
    codes = sample_codes_like(checkpoint, atlas, 8, "funk", 0.9, seed=3)
    assert np.array_equal(codes, sample_codes_like(checkpoint, atlas, 8, "funk", 0.9, seed=3))
    assert not np.allclose(codes, sample_codes_like(checkpoint, atlas, 8, "funk", 0.9, seed=4))
    apart = np.linalg.norm(codes[:, None] - atlas.codes, axis=2)
    assert apart.min() > 0.1, "no window is given back"


def test_windows_are_of_the_style_and_about_as_busy_as_asked(two_styles, monkeypatch):
    checkpoint, atlas = two_styles
    taken = []
    monkeypatch.setattr(
        checkpoint.prior, "redraw", lambda z, *_: taken.append(z.numpy()) or torch.zeros_like(z)
    )
    sample_codes_like(checkpoint, atlas, 40, "funk", None)
    sample_codes_like(checkpoint, atlas, 40, None, 0.1)
    style, busy = ([atlas.codes.tolist().index(z) for z in some.tolist()] for some in taken)
    assert min(style) >= 100
    assert len(set(style)) == 40, "no window twice while there are enough"
    assert max(busy) < 60


@pytest.mark.parametrize(
    "asked", [{"style": "polka"}, {"busy": 1.5}, {"busy": float("nan")}], ids=str
)
def test_styles_without_windows_are_refused(two_styles, asked):
    with pytest.raises(ConfigError):
        sample_codes_like(*two_styles, 4, **asked)
