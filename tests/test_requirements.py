"""What the code imports is required, and what is required has a tested version."""

import ast
import re
import sys
import tomllib
from importlib.metadata import EntryPoint, packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BROUGHT_ALONG = {"pydantic-core"}
"""What a requirement pins to one version, so that a range of our own would only get in the way."""
SOURCE_FOLDERS = (ROOT, ROOT / "tests", ROOT / "scripts")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(name: str) -> set[str]:
    lines = (ROOT / name).read_text().splitlines()
    names = (re.match(r"[A-Za-z0-9][\w.-]*", line) for line in lines)
    return {normal(match.group()) for match in names if match}


def imported_distributions(*patterns: str) -> set[str]:
    """Return the distributions that the files import, the standard library and ours aside."""
    ours = {path.stem for folder in SOURCE_FOLDERS for path in folder.iterdir()}
    modules = set()
    for path in (path for pattern in patterns for path in ROOT.glob(pattern)):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module.split(".")[0])
    providers = packages_distributions()
    foreign = modules - ours - set(sys.stdlib_module_names)
    return {normal(providers.get(module, [module])[0]) for module in foreign} - BROUGHT_ALONG


def test_imports_of_the_app_are_required():
    imported = imported_distributions("app.py", "musicvae_core/**/*.py", "pages/**/*.py")

    assert imported <= required("requirements.txt")


def test_imports_of_tests_and_scripts_are_required():
    imported = imported_distributions("tests/**/*.py", "scripts/**/*.py")

    assert imported <= required("requirements.txt") | required("requirements-dev.txt")


def test_requirements_txt_follows_from_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = project["dependencies"] + project["optional-dependencies"]["app"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()

    assert sorted(line for line in lines if not line.startswith("#")) == sorted(declared)


def test_imports_of_the_package_are_declared_outside_the_app_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {normal(re.match(r"[\w-]+", line).group()) for line in project["dependencies"]}

    assert imported_distributions("musicvae_core/**/*.py") <= declared
    assert "streamlit" not in declared


def test_the_command_musicvae_is_the_module_s_main(monkeypatch, capsys):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    script = EntryPoint("musicvae", project["scripts"]["musicvae"], "console_scripts").load()
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/musicvae", "--help"])
    with pytest.raises(SystemExit, match="0"):
        script()

    assert capsys.readouterr().out.startswith("usage: musicvae ")


def test_every_requirement_has_a_tested_version():
    for name in ("requirements.txt", "requirements-dev.txt"):
        assert required(name) <= required("constraints.txt")
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()


def test_packages_txt_is_one_debian_package_a_line():
    lines = (ROOT / "packages.txt").read_text().splitlines()

    assert "libfluidsynth3" in lines
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", line) for line in lines)
