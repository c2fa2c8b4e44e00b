"""The package as it is installed: public names, imports, pins and the wheel."""

from __future__ import annotations

import ast
import graphlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bayespip as bp

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text().splitlines()
# Everything but NumPy; distributions and modules share these names but for netCDF4's capitals.
HEAVY = {Requirement(text).name for text in PYPROJECT["project"]["dependencies"]} - {"lazy_loader", "numpy"}
HEAVY |= {Requirement(text).name for extra in PYPROJECT["project"]["optional-dependencies"].values() for text in extra}
HEAVY |= {"netCDF4", "pytensor"}


def python(*arguments: str, **options: Any) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def loaded_by(code: str) -> set[str]:
    """Top-level packages in memory after the code has run in a fresh interpreter."""
    modules = python("-c", f"{code}\nimport json, sys; print(json.dumps(list(sys.modules)))", cwd=ROOT)
    return {module.partition(".")[0] for module in json.loads(modules)}


@pytest.mark.parametrize("name", bp.__all__)
def test_public_name_resolves(name: str) -> None:
    value = getattr(bp, name)
    assert value.__doc__ or name == "MEASURES"


def test_public_names_are_sorted_and_agree_with_the_stub() -> None:
    stub = ast.parse((ROOT / "bayespip/__init__.pyi").read_text())
    listed = next(ast.literal_eval(node.value) for node in stub.body if isinstance(node, ast.Assign))
    assert listed == sorted(listed)
    assert listed == bp.__all__ == dir(bp)


def test_unknown_name_is_an_attribute_error() -> None:
    name = "no_such_name"
    with pytest.raises(AttributeError, match=name):
        getattr(bp, name)


def test_version_is_the_same_everywhere() -> None:
    version = PYPROJECT["project"]["version"]
    assert bp.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.parametrize(
    "code",
    [
        "import bayespip",
        "import bayespip as bp; bp.EffectSizes(['a', 'b'], [0.1, 0.2], [0.3, 0.4], 'RR'), bp.Estimate",
    ],
)
def test_import_is_light(code: str) -> None:
    assert not loaded_by(code) & HEAVY


def test_the_plan_of_the_house_names_everything_at_its_top() -> None:
    tree = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").split("```")[1]
    inside = [path for path in (ROOT / "bayespip").iterdir() if path.is_dir() or path.suffix == ".py"]
    names = {path.name for path in inside if not path.name.startswith((".", "__"))}
    assert [name for name in sorted(names) if not re.search(rf"(?<!\w){re.escape(name)}", tree)] == []


def modules() -> dict[str, Path]:
    """Every module of the package, by its importable name."""
    found = {}
    for folder, package in (("bayespip", ("bayespip",)), ("models", ("bayespip", "models"))):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join((*package, *parts)).removesuffix(".__init__")] = path
    return found


def imported_at_once(tree: ast.Module, package: str) -> Iterator[str]:
    """What a module imports while it is itself imported: not in functions, not for types only."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            origin = ".".join([*parents, *([node.module] if node.module else [])])
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        waiting.extend(ast.iter_child_nodes(node))


def import_graph(found: dict[str, Path]) -> dict[str, set[str]]:
    """The modules that each module imports at once."""
    graph = {}
    for name, path in found.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        imports = set(imported_at_once(ast.parse(path.read_text()), package))
        graph[name] = imports & found.keys() - {name}
    return graph


def test_no_circular_imports() -> None:
    graph = import_graph(modules())
    assert "bayespip.measures" in graph["bayespip.effects"]
    graphlib.TopologicalSorter(graph).prepare()


def test_circular_imports_are_seen(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from bayespip import b\n")
    (tmp_path / "b.py").write_text("try:\n    from .a import f\nexcept ImportError:\n    pass\n")
    found = {"bayespip.a": tmp_path / "a.py", "bayespip.b": tmp_path / "b.py"}
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter(import_graph(found)).prepare()


def test_lock_holds_exact_versions_and_nothing_else() -> None:
    pins = [Requirement(line) for line in LOCK]
    inexact = [str(pin) for pin in pins if not re.fullmatch(r"==[0-9][0-9a-z.]*", str(pin.specifier))]
    assert inexact == []
    assert [str(pin) for pin in pins if pin.url or pin.extras] == []
    names = [canonicalize_name(pin.name) for pin in pins]
    assert names == sorted(names)


@pytest.mark.parametrize("version", ["3.12", "3.13"])
@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_every_dependency_has_one_pin_within_its_bounds(version: str, platform: str) -> None:
    environment = default_environment() | {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "sys_platform": platform,
    }
    pins: dict[str, list[str]] = {}
    for pin in map(Requirement, LOCK):
        if pin.marker is None or pin.marker.evaluate(environment):
            pins.setdefault(canonicalize_name(pin.name), []).append(str(pin.specifier).removeprefix("=="))
    for text in PYPROJECT["project"]["dependencies"] + PYPROJECT["dependency-groups"]["dev"]:
        wanted = Requirement(text)
        (pinned,) = pins[canonicalize_name(wanted.name)]
        assert wanted.specifier, f"{wanted.name} has no lower bound"
        assert wanted.specifier.contains(pinned), f"{wanted} is pinned to {pinned}"


def test_every_imported_package_is_a_dependency() -> None:
    imported = set()
    for path in modules().values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    outside = imported - sys.stdlib_module_names - {"bayespip"}
    # ArviZ is made of the three parts that it requires; PyTensor is the language of PyMC's models.
    declared = HEAVY | {"arviz_base", "arviz_plots", "arviz_stats", "lazy_loader", "numpy"}
    assert "numpy" in outside
    assert outside - declared == set()


IMPORT_EVERYTHING = """
import importlib, json, sys
import bayespip
files = {name: importlib.import_module(name).__file__ for name in sys.argv[1:]}
for name in bayespip.__all__:
    getattr(bayespip, name)
print(json.dumps([files, len(bayespip.load_review("pip").analyses)]))
"""


@pytest.mark.slow
def test_wheel_works_away_from_the_checkout(tmp_path: Path) -> None:
    source, site, elsewhere = tmp_path / "source", tmp_path / "site", tmp_path / "elsewhere"
    left_out = shutil.ignore_patterns(".*", "build", "dist", "results", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, symlinks=True, ignore=left_out)
    elsewhere.mkdir()
    python("-m", "build", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(source), cwd=elsewhere)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site))
    python(*install, str(wheel), cwd=elsewhere)

    environment = os.environ | {"PYTHONPATH": str(site)}
    printed = python("-W", "error", "-c", IMPORT_EVERYTHING, *modules(), cwd=elsewhere, env=environment)
    files, analyses = json.loads(printed)
    assert {name for name, file in files.items() if site not in Path(file).parents} == set()
    assert analyses == len(bp.load_review("pip").analyses) > 0
    package = ROOT / "bayespip"
    data = [path for path in package.rglob("*.*") if path.suffix != ".py" and "__pycache__" not in path.parts]
    assert {"py.typed", "__init__.pyi", "pip.toml", "report.css"} <= {path.name for path in data}
    assert [path for path in data if path.is_file() and not (site / path.relative_to(ROOT)).is_file()] == []
