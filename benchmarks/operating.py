"""Seconds that a cell of docs/calibration.md takes: 10,000 simulated meta-analyses, every method and prior.

With the word `record` (`make operating`) all cells are simulated and written to docs/calibration/operating.csv, one row
a scenario and method, and from that file come the tables of the page between their marks, and the figures; with `page`,
tables and figures alone.
"""

from __future__ import annotations

import datetime as dt
import math
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from bayespip import priors as pr
from bayespip.calibration import Scenario, operating_characteristics
from bayespip.calibration.operating import FREQUENTIST
from bayespip.frequentist.batches import CI_METHODS
from bayespip.plots import drawing, plot_operating

if TYPE_CHECKING:
    from collections.abc import Iterator

REPLICATES, SEED = 10_000, 1
FOLDER = Path(__file__).parents[1] / "docs" / "calibration"
CSV, PAGE = FOLDER / "operating.csv", FOLDER.with_suffix(".md")
END = "<!-- end -->"
ENOUGH = 0.01  # of the replicates have an interval that excludes 0: else the share on the wrong side is not printed

SIZES = (2, 3, 4, 5, 10)
TAUS = (0.0, 0.2, 0.5, 1.0)
EFFECT = 0.5  # log odds ratio: an odds ratio of 1.65
TURNER, BARTOS = pr.published("turner2012/any"), pr.published("bartos2023/OR/cochrane/tau")
FLAT = pr.flat()
PRIORS = (
    pr.Priors(FLAT, pr.half_normal(0.5), "half-normal(0.5)"),
    pr.Priors(FLAT, pr.half_normal(1.0), "half-normal(1)"),
    pr.Priors(FLAT, pr.half_cauchy(0.5), "half-Cauchy(0.5)"),
    pr.Priors(FLAT, TURNER, "Turner 2012"),
    pr.Priors(FLAT, BARTOS, "Bartos 2023"),
)
NORMAL_MU = pr.Priors(pr.normal(0, 2.82), pr.half_normal(0.5), "half-normal(0.5), mu N(0, 2.82²)")
KINDS = ("as in Cochrane", "equal", "very unequal")
ORDER = (
    *(f"{tau2}, {CI_METHODS[ci].label}" for tau2, ci in FREQUENTIST),
    *(priors.label for priors in (*PRIORS, NORMAL_MU)),
)
DRAWN_LINES = [name for name in ORDER if name not in ("DL, HKSJ", "REML, Wald", "Bartos 2023")]
DRAWN = (TURNER, pr.half_normal(0.5), BARTOS)
RARE = ((0.0, 0.0), (0.0, 0.5), (math.log(0.5), 0.5))  # mu and tau
GRID = (
    *(Scenario(k, tau, trials, mu=EFFECT) for trials in KINDS for k in SIZES for tau in TAUS),
    *(Scenario(k, tau, "as in Cochrane", mu=EFFECT) for tau in DRAWN for k in (SIZES if tau is TURNER else (2, 5))),
    *(Scenario(k, tau, "rare events", mu=mu) for k in (2, 5) for mu, tau in RARE),
)


def simulate(scenario: Scenario) -> pd.DataFrame:
    """A cell: a row a method or prior."""
    priors = (*PRIORS, NORMAL_MU) if scenario.trials.name == "rare events" else PRIORS
    return operating_characteristics(scenario, priors=priors, replicates=REPLICATES, seed=SEED)


def measure() -> None:
    """Print the seconds of a cell of each size."""
    simulate(replace(GRID[0], k=2))  # compiles, or loads what was compiled
    smallest = 0.0
    for k in SIZES:
        begin = time.perf_counter()
        table = simulate(Scenario(k, 0.5, "as in Cochrane", mu=EFFECT))
        taken = time.perf_counter() - begin
        smallest = smallest or taken
        print(
            f"k = {k:2}: {taken:5.1f} s for {REPLICATES} replicates by {len(table)} methods, "
            f"{REPLICATES * len(table) / taken:7.0f} intervals a second; k : {SIZES[0]} = {taken / smallest:.2f} : 1",
            flush=True,
        )


def record() -> None:
    """Simulate the grid."""
    FOLDER.mkdir(exist_ok=True)
    part = CSV.with_suffix(".part")
    part.unlink(missing_ok=True)
    begin, busy = time.perf_counter(), 0.0
    for number, scenario in enumerate(GRID, start=1):
        table = simulate(scenario).drop(columns=["measure", "level", "replicates"])
        table.to_csv(part, mode="a", header=number == 1, index=False, float_format="%.5g")
        taken, load = (time.perf_counter() - begin) / 60, os.getloadavg()[0]
        busy = max(busy, load)
        print(f"{number} of {len(GRID)} scenarios, {taken:.1f} min, load {load:.1f}", flush=True)
    note = (
        f"# {REPLICATES} replicates a scenario, seed {SEED}; run on {dt.datetime.now(dt.UTC).date()}: "
        f"{taken:.0f} minutes on {os.cpu_count()} processors, load at most {busy:.1f}\n"
    )
    CSV.write_text(note + part.read_text(encoding="utf-8"), encoding="utf-8")
    part.unlink()


def read() -> pd.DataFrame:
    """The file, with a column `name`: the prior, or the method that has none."""
    table = pd.read_csv(CSV, comment="#", dtype={"tau": str, "mu": str}).fillna({"prior": ""})
    return table.assign(name=table["prior"].where(table["prior"] != "", table["method"]))


def between(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The rows of a scenario; numbers are found as the file writes them."""
    for column, value in values.items():
        written = f"{value:.5g}" if isinstance(value, float) else str(value)
        table = table[table[column].astype(str) == written]
    return table


def lines(columns: dict[str, pd.Series]) -> Iterator[str]:
    """A table in Markdown: a row a method."""
    wide = pd.DataFrame(columns).reindex([n for n in ORDER if any(n in its.index for its in columns.values())])
    yield f"| method | {' | '.join(wide.columns)} |"
    yield f"|{'---|' * (len(wide.columns) + 1)}"
    for name, row in wide.iterrows():
        yield f"| {name} | {' | '.join(row.fillna('').astype(str))} |"


def coverage(rows: pd.DataFrame, *, width: bool = True) -> pd.Series:
    """Coverage in per cent, and the median width in brackets."""
    its = rows.set_index("name")
    shown = its["coverage"].map(lambda c: f"{100 * c:.1f}")
    return shown + its["median_width"].map(lambda w: f" ({w:.2f})") if width else shown


def tables() -> dict[str, list[str]]:
    """The tables of the page by name."""
    table = read()
    two = between(table, k=2)
    cochrane = between(table, trials="as in Cochrane")
    of_turner = between(cochrane, tau=TURNER)
    fixed = {f"τ = {tau:g}": tau for tau in TAUS}
    drawn = {"Turner 2012": TURNER, "half-normal(0.5)": pr.half_normal(0.5), "Bartos 2023": BARTOS}
    decided = {f"k = {k}": between(cochrane, k=k, tau=0.5).set_index("name") for k in (2, 5, 10)}
    rare = {
        f"k = {k}, OR {math.exp(mu):g}, τ = {tau:g}": between(table, trials="rare events", k=k, mu=mu, tau=tau)
        for k in (2, 5)
        for mu, tau in RARE
    }
    contents = {
        "two studies": {label: coverage(between(cochrane, k=2, tau=tau)) for label, tau in fixed.items()},
        "precision": {
            f"{kind}, τ = {tau:g}": coverage(between(two, trials=kind, tau=tau), width=False)
            for kind in ("equal", "very unequal")
            for tau in (0.0, 0.5, 1.0)
        },
        "more studies": {f"k = {k}": coverage(between(of_turner, k=k)) for k in SIZES},
        "drawn": {
            f"k = {k}, {label}": coverage(between(cochrane, k=k, tau=tau), width=False)
            for k in (2, 5)
            for label, tau in drawn.items()
        },
        "decisions": {
            f"{label}, {what}": its[column]
            .where(its["power"] >= least)
            .map(lambda x: "" if math.isnan(x) else f"{100 * x:.1f}")
            for label, its in decided.items()
            for what, column, least in (("power", "power", 0.0), ("wrong sign", "type_s", ENOUGH))
        },
        "rare events": {label: coverage(rows, width=False) for label, rows in rare.items()},
        "rare events: bias": {
            label: rows.set_index("name")["bias"].map(lambda b: f"{round(b, 2) + 0.0:.2f}".replace("-", "−"))
            for label, rows in rare.items()
        },
    }
    return {name: list(lines(columns)) for name, columns in contents.items()}


def page(text: str) -> str:
    """The page with its tables, and the sentence about the run, as the file has them."""
    note = CSV.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    for name, rows in {"run": [f"{note}."], **tables()}.items():
        begin = f"<!-- {name}: benchmarks/operating.py -->\n"
        before, _, after = text.partition(begin)
        rest = after[after.index(END) :]
        text = before + begin + "\n".join(rows) + "\n" + rest
    return text


def figures() -> None:
    """Coverage and width against tau, a figure a kind of trials."""
    table = read()
    for kind in KINDS:
        rows = between(table, trials=kind)
        ax = plot_operating(rows[rows["name"].isin(DRAWN_LINES)].assign(level=0.95))
        with drawing():
            figure = ax.get_figure(root=True)
            assert figure is not None
            figure.savefig(FOLDER / f"{kind.replace(' ', '-')}.svg", metadata={"Date": None})


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            measure()
        case ["record" | "page" as asked]:
            if asked == "record":
                record()
            PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
            figures()
        case _:
            sys.exit("usage: python benchmarks/operating.py [record | page]")
