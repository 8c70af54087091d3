"""Measure how much of this code a reader must hold in mind, tests excluded.

    python -m scripts.measure_house                   # this checkout
    python -m scripts.measure_house --commit b133039  # another commit, from git

Counts the Python files that git knows outside `tests/`, without `__init__.py`. Lines include blanks
and comments, but a function's lines exclude its docstring. A public name is a function, class or
constant at the top level of a module without a leading underscore. The depth of imports is the
number of modules on the longest chain, including deferred imports and those for type checking.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np

_ROOT = Path(__file__).parents[1]
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commit", help="measure this commit instead of the checkout")
    options = parser.parse_args()
    for name, figure in _figures(_read_sources(options.commit)).items():
        print(f"| {name} | {figure} |")


def _read_sources(commit: str | None) -> dict[str, str]:
    """Return the text of every Python file outside tests, by its path."""
    listing = ["ls-files"] if commit is None else ["ls-tree", "-r", "--name-only", commit]
    names = [
        name
        for name in _git(*listing).splitlines()
        if name.endswith(".py") and not name.startswith("tests/")
    ]
    if commit is None:
        return {name: (_ROOT / name).read_text() for name in names if (_ROOT / name).exists()}
    return {name: _git("show", f"{commit}:{name}") for name in names}


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=_ROOT, check=True, capture_output=True, text=True
    ).stdout


def _figures(sources: Mapping[str, str]) -> dict[str, str]:
    """Return the figures of the table, by their names."""
    trees = {name: ast.parse(text) for name, text in sources.items()}
    depth = _depth_of_imports(trees)
    kept = {name: tree for name, tree in trees.items() if not name.endswith("__init__.py")}
    lines = [len(sources[name].splitlines()) for name in kept]
    spans = [_span(node) for tree in kept.values() for node in _functions(tree)]
    top = [node for tree in kept.values() for node in _public_definitions(tree.body)]
    described = [node for node in _with_methods(top) if ast.get_docstring(node)]
    return {
        "modules": str(len(kept)),
        "Python lines": f"{sum(lines):,}",
        "file length, median / 90th": _of_percentiles(lines, (50, 90)),
        "function length, median / 90th / max": _of_percentiles(spans, (50, 90, 100)),
        "public names": str(len(top) + sum(map(_count_constants, kept.values()))),
        "depth of imports": str(depth),
        "docstrings, share of public functions, classes and methods": (
            f"{len(described) / len(_with_methods(top)):.2f}"
        ),
    }


def _of_percentiles(values: Iterable[int], percentiles: Iterable[int]) -> str:
    found = np.percentile(list(values), list(percentiles))
    return " / ".join(f"{value:.0f}" for value in found)


def _functions(tree: ast.AST) -> Iterator[_Function]:
    return (node for node in ast.walk(tree) if isinstance(node, _Function))


def _span(node: _Function) -> int:
    """Return the lines of a function without its docstring and decorators."""
    docstring = node.body[0] if ast.get_docstring(node) else None
    return _lines_of(node) - (_lines_of(docstring) if docstring else 0)


def _lines_of(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _public_definitions(body: Iterable[ast.stmt]) -> list[_Definition]:
    """Return the public functions and classes of a body."""
    definitions = [node for node in body if isinstance(node, _Function | ast.ClassDef)]
    return [node for node in definitions if not node.name.startswith("_")]


def _with_methods(definitions: Iterable[_Definition]) -> list[_Definition]:
    """Return definitions, and the public methods of the classes among them."""
    found: list[_Definition] = []
    for node in definitions:
        found.append(node)
        if isinstance(node, ast.ClassDef):
            found += _public_definitions(node.body)
    return found


def _count_constants(tree: ast.Module) -> int:
    """Return how many public constants and type names a module assigns."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                names |= {one.id for one in ast.walk(target) if isinstance(one, ast.Name)}
    return sum(not name.startswith("_") for name in names)


def _depth_of_imports(trees: Mapping[str, ast.Module]) -> int:
    """Return the number of modules on the longest chain of imports; a cycle raises `CycleError`."""
    modules = {_module_name(path): tree for path, tree in trees.items()}
    imports = {name: _imported(tree, modules) - {name} for name, tree in modules.items()}
    depths: dict[str, int] = {}
    for name in TopologicalSorter(imports).static_order():
        depths[name] = 1 + max((depths[below] for below in imports[name]), default=0)
    return max(depths.values())


def _module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imported(tree: ast.Module, modules: Mapping[str, object]) -> set[str]:
    """Return which of the modules a module imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & set(modules)


if __name__ == "__main__":
    _main()
