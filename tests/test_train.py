"""Training: runs that stop and go on, what ends them, and the inputs of the decoder."""

import errno
import json
import math
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_data import dataset_of, drummed_groove

from musicvae_core.errors import (
    CheckpointError,
    ConfigError,
    TooFewExamplesError,
    TrainingError,
)
from musicvae_core.models import reconstruction
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.models.presets import override, preset
from musicvae_core.training import run as run_module
from musicvae_core.training import train as train_module
from musicvae_core.training.run import Run
from musicvae_core.training.train import (
    _STATE_FILE,
    LOG_FILE,
    _validation_windows,
    fabric_on,
    pick_device,
    train,
)

BASE = override(preset("groove_2bar_tiny"), ["n_steps=20", "validate_every=10", "batch_size=8"])


def run_once(dataset, out, chosen=BASE, **options):
    return train(chosen, dataset, out, device="cpu", **options)


def log_of(out):
    """Return the rows of the log without their times."""
    rows = [json.loads(line) for line in (out / LOG_FILE).read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def weights_of(folder):
    return load_checkpoint(folder).model.state_dict()


def equal_weights(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.fixture(scope="module")
def finished(tiny_dataset, tmp_path_factory):
    """A run of twenty steps that nothing disturbed: its folder and what it returned."""
    out = tmp_path_factory.mktemp("finished")
    return out, run_once(tiny_dataset, out)


@pytest.fixture
def ask_to_stop(monkeypatch):
    """Send a signal, once, in the midst of the step that makes the run so many steps old."""
    before = signal.getsignal(signal.SIGINT)

    def arm(step, number=signal.SIGINT, handler=signal.default_int_handler):
        plain, armed = train_module.train_step, [True]
        if number == signal.SIGINT:  # a process that was started in the background ignores it
            signal.signal(number, handler)

        def stopping(run, batch):
            if run.step == step - 1 and armed:
                armed.clear()
                signal.raise_signal(number)
            return plain(run, batch)

        monkeypatch.setattr(train_module, "train_step", stopping)

    yield arm
    signal.signal(signal.SIGINT, before)


def test_a_run_keeps_best_last_state_and_log(finished):
    out, metrics = finished
    assert sorted(path.name for path in out.iterdir()) == ["best", "last", LOG_FILE, _STATE_FILE]
    rows = log_of(out)
    assert [row["step"] for row in rows] == [10, 20]
    assert rows[-1] == {name: value for name, value in metrics.items() if name != "seconds"}
    for name in ("loss/total", "kl/nats", "recon/hits", "validation/sampling_accuracy"):
        assert math.isfinite(metrics[name])
    best = min(rows, key=lambda row: row["validation/loss"])
    assert load_checkpoint(out / "best").metrics["step"] == best["step"]
    last = load_checkpoint(out / "last")
    assert last.metrics["step"] == 20
    assert (last.config, last.train) == (BASE.model, BASE.train)


def test_the_same_seed_trains_the_same_model_and_another_another(finished, tiny_dataset, tmp_path):
    run_once(tiny_dataset, tmp_path / "again")
    run_once(tiny_dataset, tmp_path / "other", override(BASE, ["seed=1"]))
    weights = weights_of(finished[0] / "last")
    assert equal_weights(weights_of(tmp_path / "again" / "last"), weights)
    assert not equal_weights(weights_of(tmp_path / "other" / "last"), weights)


@pytest.mark.parametrize(
    ("step", "number"), [(7, signal.SIGINT), (10, signal.SIGTERM), (13, signal.SIGINT)]
)
def test_an_interrupted_run_resumes_exactly(
    finished, tiny_dataset, tmp_path, ask_to_stop, step, number
):
    ask_to_stop(step, number)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run_once(tiny_dataset, tmp_path)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert torch.load(tmp_path / _STATE_FILE)["progress"]["step"] == step
    if step == 7:
        assert load_checkpoint(tmp_path / "last").metrics == {"step": 7}
    run_once(tiny_dataset, tmp_path, resume=True)
    assert log_of(tmp_path) == log_of(finished[0])
    for kind in ("best", "last"):
        assert equal_weights(weights_of(tmp_path / kind), weights_of(finished[0] / kind))


def test_an_interrupted_run_with_dropout_resumes_exactly(tiny_dataset, tmp_path, ask_to_stop):
    chosen = override(BASE, ["dropout=0.25", "word_dropout=0.2", "sampling_rate=20"])
    run_once(tiny_dataset, tmp_path / "whole", chosen)
    ask_to_stop(7)
    run_once(tiny_dataset, tmp_path / "stopped", chosen)
    torch.manual_seed(99)  # the global generator decides nothing
    run_once(tiny_dataset, tmp_path / "stopped", chosen, resume=True)
    whole, stopped = (weights_of(tmp_path / name / "last") for name in ("whole", "stopped"))
    assert equal_weights(whole, stopped)


def test_a_run_in_the_background_ignores_ctrl_c(finished, tiny_dataset, tmp_path, ask_to_stop):
    ask_to_stop(7, handler=signal.SIG_IGN)
    run_once(tiny_dataset, tmp_path)
    assert log_of(tmp_path) == log_of(finished[0])


def test_a_second_ctrl_c_stops_at_once(tiny_dataset, tmp_path, ask_to_stop, monkeypatch):
    ask_to_stop(13)
    stopping = train_module.train_step

    def impatient(run, batch):
        losses = stopping(run, batch)
        if run.step == 13:
            signal.raise_signal(signal.SIGINT)
        return losses

    monkeypatch.setattr(train_module, "train_step", impatient)
    with pytest.raises(KeyboardInterrupt):
        run_once(tiny_dataset, tmp_path)
    assert torch.load(tmp_path / _STATE_FILE)["progress"]["step"] == 10


@pytest.mark.parametrize("kept", [0, 1000])
def test_a_damaged_state_is_refused_with_the_way_on(tiny_dataset, tmp_path, ask_to_stop, kept):
    ask_to_stop(3)
    run_once(tiny_dataset, tmp_path)
    state = tmp_path / _STATE_FILE
    state.write_bytes(state.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="begin another with --start"):
        run_once(tiny_dataset, tmp_path, resume=True)


def test_a_validation_split_of_short_performances_borrows_from_the_train_split():
    rng = np.random.default_rng(0)
    dataset = dataset_of(
        {"train": [drummed_groove(rng, 8)], "validation": [drummed_groove(rng, 1)]}
    )
    assert len(_validation_windows(dataset, 2)) == 7
    assert len(_validation_windows(dataset, 1)) == 1


def test_resuming_a_finished_run_changes_nothing(tiny_dataset, tmp_path):
    run_once(tiny_dataset, tmp_path)
    before, rows = load_checkpoint(tmp_path / "last"), log_of(tmp_path)
    run_once(tiny_dataset, tmp_path, resume=True)
    after = load_checkpoint(tmp_path / "last")
    assert log_of(tmp_path) == rows
    assert after.metrics == before.metrics
    assert equal_weights(after.model.state_dict(), before.model.state_dict())


def test_resuming_with_other_settings_is_refused(finished, tiny_dataset):
    for change in ("beta=0.5", "z_size=9"):
        with pytest.raises(ConfigError, match="other settings"):
            run_once(tiny_dataset, finished[0], override(BASE, [change]), resume=True)


def files_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_fresh_run_where_another_was_kept_is_refused(finished, tiny_dataset):
    before = files_in(finished[0])
    for chosen in (BASE, override(BASE, ["beta=0.5"])):
        with pytest.raises(ConfigError, match=r"--resume, or give another --out"):
            run_once(tiny_dataset, finished[0], chosen)
    assert files_in(finished[0]) == before


@pytest.mark.parametrize("resume", [False, True])
def test_a_log_without_its_state_is_not_added_to(tiny_dataset, tmp_path, resume):
    (tmp_path / LOG_FILE).write_text("{}\n")
    with pytest.raises(ConfigError, match=r"no training\.pt for --resume.*another --out"):
        run_once(tiny_dataset, tmp_path, resume=resume)
    assert files_in(tmp_path) == {tmp_path / LOG_FILE: b"{}\n"}


def test_a_model_can_start_from_anothers_weights(finished, tiny_dataset, tmp_path):
    frozen = override(BASE, ["n_steps=1", "learning_rate=1e-12", "final_learning_rate=0"])
    run_once(tiny_dataset, tmp_path / "same", frozen, start=finished[0] / "last")
    for name, tensor in weights_of(finished[0] / "last").items():
        torch.testing.assert_close(weights_of(tmp_path / "same" / "last")[name], tensor)
    other = override(BASE, ["z_size=9"])
    with pytest.raises(ConfigError, match="other dimensions"):
        run_once(tiny_dataset, tmp_path / "other", other, start=finished[0] / "last")


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good_checkpoint(
    finished, tiny_dataset, tmp_path, monkeypatch
):
    plain = train_module.elbo_losses

    def breaking(*args, **options):
        losses = plain(*args, **options)
        steps.append(1)
        return losses | ({"loss/total": losses["loss/total"] * math.nan} if len(steps) > 15 else {})

    steps = []
    monkeypatch.setattr(train_module, "elbo_losses", breaking)
    with pytest.raises(TrainingError, match=r"nan at step 15.*learning_rate"):
        run_once(tiny_dataset, tmp_path)
    assert load_checkpoint(tmp_path / "last").metrics["step"] == 10
    monkeypatch.undo()
    run_once(tiny_dataset, tmp_path, resume=True)
    assert equal_weights(weights_of(tmp_path / "last"), weights_of(finished[0] / "last"))


def test_too_few_examples_are_refused(tmp_path):
    groove = drummed_groove(np.random.default_rng(0), 10)
    with pytest.raises(TooFewExamplesError, match="9 windows of 2 bars and 16 are needed"):
        run_once(dataset_of({"train": [groove]}), tmp_path)
    with pytest.raises(TooFewExamplesError, match="32 are needed"):
        run_once(dataset_of({"train": [groove] * 2}), tmp_path, override(BASE, ["batch_size=32"]))


def test_a_set_without_validation_is_trained_on_nevertheless(tmp_path):
    grooves = [drummed_groove(np.random.default_rng(0), 10) for _ in range(2)]
    metrics = run_once(dataset_of({"train": grooves}), tmp_path)
    assert math.isfinite(metrics["validation/loss"])


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", _STATE_FILE])
def test_a_full_disk_stops_and_leaves_what_was_there(tiny_dataset, tmp_path, monkeypatch, name):
    replace, calls = Path.replace, []

    def fill(part, target):
        calls.append(target.name)
        if calls.count(name) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(part, target)

    monkeypatch.setattr(Path, "replace", fill)
    chosen = override(BASE, ["validate_every=5"])
    with pytest.raises(TrainingError, match=r"no space left.*--resume"):
        run_once(tiny_dataset, tmp_path, chosen)
    assert 5 <= load_checkpoint(tmp_path / "last").metrics["step"] < 20
    assert not list(tmp_path.rglob(".*"))
    monkeypatch.undo()
    run_once(tiny_dataset, tmp_path, chosen, resume=True)
    assert load_checkpoint(tmp_path / "last").metrics["step"] == 20


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full here")
def test_a_disk_that_is_really_full_is_named(tiny_dataset, tmp_path, monkeypatch):
    def write_to_full(_, content):
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(content)

    monkeypatch.setattr(Path, "write_bytes", write_to_full)
    with pytest.raises(TrainingError):
        Run(BASE, fabric_on()).save(tmp_path / _STATE_FILE)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TrainingError):
        run_once(tiny_dataset, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_resumed_run_clears_what_a_kill_left_and_completes_its_log(tiny_dataset, tmp_path):
    run_once(tiny_dataset, tmp_path)
    log = tmp_path / LOG_FILE
    whole = log.read_text()
    lines = whole.splitlines(keepends=True)
    for killed_at in ("".join(lines[:-1]), whole[:-7]):
        log.write_text(killed_at)
        parts = [tmp_path / ".training.pt.x.part", tmp_path / "best" / ".config.json.y.part"]
        for part in parts:
            part.write_bytes(b"half")
        run_once(tiny_dataset, tmp_path, resume=True)
        assert log.read_text() == whole
        assert not any(part.exists() for part in parts)


def test_other_errors_of_writing_keep_their_name(tiny_dataset, tmp_path, monkeypatch):
    def deny(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(run_module, "save_checkpoint", deny)
    with pytest.raises(PermissionError):
        run_once(tiny_dataset, tmp_path)


def test_a_run_that_gets_no_better_stops_early(tiny_dataset, tmp_path, monkeypatch):
    plain = reconstruction.reconstruction_metrics

    def worsening(*args):
        calls.append(1)
        return plain(*args) | {"nll_hits": 1000.0 + (len(calls) > 2) * len(calls)}

    calls = []
    monkeypatch.setattr(reconstruction, "reconstruction_metrics", worsening)
    chosen = override(BASE, ["n_steps=40", "validate_every=2", "patience=3", "beta=0"])
    assert run_once(tiny_dataset, tmp_path, chosen)["step"] == 2 * len(calls)
    stale = 2 * len(calls) - load_checkpoint(tmp_path / "best").metrics["step"]
    assert stale == 2 * 3
    assert load_checkpoint(tmp_path / "last").metrics["step"] == 2 * len(calls)
    n_calls, before = len(calls), files_in(tmp_path)
    assert run_once(tiny_dataset, tmp_path, chosen, resume=True) == {}
    assert len(calls) == n_calls
    assert files_in(tmp_path) == before


def test_a_missing_device_is_refused():
    assert pick_device("cpu").type == "cpu"
    missing = [name for name in ("cuda", "mps") if name != pick_device("auto").type]
    with pytest.raises(ConfigError, match=f"no {missing[0]} device here"):
        pick_device(missing[0])


@pytest.mark.parametrize("name", ["drums_16bar_hier_tiny", "groove_2bar_tiny"])
def test_a_run_may_start_with_codes_that_tell_the_music_apart(name):
    rng = np.random.default_rng(0)
    chosen = override(preset(name), ["initial_sigma=0.2"])
    dataset = dataset_of({"train": [drummed_groove(rng, 17) for _ in range(20)]})
    windows = dataset.windows("train", chosen.model.n_bars)
    run = Run(chosen, fabric_on())
    run.spread_codes(windows)
    features = torch.from_numpy(np.array(windows.features[..., : run.model.n_features]))
    for model in (run.model, run.checkpoint({}).model):
        with torch.no_grad():
            mu, sigma = model.encoder(features)
        n_bars = chosen.model.n_bars if chosen.model.encoder_bar_size else 1
        rows = mu.reshape(n_bars * len(mu), -1)  # bars share z, and are spread alike
        n_dimensions = rows.shape[1]
        torch.testing.assert_close(rows.mean(0), torch.zeros(n_dimensions), atol=1e-3, rtol=0)
        torch.testing.assert_close(rows.std(0), torch.ones(n_dimensions), atol=1e-3, rtol=0)
        assert (sigma / 0.2 - 1).abs().max() < 0.8
