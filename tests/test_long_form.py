"""Pieces: bars that change alone while the others are held bit for bit, and ways between pieces."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_data import drummed_groove

from musicvae_core.errors import ConfigError, InvalidMusicError
from musicvae_core.latent.codes import slerp
from musicvae_core.latent.long_form import _embed, _splice
from musicvae_core.models.checkpoint import Checkpoint, save_checkpoint
from musicvae_core.models.presets import preset
from musicvae_core.models.prior import LatentPrior, PriorConfig
from musicvae_core.music.groove import Groove
from musicvae_core.studio import Studio

N_BARS = 16
PRESETS = {
    "drums": "drums_16bar_hier",
    "groove": "groove_16bar",
    "flat": "drums_16bar_flat",
    "prior": "groove_16bar",
}


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """Untrained long models whose embeddings matter; `prior` has one that knows bars."""
    folder = tmp_path_factory.mktemp("long")
    torch.manual_seed(0)
    for name, preset_name in PRESETS.items():
        checkpoint = Checkpoint.new(preset(f"{preset_name}_tiny"))
        decoder = checkpoint.model.decoder
        with torch.no_grad():
            for part in (getattr(decoder, "bottom", decoder), checkpoint.model.head):
                for parameter in part.parameters():
                    parameter.mul_(10)
        if name == "prior":
            config = PriorConfig(width=16, depth=1, n_parts=N_BARS, spread=1.0)
            checkpoint.prior = LatentPrior(config, checkpoint.config.z_size)
            torch.nn.init.normal_(checkpoint.prior.out.weight, std=0.5)
        save_checkpoint(checkpoint, folder / name)
    return Studio(folder)


@pytest.fixture(params=["drums", "groove", "prior"])
def piece(request, studio):
    return studio.sample_piece(request.param, seed=3, tempo_bpm=97)


def bars_that_differ(one: Groove, other: Groove) -> list[int]:
    pairs = zip(one.windows(1), other.windows(1), strict=True)
    return [bar for bar, (a, b) in enumerate(pairs) if a != b]


def test_a_piece_is_what_sample_draws(studio, piece):
    prior = "learned" if piece.model == "prior" else "normal"
    take = studio.sample(piece.model, 1, seed=3, prior=prior, tempo_bpm=97)[0]
    assert piece.groove == take.groove
    assert piece.groove.n_bars == N_BARS
    assert len({tuple(bar.hits.ravel()) for bar in piece.groove.windows(1)}) > N_BARS // 2
    np.testing.assert_array_equal(piece.z, take.z)
    embeddings = _embed(studio.checkpoint(piece.model), take.z)
    np.testing.assert_array_equal(piece.embeddings, embeddings)


@pytest.mark.parametrize("bars", [[0], [5], [15], [4, 9], range(11, 16), range(16)])
def test_bars_change_and_all_others_are_held_exactly(studio, piece, bars):
    varied = studio.vary_bars(piece, bars, 1.0, seed=9)
    assert bars_that_differ(piece.groove, varied.groove) == list(bars)
    moved = (piece.embeddings != varied.embeddings).any(axis=1)
    assert np.flatnonzero(moved).tolist() == list(bars)
    assert varied.groove.tempo_bpm == 97


def test_bars_played_by_hand_are_held_too(studio, piece):
    played = drummed_groove(np.random.default_rng(0), N_BARS)
    taken = studio.piece_of(piece.model, played)
    assert taken.groove == played
    varied = studio.vary_bars(taken, [7], 0.9, seed=1)
    assert bars_that_differ(played, varied.groove) == [7]


def test_changes_add_up(studio, piece):
    once = studio.vary_bars(piece, [2], 1.0, seed=1)
    twice = studio.vary_bars(once, [9], 1.0, seed=2)
    assert bars_that_differ(piece.groove, twice.groove) == [2, 9]
    assert bars_that_differ(once.groove, twice.groove) == [9]
    back = studio.vary_bars(once, [2], 1.0, seed=2)
    assert bars_that_differ(piece.groove, back.groove) == [2]


def test_a_larger_amount_changes_more_and_zero_nothing(studio, piece):
    assert studio.vary_bars(piece, [3, 4], 0.0, seed=5).groove == piece.groove
    varied = [studio.vary_bars(piece, [3, 4], amount, seed=5) for amount in (0.1, 0.4, 1.0)]
    ways = [np.linalg.norm(one.z - piece.z) for one in varied]
    assert 0 < ways[0] < min(ways[1:])


def test_without_a_prior_of_bars_they_move_towards_another_piece(studio):
    piece = studio.sample_piece("drums", seed=3)
    other = studio.sample_piece("drums", seed=5)
    whole = studio.vary_bars(piece, range(N_BARS), 1.0, seed=5)
    np.testing.assert_array_equal(whole.z, other.z)
    np.testing.assert_array_equal(whole.embeddings, other.embeddings)


def test_a_prior_of_bars_draws_those_that_change_and_holds_the_others(studio):
    piece = studio.sample_piece("prior", seed=3)
    parts = piece.z.reshape(N_BARS, -1)
    varied = studio.vary_bars(piece, [2, 7], 1.0, seed=5).z.reshape(N_BARS, -1)
    changed = [bar for bar in range(N_BARS) if not np.array_equal(parts[bar], varied[bar])]
    assert changed == [2, 7]
    elsewhere = replace(piece, z=piece.z + np.float32(1) * (np.arange(len(piece.z)) < 8))
    other = studio.vary_bars(elsewhere, [7], 1.0, seed=5).z.reshape(N_BARS, -1)
    alone = studio.vary_bars(piece, [7], 1.0, seed=5).z.reshape(N_BARS, -1)
    assert not np.allclose(other[7], alone[7])  # what is held has a say


def test_the_same_seed_gives_the_same_change_and_another_another(studio, piece):
    first, again, other = (studio.vary_bars(piece, [6], 1.0, seed=s).groove for s in (4, 4, 5))
    assert first == again != other


def test_a_morph_has_both_pieces_at_its_ends(studio, piece):
    end = studio.sample_piece(piece.model, seed=4)
    pieces = studio.morph_pieces(piece, end, 5)
    morph = [one.groove for one in pieces]
    assert len(morph) == 5
    assert studio.vary_bars(pieces[2], [4], 0.0).groove == morph[2]
    assert morph[0] == piece.groove
    assert morph[-1] == end.groove.at_tempo(97)
    assert {groove.tempo_bpm for groove in morph} == {97}
    if piece.model == "prior":
        return
    distances = [(groove.hits != piece.groove.hits).sum() for groove in morph]
    assert distances[0] == 0 < distances[1] < distances[-1]


def test_the_middle_of_a_morph_decodes_what_lies_between(studio):
    start, end = (studio.sample_piece("drums", seed=s) for s in (3, 4))
    middle = studio.morph_pieces(start, end, 3)[1].groove
    halfway = slerp(start.z, end.z, 0.5)[None]
    wanted = studio.decode("drums", halfway, seed=start.seed, tempo_bpm=120)[0].groove
    assert middle == wanted


def test_a_crossing_leads_from_one_to_the_other_bar_by_bar(studio, piece):
    end = studio.sample_piece(piece.model, seed=4, tempo_bpm=120)
    crossing = studio.cross_over(piece, end)
    assert crossing.groove.tempo_bpm == 97
    assert crossing.groove.bars(0, 1) == piece.groove.bars(0, 1)
    assert crossing.groove.bars(15, 1) == end.groove.bars(15, 1).at_tempo(97)
    if piece.model != "prior":  # which would refine them
        starts, ends, z = (one.z.reshape(N_BARS, -1) for one in (piece, end, crossing))
        for bar in range(N_BARS):
            np.testing.assert_allclose(z[bar], slerp(starts[bar], ends[bar], bar / 15), rtol=1e-5)
    varied = studio.vary_bars(crossing, [8], 1.0, seed=1)
    assert bars_that_differ(crossing.groove, varied.groove) == [8]


def test_pieces_of_two_models_cannot_be_morphed(studio):
    start, end = (studio.sample_piece(model, seed=3) for model in ("drums", "groove"))
    message = "of drums and of groove; both must be of one model"
    with pytest.raises(ConfigError, match=message):
        studio.morph_pieces(start, end, 3)
    with pytest.raises(ConfigError, match=message):
        studio.cross_over(start, end)


def test_splicing_takes_whole_bars_with_their_feel():
    rng = np.random.default_rng(4)
    one, other = drummed_groove(rng, 4, 90), drummed_groove(rng, 4, 130)
    spliced = _splice(one, other, [1, 3])
    for bar in range(4):
        wanted = other.at_tempo(90) if bar in (1, 3) else one
        assert spliced.bars(bar, 1) == wanted.bars(bar, 1)


def test_a_flat_model_makes_no_pieces_but_says_so(studio):
    with pytest.raises(ConfigError, match="no conductor"):
        studio.sample_piece("flat")
    with pytest.raises(ConfigError, match="no conductor"):
        studio.piece_of("flat", Groove.silent(N_BARS))
    found = {info.name: info.has_conductor for info in studio.models()}
    assert found == {name: name != "flat" for name in PRESETS}


def test_bad_numbers_are_refused(studio, piece):
    for bars in ([], [16], [-1], [3, 99]):
        with pytest.raises(ConfigError, match="choose some of 0 to 15"):
            studio.vary_bars(piece, bars, 0.5)
    for amount in (-0.1, 1.1):
        with pytest.raises(ConfigError, match="amount"):
            studio.vary_bars(piece, [1], amount)
    with pytest.raises(ConfigError, match="3 to 33"):
        studio.morph_pieces(piece, piece, 2)
    with pytest.raises(ConfigError, match="temperature"):
        studio.sample_piece(piece.model, temperature=2.5)
    with pytest.raises(InvalidMusicError, match="takes 16"):
        studio.piece_of(piece.model, Groove.silent(4))
