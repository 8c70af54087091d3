"""The model of notes that melodies and trios are drawn from."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from musicvae_core.data.lines import LineWindows
from musicvae_core.errors import CheckpointError
from musicvae_core.latent.codes import decode_music, encode_features, sample_codes
from musicvae_core.latent.long_form import vary
from musicvae_core.latent.results import Take
from musicvae_core.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from musicvae_core.models.kinds import kind_of
from musicvae_core.models.notes_prior import NotesConfig, NotesPrior, _pick
from musicvae_core.models.presets import preset
from musicvae_core.training.fit_prior import NotesTraining, fit_prior

SMALL = NotesConfig(size=24, embedding_size=6, head_size=16)
TRIO, MELODY = "trio_16bar_tiny", "melody_2bar_tiny"
LEARNING = NotesTraining(n_steps=400, batch_size=16, n_warm_up=10, learning_rate=1e-2, dropout=0.0)
TUNE = np.zeros(32, np.int64)
TUNE[::4] = [42, 44, 46, 47, 49, 47, 46, 44]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def new_checkpoint(name):
    torch.manual_seed(0)
    checkpoint = Checkpoint.new(preset(name))
    prior = NotesPrior(SMALL, checkpoint.config, kind_of(checkpoint.config).alphabets)
    return replace(checkpoint, model=checkpoint.model.eval(), notes=prior.eval())


@torch.no_grad()
def in_order(prior, classes):
    """The log likelihood of classes when the last part is chosen first."""
    n_parts = len(prior.alphabets)
    ranks = torch.arange(n_parts).flip(0).expand(len(classes), -1)
    return prior.log_prob(classes, torch.zeros(len(classes), dtype=torch.int64), ranks)


@pytest.fixture(scope="module")
def windows():
    """One tune, in windows that the fit transposes."""
    n = 64
    return LineWindows(
        np.tile(TUNE, (n, 1)).astype(np.uint8),
        np.full(n, 120, np.float32),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        (),
    )


@pytest.fixture(scope="module")
def fitted(windows):
    return fit_prior(new_checkpoint(MELODY), windows, LEARNING, config=SMALL)


@pytest.mark.parametrize("name", [MELODY, TRIO])
def test_step_by_step_is_the_same_as_all_steps_at_once(name, in_float32):
    prior = new_checkpoint(name).notes
    numbers = noise(3, prior.noise_size)
    drawn = prior.sample(numbers)
    n_parts = len(prior.alphabets)
    uniform = torch.special.ndtr(numbers).view(3, -1, n_parts)
    chances = in_order(prior, drawn).exp()
    steps = np.random.default_rng(0).integers(0, drawn.shape[1], 3)
    for step in steps:
        for part in range(n_parts):
            # All classes of one step, with everything before it as drawn.
            n_classes = prior.alphabets[part].n_classes
            others = drawn[:1].repeat(n_classes, 1, 1)
            others[:, step, part] = torch.arange(n_classes)
            each = in_order(prior, others)[:, step, part]
            assert each.exp().sum() == pytest.approx(1, abs=1e-4)
            assert _pick(each[None], uniform[:1, step, part]) == drawn[0, step, part]
            assert chances[0, step, part] == pytest.approx(float(each[drawn[0, step, part]].exp()))


def test_a_class_is_picked_by_its_share():
    logits = torch.tensor([0.1, 0.6, 0.0, 0.3, 0.0]).log().expand(5, -1)
    picked = _pick(logits, torch.tensor([0.05, 0.15, 0.69, 0.71, 1.0]))
    assert picked.tolist() == [0, 1, 1, 3, 3]


def test_only_the_past_and_the_parts_before_it_count():
    prior = new_checkpoint(TRIO).notes
    classes = torch.randint(
        0, 80, (1, prior.n_steps, 3), generator=torch.Generator().manual_seed(0)
    )
    before = in_order(prior, classes)
    changed = classes.clone()
    changed[:, 100, 1] = (classes[:, 100, 1] + 1) % 80
    moved = ~torch.isclose(before, in_order(prior, changed), atol=1e-6)[0]
    assert not moved[:100].any()
    assert moved[100].tolist() == [True, True, False]  # the drums come first
    assert moved[101].all()


@pytest.mark.parametrize("name", [MELODY, TRIO])
@pytest.mark.parametrize("precision", ["in_float32", "in_integers"])
def test_music_is_the_same_alone_or_in_a_batch(name, precision, request):
    request.getfixturevalue(precision)
    prior = new_checkpoint(name).notes
    numbers = noise(5, prior.noise_size)
    together = prior.sample(numbers)
    assert torch.equal(prior.sample(numbers[3:4])[0], together[3])
    assert not torch.equal(together[3], together[4])


def test_held_parts_stay_and_guide_the_rest():
    prior = new_checkpoint(TRIO).notes
    numbers = noise(1, prior.noise_size)
    held = prior.sample(numbers)
    is_held = torch.ones_like(held, dtype=torch.bool)
    is_held[:, :, 1] = False
    other = prior.sample(noise(1, prior.noise_size, seed=1), held, is_held)
    assert torch.equal(other[..., ::2], held[..., ::2])
    assert not torch.equal(other[..., 1], held[..., 1])
    assert torch.equal(prior.sample(numbers, held, ~torch.zeros_like(is_held)), held)


def test_a_tune_is_learned_with_the_key_that_it_was_moved_to(fitted, windows):
    drawn = fitted.notes.sample(noise(40, fitted.notes.noise_size)).squeeze(-1).numpy()
    assert (drawn == TUNE).all(axis=1).mean() > 0.7
    moved, semitones = windows.transposed(np.arange(20), 1.0, np.random.default_rng(5))
    assert len(set(semitones)) > 5
    classes, none = torch.from_numpy(moved), torch.zeros(20, 1, dtype=torch.int64)
    told = fitted.notes.log_prob(classes, torch.from_numpy(semitones), none).sum(dim=(1, 2))
    lied_to = fitted.notes.log_prob(classes, torch.from_numpy(-semitones), none).sum(dim=(1, 2))
    assert told[semitones != 0].mean() > lied_to[semitones != 0].mean() + 2


def test_samples_are_the_codes_of_its_music(fitted):
    codes = sample_codes(fitted, 6, "learned", 3)
    np.testing.assert_array_equal(codes[:4], sample_codes(fitted, 4, "learned", 3))
    rng = np.random.default_rng(3)
    numbers = torch.from_numpy(rng.standard_normal((6, fitted.notes.noise_size), np.float32))
    music = fitted.notes.to_features(fitted.notes.sample(numbers))
    np.testing.assert_array_equal(codes, encode_features(fitted, music.numpy()))
    assert fitted.best_prior == "learned"


def test_new_bars_leave_the_held_music_as_it_is():
    checkpoint = new_checkpoint(TRIO)
    notes, model = checkpoint.notes, checkpoint.model
    codes = torch.from_numpy(sample_codes(checkpoint, 1, "normal", 0))
    is_new = torch.zeros(1, 16, 3, dtype=torch.bool)
    is_new[:, 4:6, 1] = True
    seen, encode = [], model.encode
    model.encode = lambda features: seen.append(features) or encode(features)
    moved = notes.redraw(model, codes, is_new, noise(1, notes.noise_size))
    assert moved.shape == codes.shape
    (music,) = model.head.classes(seen[0])
    (played,) = model.head.classes(model.decode(codes, 0.0))
    changed = (music != played).numpy()
    assert changed[64:96, 1].any()
    changed[64:96, 1] = False
    assert not changed.any()


def test_only_the_chosen_parts_of_a_code_change():
    checkpoint = new_checkpoint(TRIO)
    take = Take(*_sampled(checkpoint), "trio", 0, 0.0)
    new = vary(checkpoint, take, bars=[2], parts=["bass"], amount=1.0, seed=4)
    portions = (new.z != take.z).reshape(16, 3, -1)
    assert portions[2, 1].any()
    portions[2, 1] = False
    assert not portions.any()
    halfway = vary(checkpoint, take, bars=[2], parts=["bass"], amount=0.5, seed=4)
    assert 0 < np.linalg.norm(halfway.z - take.z) < np.linalg.norm(new.z - take.z)


def _sampled(checkpoint):
    """A piece of music and its code."""
    z = sample_codes(checkpoint, 1, "learned", 0)
    return decode_music(checkpoint, z, 0.0, 120.0)[0], z[0]


@pytest.mark.parametrize("bits", [32, 8])
def test_it_is_stored_with_the_model(fitted, tmp_path, bits):
    save_checkpoint(fitted, tmp_path, bits=bits)
    loaded = load_checkpoint(tmp_path)
    assert loaded.prior is None
    assert loaded.notes.config == SMALL
    if bits == 32:
        codes = sample_codes(loaded, 3, "learned", 0)
        np.testing.assert_array_equal(codes, sample_codes(fitted, 3, "learned", 0))


def test_weights_of_another_size_are_refused(fitted, tmp_path):
    notes = copy.deepcopy(fitted.notes)
    notes.config = SMALL.replaced(size=48)
    save_checkpoint(replace(fitted, notes=notes), tmp_path)
    with pytest.raises(CheckpointError, match="weights that its header promises"):
        load_checkpoint(tmp_path)
