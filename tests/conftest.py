"""Fixtures that several tests share: the real data set, tiny data, tiny checkpoints."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny networks only wait for more threads

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import tiny_data

# A busy machine is slow now and then; tests that are about time set a deadline of their own.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


_IN_BROWSER = "test_browser*.py"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no other tests where only those in a browser are chosen: that takes ten seconds."""
    is_for_browser = config.option.markexpr.partition(" ")[0] == "browser"
    is_other = collection_path.match("test_*.py") and not collection_path.match(_IN_BROWSER)
    return True if is_for_browser and is_other else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Refuse a browser test in another file, where `pytest_ignore_collect` would lose it."""
    if item.get_closest_marker("browser") and not item.path.match(_IN_BROWSER):
        raise pytest.UsageError(f"{item.nodeid} is a browser test: its file must be {_IN_BROWSER}.")


@pytest.fixture(autouse=True)
def own_library(tmp_path, monkeypatch) -> Path:
    """Keep what a test keeps in a library of its own, which all its sessions share."""
    path = tmp_path / "library.sqlite"
    monkeypatch.setenv("MUSICVAE_LIBRARY", str(path))
    monkeypatch.setenv("MUSICVAE_LIBRARY_PER", "machine")
    return path


@pytest.fixture
def in_float32(monkeypatch) -> None:
    """Decode and sample priors as a CPU without fast 8-bit integers does."""
    from musicvae_core.models import arithmetic

    monkeypatch.setattr(arithmetic, "_is_fast_at_integers", lambda: False)


@pytest.fixture
def in_integers(monkeypatch) -> None:
    """Decode and sample priors as a CPU with fast 8-bit integers does."""
    from musicvae_core.models import arithmetic

    monkeypatch.setattr(arithmetic, "_is_fast_at_integers", lambda: True)


@pytest.fixture(autouse=True)
def no_action_fails(caplog) -> Iterator[None]:
    """Fail a test in which a callback of a page raised: the page itself only logs it."""
    yield
    failed = [record for record in caplog.get_records("call") if record.name.endswith(".actions")]
    assert not [record for record in failed if record.exc_info]


@pytest.fixture(scope="session")
def real_archive() -> Path:
    """Where the Groove MIDI Dataset is; skips without it."""
    if not tiny_data.REAL_ARCHIVE.exists():
        pytest.skip(f"the Groove MIDI Dataset is not at {tiny_data.REAL_ARCHIVE}")
    return tiny_data.REAL_ARCHIVE


@pytest.fixture(scope="session")
def real_dataset(real_archive, tmp_path_factory):
    """The Groove MIDI Dataset, read once."""
    from musicvae_core.data.dataset import load_dataset

    return load_dataset(real_archive, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def tiny_dataset():
    """42 train windows of two bars from six performances, and two performances held out."""
    rng = np.random.default_rng(1)
    counts = {"train": 6, "validation": 2, "test": 2}
    return tiny_data.dataset_of(
        {split: [tiny_data.drummed_groove(rng, 8) for _ in range(n)] for split, n in counts.items()}
    )


@pytest.fixture(scope="session")
def midi_folder(tmp_path_factory) -> Path:
    """A folder of twenty MIDI files of four bars, each different."""
    rng = np.random.default_rng(2)
    grooves = [tiny_data.drummed_groove(rng, 4, 80.0 + 5 * index) for index in range(20)]
    return tiny_data.write_folder(tmp_path_factory.mktemp("midi"), grooves)


@pytest.fixture(scope="session")
def checkpoints_dir(tmp_path_factory) -> Path:
    """Three untrained checkpoints: both presets tiny, and one with a prior of its own.

    They are `drums_2bar`, `groove_2bar` and `a_flow`, whose learned prior is N(3, 1).
    """
    import torch

    from musicvae_core.models.checkpoint import Checkpoint, save_checkpoint
    from musicvae_core.models.presets import preset
    from musicvae_core.models.prior import LatentPrior, PriorConfig

    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(3)
    for name in ("drums_2bar", "groove_2bar"):
        save_checkpoint(Checkpoint.new(preset(f"{name}_tiny")), folder / name)
    with_prior = Checkpoint.new(preset("groove_2bar_tiny"))
    with_prior.prior = LatentPrior(
        PriorConfig(width=8, depth=1, spread=1.0), with_prior.config.z_size
    )
    torch.nn.init.constant_(with_prior.prior.out.bias, 3.0)
    save_checkpoint(with_prior, folder / "a_flow")
    return folder


@pytest.fixture
def sound(checkpoints_dir) -> None:
    """Skips where there is no sound."""
    from musicvae_core.studio import Studio

    if problem := Studio(checkpoints_dir).sound_problem:
        pytest.skip(problem)


@pytest.fixture
def own_cache(tmp_path, monkeypatch) -> Path:
    """Send what is cached for the user to a folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "musicvae_core"


@pytest.fixture
def full_disk(monkeypatch) -> None:
    """Let every file break off that is written beside its target, before it takes its place."""

    def replace(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", replace)


@pytest.fixture
def run(capsys) -> Callable[..., tuple[int, str, str]]:
    """Run a command; return its exit code, standard output and standard error."""
    from musicvae_core.cli.main import main

    def run_command(*arguments: object) -> tuple[int, str, str]:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run_command


@pytest.fixture
def studio() -> Iterator:
    """A fake `Studio` that every page finds in place of the real one."""
    from fake_studio import FakeStudio
    from page_driver import found_by_pages

    with found_by_pages(FakeStudio()) as fake:
        yield fake


@pytest.fixture(scope="session")
def serve(tmp_path_factory) -> Iterator[Callable[[str], str]]:
    """Start one of `real_browser.APPS` at its first use; all tests share the server."""
    from real_browser import APPS, serving

    with ExitStack() as servers:

        @functools.cache
        def address_of(name: str) -> str:
            log = tmp_path_factory.mktemp(name) / "log"
            return servers.enter_context(serving(APPS[name], log))

        yield address_of


@pytest.fixture(scope="module")
def address(request, serve) -> str:
    """Where the app answers that `real_browser.on` names."""
    return serve(request.param)


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """A Chromium for all tests, each in a context of its own; skips without it."""
    from real_browser import launched

    with launched() as browser:
        yield browser


@pytest.fixture
def page(request, address, browser) -> Iterator:
    """A page of the app in Chromium: the first, or the one that the test's parameter adds."""
    from real_browser import opened

    with opened(browser, f"{address}{getattr(request, 'param', '')}") as page:
        yield page
