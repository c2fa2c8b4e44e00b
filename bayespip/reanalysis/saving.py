"""Write a re-analysis to a folder: all files, or none."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayespip.reanalysis.job import Reanalysis


_NAMES = (
    "comparison.csv",
    "comparison.parquet",
    "posterior.nc",
    "summary.md",
    "assumptions.csv",
    "checks.csv",
    "extremes.csv",
    "reproduction.csv",
    "tipping.csv",
)


def writable(folder: str | Path) -> Path:
    """The folder as a path, made or not, if results can be written to it.

    Raises
    ------
    OSError
        If it, or the nearest folder above it that exists, is not a folder that can be written to.
    """
    target = Path(folder)
    nearest = next(p for p in (target, *target.absolute().parents) if p.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(f"out must be a folder; {nearest} is a file.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(f"out must be a folder that can be written to; {nearest} cannot.")
    return target


def save(result: Reanalysis, folder: str | Path) -> Path:
    """See ``Reanalysis.save``.

    Files of an earlier run that this one does not write, such as posterior.nc without PyMC, are removed:
    what lies in the folder belongs together.

    Raises
    ------
    OSError
        If the folder cannot be made or written; earlier results in it stay as they were.
    """
    from bayespip.plots.comparison import save_comparison
    from bayespip.text.summary import summary

    target = writable(folder)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=target) as name:
        draft = Path(name)
        result.table.to_csv(draft / "comparison.csv", index=False)
        result.table.to_parquet(draft / "comparison.parquet", index=False)
        result.assumptions.to_csv(draft / "assumptions.csv", index=False)
        result.tipping.to_csv(draft / "tipping.csv", index=False)
        if len(result.checks):
            result.checks.to_csv(draft / "checks.csv", index=False)
        if len(result.extremes):
            result.extremes.to_csv(draft / "extremes.csv", index=False)
        if len(result.reproduction):
            result.reproduction.to_csv(draft / "reproduction.csv", index=False)
        if result.trees:
            _write_trees(result, draft / "posterior.nc")
        result.report(draft / "report.html")
        (draft / "summary.md").write_text(summary(result), encoding="utf-8")
        save_comparison(result.table, draft)
        written = sorted(draft.iterdir())
        _refuse_folders(target, written)
        for file in written:
            file.replace(target / file.name)
    for stale in set(_NAMES) - {file.name for file in written}:
        (target / stale).unlink(missing_ok=True)
    return target


def _refuse_folders(target: Path, written: Sequence[Path]) -> None:
    """Before the first file is moved: a folder in the place of the last would leave a mixture."""
    for file in written:
        if (target / file.name).is_dir():
            raise IsADirectoryError(f"{target / file.name} must be a file to be replaced; it is a folder.")


def _write_trees(result: Reanalysis, file: Path) -> None:
    import xarray as xr

    tree = xr.DataTree(name="posteriors", children=dict(result.trees))
    tree.attrs = {"review": result.review.id, "title": result.review.title, "doi": result.review.doi}
    # draws are noise, which does not compress; counters and flags do
    small = {"zlib": True, "complevel": 1}
    encoding = {
        node.path: {str(v): small for v, a in node.data_vars.items() if a.dtype.kind in "iub" and a.ndim > 1}
        for node in tree.subtree
    }
    tree.to_netcdf(file, engine="netcdf4", encoding=encoding)
