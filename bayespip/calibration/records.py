"""The calibration of the models on record: run, written down, and read by ``bayespip models``."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip.calibration.ranks import sbc, sbc_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd
    import xarray as xr

    from bayespip.calibration.designs import Design

__all__ = ["FILE", "calibrate", "figure_name", "on_record", "record"]

FILE = "calibration.csv"  # in this folder, written by `bayespip sbc --out`


def calibrate(
    chosen: Sequence[Design],
    *,
    sizes: Sequence[int] | None = None,
    replicates: int = 200,
    seed: int = 7,
    folder: str | Path | None = None,
    report: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> pd.DataFrame:
    """Simulation-based calibration of models.

    Parameters
    ----------
    chosen
        Designs of the models, from ``designs``.
    sizes
        Numbers of studies; those of each design if None.
    replicates
        Data sets each.
    seed
        Integer from 0.
    folder
        Where each result is written as soon as it is there: its rows to calibration.csv, in the place of those of the
        same design and number of studies, and its figure (SVG) beside it. Nowhere if None.
    report
        Called with a stage, the number done and the number to do.

    Returns
    -------
    DataFrame
        One row a design, number of studies and parameter: model, design, k, replicates, seed, the columns of
        ``sbc_table``, and divergences (draws of all replicates together of whose transitions one diverged).
    """
    import pandas as pd

    tables = []
    todo = [(design, k) for design in chosen for k in sizes or design.sizes]
    for done, (design, k) in enumerate(todo, start=1):
        ranks = sbc(
            design.model, design.data(k), design.priors, replicates=replicates, seed=seed, **dict(design.options)
        )
        table = sbc_table(ranks)
        head: dict[str, Any] = {"model": design.model, "design": design.label, "k": k}
        head |= {"replicates": replicates, "seed": seed}
        table = table.assign(divergences=int(ranks["divergences"].sum()))
        tables.append(table.assign(**head)[[*head, *table.columns]])
        if folder is not None:
            _write(tables[-1], ranks, folder)
        report("calibration", done, len(todo))
    return pd.concat(tables, ignore_index=True)


def _write(table: pd.DataFrame, ranks: xr.Dataset, folder: str | Path) -> None:
    """The rows of one design and number of studies, and their figure."""
    import tempfile
    from pathlib import Path

    import pandas as pd

    from bayespip.plots import drawing, plot_calibration

    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    design, k = table["design"].iloc[0], table["k"].iloc[0]
    if (target / FILE).exists():
        old = pd.read_csv(target / FILE)
        table = pd.concat([old[(old["design"] != design) | (old["k"] != k)], table])
    figure = plot_calibration(ranks).get_figure(root=True)
    assert figure is not None  # noqa: S101  (its own)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=target) as name:
        table.to_csv(Path(name) / FILE, index=False, float_format="%.6g")
        with drawing():
            figure.savefig(Path(name) / figure_name(design, k), metadata={"Date": None})
        for file in Path(name).iterdir():
            file.replace(target / file.name)


def figure_name(design: str, k: int) -> str:
    """Name of the figure of a design, by its label, and number of studies."""
    return f"{design.replace(', ', '-').replace(' ', '-')}-k{k}.svg"


@cache
def record() -> pd.DataFrame:
    """The record of this package, as ``calibrate`` gives it, in the order of the designs."""
    from importlib.resources import files

    import pandas as pd

    with (files("bayespip.calibration") / FILE).open(encoding="utf-8") as file:
        return pd.read_csv(file)


@cache
def on_record(model: str) -> str:
    """What the record says of a model, in a sentence; where it says nothing, how to calibrate it."""
    table = record()
    its = table[table["model"] == model]
    if its.empty:
        return f"not on record; `bayespip sbc {model}` runs it, and its page in docs/models says what was checked"
    inside = its["inside"].to_numpy(dtype=bool)
    sizes = " and ".join(str(k) for k in np.unique(its["k"]))
    return (
        f"simulation-based calibration, {its['replicates'].min()} data sets each, k = {sizes}: {inside.sum()} of "
        f"{len(its)} parameters inside their 99.9% bands"
    )
