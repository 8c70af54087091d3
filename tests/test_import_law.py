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
    "config": 1,
    "files": 1,
    "groove": 1,
    "presets": 2,
    "takes": 2,
    "midi_scan": 2,
    "midi_tracks": 2,
    "midi": 2,
    "share": 2,
    "codec": 2,
    "taps": 2,
    "attributes": 3,
    "similarity": 3,
    "augmentation": 3,
    "dataset": 3,
    "download": 3,
    "kept": 3,
    "realism": 4,
    "controls": 4,
    "losses": 4,
    "schedules": 4,
    "checkpoint": 5,
    "latent": 5,
    "decoding": 5,
    "smoothness": 5,
    "evaluate": 6,
    "library": 7,
    "studio": 7,
    "__main__": 8,
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
    "sound": 0,
    "sound.sampler": 2,
    "sound.render": 2,
    "sound.flac": 2,
    "space": 0,
    "space.projection": 1,
    "space.route": 2,
    "space.atlas": 2,
    "space.attribute_vectors": 2,
    "space.build_atlas": 6,
    "space.fit_vectors": 6,
    "space.steering": 6,
    "space.journey": 6,
    "space.morph": 6,
    "space.long_form": 6,
    "space.latent_path": 6,
    "lab": 0,
    "lab.options": 2,
    "lab.feel_match": 2,
    "lab.hiding": 3,
    "lab.examples": 4,
    "lab.checkpoint": 5,
    "lab.likelihood": 5,
    "lab.completion": 6,
    "lab.tools": 6,
    "training": 0,
    "training.fit_prior": 7,
    "training.fit_lab_prior": 7,
    "training.run": 7,
    "training.loop": 7,
    "training.train_lab": 7,
    "training.train": 7,
    "experiments": 0,
    "experiments.figures": 2,
    "experiments.bootstrap": 3,
    "experiments.feel_baselines": 3,
    "experiments.voice_patterns": 3,
    "experiments.ngram": 4,
    "experiments.feel_metrics": 5,
    "experiments.style_probe": 6,
    "experiments.feel_report": 7,
    "experiments.feel_figure": 7,
    "experiments.transfer": 7,
    "experiments.attribute_figure": 7,
    "experiments.trade_off_figure": 7,
    "experiments.attribute_floors": 7,
    "experiments.feel": 8,
    "experiments.choices": 8,
    "experiments.blending": 8,
    "experiments.attributes": 8,
    "experiments.long_term": 8,
    "experiments.long_term_report": 8,
    "commands": 0,
    "commands.arguments": 8,
    "commands.lab": 8,
    "commands.bench": 8,
    "commands.interpolate": 8,
    "commands.experiments": 8,
    "commands.checkpoints": 8,
    "commands.cli": 8,
}
"""Every module of the core has a rank; a newcomer is placed here or fails the test."""

COMPONENTS_RANK, PAGES_RANK, APP_RANK = 9, 10, 11
"""What stands on the core; components may import one another, pages may not."""

SAME_RANK = {
    ("midi", "midi_scan"),
    ("midi", "midi_tracks"),
    ("midi_tracks", "midi_scan"),
    ("latent", "checkpoint"),
    ("decoding", "checkpoint"),
    ("decoding", "latent"),
    ("lab.checkpoint", "checkpoint"),
    ("studio", "library"),
    ("__main__", "commands.cli"),
    ("commands.experiments", "experiments.choices"),
    ("commands.experiments", "experiments.blending"),
    ("commands.experiments", "experiments.feel"),
    ("commands.experiments", "experiments.attributes"),
    ("commands.experiments", "experiments.long_term"),
    ("models.code_noise", "kept"),
    ("lab.hiding", "kept"),
}
"""(importer, imported) of one rank and different rooms, said here and nowhere else; those of one
room may import one another."""

TORCH_FREE = {name for name, rank in CORE_RANKS.items() if rank <= 2} | {
    "attributes",
    "controls",
    "augmentation",
    "download",
    "schedules",
    "similarity",
    "experiments.ngram",
}
TRAINERS = {f"training.{name}" for name in ("run", "loop", "train", "train_lab", "fit_prior")}
IMPORTERS_OF_TRAINERS = TRAINERS | {
    "commands.checkpoints",
    "commands.bench",
    "experiments.choices",
    "experiments.long_term",
}
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


def room_of(module: str) -> str:
    """Return the room that a module is in: a folder of the core, the components, or itself."""
    if module.startswith("pages.components"):
        return "pages.components"
    return module if module.startswith("pages.") else module.split(".")[0]


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
        said = (short, other_short) in SAME_RANK or room_of(short) == room_of(other_short)
        if other_rank is None or other_rank > rank or (other_rank == rank and not said):
            yield f"{module} (rank {rank}) imports {other} (rank {other_rank})"
        elif other_short in TRAINERS and short not in IMPORTERS_OF_TRAINERS:
            yield f"{module} imports {other}, which only the command line may"
        elif on_screen and other != other_short and other_short not in OPEN_TO_SCREEN:
            yield f"{module} imports {other} past the studio"


def test_the_tree_keeps_the_law():
    assert violations(sources()) == []


def test_no_circle_runs_between_the_rooms_of_the_core():
    ours = sources()
    rooms: dict[str, set[str]] = {}
    for module in filter(lambda name: name.startswith(f"{CORE}."), ours):
        inside, _ = dependencies(module, ours[module], ours)
        own = room_of(module.removeprefix(f"{CORE}."))
        others = {room_of(name.removeprefix(f"{CORE}.")) for name in inside}
        rooms.setdefault(own, set()).update(others - {own})
    order = list(TopologicalSorter(rooms).static_order())  # raises where there is a circle
    assert order.index("models") < order.index("lab") < order.index("studio")


def test_the_tree_is_walked():
    names = sources().keys()
    assert {"musicvae_core", "musicvae_core.groove", "musicvae_core.models.musicvae"} <= names
    assert {"app", "pages.sample"} <= names


def test_the_readme_maps_every_module_and_room_to_its_ranks():
    rows = re.findall(r"^\| ([\d-]+) \| (.+?) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    mapped = {name: ranks for ranks, names in rows for name in re.findall(r"`([^`]+)`", names)}
    wanted: dict[str, list[int]] = {}
    for name, rank in CORE_RANKS.items():
        room, _, module = name.partition(".")
        is_room = any(other.startswith(f"{name}.") for other in CORE_RANKS)
        if not is_room:
            wanted.setdefault(f"{room}/" if module else room, []).append(rank)

    core = {name: ranks for name, ranks in mapped.items() if not ranks.startswith(("9", "10"))}
    assert core == {
        name: "-".join(str(rank) for rank in sorted({min(ranks), max(ranks)}))
        for name, ranks in wanted.items()
    }


LAWFUL = {
    "musicvae_core": '"""The package."""',
    "musicvae_core.errors": "class MusicVAEError(Exception): ...",
    "musicvae_core.groove": "import numpy\nfrom musicvae_core.errors import MusicVAEError",
    "musicvae_core.midi_scan": "from . import errors",
    "musicvae_core.midi": "import mido\nfrom musicvae_core import groove, midi_scan",
    "musicvae_core.models": "",
    "musicvae_core.models.heads": "import torch\nfrom ..groove import Groove",
    "musicvae_core.models.musicvae": "from musicvae_core.models.heads import Head",
    "musicvae_core.training": "",
    "musicvae_core.training.run": "from musicvae_core.models.musicvae import MusicVAE",
    "musicvae_core.training.train": "from musicvae_core.training.run import Run",
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
        ("musicvae_core.studio", "from musicvae_core.training.train import train", "(rank 7)"),
        ("musicvae_core.studio", "from musicvae_core.training.run import Run", "(rank 7)"),
        ("musicvae_core.training.run", "from musicvae_core.training.train import train", "circle"),
        ("musicvae_core.studio", "from pages.sample import sample", "(rank 10)"),
        ("musicvae_core.studio", "from musicvae_core.gone import x", "(rank None)"),
        ("musicvae_core.newcomer", "", "has no rank"),
        ("pages.components.grid", "from pages.components.player import p", "circle"),
        ("pages.components.grid", "from pages.sample import sample", "(rank 10)"),
        ("pages.sample", "import torch", "imports torch"),
        ("pages.sample", "from fluidsynth import Synth", "imports fluidsynth"),
        ("pages.sample", "from musicvae_core.models.heads import Head", "past the studio"),
        ("pages.sample", "from musicvae_core.training.train import train", "only the command line"),
        ("pages.sample", "from musicvae_core.training.run import Run", "only the command line"),
        ("pages.other", "from pages.sample import sample", "imports pages.sample"),
        ("app", "import mido", "imports mido"),
    ],
)
def test_a_breach_is_found(module, line, breach):
    found = violations(LAWFUL | {module: f"{LAWFUL.get(module, '')}\n{line}"})

    assert any(module.split(".")[-1] in sentence and breach in sentence for sentence in found)
