"""The calibration of the models on record: run, written down, and read by ``bayespip models``."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip.calibration.sbc import sbc, sbc_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    import xarray as xr

    from bayespip.calibration.designs import Design

__all__ = ["FILE", "calibrate", "on_record", "save"]

FILE = "calibration.csv"  # in this folder, written by `bayespip sbc --out`


def calibrate(
    chosen: Sequence[Design],
    *,
    sizes: Sequence[int] | None = None,
    replicates: int = 200,
    seed: int = 7,
    report: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> tuple[pd.DataFrame, dict[tuple[str, int], xr.Dataset]]:
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
    report
        Called with a stage, the number done and the number to do.

    Returns
    -------
    DataFrame
        One row a design, number of studies and parameter: model, design, k, replicates, seed, the columns of
        ``sbc_table``, and divergences (transitions of all replicates together).
    dict
        The ranks, by the design's label and k.
    """
    import pandas as pd

    tables, ranks = [], {}
    todo = [(design, k) for design in chosen for k in sizes or design.sizes]
    for done, (design, k) in enumerate(todo, start=1):
        found = sbc(
            design.model, design.data(k), design.priors, replicates=replicates, seed=seed, **dict(design.options)
        )
        ranks[design.label, k] = found
        table = sbc_table(found)
        head: dict[str, Any] = {"model": design.model, "design": design.label, "k": k}
        head |= {"replicates": replicates, "seed": seed}
        table = table.assign(divergences=int(found["divergences"].sum()))
        tables.append(table.assign(**head)[[*head, *table.columns]])
        report("calibration", done, len(todo))
    return pd.concat(tables, ignore_index=True), ranks


def save(table: pd.DataFrame, ranks: Mapping[tuple[str, int], xr.Dataset], folder: str | Path) -> None:
    """Write the table to calibration.csv and a figure of each design and number of studies (SVG) beside it."""
    from pathlib import Path

    from bayespip.plots import drawing, plot_calibration

    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    table.to_csv(target / FILE, index=False, float_format="%.6g")
    for (label, k), found in ranks.items():
        figure = plot_calibration(found).get_figure(root=True)
        assert figure is not None  # noqa: S101  (its own)
        name = label.replace(", ", "-").replace(" ", "-")
        with drawing():
            figure.savefig(target / f"{name}-k{k}.svg", metadata={"Date": None})


@cache
def on_record(model: str) -> str:
    """What the record says of a model, in a sentence; where it says nothing, how to calibrate it."""
    from importlib.resources import files

    import pandas as pd

    with (files("bayespip.calibration") / FILE).open(encoding="utf-8") as file:
        table = pd.read_csv(file)
    its = table[table["model"] == model]
    if its.empty:
        return f"not on record; `bayespip sbc {model}` runs it, and its page in docs/models says what was checked"
    inside = its["inside"].to_numpy(dtype=bool)
    sizes = " and ".join(str(k) for k in np.unique(its["k"]))
    return (
        f"simulation-based calibration, {its['replicates'].min()} data sets each, k = {sizes}: {inside.sum()} of "
        f"{len(its)} parameters inside their 99.9% bands"
    )
