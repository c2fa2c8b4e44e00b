"""The record of calibration as it stands on the pages of docs/models: a table and figures between two marks.

Run: python -m bayespip.calibration.pages docs/models
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bayespip.calibration.ranks import ENGINE
from bayespip.calibration.records import figure_name, record

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BEGIN", "END", "block", "write_pages"]

BEGIN = "<!-- From bayespip/calibration/calibration.csv, by python -m bayespip.calibration.pages docs/models -->"
END = "<!-- Up to here -->"
FIGURES = "calibration"  # folder beside the pages
_COLUMNS = (
    "| k | parameter | mean rank | z | distance | inside | covered by 50% | by 95% |",
    "|---|---|---|---|---|---|---|---|",
)


def block(model: str) -> str:
    """What the record says of a model, as Markdown between the marks; only the marks if it says nothing."""
    table = record()
    its = table[table["model"] == model]
    if its.empty:
        return f"{BEGIN}\n{END}"
    seeds = ", ".join(str(seed) for seed in its["seed"].unique())
    counts = ", ".join(str(n) for n in its["replicates"].unique())
    places = "Posterior probabilities below" if model == ENGINE else "Ranks of"
    among = "" if model == ENGINE else " among posterior draws"
    intro = (
        f"{places} the true values{among}, {counts} simulated data sets each (seed {seeds}), of the "
        f"designs of `bayespip/calibration/designs.py`; `bayespip sbc {model}` runs them again. Inside: the "
        "distribution function of the ranks stays in the band that holds those of all parameters of a right model at "
        "once with probability 99.9%. Distance: its largest from the diagonal."
    )
    parts = [BEGIN, intro]
    for design, of_design in its.groupby("design", sort=False):
        parts += ["", f"**{design}**", "", *_COLUMNS]
        sizes = {int(k): of_design[of_design["k"] == k] for k in of_design["k"].unique()}
        for k, of_size in sizes.items():
            names = of_size["parameter"].str.partition("[")[0]
            parts += [_row(k, name, rows) for name, rows in of_size.groupby(names, sort=False)]
        if model != ENGINE:
            diverged = ", ".join(f"{of_size['divergences'].iloc[0]} (k = {k})" for k, of_size in sizes.items())
            parts += ["", f"Draws kept at target_accept 0.95 with a divergent transition: {diverged}."]
        parts += [""]
        parts += [f"![{design}, k = {k}]({FIGURES}/{figure_name(str(design), k)})" for k in sizes]
    return "\n".join([*parts, END])


def _row(k: int, name: str, rows: pd.DataFrame) -> str:
    """One parameter, or the range over the elements of one."""
    label = rows["parameter"].iloc[0] if len(rows) == 1 else f"{name}, all {len(rows)}"
    inside = "yes" if rows["inside"].all() else "no"
    spans = [_span(rows[column]) for column in ("mean", "z")]
    covered = [_span(rows[column]) for column in ("coverage_50", "coverage_95")]
    return f"| {' | '.join([str(k), label, *spans, f'{rows["distance"].max():.3f}', inside, *covered])} |"


def _span(values: pd.Series[float]) -> str:
    low, high = f"{values.min():.3f}", f"{values.max():.3f}"
    return low if low == high else f"{low} to {high}"


def write_pages(folder: str | Path) -> None:
    """Put the record between the marks of the page, NAME.md, of each model and of the exact engine.

    Raises
    ------
    ValueError
        If a page lacks a mark.
    """
    from bayespip.models import available

    for name in (ENGINE, *available()):
        page = Path(folder) / f"{name}.md"
        text = page.read_text(encoding="utf-8")
        before, begin, rest = text.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not (begin and end):
            raise ValueError(f"{page.name} must have the lines {BEGIN!r} and {END!r}; one is missing.")
        page.write_text(before + block(name) + after, encoding="utf-8")


if __name__ == "__main__":
    write_pages(sys.argv[1])
