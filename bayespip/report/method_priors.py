"""The priors of a re-analysis in a sentence or two, each with the work it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayespip.report.references import of_source
from bayespip.text.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from bayespip.reanalysis.job import Reanalysis
    from bayespip.report.references import Citations
    from bayespip.text.findings import Finding

__all__ = ["priors_used"]

# What the numbers of a density stand for; families whose name says it are left out.
_PARAMETERS = {
    "half-normal": "half-normal (scale)",
    "half-cauchy": "half-Cauchy (scale)",
    "normal": "normal (mean, standard deviation)",
    "student-t": "Student t (location, scale, degrees of freedom)",
    "inverse-gamma": "inverse gamma (shape, scale)",
    "log-normal": "log-normal (mean and standard deviation of log tau)",
    "lomax": "Lomax (scale, shape)",
    "uniform-shrinkage": "uniform shrinkage (scale)",
}


_SPELT = {
    "HN": "half-normal", "HC": "half-Cauchy", "U": "uniform", "half-cauchy": "half-Cauchy", "student-t": "Student t",
    "lomax": "Lomax",
}  # fmt: skip


def priors_used(result: Reanalysis, found: Sequence[Finding], cite: Citations) -> str:
    """Which priors on tau and mu, by measure, how they were combined, and where they come from."""
    table = result.priors
    labels = {f.analysis.measure.name: f.analysis.measure.label for f in found if f.analysis.measure}
    parts = []
    for measure, rows in table.groupby("measure", sort=False):
        lines = [f for f in found if f.analysis.measure and f.analysis.measure.name == measure]
        pairs = max(len(f.bayesian) for f in lines)
        axes = "; on mu, ".join(_axis(rows[rows["axis"] == axis], cite) for axis in ("tau", "mu"))
        parts.append(f"{labels[str(measure)]}, {count(pairs, 'pair')} of priors: on tau, {axes}.")
    return " ".join(
        ["Scales are on the model scale (log for ratios).", *parts, *_combined(found), *_notes(table, cite)]
    )


def _axis(rows: pd.DataFrame, cite: Citations) -> str:
    """The priors of one axis: the density, or where it differs between analyses the name."""
    said = []
    for name, own in rows.groupby("name", sort=False):
        densities = own["density"].unique()
        source = str(own["source"].iloc[0])
        text = _spelt(str(densities[0]) if len(densities) == 1 else str(name))
        if len(densities) == 1 and str(name).startswith("Bartos"):  # of several topics
            text = f"{text} ({name})"
        work = of_source(source)
        said.append(f"{text} {cite(work)}" if work else f"{text} ({source})" if source else text)
    return ", ".join(said)


def _combined(found: Sequence[Finding]) -> Iterator[str]:
    kinds = {line.priors[2] for f in found for line in f.bayesian}
    if "weakly informative" in kinds:
        yield "Weakly informative priors on tau were combined with every weakly informative prior on mu."
    if "empirical pair" in kinds:
        yield "Empirical priors on tau and mu were used as the pairs that they were published as."
    if "hybrid" in kinds:
        yield "Their priors on tau were also used beside the other priors on mu, pairs that nobody estimated (hybrid)."


def _notes(table: pd.DataFrame, cite: Citations) -> Iterator[str]:
    families = dict.fromkeys(str(d).split("(")[0] for d in table["density"])
    stand = [_PARAMETERS[f] for f in families if f in _PARAMETERS]
    if stand:
        yield f"Numbers in brackets are: {', '.join(stand)}."
    sources = table["source"]
    if sources.str.contains("sqrt(3)/pi", regex=False).any():
        yield (
            "Scales derived for log odds ratios were multiplied by sqrt(3)/pi for standardised mean differences "
            f"{cite('chinn2000')}."
        )
    if sources.str.contains("times the studies' standard deviation", regex=False).any():
        yield (
            "For mean differences these were multiplied by the standard deviation (SD) within arms, pooled over the "
            "arms of the analysis."
        )


def _spelt(prior: str) -> str:
    """A density or a name in tables, without abbreviations."""
    family, bracket, rest = prior.partition("(")
    return f"{_SPELT.get(family, family)}{bracket}{rest}"
