"""Versions of what computed a result."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

# What a result's numbers depend on; they are stored with it.
PACKAGES = ("bayespip", "numpy", "scipy", "pymc", "pytensor", "nutpie", "arviz", "xarray")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages, by name."""
    found = {"python": platform.python_version()}
    return found | {package: package_version(package) for package in PACKAGES}


def commit() -> str:
    """The git commit of the checkout that runs, with "+" where tracked files were changed; empty if it is none."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return ""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):  # git is absent, or refuses the folder
        return ""


def show_versions(file: TextIO | None = None) -> None:
    """Print what a report of a bug should name: versions of the package, of Python and of what both run on and use.

    Parameters
    ----------
    file
        Where to; standard output if None.

    Examples
    --------
    >>> bp.show_versions()  # doctest: +ELLIPSIS
    System
    ------
    bayespip           : ...
    """
    system = {
        "bayespip": f"{package_version('bayespip')} {commit()}".rstrip(),
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
        "processors": str(os.cpu_count()),
    }
    required, optional = {}, {}
    for name, extra in _dependencies():
        if extra:
            optional[f"{name} ({extra})"] = package_version(name)
        else:
            required[name] = package_version(name)
    # Pandoc, and one of the others, turn the report into Word and PDF.
    programs = {name: shutil.which(name) or "not found" for name in ("pandoc", "weasyprint", "xelatex")}
    groups = {"System": system, "Dependencies": required, "Optional": optional | programs}
    width = max(len(name) for group in groups.values() for name in group)
    for title, group in groups.items():
        lines = (f"{name:{width}} : {value}" for name, value in group.items())
        print(title, "-" * len(title), *lines, "", sep="\n", file=file)


def _dependencies() -> Iterator[tuple[str, str]]:
    """What the installed package says it requires, and the extra that asks for it, or ""."""
    try:
        declared = requires("bayespip") or []
    except PackageNotFoundError:  # run from a source tree
        declared = list(PACKAGES[1:])
    for requirement in (*declared, "pytensor"):  # the language of PyMC's models, in the version PyMC asks for
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        yield name, requirement.partition("extra ==")[2].strip(" \"'")


@cache
def package_version(package: str) -> str:
    """Version of an installed package; "not installed" where there is none (bayespip in a source tree)."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
