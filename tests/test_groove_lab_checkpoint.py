"""The groove lab that is shipped, on real performances: seams, steadiness, what is asked of it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from musicvae_core.evaluation.experiments.feel_metrics import bar_jumps
from musicvae_core.lab.completion import complete, open_bars, stretches
from musicvae_core.lab.options import Amounts, Preferences, Sampling
from musicvae_core.lab.tools import Lab
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.models.conditioning import Conditioning, tempo_only
from musicvae_core.models.lab import GrooveLab
from musicvae_core.music.attributes import _mean_velocity, beats_of, measure
from musicvae_core.music.grid import COMMON_TIME
from musicvae_core.music.groove import features_to_groove

STEPS_PER_BAR = COMMON_TIME.steps_per_bar

SHIPPED = Path(__file__).parent.parent / "checkpoints" / "groove_lab"
N_LONG, LONG_BARS = 48, 16


@pytest.fixture(scope="module")
def lab():
    if not SHIPPED.exists():
        pytest.skip(f"there is no {SHIPPED}")
    return Lab(load_checkpoint(SHIPPED, GrooveLab))


@pytest.fixture(scope="module")
def long_windows(real_dataset):
    windows = real_dataset.windows("validation", LONG_BARS)
    return windows.take(np.linspace(0, len(windows) - 1, N_LONG))


@pytest.fixture(scope="module")
def played(lab, long_windows):
    given = Conditioning.notes(long_windows.features)
    return complete(lab.checkpoint.model, given, tempo_only(long_windows.tempos_bpm), Sampling())


def test_loading_does_not_import_the_slow_compiler(lab):
    code = (
        "import sys; from musicvae_core.studio import Studio; Studio().lab(); "
        "sys.exit(not sys.modules.keys().isdisjoint({'torch._dynamo', 'sympy'}))"
    )
    root = SHIPPED.parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def first_bars(lab, features):
    plan = stretches(open_bars(Conditioning.notes(features)), lab.checkpoint.config.n_bars, 1)
    return np.array([stretch.first_made for stretch in plan][1:])


def groove_of(windows, index):
    return features_to_groove(windows.features[index], float(windows.tempos_bpm[index]))


def test_seams_change_no_more_than_other_bar_lines(lab, long_windows, played):
    seams = first_bars(lab, long_windows.features)
    assert len(seams) >= 4
    ours, theirs = (bar_jumps(one, seams) for one in (played, long_windows.features))
    for name in ("loudness", "lateness"):
        assert ours[name] < 1.25 * max(1, theirs[name]), name


def test_grooves_differ_from_one_another_in_loudness_as_real_ones_do(lab, long_windows, played):
    short = slice(0, lab.checkpoint.config.n_bars * STEPS_PER_BAR)
    ours, theirs = (
        np.std([_mean_velocity(beats_of(one[short])) for one in features])
        for features in (played, long_windows.features)
    )
    assert 0.6 * theirs < ours < 1.4 * theirs
    roots = lab.checkpoint.model.code_noise.roots
    assert (roots - roots.transpose(1, 2)).abs().max() < 0.01
    assert all(np.linalg.eigvalsh(root.numpy())[-1] > 1.1 for root in roots)


def test_feel_neither_fades_nor_grows(played):
    halves = np.split(played, 2, axis=1)
    for columns in (slice(9, 18), slice(18, 27)):
        spreads = [half[..., columns][half[..., :9] > 0.5].std() for half in halves]
        assert spreads[1] == pytest.approx(spreads[0], rel=0.12)


def test_feel_is_as_wide_as_a_drummer_s(played, long_windows):
    for columns in (slice(9, 18), slice(18, 27)):
        ours, theirs = (
            one[..., columns][one[..., :9] > 0.5].std() for one in (played, long_windows.features)
        )
        assert ours == pytest.approx(theirs, rel=0.2)


def test_a_cold_feel_is_flatter(lab, long_windows):
    grooves = [groove_of(long_windows, index) for index in range(4)]

    def spread(temperature: float) -> float:
        sampling = Sampling(feel_temperature=temperature)
        return np.mean(
            [lab.humanize(one, sampling=sampling).offsets[one.hits].std() for one in grooves]
        )

    spreads = [spread(temperature) for temperature in (0, 0.5, 1, 1.5)]
    assert np.diff(spreads).min() > 0.01


def test_amounts_go_beyond_what_is_drawn(lab, long_windows):
    groove = groove_of(long_windows, 1)
    moves = [
        abs(lab.humanize(groove, amounts=Amounts(timing=timing)).offsets - groove.offsets).mean()
        for timing in (0, 0.5, 1, 2)
    ]
    assert moves[0] == 0
    assert moves == sorted(moves)


def test_kits_have_about_as_many_hits_as_are_asked_for(lab, long_windows):
    found = []
    for hits_a_bar in (8, 16, 28):
        preferences = Preferences(hits_a_bar=hits_a_bar)
        kits = [
            lab.drumify(groove_of(long_windows, index).bars(0, 4), preferences=preferences).n_hits
            / 4
            for index in range(0, N_LONG, 4)
        ]
        found.append(float(np.mean(kits)))
    assert found == sorted(found)
    assert found[2] > 1.25 * found[0]  # the rhythm itself says how few they can be


def test_transfer_brings_the_loudness_and_the_lateness(lab, long_windows):
    shorter = [groove_of(long_windows, index).bars(4, 4) for index in range(0, N_LONG, 3)]
    grooves = [groove for groove in shorter if groove.n_hits]
    others = np.roll(np.arange(len(grooves)), len(grooves) // 2)
    made = [
        lab.transfer(grooves[feel], groove) for feel, groove in zip(others, grooves, strict=True)
    ]
    for name in ("velocity_mean", "laid_backness"):
        wanted = [measure(grooves[feel])[name] for feel in others]
        got = [measure(groove)[name] for groove in made]
        assert np.corrcoef(wanted, got)[0, 1] > 0.8, name


def test_a_bar_line_is_where_it_was(lab, long_windows):
    groove = groove_of(long_windows, 2)
    more = lab.continue_groove(groove.bars(0, 2), 4)
    assert more.bars(0, 2) == groove.bars(0, 2)
    struck = more.hits.reshape(6, STEPS_PER_BAR, 9).any(axis=(1, 2))
    assert struck[2:].all()
