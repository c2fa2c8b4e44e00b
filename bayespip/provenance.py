"""Versions of what computed a result."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("bayespip", "numpy", "scipy", "pymc", "pytensor", "nutpie", "arviz", "xarray")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages, by name."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree
            found[package] = "not installed"
    return found
