"""The groove lab's model: held to what is kept, likelihoods that add up, and its training."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny_data import features_of, random_groove
from tiny_lab import tiny_checkpoint

from musicvae_core.errors import ConfigError
from musicvae_core.kept import UNKNOWN, Controls, Kept, condition_features, taps_of
from musicvae_core.lab.checkpoint import load_lab_checkpoint
from musicvae_core.lab.hiding import hide
from musicvae_core.lab.likelihood import score_rest
from musicvae_core.models.lab import LabHead, MeansHead, known_of
from musicvae_core.presets import LAB_PRESETS
from musicvae_core.training.train_lab import LabRun, lab_losses, lab_step, train_lab
from musicvae_core.vocabulary import KICK, N_VOICES, SNARE

N = 24


@pytest.fixture(scope="module")
def grooves():
    rng = np.random.default_rng(0)
    return features_of([random_groove(rng, 4) for _ in range(N)])


@pytest.fixture(scope="module")
def model():
    return tiny_checkpoint().model


def untold(n=N):
    unknown = np.full(n, UNKNOWN)
    return Controls(np.full(n, 120, np.float32), np.full(n, np.nan, np.float32), unknown, unknown)


def score(model, kept, seed=0):
    return score_rest(model, kept, untold(), torch.Generator().manual_seed(seed))


def test_what_is_known_costs_nothing(model, grooves):
    log_probs, _ = score(model, Kept.everything(grooves))
    for name, value in log_probs.items():
        assert torch.allclose(value, torch.zeros_like(value), atol=1e-5), name
    log_probs, _ = score(model, Kept.notes(grooves))
    assert torch.allclose(log_probs["hits"], torch.zeros(N, 64), atol=1e-5)
    assert (log_probs["velocities"].sum(dim=1) < 0).all()


def test_the_choices_left_open_add_up_to_one():
    torch.manual_seed(0)
    head = LabHead(8, 8, 2)
    state = torch.randn(1, 8)
    hits = torch.tensor([1.0, 0, 1, 0, 0, 0, 0, 0, 0])
    cells = torch.zeros(1, 27, dtype=torch.bool)
    cells[:, 2:N_VOICES] = True  # the kick and the snare are open
    total = 0.0
    for kick in (0.0, 1.0):
        for snare in (0.0, 1.0):
            truth = torch.cat([torch.tensor([kick, snare]), hits[2:], torch.zeros(18)])[None]
            known = known_with(truth, cells)
            total += head.log_prob_of_rest(state, known)["hits"].exp().item()
    assert total == pytest.approx(1, abs=1e-5)


def known_with(truth, cells, tapped=False):
    template = known_of(Kept.nothing(np.zeros((1, 1, 27), np.float32)))
    return template._replace(
        features=truth, cells=cells, tapped=torch.full(truth.shape[:-1], tapped)
    )


def test_forbidden_are_exactly_those_that_contradict():
    head = LabHead(8, 8, 2)
    truth, cells = torch.zeros(27), torch.zeros(27, dtype=torch.bool)
    truth[KICK] = 1
    cells[[KICK, SNARE]] = True
    allowed = head.combinations[~head.forbidden(known_with(truth, cells))]
    assert len(allowed) == 2**7
    assert allowed[:, KICK].all()
    assert not allowed[:, SNARE].any()
    open_cells = torch.zeros(27, dtype=torch.bool)
    tapped = head.combinations[~head.forbidden(known_with(truth, open_cells, True))]
    assert len(tapped) == 2**9 - 1
    assert tapped.any(dim=1).all()


def test_the_prior_and_the_context_never_hear_what_is_hidden(model, grooves):
    kept = hide(grooves, np.random.default_rng(1))
    known = np.concatenate([kept.hits, kept.velocities, kept.offsets], axis=-1)
    other = np.random.default_rng(2).permutation(grooves)
    mixed = dataclasses.replace(kept, features=np.where(known, grooves, other).astype(np.float32))
    read = []
    for one in (kept, mixed):
        condition = condition_features(one, untold(), 18, 10)
        read.append(model.read(torch.from_numpy(condition)))
    for ours, theirs in zip(*read, strict=True):
        assert torch.equal(ours, theirs)


def test_decoding_never_looks_ahead(model, grooves):
    z = torch.zeros(N, model.config.z_size)
    context = torch.zeros(N, 64, model.config.context_size)
    later = torch.from_numpy(grooves).clone()
    later[:, 40:] = 1 - later[:, 40:]
    states = [model.decode_forced(z, one, context) for one in (torch.from_numpy(grooves), later)]
    assert torch.equal(states[0][:, :40], states[1][:, :40])
    assert not torch.equal(states[0][:, 40:], states[1][:, 40:])


@pytest.mark.parametrize("feel", ["mixture", "mean"])
def test_every_term_has_a_gradient(grooves, feel):
    preset = LAB_PRESETS["groove_lab_tiny"]
    config = dataclasses.replace(preset.model, feel=feel)
    run = LabRun(dataclasses.replace(preset, model=config), torch.device("cpu"))
    assert isinstance(run.model.head, MeansHead) == (feel == "mean")
    kept = hide(grooves, np.random.default_rng(3))
    losses = lab_losses(
        run.model,
        kept,
        untold(),
        torch.Generator().manual_seed(0),
        beta=1.0,
        beta_of_feel=0.5,
        free_bits=0.0,
        feel_weight=1.0,
        word_dropout=0.1,
    )
    losses["loss/total"].backward()
    for name, parameter in run.model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_taps_are_heard(model, grooves):
    taps = taps_of(grooves)
    nothing = Kept.nothing(grooves)
    tapped = dataclasses.replace(nothing, taps=taps)
    contexts = [
        model.read(torch.from_numpy(condition_features(kept, untold(), 18, 10)))[0]
        for kept in (nothing, tapped)
    ]
    assert not torch.equal(*contexts)


def test_a_mean_head_draws_the_same_whatever_the_chance(grooves):
    preset = LAB_PRESETS["groove_lab_tiny"]
    torch.manual_seed(0)
    run = LabRun(
        dataclasses.replace(preset, model=dataclasses.replace(preset.model, feel="mean")),
        torch.device("cpu"),
    )
    model, kept = run.averaged, Kept.notes(grooves)
    context, mu, _ = model.read(torch.from_numpy(condition_features(kept, untold(), 18, 10)))
    drawn = [
        model.complete(mu, context, known_of(kept), generator=torch.Generator().manual_seed(seed))
        for seed in (1, 2)
    ]
    assert torch.equal(*drawn)


def lab_examples(dataset, preset):
    from musicvae_core.lab.examples import examples_of

    return examples_of(dataset.windows("train", preset.model.n_bars), preset.model)


def test_examples_know_their_style_drummer_and_density(tiny_dataset):
    preset = LAB_PRESETS["groove_lab_tiny"]
    examples = lab_examples(tiny_dataset, preset)
    assert set(examples.controls.styles) == {preset.model.style_names.index("funk")}
    assert set(examples.controls.drummers) == {preset.model.drummer_names.index("drummer1")}
    hits = examples.features[..., :N_VOICES].sum(axis=(1, 2)) / 64
    np.testing.assert_allclose(examples.controls.densities, hits, rtol=1e-5)


def test_training_learns(tiny_dataset):
    base = LAB_PRESETS["groove_lab_tiny"]
    config = dataclasses.replace(
        base.train, n_steps=150, warmup_steps=5, learning_rate=1e-2, batch_size=16
    )
    run = LabRun(dataclasses.replace(base, train=config), torch.device("cpu"))
    examples = lab_examples(tiny_dataset, base)
    losses = [float(lab_step(run, examples)["loss/total"]) for _ in range(150)]
    assert np.mean(losses[-15:]) < 0.85 * np.mean(losses[:15])


def test_a_run_goes_on_as_if_never_stopped(tiny_dataset, tmp_path):
    preset = LAB_PRESETS["groove_lab_tiny"]
    examples = lab_examples(tiny_dataset, preset)
    run = LabRun(preset, torch.device("cpu"))
    for _ in range(4):
        lab_step(run, examples)
    run.save(tmp_path / "training.pt")
    resumed = LabRun(preset, torch.device("cpu"))
    resumed.restore(tmp_path / "training.pt")
    for one in (run, resumed):
        lab_step(one, examples)
    for ours, theirs in zip(run.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_run_leaves_a_lab_and_another_begins_with_it(tiny_dataset, tmp_path):
    preset = LAB_PRESETS["groove_lab_tiny"]
    metrics = train_lab(preset, tiny_dataset, tmp_path / "one", device="cpu")
    assert np.isfinite(metrics["validation/loss"])
    first = load_lab_checkpoint(tmp_path / "one" / "last")
    none = dataclasses.replace(preset, train=dataclasses.replace(preset.train, learning_rate=1e-9))
    start = tmp_path / "one" / "last"
    train_lab(none, tiny_dataset, tmp_path / "two", start=start, device="cpu")
    second = load_lab_checkpoint(tmp_path / "two" / "last")
    weights = zip(first.model.parameters(), second.model.parameters(), strict=True)
    assert all(torch.allclose(ours, theirs, atol=1e-5) for ours, theirs in weights)
    wider = dataclasses.replace(preset, model=dataclasses.replace(preset.model, z_size=5))
    with pytest.raises(ConfigError, match="other dimensions"):
        train_lab(wider, tiny_dataset, tmp_path / "three", start=start, device="cpu")
