"""Training in several processes: the same run as in one, and what stops or kills leave of it."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from musicvae_core.cli.main import main
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.models.musicvae import draw_batch, map_batch
from musicvae_core.models.presets import override, preset
from musicvae_core.training.run import Run
from musicvae_core.training.train import _STATE_FILE, LOG_FILE, fabric_on, train_step

SETTINGS = ["batch_size=8", "dropout=0.1", "sampling_rate=20", "validate_every=10"]
BASE = override(preset("groove_2bar_tiny"), SETTINGS)
TWO = ["--devices", "2", "--strategy", "ddp"]
CHANGES_BY_STEPS = dict.fromkeys(("loss/total", "kl/nats", "validation/loss"), 0.01)
PATIENCE_SECONDS = 240


def command(folder, out, n_steps, *options, launcher=()):
    return [
        *(sys.executable, "-m", *launcher, "musicvae_core", "train", "--preset", BASE.name),
        *("--data", str(folder), "--out", str(out), "--device", "cpu", *options),
        *("--set", *SETTINGS, f"n_steps={n_steps}"),
    ]


def run(arguments, **options):
    done = subprocess.run(
        arguments, capture_output=True, text=True, timeout=PATIENCE_SECONDS, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows_of(out):
    path = out / LOG_FILE
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def assert_same_course(out, other):
    rows, expected = rows_of(out), rows_of(other)
    assert [row["step"] for row in rows] == [row["step"] for row in expected]
    for row, wanted in zip(rows, expected, strict=True):
        for name, tolerance in CHANGES_BY_STEPS.items():
            assert row[name] == pytest.approx(wanted[name], rel=tolerance), (row["step"], name)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return os.environ | {
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture(scope="module")
def alone(midi_folder, environment, tmp_path_factory):
    """A run in one process, of so many steps: in this one, which has imported torch already."""

    def train(n_steps):
        out = tmp_path_factory.mktemp("alone")
        _, _, _, *arguments = command(midi_folder, out, n_steps)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", environment["XDG_CACHE_HOME"])
            assert main(arguments) == 0
        return out

    return train


class LoneProcess:
    """The fabric of one of two processes that never communicate."""

    device, world_size = torch.device("cpu"), 2

    def __init__(self, rank):
        self.global_rank = rank

    def setup(self, model):
        return model

    def to_device(self, batch):
        return batch

    def all_reduce(self, value, reduce_op):
        return value

    def backward(self, loss):
        loss.backward()


@pytest.mark.parametrize("name", ["groove_2bar_tiny", "groove_lab_tiny"])
def test_two_processes_share_the_batch_that_one_would_have(tiny_dataset, name):
    chosen = override(preset(name), ["batch_size=8"])
    whole = Run(chosen, fabric_on())
    windows = tiny_dataset.windows("train", chosen.model.n_bars)
    batch = whole.kind.draw_batch(whole.model, windows, chosen.train, 3)
    parts = [Run(chosen, LoneProcess(rank)) for rank in (0, 1)]
    losses = [train_step(part, batch) for part in parts]
    together = train_step(whole, batch)
    for term, value in together.items():
        mean = (losses[0][term] + losses[1][term]) / 2
        torch.testing.assert_close(mean, value, rtol=1e-2, atol=1e-3)
    halves = [map_batch(lambda part, at=at: part[at], batch) for at in (slice(4), slice(4, 8))]
    assert not torch.equal(halves[0].z_noise, halves[1].z_noise)


def test_a_batch_draws_the_same_whichever_process_draws_it(tiny_dataset):
    windows = tiny_dataset.windows("train", 2)
    one, other = (Run(BASE, LoneProcess(rank)) for rank in (0, 1))
    drawn = [draw_batch(run.model, windows, BASE.train, 7) for run in (one, other)]
    assert torch.equal(drawn[0].features, drawn[1].features)
    assert torch.equal(drawn[0].is_blank, drawn[1].is_blank)


@pytest.mark.slow
def test_two_processes_train_what_one_trains(midi_folder, tmp_path, alone, environment):
    out = tmp_path / "two"
    printed = run(command(midi_folder, out, 20, *TWO), env=environment)
    assert json.loads(printed)["step"] == 20
    assert_same_course(out, alone(20))
    assert sorted(path.name for path in out.iterdir()) == ["best", "last", LOG_FILE, _STATE_FILE]
    assert not list(out.rglob(".*"))


@pytest.mark.slow
def test_torchrun_starts_the_processes_as_well(midi_folder, tmp_path, alone, environment):
    launcher = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
    run(command(midi_folder, tmp_path, 10, *TWO, launcher=launcher), env=environment)
    assert_same_course(tmp_path, alone(10))


def await_rows(process, out, n):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(rows_of(out)) < n:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def worker_of(process):
    """Return the process that the first one has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in children}
    return next(int(pid) for pid, line in commands.items() if "musicvae_core" in line)


def accept_ctrl_c():
    """Take Ctrl-C as from a terminal: a process started in the background ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the worker in /proc")
def test_a_stop_and_a_killed_worker_leave_a_run_that_goes_on(
    midi_folder, tmp_path, alone, environment
):
    n_steps = 120

    def begin(*options):
        return subprocess.Popen(
            command(midi_folder, tmp_path, n_steps, *TWO, *options),
            **{"env": environment, "stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL},
            text=True,
            start_new_session=True,
            preexec_fn=accept_ctrl_c,
        )

    stopped = begin()
    await_rows(stopped, tmp_path, 1)
    os.killpg(stopped.pid, signal.SIGINT)
    assert "Stopped at step" in stopped.communicate(timeout=PATIENCE_SECONDS)[1]
    assert stopped.returncode == 0
    step = torch.load(tmp_path / _STATE_FILE)["progress"]["step"]
    assert 10 <= step < n_steps
    assert load_checkpoint(tmp_path / "last").metrics["step"] == step

    killed = begin("--resume")
    await_rows(killed, tmp_path, step // 10 + 1)
    os.kill(worker_of(killed), signal.SIGKILL)
    killed.communicate(timeout=PATIENCE_SECONDS)
    assert killed.returncode != 0
    kept = load_checkpoint(tmp_path / "last").metrics
    assert step < kept["step"] < n_steps
    assert math.isfinite(kept["validation/loss"])

    run(command(midi_folder, tmp_path, n_steps, "--resume"), env=environment)
    assert_same_course(tmp_path, alone(n_steps))
