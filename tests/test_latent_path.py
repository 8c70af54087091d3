"""A path as one piece: which bar comes when, how far it has moved, and what is refused."""

import numpy as np
import pytest
import torch
from tiny_data import drummed_groove

from musicvae_core.errors import ConfigError, InvalidMusicError
from musicvae_core.latent import morph as latent_path
from musicvae_core.latent.codes import encode_music
from musicvae_core.latent.morph import MAX_PATH_BARS, Route, Stop, play_path
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.music.groove import features_to_groove
from musicvae_core.studio import Studio

RNG = np.random.default_rng(0)
GROOVES = [drummed_groove(RNG, 2, 80.0 + n) for n in range(4)]


@pytest.fixture(params=["drums_2bar", "groove_2bar", "a_flow"])
def checkpoint(request, checkpoints_dir):
    return load_checkpoint(checkpoints_dir / request.param)


def stops(*lengths):
    return [Stop(groove, n) for groove, n in zip(GROOVES, lengths, strict=False)]


@pytest.fixture
def laid(monkeypatch):
    """Collect the codes that are decoded."""
    codes = []
    plain = latent_path._decoded

    def keep(checkpoint, z, *rest):
        codes.append(z)
        return plain(checkpoint, z, *rest)

    monkeypatch.setattr(latent_path, "_decoded", keep)
    return codes


def test_every_part_begins_with_its_groove_and_its_first_bar(checkpoint):
    piece = play_path(checkpoint, stops(4, 3, 1), Route(), 101)
    assert (piece.n_bars, piece.tempo_bpm) == (8, 101)
    for part, start in enumerate((0, 4, 7)):
        assert piece.bars(start, 1) == GROOVES[part].bars(0, 1).at_tempo(101)


def test_between_two_grooves_every_bar_lies_farther_on(checkpoint, laid):
    play_path(checkpoint, stops(4, 2), Route(refined=False), 120)
    start, end = encode_music(checkpoint, GROOVES[:2])
    [codes] = laid
    ways = np.linalg.norm(codes[:4] - start, axis=1) / np.linalg.norm(end - start)
    assert ways[0] == 0
    assert (np.diff(ways) > 0.1).all()
    np.testing.assert_array_equal(codes[4:], [end, end])  # the last groove stays


def test_a_loop_comes_back_to_its_first_groove(checkpoint, laid):
    play_path(checkpoint, stops(1, 4), Route(returns=True, refined=False), 120)
    start, end = encode_music(checkpoint, GROOVES[:2])
    ways = np.linalg.norm(laid[0][1:] - start, axis=1) / np.linalg.norm(end - start)
    assert ways[0] == pytest.approx(1)
    assert (np.diff(ways) < -0.1).all()
    assert ways[-1] > 0


def test_bars_alternate_within_a_part(checkpoint):
    piece = play_path(checkpoint, stops(5, 4), Route(glide=0.0), 120)
    order = [*((0, bar) for bar in (0, 1, 0, 1, 0)), *((1, bar) for bar in (0, 1, 0, 1))]
    for at, (part, bar) in enumerate(order):
        assert piece.bars(at, 1) == GROOVES[part].bars(bar, 1).at_tempo(120)


def test_the_glide_is_a_part_s_last_share(checkpoint, laid):
    play_path(checkpoint, stops(8, 1), Route(glide=0.5, refined=False), 120)
    [start, _] = encode_music(checkpoint, GROOVES[:2])
    stays = [np.array_equal(code, start) for code in laid[0]]
    assert stays == [True] * 5 + [False] * 3 + [False]


def test_the_model_plays_the_grooves_where_they_need_not_be_exact(checkpoint):
    ours = play_path(checkpoint, stops(2, 2), Route(glide=0.0, exact=False), 120)
    z = torch.from_numpy(encode_music(checkpoint, GROOVES[:2]))
    with torch.inference_mode():
        features = checkpoint.model.decode(z, 0.0).numpy()
    decoded = [features_to_groove(one, 120) for one in features]
    assert ours.bars(0, 2) == decoded[0]
    assert ours.bars(2, 2) == decoded[1]


def test_refining_moves_what_lies_between_alone(checkpoints_dir, laid):
    checkpoint = load_checkpoint(checkpoints_dir / "a_flow")
    for refined in (False, True):
        play_path(checkpoint, stops(4, 2), Route(refined=refined), 120)
    plain, refined = laid
    moved = np.abs(plain - refined).max(axis=1)
    assert (moved > 0.01).tolist() == [False, True, True, True, False, False]


def test_all_bars_share_their_noise(checkpoint):
    hot = Route(glide=0.0, exact=False, temperature=1.0, seed=5)
    piece = play_path(checkpoint, stops(4, 1), hot, 120)
    assert piece.bars(0, 2) == piece.bars(2, 2)
    other = play_path(checkpoint, stops(4, 1), Route(0.0, exact=False, temperature=1.0), 120)
    assert piece != other


def test_the_studio_plays_a_path(checkpoints_dir):
    studio = Studio(checkpoints_dir)
    piece = studio.play_path("groove_2bar", stops(2, 4), Route(), tempo_bpm=99)
    checkpoint = studio.checkpoint("groove_2bar")
    assert piece == play_path(checkpoint, stops(2, 4), Route(), 99)
    with pytest.raises(ConfigError, match="temperature"):
        studio.play_path("groove_2bar", stops(2, 4), Route(temperature=3))


@pytest.mark.parametrize(
    ("given", "route", "message"),
    [
        (stops(4), Route(), "2 to 16"),
        (stops(4, 4) * 9, Route(), "2 to 16"),
        (stops(0, 4), Route(), "at least one"),
        (stops(MAX_PATH_BARS, 1), Route(), "64 at most"),
        (stops(1, 1), Route(glide=1.5), "glide"),
    ],
)
def test_bad_numbers_are_refused(checkpoint, given, route, message):
    with pytest.raises(ConfigError, match=message):
        play_path(checkpoint, given, route, 120)


def test_grooves_of_another_length_are_refused(checkpoint):
    given = [Stop(drummed_groove(RNG, 4), 4), Stop(GROOVES[0], 4)]
    with pytest.raises(InvalidMusicError, match="takes 2"):
        play_path(checkpoint, given, Route(), 120)
