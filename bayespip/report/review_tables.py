"""The tables of the report that are of the whole review: priors, diagnostics, audit, reproduction, what is left out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bayespip.auditing.wording import CERTAINTIES
from bayespip.report.data_tables import Cell, Column, DataTable, from_frame
from bayespip.reproduction import DIFFERS
from bayespip.text.findings import HEADLINE, not_pooled, unpublished
from bayespip.text.summary import NO_SOURCE
from bayespip.text.wording import estimate, probabilities, probability, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from bayespip.reanalysis.job import Reanalysis
    from bayespip.report.subjects import Subject
    from bayespip.text.findings import Finding

__all__ = [
    "assumptions_table",
    "audit_table",
    "checks_table",
    "conflicts_table",
    "glance_table",
    "left_out_table",
    "priors_table",
    "reproduction_table",
    "unfitted_table",
]

_EDGES = ("point", "lower", "upper")


def glance_table(subjects: Sequence[Subject]) -> DataTable:
    """One row an outcome: published, Cochrane's current default, and the spread over all priors."""
    columns = (
        Column("outcome", ("analysis",)),
        Column("measure"),
        Column("k", numeric=True, hint="Number of studies"),
        Column("published", tuple(f"published_{e}" for e in _EDGES), numeric=True),
        Column(HEADLINE, tuple(f"reml_hksj_{e}" for e in _EDGES), numeric=True,
               hint="Cochrane's current default; of published results at the equal-variance member"),
        Column("posterior medians over the priors", ("median_min", "median_max"), numeric=True),
        Column("P(μ favourable) over the priors", ("p_min", "p_max"), numeric=True,
               hint="Where no favourable side is stated: the probability of μ above no effect"),
        Column("interval excludes no effect", ("priors_excluding", "priors"), numeric=True,
               hint="Number of priors under which the central interval excludes no effect, on either side"),
    )  # fmt: skip
    rows = []
    for subject in subjects:
        f = subject.finding
        r, mu = f.reported, f.headline.mu
        low, high = f.probabilities({"higher": "above", "lower": "below"}.get(f.favours, "above"))
        side = "" if f.favours else " (above)"
        rows.append((
            Cell(f"{f.label} {subject.about}", link=subject.id),
            Cell(f.analysis.measure.name if f.analysis.measure else ""),
            Cell.of(str(f.k), f.k),
            Cell.of(f.published, *((r.estimate.value, r.ci_lower.value, r.ci_upper.value) if r else (math.nan,) * 3)),
            Cell.of(estimate(mu["point"], mu["lower"], mu["upper"], f.null), *(mu[e] for e in _EDGES)),
            Cell.of(spread(*f.medians, f.null), *f.medians),
            Cell.of(f"{probabilities(low, high)}{side}", low, high),
            Cell.of(f"{len(f.excluding)} of {len(f.bayesian)}", len(f.excluding), len(f.bayesian)),
        ))  # fmt: skip
    return DataTable("all-outcomes", "All outcomes at a glance", "result.table", columns, tuple(rows))


def priors_table(result: Reanalysis) -> DataTable:
    """The priors that were used, with their sources."""
    table = result.priors.sort_values("measure", kind="stable")
    source = [s or NO_SOURCE.get(d, "none given") for s, d in zip(table["source"], table["density"], strict=True)]
    shown = table.assign(source=source, axis=table["axis"].map({"tau": "τ", "mu": "μ"}))
    heads = {"measure": "measure", "axis": "on", "name": "name", "density": "density (model scale)", "source": "source"}
    return from_frame("priors-used", "Every prior that was used", "result.priors", shown, heads)


def checks_table(result: Reanalysis) -> DataTable:
    """PyMC beside the exact engine, a row a fit; no row if PyMC was not run."""
    checks = result.checks
    agrees = ["yes" if a else "no" for a in checks["agrees"].astype(bool)]
    shown = checks.assign(agrees=agrees, repeated=["yes" if r else "no" for r in checks["repeated"].astype(bool)])
    heads = {
        "analysis": "analysis", "k": "k", "prior": "prior", "agrees": "agrees", "deviation_mcse": "deviation (MCSE)",
        "rhat_max": "largest R-hat", "ess_min": "smallest ESS", "divergences": "divergences", "repeated": "repeated",
        "note": "note",
    }  # fmt: skip
    show = {"deviation_mcse": _fixed(2), "rhat_max": _fixed(4), "ess_min": _fixed(0), "divergences": _fixed(0)}
    return from_frame("diagnostics-table", "Diagnostics of every fit", "result.checks", shown, heads, show=show)


def unfitted_table(result: Reanalysis) -> DataTable:
    """What other models could not fit, and why; no row if none was asked for or all fitted."""
    heads = {name: name for name in ("analysis", "k", "model", "prior", "reason")}
    return from_frame("unfitted", "What other models could not fit", "result.unfitted", result.unfitted, heads)


def audit_table(findings: pd.DataFrame) -> DataTable:
    """What ``bp.audit`` found, most certain first within each analysis."""
    order = findings["how_sure"].map(CERTAINTIES.index)
    place = findings["analysis"].map({name: i for i, name in enumerate(findings["analysis"].unique())})
    ranked = findings.assign(place=place, order=order).sort_values(["place", "order"], kind="stable")
    shown = ranked.assign(analysis=[a or "review" for a in ranked["analysis"]])
    heads = {"analysis": "analysis", "how_sure": "how sure", "printed": "printed", "implied": "implied",
             "sentence": "finding"}  # fmt: skip
    return from_frame("audit-findings", "Audit findings", "bp.audit(result.review)", shown, heads)


def reproduction_table(result: Reanalysis) -> DataTable:
    """Stored beside recomputed, every quantity; those that differ first."""
    order = (result.reproduction["verdict"] != DIFFERS).argsort(kind="stable")
    rows = result.reproduction.iloc[order]
    heads = {"analysis": "analysis", "subgroup": "subgroup", "quantity": "quantity", "stored": "stored",
             "recomputed": "recomputed", "verdict": "verdict", "reason": "reason"}  # fmt: skip
    show = dict.fromkeys(("stored", "recomputed"), lambda x: "" if math.isnan(x) else f"{x:.8g}")
    caption = "Every stored quantity, computed again"
    return from_frame("reproduction-table", caption, "result.reproduction", rows, heads, show=show)


def assumptions_table(result: Reanalysis) -> DataTable:
    """Each assumption once, with the outcomes that make it."""
    made: dict[str, list[str]] = {}
    labels = {(c.analysis.id, c.k): c.label for c in result.cases}
    for a, k, sentence in result.assumptions[["analysis", "k", "assumption"]].itertuples(index=False):
        made.setdefault(sentence, []).append(labels[a, k])
    everyone = len(result.cases)
    rows = tuple(
        (Cell(sentence), Cell("every outcome" if len(by) == everyone else ", ".join(by)))
        for sentence, by in sorted(made.items(), key=lambda item: -len(item[1]))
    )
    columns = (Column("assumption"), Column("made for"))
    return DataTable("assumptions-table", "What was taken for granted", "result.assumptions", columns, rows)


def left_out_table(result: Reanalysis) -> DataTable:
    """The analyses of which nothing is fitted, each with its reason."""
    parts = [(row, "not published") for _, row in unpublished(result).iterrows()]
    parts += [(row, "not pooled") for _, row in not_pooled(result).iterrows()]
    rows = tuple(
        (Cell(str(row["analysis"])), Cell(_about(row)), Cell(str(row["comparison"])), Cell(str(row["note"]) or kind))
        for row, kind in parts
    )
    columns = (Column("analysis"), Column("outcome"), Column("comparison"), Column("why"))
    call = "result.table.query(\"value_of in ['not published', 'not pooled']\")"
    return DataTable("left-out-table", "What was left out, and why", call, columns, rows)


def conflicts_table(found: Sequence[Finding]) -> DataTable:
    """Priors on tau that the data contradict."""
    columns = (
        Column("outcome"),
        Column("prior on τ"),
        Column("prior predictive p of Q", ("prior_predictive_p",), numeric=True),
        Column("prior probability of the DL τ", ("prior_prob_dl_tau",), numeric=True),
    )
    rows = []
    for f in found:
        flagged = {name for names in f.conflicts.values() for name in names}
        for prior, line in reversed(f.tau_priors.items()):
            if prior in flagged:
                both = [line.tau[c] for c in ("prior_predictive_p", "prior_prob_dl_tau")]
                rows.append((Cell(f.label), Cell(prior), *(Cell.of(probability(p), p) for p in both)))
    call = "result.table[['analysis', 'prior_tau', 'prior_predictive_p', 'prior_prob_dl_tau']]"
    return DataTable("conflicts", "Prior-data conflict", call, columns, tuple(rows))


def _about(row: Any) -> str:
    return ", ".join(part for part in (str(row["outcome"]), str(row["timepoint"])) if part)


def _fixed(decimals: int) -> Any:
    return lambda x: "" if math.isnan(x) else f"{x:.{decimals}f}"
