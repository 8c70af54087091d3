"""The learned prior: where it starts, what it learns, and that its noise determines its samples."""

import dataclasses

import pytest
import torch

from musicvae_core.errors import ConfigError
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.models.prior import LatentPrior, PriorConfig
from musicvae_core.training.fit_prior import (
    PriorTraining,
    _descend,
    _encode_windows,
    _flow_losses,
    _optimisers,
    _share,
    fit_prior,
)

SMALL = PriorConfig(width=32, depth=2, spread=1.0)
OVER_BARS = PriorConfig(width=32, depth=2, spread=1.0, n_parts=4)
CENTRES = torch.tensor([[3.0, 1.0], [-3.0, -1.0]])


def noise_of(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def two_clusters(n):
    which = torch.arange(n) % 2
    return CENTRES[which] + 0.3 * noise_of(n, 2, seed=5)


@pytest.fixture(scope="module")
def learned():
    """A prior fitted to two clusters."""
    torch.manual_seed(0)
    codes = two_clusters(512)
    prior = LatentPrior(SMALL, 2)
    optimiser = torch.optim.Adam(prior.parameters(), 3e-3)
    generator = torch.Generator().manual_seed(1)
    for _ in range(400):
        loss = prior.loss(codes, generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return prior


def test_a_short_fit_is_not_the_average_of_its_beginning():
    codes = two_clusters(256)
    torch.manual_seed(0)
    prior = LatentPrior(PriorConfig(width=32, depth=1, n_heads=1), codes.shape[1])
    before = float(prior.loss(codes, torch.Generator().manual_seed(1)).detach())
    short = PriorTraining(n_steps=150)
    losses = _flow_losses(prior, codes, torch.zeros_like(codes), short)
    fitted = _descend(prior, _optimisers(prior, short), losses, short)
    with torch.no_grad():
        by_average, by_last = (
            float(one.loss(codes, torch.Generator().manual_seed(1))) for one in (fitted, prior)
        )
    assert by_average < by_last + 0.2 * (before - by_last)


def test_samples_fall_into_the_clusters_and_not_between(learned):
    drawn = learned.sample(noise_of(1000, 2, seed=9))
    distances = torch.cdist(drawn, CENTRES)
    nearest, which = distances.min(dim=1)
    assert (nearest < 1.0).float().mean() > 0.9
    assert 0.4 < which.float().mean() < 0.6
    for cluster in range(2):
        spread = drawn[(which == cluster) & (nearest < 1.0)].std(dim=0)
        torch.testing.assert_close(spread, torch.full((2,), 0.3), rtol=0, atol=0.12)


def test_the_loss_is_lower_on_learned_codes_than_on_noise(learned):
    with torch.no_grad():
        own = learned.loss(two_clusters(512), torch.Generator().manual_seed(2))
        other = learned.loss(noise_of(512, 2, seed=3), torch.Generator().manual_seed(2))
    assert own < other


def test_equal_noise_gives_equal_codes_one_by_one(learned):
    noise = noise_of(6, 2)
    drawn = learned.sample(noise)
    assert torch.equal(drawn, learned.sample(noise))
    alone = torch.cat([learned.sample(noise[index : index + 1]) for index in range(6)])
    torch.testing.assert_close(alone, drawn, rtol=1e-4, atol=1e-5)


def test_an_untrained_prior_is_standard_normal_and_its_last_bias_moves_it():
    prior = LatentPrior(SMALL, 5)
    noise = noise_of(7, 5)
    assert torch.equal(prior(noise, torch.zeros(7)), torch.zeros(7, 5))
    assert torch.equal(prior.sample(noise), noise)
    torch.nn.init.constant_(prior.out.bias, 2.0)
    torch.testing.assert_close(prior.sample(noise), noise + 2)


def test_the_field_of_one_code_has_no_loss():
    prior, code = LatentPrior(SMALL, 2), CENTRES[:1]
    prior.forward = lambda x, time: (code - x) / (1 - time).unsqueeze(-1)
    codes = code.expand(500, 2)
    loss = prior.loss(codes, torch.Generator().manual_seed(0))
    torch.testing.assert_close(loss, torch.tensor(0.0), rtol=0, atol=1e-6)
    prior.forward = lambda x, _: torch.zeros_like(x)
    loss = prior.loss(codes, torch.Generator().manual_seed(0))
    assert float(loss) == pytest.approx(1 + float(code.square().mean()), rel=0.1)


def test_times_of_training_are_the_logistic_of_a_standard_normal():
    prior, times = LatentPrior(SMALL, 1), []
    prior.forward = lambda x, time: times.append(time) or torch.zeros_like(x)
    prior.loss(torch.zeros(20_000, 1), torch.Generator().manual_seed(0))
    (time,) = times
    quantiles = time.quantile(torch.tensor([0.1, 0.5, 0.9]))
    expected = torch.distributions.Normal(0, 1).icdf(torch.tensor([0.1, 0.5, 0.9])).sigmoid()
    torch.testing.assert_close(quantiles, expected, rtol=0, atol=0.01)


@pytest.mark.usefixtures("in_float32")
def test_the_solver_follows_the_field_from_time_zero_to_one():
    prior = LatentPrior(SMALL.replaced(n_solver_steps=8), 1)
    times = []

    def velocity(x, time):
        times.append(float(time[0]))
        return torch.full_like(x, 2.0) * time.flatten(1)  # integrates to 1

    prior._modulations, prior._velocity = lambda time: [time.view(-1, 1, 1)], velocity
    # Two steps know a straight line; the first step knows a constant alone.
    arrived = torch.full((3, 1), 1 - 1 / 8**2)
    torch.testing.assert_close(prior.sample(torch.zeros(3, 1)), arrived)
    assert times == [step / 8 for step in range(8)]


def test_samples_in_integers_are_those_in_float32_to_rounding(learned, request):
    noise = noise_of(500, 2)
    request.getfixturevalue("in_float32")
    exact = learned.sample(noise)
    request.getfixturevalue("in_integers")
    rounded = learned.sample(noise)
    assert not torch.equal(rounded, exact)
    assert (rounded - exact).square().mean() < 0.003 * exact.var()
    assert torch.equal(learned.sample(noise[3:4]), rounded[3:4])


def test_spread_stretches_what_is_drawn():
    prior = LatentPrior(SMALL.replaced(spread=1.5), 3)
    torch.testing.assert_close(prior.sample(noise_of(4, 3)), 1.5 * noise_of(4, 3))


@pytest.mark.parametrize("spread", [0.0, -1.0, 2.5])
def test_a_bad_spread_is_refused(spread):
    with pytest.raises(ConfigError, match="spread"):
        SMALL.replaced(spread=spread)


def test_samples_carry_no_gradient_and_losses_do():
    prior = LatentPrior(SMALL, 3)
    assert not prior.sample(noise_of(2, 3)).requires_grad
    prior.loss(noise_of(4, 3, seed=1), torch.Generator().manual_seed(0)).backward()
    assert prior.out.bias.grad.abs().sum() > 0


@pytest.mark.parametrize("name", ["width", "depth", "n_solver_steps"])
def test_bad_dimensions_are_refused(name):
    with pytest.raises(ConfigError, match=f"{name} is 0"):
        PriorConfig(**{name: 0})


TRAINING = PriorTraining(n_steps=30, batch_size=32, average_decay=0.9)


@pytest.fixture(scope="module")
def fitted(checkpoints_dir, tiny_dataset):
    """A checkpoint, and the same with a prior fitted twice from one seed and once from another."""
    checkpoint = load_checkpoint(checkpoints_dir / "groove_2bar")
    windows = tiny_dataset.windows("train", 2)
    priors = [
        fit_prior(checkpoint, windows, dataclasses.replace(TRAINING, seed=seed), config=SMALL)
        for seed in (4, 4, 5)
    ]
    return checkpoint, priors


def test_fitting_leaves_the_model_alone(fitted):
    checkpoint, (with_prior, *_) = fitted
    assert checkpoint.prior is None
    assert with_prior.prior is not None
    assert with_prior.model is checkpoint.model


def test_fitting_repeats_with_its_seed(fitted):
    _, priors = fitted
    first, again, other = (one.prior.sample(noise_of(4, 8)) for one in priors)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_fit_can_continue_from_a_prior_and_leaves_it_alone(fitted, tiny_dataset):
    checkpoint, (first, *_) = fitted
    windows = tiny_dataset.windows("train", 2)
    before = {name: weight.clone() for name, weight in first.prior.state_dict().items()}
    still = dataclasses.replace(TRAINING, n_steps=1, learning_rate=0.0)
    longer = dataclasses.replace(TRAINING, n_steps=60)
    kept = fit_prior(checkpoint, windows, still, start=first.prior).prior
    continued = fit_prior(checkpoint, windows, longer, start=first.prior).prior
    mu, _ = _encode_windows(checkpoint, windows)
    with torch.no_grad():
        losses = [
            float(prior.loss(mu, torch.Generator().manual_seed(1)))
            for prior in (first.prior, kept, continued)
        ]
    assert losses[0] == losses[1] > losses[2]
    assert kept.config == continued.config == SMALL
    assert all(torch.equal(before[name], w) for name, w in first.prior.state_dict().items())


def test_samples_of_a_fitted_prior_have_the_moments_of_the_codes(fitted, tiny_dataset):
    checkpoint, _ = fitted
    windows = tiny_dataset.windows("train", 2)
    longer = dataclasses.replace(TRAINING, n_steps=600, learning_rate=3e-3, posterior_noise=0.3)
    prior = fit_prior(checkpoint, windows, longer, config=SMALL).prior
    mu, sigma = _encode_windows(checkpoint, windows)
    drawn = prior.sample(noise_of(4000, 8, seed=7))
    torch.testing.assert_close(drawn.mean(0), mu.mean(0), rtol=0, atol=0.05)
    expected = (mu.var(0) + (0.3 * sigma).square().mean(0)).sqrt()
    torch.testing.assert_close(drawn.std(0), expected, rtol=0.2, atol=0)


def test_windows_can_be_encoded_again_in_other_variants(fitted, tiny_dataset, monkeypatch):
    checkpoint, _ = fitted
    windows = tiny_dataset.windows("train", 2)
    codes, losses_of = [], _flow_losses
    monkeypatch.setattr(
        "musicvae_core.training.fit_prior._flow_losses",
        lambda prior, mu, sigma, training: (
            codes.append(mu) or losses_of(prior, mu, sigma, training)
        ),
    )
    fit_prior(checkpoint, windows, dataclasses.replace(TRAINING, n_variants=2), config=SMALL)
    plain, *changed = codes[0].chunk(3)
    assert torch.equal(plain, _encode_windows(checkpoint, windows)[0])
    for seed, variant in enumerate(changed):
        expected, _ = _encode_windows(checkpoint, windows.varied(seed))
        assert torch.equal(variant, expected)
    assert not torch.equal(*changed)


@pytest.mark.parametrize("matrix_learning_rate", [None, 0.02])
def test_the_matrices_of_the_blocks_are_fitted_by_whom_it_says(fitted, matrix_learning_rate):
    prior = fitted[1][0].prior
    chosen = dataclasses.replace(TRAINING, matrix_learning_rate=matrix_learning_rate)
    *muon, adamw = _optimisers(prior, chosen)
    taken = [
        weights
        for optimiser in muon
        for group in optimiser.param_groups
        for weights in group["params"]
    ]
    expected = (
        []
        if matrix_learning_rate is None
        else [layer.weight for block in prior.blocks for layer in (block.inner, block.outer)]
    )
    assert {id(weights) for weights in taken} == {id(weights) for weights in expected}
    rest = sum(len(group["params"]) for group in adamw.param_groups)
    assert rest + len(taken) == len(list(prior.parameters()))


def test_the_rate_rises_and_falls_to_nothing():
    share = _share(PriorTraining(n_steps=100, n_warm_up=10))
    rates = [share(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1, rel=0.01)
    assert max(rates) == rates[9]
    assert rates[100] == pytest.approx(0, abs=1e-9)


@pytest.fixture
def shown(fitted, tiny_dataset, monkeypatch):
    """Return the codes that a fit with so much posterior noise is shown."""

    def codes_at(posterior_noise):
        plain, seen = LatentPrior.loss, []

        def listening(self, codes, generator):
            seen.append(codes)
            return plain(self, codes, generator)

        monkeypatch.setattr(LatentPrior, "loss", listening)
        chosen = dataclasses.replace(TRAINING, posterior_noise=posterior_noise)
        fit_prior(fitted[0], tiny_dataset.windows("train", 2), chosen, config=SMALL)
        monkeypatch.undo()
        return torch.cat(seen)

    return codes_at


def test_a_fit_is_shown_means_with_as_much_of_sigma_as_asked(fitted, tiny_dataset, shown):
    mu, sigma = _encode_windows(fitted[0], tiny_dataset.windows("train", 2))
    means = shown(0.0)
    distance, which = torch.cdist(means, mu, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1)
    assert not distance.any()
    assert set(which.tolist()) == set(range(len(mu)))
    for posterior_noise in (0.3, 1.0):
        strayed = (shown(posterior_noise) - means) / sigma[which]
        assert float(strayed.mean()) == pytest.approx(0, abs=0.05 * posterior_noise)
        assert float(strayed.std()) == pytest.approx(posterior_noise, rel=0.05)


def test_windows_are_encoded_in_parts_as_in_one(fitted, tiny_dataset, monkeypatch):
    checkpoint, _ = fitted
    windows = tiny_dataset.windows("train", 2)
    whole = _encode_windows(checkpoint, windows)
    monkeypatch.setattr("musicvae_core.training.fit_prior._ENCODE_BATCH", 5)
    for part, expected in zip(_encode_windows(checkpoint, windows), whole, strict=True):
        assert len(part) == len(windows)
        torch.testing.assert_close(part, expected)


def test_codes_between_clusters_are_refined_into_one(learned):
    between = torch.linspace(-0.8, 0.8, 40)[:, None] * CENTRES[:1]
    refined = learned.refine(between, torch.full((40,), 0.5))
    nearest, which = torch.cdist(refined, CENTRES).min(dim=1)
    assert (torch.cdist(between, CENTRES).min(dim=1).values > 0.5).all()
    assert (nearest < 1).float().mean() > 0.9
    assert which.tolist() == sorted(which.tolist(), reverse=True)


def test_a_time_of_one_leaves_a_code_and_rows_have_times_of_their_own(learned):
    codes = noise_of(3, 2)
    times = torch.tensor([1.0, 0.4, 0.9])
    refined = learned.refine(codes, times)
    assert torch.equal(refined[0], codes[0])
    for at in (1, 2):
        alone = learned.refine(codes[at : at + 1], times[at : at + 1])
        torch.testing.assert_close(refined[at], alone[0])


def test_over_bars_an_untrained_prior_is_standard_normal_too():
    prior, noise = LatentPrior(OVER_BARS, 8), noise_of(7, 8)
    assert torch.equal(prior.sample(noise), noise)


@torch.no_grad()
def test_every_bar_attends_to_every_other_and_knows_its_place():
    torch.manual_seed(0)
    prior = LatentPrior(OVER_BARS, 8)
    torch.nn.init.normal_(prior.out.weight)
    x, time = noise_of(1, 8).expand(5, 8).clone(), torch.full((5,), 0.4)
    for bar in range(4):
        x[bar + 1, 2 * bar : 2 * bar + 2] += 1
    velocity = prior(x, time).view(5, 4, 2)
    moved = (velocity[1:] - velocity[0]).abs().sum(dim=-1)  # (bar moved, bar)
    assert (moved > 1e-4).all()
    alike = prior(torch.ones(1, 8), time[:1]).view(4, 2)
    assert torch.cdist(alike, alike).triu(1).gt(1e-3).sum() == 6


def test_heads_share_the_width_evenly():
    with pytest.raises(ConfigError, match="width is 30; it must be a multiple of n_heads, 4"):
        PriorConfig(width=30, n_parts=2)


def test_a_redrawn_part_fits_the_held_ones(learned):
    n = 60
    held = torch.where(torch.arange(n) % 2 == 0, 3.0, -3.0)  # the first number of each centre
    codes = torch.stack([held, torch.zeros(n)], dim=1)
    chosen = torch.tensor([False, True]).expand(n, 2)
    drawn = learned.redraw(codes, chosen, noise_of(n, 2, seed=4), torch.zeros(n))
    assert torch.equal(drawn[:, 0], held)
    fits = (drawn[:, 1] - held / 3).abs() < 1
    assert fits.float().mean() > 0.9


def test_less_is_drawn_anew_where_more_is_left(learned):
    codes, noise = two_clusters(40), noise_of(40, 2, seed=8)
    chosen = torch.tensor([False, True]).expand(40, 2)
    ways = [
        (learned.redraw(codes, chosen, noise, torch.full((40,), left)) - codes).abs().mean()
        for left in (1.0, 0.9, 0.5)
    ]
    assert ways[0] == 0 < ways[1] < ways[2]
