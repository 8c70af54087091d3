"""Output heads: classes, likelihoods, and what temperature and hits do to a draw."""

import numpy as np
import pytest
import torch
from tiny_data import features_of, random_groove

from musicvae_core.models import mixture
from musicvae_core.models.heads import CategoricalHead, GrooveHead
from musicvae_core.music.drums import _COMBINATIONS, N_VOICES, OFFSET_SCALE, hits_to_classes
from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS

TICKS_PER_STEP = COMMON_TIME.ticks_per_step

H = 12
LEVELS = mixture.Lattice(-1.0, 1.0, half_bin=1 / 126)
TICKS = mixture.Lattice(-1.0, 59 / 60, half_bin=1 / 120)
HEADS = {
    "categorical": lambda: CategoricalHead(H),
    "groove": lambda: GrooveHead(H, feel_size=16, n_mixtures=3),
}


@pytest.fixture(params=HEADS)
def head(request):
    torch.manual_seed(0)
    return HEADS[request.param]()


@pytest.fixture
def groove_head():
    torch.manual_seed(0)
    return HEADS["groove"]()


@pytest.fixture
def features():
    """(4, 32, 27) features of grooves that are struck everywhere now and then."""
    rng = np.random.default_rng(0)
    return torch.from_numpy(features_of([random_groove(rng) for _ in range(4)]))


def states_of(*shape, seed=1):
    return torch.randn(*shape, H, generator=torch.Generator().manual_seed(seed))


def sample(head, states, temperature, seed=2):
    noise = head.draw_noise(tuple(states.shape[:-1]), torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return head.sample(states, temperature, noise)


def feel_of(head, states, hits):
    """Return the mixtures of velocities and offsets, (..., 18, 3K)."""
    return head.feel_parameters(head.feel_of_state(states), hits)


def favour(head, logits):
    """Make a head whose only likely classes have these logits, whatever its state."""
    with torch.no_grad():
        head.to_logits.weight.zero_()
        head.to_logits.bias.fill_(-1e4)
        for number, logit in logits.items():
            head.to_logits.bias[number] = logit


def test_classes_are_those_of_the_codec(head, features):
    assert torch.equal(head.classes(torch.from_numpy(_COMBINATIONS).float()), torch.arange(512))
    hits = features[..., :N_VOICES].numpy() > 0.5
    assert np.array_equal(head.classes(features).numpy(), hits_to_classes(hits))


def test_likelihood_of_hits_is_torchs_cross_entropy(head, features):
    states = states_of(4, 32)
    log_prob = head.log_prob(states, features[..., : head.n_features])["hits"]
    logits = head.to_logits(states).transpose(1, 2)  # (B, 512, T)
    expected = torch.nn.functional.cross_entropy(logits, head.classes(features), reduction="none")
    torch.testing.assert_close(log_prob, -expected)


@torch.no_grad()
def test_temperature_zero_takes_the_most_likely_combination(head):
    states = states_of(7)
    drawn = head.sample(states, 0.0, None)[..., :N_VOICES]
    likeliest = head.to_logits(states).argmax(dim=-1)
    assert len(set(likeliest.tolist())) > 1
    assert np.array_equal(drawn.numpy(), _COMBINATIONS[likeliest.numpy()].astype(np.float32))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_combinations_are_drawn_by_their_tempered_probabilities(head, temperature):
    logits = {3: 0.0, 20: 1.0, 300: 2.0}
    favour(head, logits)
    drawn = head.classes(sample(head, states_of(10_000), temperature)).numpy()
    weights = np.exp(np.array(list(logits.values())) / temperature)
    shares = [np.mean(drawn == number) for number in logits]
    assert shares == pytest.approx(weights / weights.sum(), abs=0.02)


def test_noise_is_of_its_generator_and_splits_by_step(head):
    first, again, other = (
        head.draw_noise((5, 2), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    for part, same, different in zip(first, again, other, strict=True):
        if part is not None:
            assert torch.isfinite(part).all()
            assert torch.equal(part, same)
            assert not torch.equal(part, different)
            assert not torch.equal(part[0], part[1])
    assert torch.equal(first.steps()[3].hits, first.hits[3])
    assert (first.values is None) == (first.steps()[0].values is None)


def test_noise_of_an_example_does_not_depend_on_those_after_it(head):
    few, many = (head.draw_noise((5, n), torch.Generator().manual_seed(1)) for n in (2, 9))
    for part, more in zip(few, many, strict=True):
        if part is not None:
            assert part.shape[:2] == (5, 2)
            assert torch.equal(part, more[:, :2])


def test_noise_has_the_stated_distributions(groove_head):
    noise = groove_head.draw_noise((40, 50), torch.Generator().manual_seed(1))
    for gumbel in (noise.hits, noise.components):
        below = torch.exp(-torch.exp(-gumbel)).flatten()  # its own distribution function
        spread = (below.sort().values - torch.linspace(0, 1, len(below))).abs().max()
        assert spread < 0.02
    spread = noise.values.flatten().sort().values - torch.linspace(0, 1, noise.values.numel())
    assert spread.abs().max() < 0.02
    assert 0 < noise.values.min() < noise.values.max() < 1


def test_feel_is_drawn_for_hits_alone_and_within_range(groove_head):
    drawn = sample(groove_head, states_of(40, 32), 1.0)
    hits, velocities, offsets = drawn.split(N_VOICES, dim=-1)
    struck = hits > 0
    assert 0.1 < struck.float().mean() < 0.9
    assert not velocities[~struck].any()
    assert not offsets[~struck].any()
    levels, ticks = velocities[struck] * VELOCITY_LEVELS, offsets * TICKS_PER_STEP / OFFSET_SCALE
    torch.testing.assert_close(levels, levels.round().clamp(1, 127), rtol=0, atol=1e-3)
    torch.testing.assert_close(ticks, ticks.round().clamp(-60, 59), rtol=0, atol=1e-3)
    assert levels.std() > 5


def test_feel_depends_on_which_voices_sound(groove_head):
    states = states_of(3)
    hits = torch.zeros(3, N_VOICES)
    with_kick = hits.clone()
    with_kick[1, 0] = 1
    before = feel_of(groove_head, states, hits)
    after = feel_of(groove_head, states, with_kick)
    changed = (before != after).any(dim=-1)  # (3, 18)
    assert before.shape == (3, 18, 9)
    assert changed.tolist() == [[False] * 18, [True] * 18, [False] * 18]


def test_sampled_feel_is_conditioned_on_the_sampled_hits(groove_head):
    favour(groove_head, {5: 0.0})
    states = states_of(3)
    hits = torch.from_numpy(_COMBINATIONS[5]).float().expand(3, -1)
    values = mixture.mean(feel_of(groove_head, states, hits))
    velocities = ((values[:, :N_VOICES] + 1) / 2 * 126 + 1).round() / 127
    offsets = (values[:, N_VOICES:] * 60).round() / 60
    expected = torch.cat([hits, velocities * hits, offsets * hits], dim=-1)
    torch.testing.assert_close(groove_head.sample(states, 0.0, None), expected)


def test_temperature_moves_the_spread_of_feel():
    torch.manual_seed(0)
    head = GrooveHead(H, feel_size=16, n_mixtures=1)
    favour(head, {1: 0.0})
    states = states_of(1).expand(4000, -1)
    kick_feel = [N_VOICES, 2 * N_VOICES]
    cold, plain, hot = (sample(head, states, t)[:, kick_feel].std(dim=0) for t in (0.25, 0.5, 1.0))
    torch.testing.assert_close(plain, 2 * cold, rtol=0.1, atol=0)
    torch.testing.assert_close(hot, 2 * plain, rtol=0.2, atol=0)


@torch.no_grad()
def test_likelihood_of_feel_is_of_the_hits_alone(groove_head, features):
    states = states_of(4, 32)
    terms = groove_head.log_prob(states, features)
    hits, velocities, offsets = features.split(N_VOICES, dim=-1)
    parameters = feel_of(groove_head, states, hits)
    levels = velocities * VELOCITY_LEVELS  # 1..127 to -1..1
    score_velocity = mixture.log_prob(parameters[..., :9, :], (levels - 64) / 63, LEVELS)
    score_offset = mixture.log_prob(parameters[..., 9:, :], offsets, TICKS)
    for b, t in np.ndindex(4, 32):
        voices = hits[b, t] > 0
        assert float(terms["velocities"][b, t]) == pytest.approx(
            float(score_velocity[b, t][voices].sum()), abs=1e-3
        )
        assert float(terms["offsets"][b, t]) == pytest.approx(
            float(score_offset[b, t][voices].sum()), abs=1e-3
        )
    silent = ~(hits > 0).any(dim=-1)
    assert silent.any()
    assert not terms["velocities"][silent].any()


def test_training_on_an_example_makes_its_own_feel_likelier(groove_head, features):
    """A few steps of descent on one example make its own feel likelier than another's."""
    states = states_of(1, 32).expand(2, -1, -1)
    truth, other = features[:1], features[:1].clone()
    other[..., N_VOICES:] *= 0.4
    optimiser = torch.optim.Adam(groove_head.parameters(), 0.02)
    for _ in range(60):
        loss = -sum(term.sum() for term in groove_head.log_prob(states[:1], truth).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    terms = groove_head.log_prob(states, torch.cat([truth, other]))
    for name in ("velocities", "offsets"):
        mine, others = terms[name].sum(dim=1).tolist()
        assert mine > others + 10
