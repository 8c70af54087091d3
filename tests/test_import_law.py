"""The import law: a module imports from lower ranks alone, and the rooms keep their doors.

The law is read off the syntax trees, so an import inside a function counts as well as
one at the top, and nothing has to be importable.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = "musicvae_core"

CORE_RANKS = {
    "errors": 0,
    "vocabulary": 0,
    "files": 0,
    "config": 1,
    "groove": 1,
    "presets": 2,
    "takes": 2,
    "midi_scan": 2,
    "midi_tracks": 2,
    "midi": 2,
    "share": 2,
    "codec": 2,
    "route": 2,
    "sampler": 2,
    "render": 2,
    "flac": 2,
    "projection": 1,
    "atlas": 2,
    "attribute_vectors": 2,
    "figures": 2,
    "attributes": 3,
    "similarity": 3,
    "augmentation": 3,
    "dataset": 3,
    "download": 3,
    "models": 3,
    "models.mixture": 3,
    "models.heads": 3,
    "models.fast_lstm": 3,
    "models.free_running": 3,
    "models.encoder": 3,
    "models.decoders": 3,
    "models.prior": 3,
    "models.code_noise": 3,
    "models.musicvae": 4,
    "models.lab": 4,
    "losses": 4,
    "schedules": 4,
    "realism": 4,
    "bootstrap": 3,
    "ngram": 4,
    "controls": 4,
    "checkpoint": 5,
    "latent": 5,
    "decoding": 5,
    "smoothness": 5,
    "build_atlas": 6,
    "fit_vectors": 6,
    "steering": 6,
    "journey": 6,
    "style_probe": 6,
    "evaluate": 6,
    "morph": 6,
    "long_form": 6,
    "latent_path": 6,
    "fit_prior": 7,
    "fit_lab_prior": 7,
    "run": 7,
    "training_loop": 7,
    "train_lab": 7,
    "lab_checkpoint": 5,
    "lab_options": 2,
    "taps": 2,
    "lab_examples": 4,
    "lab_likelihood": 5,
    "feel_match": 2,
    "feel_baselines": 3,
    "completion": 6,
    "lab": 6,
    "lab_commands": 8,
    "feel_metrics": 5,
    "feel_report": 7,
    "feel_figure": 7,
    "transfer_experiment": 7,
    "voice_patterns": 3,
    "feel_experiment": 8,
    "kept": 3,
    "hiding": 3,
    "train": 7,
    "library": 7,
    "studio": 7,
    "bench": 8,
    "interpolate": 8,
    "experiments": 8,
    "blending": 8,
    "attribute_figure": 7,
    "trade_off_figure": 7,
    "attribute_floors": 7,
    "attribute_experiment": 8,
    "long_term": 8,
    "long_term_report": 8,
    "experiment_commands": 8,
    "checkpoint_commands": 8,
    "cli": 8,
    "__main__": 8,
}
"""Every module of the core has a rank; a newcomer is placed here or fails the test."""

COMPONENTS_RANK, PAGES_RANK, APP_RANK = 9, 10, 11
"""What stands on the core; components may import one another, pages may not."""

SAME_RANK = {
    ("midi", "midi_scan"),
    ("midi", "midi_tracks"),
    ("midi_tracks", "midi_scan"),
    ("render", "sampler"),
    ("flac", "sampler"),
    ("models.heads", "models.mixture"),
    ("models.decoders", "models.heads"),
    ("models.decoders", "models.fast_lstm"),
    ("models.decoders", "models.free_running"),
    ("models.encoder", "models.fast_lstm"),
    ("models.free_running", "models.fast_lstm"),
    ("models.free_running", "models.heads"),
    ("latent", "checkpoint"),
    ("decoding", "checkpoint"),
    ("decoding", "latent"),
    ("long_form", "morph"),
    ("latent_path", "morph"),
    ("train", "run"),
    ("train", "training_loop"),
    ("train_lab", "run"),
    ("train_lab", "training_loop"),
    ("training_loop", "run"),
    ("hiding", "kept"),
    ("models.code_noise", "kept"),
    ("lab_checkpoint", "checkpoint"),
    ("lab", "completion"),
    ("studio", "library"),
    ("__main__", "cli"),
    ("cli", "bench"),
    ("cli", "interpolate"),
    ("cli", "checkpoint_commands"),
    ("cli", "experiment_commands"),
    ("cli", "lab_commands"),
    ("experiment_commands", "experiments"),
    ("experiment_commands", "blending"),
    ("experiment_commands", "feel_experiment"),
    ("experiment_commands", "attribute_experiment"),
    ("experiment_commands", "long_term"),
    ("long_term", "long_term_report"),
}
"""(importer, imported) of one rank, said here and nowhere else."""

TORCH_FREE = {name for name, rank in CORE_RANKS.items() if rank <= 2} | {
    "attributes",
    "controls",
    "augmentation",
    "download",
    "schedules",
    "similarity",
    "ngram",
}
TRAINERS = {"run", "training_loop", "train", "train_lab", "fit_prior"}
IMPORTERS_OF_TRAINERS = {"checkpoint_commands", "bench", "experiments", "long_term", *TRAINERS}
"""The command line alone starts a training run, or times one; `train` needs its `run`."""

HIDDEN_FROM_SCREEN = {"torch", "pretty_midi", "fluidsynth", "mido"}
OPEN_TO_SCREEN = TORCH_FREE | {"studio"}
"""What of the core the pages may import: the façade, and the words it speaks."""


def module_name(path: Path) -> str:
    """Return the dotted name of a file below the root; a package bears its folder's name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> dict[str, str]:
    """Return the source of every module that the law covers, by dotted name."""
    paths = [*(ROOT / CORE).rglob("*.py"), *(ROOT / "pages").rglob("*.py"), ROOT / "app.py"]
    return {module_name(path): path.read_text() for path in sorted(paths)}


def rank_of(module: str) -> int | None:
    """Return the rank of one of our modules, or None if it has no place in the table."""
    if module == CORE:
        return 0
    if module.startswith(f"{CORE}."):
        return CORE_RANKS.get(module.removeprefix(f"{CORE}."))
    if module == "pages.components" or module.startswith("pages.components."):
        return COMPONENTS_RANK
    return {"app": APP_RANK, "pages": COMPONENTS_RANK}.get(module, PAGES_RANK)


def imported_names(source: str, package: str) -> Iterator[str]:
    """Yield the dotted name of everything that `source`, a module of `package`, imports.

    `from a import b` yields `a.b`, which may be a module or a name in one.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level]
            origin = [*(above if node.level else []), *filter(None, [node.module])]
            yield from (".".join([*origin, alias.name]) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = ast.unparse(node.func).rpartition(".")[2]
            if function in {"import_module", "__import__"}:
                yield str(node.args[0].value)


def dependencies(module: str, source: str, ours: Mapping[str, str]) -> tuple[set[str], set[str]]:
    """Return our modules that `source` imports, and the top names of everything else."""
    is_package = any(name.startswith(f"{module}.") for name in ours)
    package = module if is_package else module.rpartition(".")[0]
    inside, outside = set(), set()
    for name in imported_names(source, package):
        owner = name if name in ours else name.rpartition(".")[0]
        if owner in ours or owner.split(".")[0] in {CORE, "pages"}:
            inside.add(owner)
        else:
            outside.add(name.split(".")[0])
    return inside - {module}, outside


def violations(modules: Mapping[str, str]) -> list[str]:
    """Return every breach of the law in `modules`, name to source, as sentences."""
    found, graph = [], {}
    for module, source in modules.items():
        inside, outside = dependencies(module, source, modules)
        graph[module] = inside
        found += foreign_breaches(module, outside)
        found += rank_breaches(module, inside)
        if "TYPE_CHECKING" in source:
            found.append(f"{module} hides imports behind TYPE_CHECKING")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append(f"circle: {' <- '.join(error.args[1])}")
    return found


def foreign_breaches(module: str, outside: set[str]) -> Iterator[str]:
    """Yield what `module` imports of other projects and may not."""
    in_core = module.split(".")[0] == CORE
    forbidden = {"streamlit"} if in_core else HIDDEN_FROM_SCREEN
    if module.removeprefix(f"{CORE}.") in TORCH_FREE | {CORE}:
        forbidden = forbidden | {"torch"}
    yield from (f"{module} imports {name}" for name in sorted(outside & forbidden))


def rank_breaches(module: str, inside: set[str]) -> Iterator[str]:
    """Yield what `module` imports of ours and may not."""
    rank, short = rank_of(module), module.removeprefix(f"{CORE}.")
    on_screen = module.split(".")[0] != CORE
    if rank is None:
        yield f"{module} has no rank: place it in CORE_RANKS"
        return
    for other in sorted(inside):
        other_rank, other_short = rank_of(other), other.removeprefix(f"{CORE}.")
        said = (short, other_short) in SAME_RANK or rank == COMPONENTS_RANK
        if other_rank is None or other_rank > rank or (other_rank == rank and not said):
            yield f"{module} (rank {rank}) imports {other} (rank {other_rank})"
        elif other_short in TRAINERS and short not in IMPORTERS_OF_TRAINERS:
            yield f"{module} imports {other}, which only the command line may"
        elif on_screen and other != other_short and other_short not in OPEN_TO_SCREEN:
            yield f"{module} imports {other} past the studio"


def test_the_tree_keeps_the_law():
    assert violations(sources()) == []


def test_the_tree_is_walked():
    names = sources().keys()
    assert {"musicvae_core", "musicvae_core.groove", "musicvae_core.models.musicvae"} <= names
    assert {"app", "pages.sample"} <= names


def test_the_readme_maps_every_module_to_its_rank():
    rows = re.findall(r"^\| (\d) \| (.+?) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    mapped = {name: int(rank) for rank, names in rows for name in re.findall(r"`([^`]+)`", names)}

    assert {name: rank for name, rank in mapped.items() if rank < COMPONENTS_RANK} == CORE_RANKS


LAWFUL = {
    "musicvae_core": '"""The package."""',
    "musicvae_core.errors": "class MusicVAEError(Exception): ...",
    "musicvae_core.groove": "import numpy\nfrom musicvae_core.errors import MusicVAEError",
    "musicvae_core.midi_scan": "from . import errors",
    "musicvae_core.midi": "import mido\nfrom musicvae_core import groove, midi_scan",
    "musicvae_core.models": "",
    "musicvae_core.models.heads": "import torch\nfrom ..groove import Groove",
    "musicvae_core.models.musicvae": "from musicvae_core.models.heads import Head",
    "musicvae_core.run": "from musicvae_core.models.musicvae import MusicVAE",
    "musicvae_core.train": "from musicvae_core.run import Run",
    "musicvae_core.studio": "from musicvae_core.models.musicvae import MusicVAE",
    "pages": "",
    "pages.components": "",
    "pages.components.grid": "from musicvae_core.groove import Groove",
    "pages.components.player": "import streamlit\nfrom pages.components.grid import grid",
    "pages.sample": "from musicvae_core.studio import Studio\nfrom pages.components import player",
    "app": "import streamlit\nfrom pages.sample import sample",
}


def test_a_lawful_tree_passes():
    assert violations(LAWFUL) == []


@pytest.mark.parametrize(
    ("module", "line", "breach"),
    [
        ("musicvae_core.groove", "import streamlit", "imports streamlit"),
        ("musicvae_core.groove", "import torch.nn", "imports torch"),
        ("musicvae_core.groove", "from musicvae_core.midi import read_midi", "(rank 2)"),
        ("musicvae_core.groove", "from musicvae_core import midi", "(rank 2)"),
        ("musicvae_core.groove", "from .midi import read_midi", "(rank 2)"),
        ("musicvae_core.groove", "from . import midi", "(rank 2)"),
        ("musicvae_core.groove", "import musicvae_core.midi as m", "(rank 2)"),
        ("musicvae_core.groove", "def f():\n    import musicvae_core.midi", "(rank 2)"),
        ("musicvae_core.groove", "import importlib\nimportlib.import_module('torch')", "torch"),
        ("musicvae_core.models.heads", "from .musicvae import MusicVAE", "(rank 4)"),
        ("musicvae_core.models.heads", "from ..studio import Studio", "(rank 7)"),
        ("musicvae_core.midi_scan", "from musicvae_core.midi import read_midi", "(rank 2)"),
        ("musicvae_core.groove", "from typing import TYPE_CHECKING", "TYPE_CHECKING"),
        ("musicvae_core.studio", "from musicvae_core.train import train", "(rank 7)"),
        ("musicvae_core.studio", "from musicvae_core.run import Run", "(rank 7)"),
        ("musicvae_core.run", "from musicvae_core.train import train", "(rank 7)"),
        ("musicvae_core.studio", "from pages.sample import sample", "(rank 10)"),
        ("musicvae_core.studio", "from musicvae_core.gone import x", "(rank None)"),
        ("musicvae_core.newcomer", "", "has no rank"),
        ("pages.components.grid", "from pages.components.player import p", "circle"),
        ("pages.components.grid", "from pages.sample import sample", "(rank 10)"),
        ("pages.sample", "import torch", "imports torch"),
        ("pages.sample", "from fluidsynth import Synth", "imports fluidsynth"),
        ("pages.sample", "from musicvae_core.models.heads import Head", "past the studio"),
        ("pages.sample", "from musicvae_core.train import train", "only the command line"),
        ("pages.sample", "from musicvae_core.run import Run", "only the command line"),
        ("pages.other", "from pages.sample import sample", "imports pages.sample"),
        ("app", "import mido", "imports mido"),
    ],
)
def test_a_breach_is_found(module, line, breach):
    found = violations(LAWFUL | {module: f"{LAWFUL.get(module, '')}\n{line}"})

    assert any(module.split(".")[-1] in sentence and breach in sentence for sentence in found)
