"""What the README, the documents and the model cards say is there, is there."""

import builtins
import functools
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from musicvae_core import errors
from musicvae_core.cli.main import _make_parser
from scripts.make_model_card import _card, _steps_of_all_runs
from scripts.measure_house import _figures

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("checkpoints/*/*.md"),
]
CARDS = [path.with_name("README.md") for path in ROOT.glob("checkpoints/*/for_musicians.md")]
"""The cards that scripts/make_model_card.py makes."""

PROGRAM = "python -m musicvae_core "
FILE_SUFFIXES = (".py", ".md", ".mjs", ".sh", ".toml", ".txt", ".json")
MAX_PICTURE_BYTES = 130_000
MAX_TREE_MEBIBYTES = 60
MAX_FILE_MEBIBYTES = 16
BUILTINS = dir(builtins)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=named)


def spans(text: str) -> Iterator[str]:
    """Yield the code of a document: indented lines, lines that are a command, inline code."""
    joined = text.replace("\\\n", " ")
    yield from re.findall(r"^(?: {4,}|(?=make |python ))(.*)$", joined, re.MULTILINE)
    for span in re.findall(r"`([^`]+)`", joined):
        yield " ".join(span.split())


def commands(text: str) -> Iterator[str]:
    """Yield the arguments of each command of the program that a document gives."""
    for span in spans(text):
        if span.startswith(PROGRAM):
            yield span.removeprefix(PROGRAM)


def options() -> set[str]:
    """Return the options of all commands and scripts."""
    sources = [*ROOT.glob("musicvae_core/cli/*.py"), *ROOT.glob("scripts/*.py")]
    return {name for path in sources for name in re.findall(r'"(--[\w-]+)"', path.read_text())}


def is_path(span: str) -> bool:
    stands_for_others = "NAME" in span
    if stands_for_others or re.search(r"[\s*<>=:@\"]", span) or span.startswith(("/", "-")):
        return False
    return span.endswith((*FILE_SUFFIXES, "/"))


@functools.cache
def listed_files() -> list[Path]:
    """Return the files under version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is not a checkout of the repository")
    paths = [Path(name) for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if (ROOT / path).is_file()]


@functools.cache
def listed_places() -> frozenset[str]:
    """Return every file and folder, by its whole path and by each end of it."""
    places = {place for path in listed_files() for place in (path, *path.parents)}
    return frozenset("/".join(place.parts[n:]) for place in places for n in range(len(place.parts)))


@every_document
def test_commands_are_understood(document):
    for command in commands(document.read_text()):
        try:
            _make_parser().parse_args(shlex.split(command, comments=True))
        except SystemExit:
            pytest.fail(f"{document.name}: {PROGRAM}{command}")


@every_document
def test_options_exist(document):
    named = [span.split()[0] for span in spans(document.read_text()) if span.startswith("--")]
    assert set(named) <= options()


@every_document
def test_goals_of_make_exist(document):
    goals = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [re.match(r"(?:\w+=\S+ )*make ([\w-]+)", span) for span in spans(document.read_text())]
    assert {match.group(1) for match in named if match} <= goals


@every_document
def test_files_exist(document):
    named_files = {span.rstrip("/") for span in spans(document.read_text()) if is_path(span)}
    assert named_files <= listed_places()


@every_document
def test_links_lead_to_files(document):
    links = re.findall(r"\]\(([^)#]+)", document.read_text())
    missing = [
        link for link in links if "://" not in link and not (document.parent / link).exists()
    ]
    assert not missing


def test_missing_names_would_be_noticed():
    assert list(commands(f"    {PROGRAM}sample \\\n  x  # one\n")) == ["sample    x  # one"]
    with pytest.raises(SystemExit):
        _make_parser().parse_args(["sample", "checkpoints/groove_2bar", "--no-such-option"])
    assert is_path("music/no_such_file.py")
    assert "music/no_such_file.py" not in listed_places() > {"music/grid.py", "music"}


def test_the_tree_is_small():
    mebibytes = [(ROOT / path).stat().st_size / 2**20 for path in listed_files()]
    assert sum(mebibytes) <= MAX_TREE_MEBIBYTES
    assert max(mebibytes) <= MAX_FILE_MEBIBYTES


def test_the_readme_s_python_runs(tmp_path, monkeypatch):
    if not (ROOT / "checkpoints/groove_2bar/model.safetensors").exists():
        pytest.skip("needs the checkpoint groove_2bar")
    [example] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})

    assert (tmp_path / "groove.mid").read_bytes().startswith(b"MThd")


@pytest.mark.parametrize("document", CARDS, ids=named)
def test_a_card_is_what_its_script_makes_of_the_folder(document):
    assert document.read_text() == _card(document.parent), "run scripts.make_model_card"


def test_a_card_begins_with_ten_lines_or_so_for_musicians():
    for path in CARDS:
        text = (path.parent / "for_musicians.md").read_text()
        assert path.read_text().split("\n\n", 1)[1].startswith(text)
        assert f"\n\n{(path.parent / 'origin.md').read_text()}" in path.read_text()
        assert 5 <= len(text.splitlines()) <= 14


def test_curves_count_on_from_one_run_of_a_log_to_the_next():
    assert _steps_of_all_runs([10, 20, 10, 30, 5]) == [10, 20, 30, 50, 55]


def test_docstrings_name_errors_that_there_are():
    sources = [*ROOT.glob("musicvae_core/**/*.py"), *ROOT.glob("pages/**/*.py")]
    named_errors = {
        name
        for path in sources
        for docstring in re.findall(r'"""(.*?)"""', path.read_text("utf-8"), re.DOTALL)
        for name in re.findall(r"\b[A-Z]\w+Error\b", docstring)
    }
    assert "ConfigError" in named_errors
    assert [one for one in named_errors if not hasattr(errors, one) and one not in BUILTINS] == []


def test_pictures_are_small():
    sizes = {path.name: path.stat().st_size for path in ROOT.glob("assets/*.png")}

    assert {"screenshot.png", "morph.png"} <= sizes.keys()
    assert max(sizes.values()) <= MAX_PICTURE_BYTES


def test_the_figures_of_the_house():
    sources = {
        "pages/one.py": 'from core.two import Two\nA, _own = 1, 2\n\n\n\ndef do():\n    "Do."\n',
        "core/two.py": "import core.three\n\n\nclass Two:\n    def go(self):\n        return 1\n",
        "core/three.py": "def _private():\n    pass\n",
        "core/__init__.py": '"""The core."""\n',
    }
    assert _figures(sources) == {
        "modules": "3",
        "Python lines": "15",
        "file length, median / 90th": "6 / 7",
        "function length, median / 90th / max": "2 / 2 / 2",
        "public names": "3",
        "depth of imports": "3",
        "docstrings, share of public functions, classes and methods": "0.33",
    }
