"""Models of grids other than sixteenths in 4/4: they train, are saved, and play on their own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_grid import TRIPLETS, WALTZ, any_groove
from tiny_data import dataset_of
from tiny_lab import cells_of, differing

from musicvae_core.errors import GridError
from musicvae_core.evaluation.metrics import evaluate
from musicvae_core.lab.tools import Lab
from musicvae_core.latent.codes import decode_music, encode_music, sample_codes
from musicvae_core.latent.fit import fit_vectors
from musicvae_core.latent.steering import steer_take
from musicvae_core.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from musicvae_core.models.conditioning import Conditioning, tempo_only
from musicvae_core.models.presets import preset
from musicvae_core.music.attributes import measure
from musicvae_core.music.drums import OFFSET_SCALE
from musicvae_core.music.grid import COMMON_TIME
from musicvae_core.music.groove import features_to_groove, groove_to_features
from musicvae_core.music.line import Line, Note, features_to_line, line_to_features
from musicvae_core.music.piece import Piece, features_to_trio, trio_to_features
from musicvae_core.training.run import Run
from musicvae_core.training.train import fabric_on, train_step

GRIDS = [WALTZ, TRIPLETS]
FLAT, HIERARCHICAL, MELODY, TRIO, LAB = (
    "groove_2bar_tiny",
    "drums_16bar_hier_tiny",
    "melody_2bar_tiny",
    "trio_16bar_tiny",
    "groove_lab_tiny",
)
on_both = pytest.mark.parametrize("grid", GRIDS, ids=str)


def preset_on(name, grid, **changes):
    """Return a preset for a grid, of four bars at most."""
    chosen = preset(name)
    sizes = {"beats_per_bar": grid.beats_per_bar, "steps_per_beat": grid.steps_per_beat}
    sizes["n_bars"] = min(4, chosen.model.n_bars)
    return replace(
        chosen,
        model=chosen.model.replaced(**sizes | changes),
        train=chosen.train.replaced(batch_size=4),
    )


def checkpoint_on(name, grid):
    torch.manual_seed(3)
    checkpoint = Checkpoint.new(preset_on(name, grid))
    checkpoint.model.eval()
    return checkpoint


def line_on(grid, n_bars, pitch=60):
    steps = range(0, n_bars * grid.steps_per_bar, grid.steps_per_beat)
    return Line.from_notes(
        [Note(step, 1, pitch + step % 5, 0.8) for step in steps], n_bars, 100.0, grid=grid
    )


def music_on(name, grid, n_bars):
    melody = line_on(grid, n_bars)
    if name == MELODY:
        return melody
    drums = any_groove(grid, n_bars)
    if name != TRIO:
        return drums
    parts = {"melody": melody, "bass": line_on(grid, n_bars, 40), "drums": drums}
    return Piece.together(parts)


@on_both
def test_models_encode_and_decode_on_their_own_grid(grid):
    groove, line = any_groove(grid), line_on(grid, 2)
    back = features_to_groove(groove_to_features(groove, grid), groove.tempo_bpm, grid)
    assert (back.grid, back.n_bars) == (grid, 3)
    assert np.array_equal(back.hits, groove.hits)
    assert features_to_line(line_to_features(line, grid), 100.0, grid) == line
    trio = music_on(TRIO, grid, 2)
    made = features_to_trio(trio_to_features(trio, grid), 97.0, grid)
    assert made.grid == grid
    assert np.array_equal(made["melody"].pitches, trio["melody"].pitches)
    for refuse in (
        lambda: groove_to_features(groove),
        lambda: line_to_features(line),
        lambda: trio_to_features(trio),
        lambda: groove_to_features(any_groove(COMMON_TIME), grid),
    ):
        with pytest.raises(GridError, match=r"on a grid of .* in ./4; only .* in ./4 can be used"):
            refuse()


@on_both
@pytest.mark.parametrize("name", [FLAT, HIERARCHICAL])
def test_a_model_of_a_grid_takes_a_step_and_plays_on_it(grid, name, tmp_path):
    chosen = preset_on(name, grid)
    n_bars = chosen.model.n_bars
    grooves = [any_groove(grid, n_bars + 2, seed) for seed in range(4)]
    windows = dataset_of({"train": grooves}).windows("train", n_bars)
    run = Run(chosen, fabric_on())
    before = [parameter.detach().clone() for parameter in run.model.parameters()]
    batch = run.kind.draw_batch(run.model, windows, run.config, 0)
    losses = train_step(run, batch)
    assert np.isfinite(float(losses["loss/total"]))
    assert any(
        not torch.equal(old, new) for old, new in zip(before, run.model.parameters(), strict=True)
    )
    measured = run.kind.measure(run.model.eval(), windows, run.config)
    assert np.isfinite(list(measured.values())).all()
    folder = tmp_path / "kept"
    save_checkpoint(Checkpoint(name, "", run.model, run.config), folder)
    checkpoint = load_checkpoint(folder)
    assert checkpoint.config.grid == grid
    codes = sample_codes(checkpoint, 2, "normal", seed=1)
    for groove in decode_music(checkpoint, codes, 1.0, 120.0):
        assert (groove.grid, groove.n_bars) == (grid, n_bars)


@on_both
def test_a_model_of_a_grid_is_measured_and_steered(grid):
    checkpoint = checkpoint_on(FLAT, grid)
    splits = {"train": range(12), "test": range(20, 23)}
    dataset = dataset_of(
        {name: [any_groove(grid, 4, at) for at in of] for name, of in splits.items()}
    )
    measured = evaluate(checkpoint, dataset, limit=8)
    assert measured["n_examples"] == 8
    assert np.isfinite([row["hit_distance"] for row in measured["smoothness"]]).all()
    real = [measure(any_groove(grid, 4, at).bars(bar, 2)) for at in range(12) for bar in range(3)]
    told = measured["prior"]["features"]["syncopation"]["real"]
    assert told == pytest.approx(np.mean([one["syncopation"] for one in real]), abs=0.05)
    vectors = fit_vectors(checkpoint, dataset)
    steered = steer_take(checkpoint, vectors, FLAT, np.zeros(8, np.float32), {}, {}, 90.0)
    assert steered.take.groove.grid == grid


@on_both
@pytest.mark.parametrize("name", [FLAT, HIERARCHICAL, MELODY, TRIO])
def test_every_kind_encodes_and_decodes_music_of_its_grid(grid, name):
    checkpoint = checkpoint_on(name, grid)
    n_bars = checkpoint.config.n_bars
    codes = encode_music(checkpoint, [music_on(name, grid, n_bars)] * 2)
    assert np.array_equal(codes[0], codes[1])
    assert [one.grid for one in decode_music(checkpoint, codes, 0.0, 90.0)] == [grid] * 2
    with pytest.raises(GridError, match="choose other music"):
        encode_music(checkpoint, [music_on(name, COMMON_TIME, n_bars)])


@on_both
def test_timing_is_drawn_in_ticks_of_the_grid(grid):
    checkpoint = checkpoint_on(FLAT, grid)
    lattice = checkpoint.model.head.offset_lattice
    assert 2 * lattice.half_bin == pytest.approx(OFFSET_SCALE / grid.ticks_per_step)
    codes = sample_codes(checkpoint, 4, "normal", seed=1)
    for groove in decode_music(checkpoint, codes, 1.0, 120.0):
        ticks = groove.offsets * grid.ticks_per_step
        assert np.abs(ticks - np.rint(ticks)).max() < 1e-3


@on_both
def test_a_lab_of_a_grid_learns_and_completes_grooves_of_it(grid):
    chosen = preset_on(LAB, grid)
    windows = dataset_of({"train": [any_groove(grid, 5)] * 2}).windows("train", 4)
    run = Run(chosen, fabric_on())
    losses = train_step(run, run.kind.draw_batch(run.model, windows, run.config, 0))
    assert np.isfinite(float(losses["loss/total"]))
    lab = Lab(Checkpoint(LAB, "", run.model.eval(), run.config))
    groove = any_groove(grid, 6)
    filled = lab.fill_in(groove, bars=[2, 4])
    assert filled.grid == grid
    assert not differing(groove, filled)[~cells_of(groove, range(9), [2, 4])].any()
    made = [
        lab.humanize(groove),
        lab.drumify(groove),
        lab.transfer(groove.bars(0, 2), groove),
        lab.continue_groove(groove, 2),
    ]
    assert [one.grid for one in made] == [grid] * 4
    assert [one.n_bars for one in made] == [6, 6, 6, 8]
    with pytest.raises(GridError):
        lab.humanize(any_groove(COMMON_TIME))
    with pytest.raises(GridError):
        lab.example_from(any_groove(COMMON_TIME))


def test_a_lab_is_conditioned_on_the_first_beat_of_every_bar():
    model = checkpoint_on(LAB, WALTZ).model
    features = groove_to_features(any_groove(WALTZ, 4), WALTZ)[None]
    condition = model.condition(
        Conditioning.nothing(features), tempo_only(np.array([100.0], np.float32))
    )
    places = condition[0, :, 57 : 57 + 12].numpy()
    assert np.array_equal(places, np.tile(np.eye(12, dtype=np.float32), (4, 1)))
