"""The tables of one outcome: every method side by side, its studies, where its conclusion tips."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from bayespip.reanalysis.conclusions import NO_CLAIM
from bayespip.report.data_tables import Cell, Column, DataTable, from_frame
from bayespip.text.wording import estimate, interval, number, probabilities, probability, spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bayespip.report.subjects import Subject
    from bayespip.text.findings import Finding, Line

__all__ = ["methods_table", "studies_table", "tipping_table"]

Z = 1.959963984540054  # 97.5% point of the normal distribution: studies' intervals are of 95%, whatever the others are
_LIMITS = ("point", "lower", "upper")
_MEMBERS = ("lower_min", "lower_max", "upper_min", "upper_max")
_TIPPING = {"on": "scale of the prior on", "family": "family", "beside": "beside", "side": "claim: mu lies",
            "answer": "answer", "scale": "tipping scale", "scale_min": "smallest over members",
            "scale_max": "largest over members"}  # fmt: skip
_NAMES = {
    "event_e": "events, experimental", "n_e": "n, experimental", "event_c": "events, control", "n_c": "n, control",
    "mean_e": "mean, experimental", "sd_e": "SD, experimental", "mean_c": "mean, control", "sd_c": "SD, control",
}  # fmt: skip


def methods_table(subject: Subject) -> DataTable:
    """Published, frequentist and Bayesian results of one outcome, a row each."""
    f = subject.finding
    with_bounds = any(line.has_bounds for line in (*f.frequentist, *f.bayesian, *f.others))
    columns = tuple(_columns(f, with_bounds=with_bounds))
    rows = [_published(f, len(columns), with_bounds=with_bounds)] if f.reported else []
    rows += [tuple(_cells(f, line, with_bounds=with_bounds)) for line in (*f.frequentist, *f.bayesian, *f.others)]
    query = f"analysis == {f.analysis.id!r} and k == {f.k}"
    call = f"result.table.query({query!r})"
    caption = f"{f.label}: every method and prior side by side"
    return DataTable(f"{subject.id}-methods", caption, call, columns, tuple(rows))


def _columns(f: Finding, *, with_bounds: bool) -> Iterator[Column]:
    measure = f.analysis.measure
    name = measure.name if measure else "mu"
    yield Column("method")
    yield Column("prior on τ", ("prior_tau",), hint="On the between-study standard deviation, on the model scale")
    yield Column("prior on μ", ("prior_mu",), hint="On the average effect, on the model scale")
    yield Column(f"average effect μ ({name})", tuple(f"mu_{e}" for e in _LIMITS), numeric=True,
                 hint="Estimate or posterior median, and central interval")  # fmt: skip
    if with_bounds:
        yield Column("limits over all consistent data", tuple(f"mu_{e}" for e in _MEMBERS), numeric=True,
                     hint="Smallest..largest lower limit; smallest..largest upper limit, over all study data that "
                     "give the published result")  # fmt: skip
    yield Column("τ", tuple(f"tau_{e}" for e in _LIMITS), numeric=True,
                 hint="Between-study standard deviation, model scale (log for ratios)")  # fmt: skip
    yield Column("new study", ("theta_new_lower", "theta_new_upper"), numeric=True, hint="Prediction interval")
    yield from _probability_columns(f)
    if f.claimed:
        yield Column("claim holds", hint="Whether the interval excludes no effect on the published side")


def _probability_columns(f: Finding) -> Iterator[Column]:
    if f.favours:
        names = ("prob_favours", "prob_favours_min", "prob_favours_max")
        yield Column(f"P(μ {_favourable(f)})", names, numeric=True, hint="Posterior probability of the favourable side")
        return
    for side in ("above", "below"):
        hint = "Which side is favourable is not stated"
        yield Column(f"P(μ {side} {f.null:g})", (f"prob_{side}_null",), numeric=True, hint=hint)


def _favourable(f: Finding) -> str:
    return f"{'above' if f.favours == 'higher' else 'below'} {f.null:g}"


def _published(f: Finding, width: int, *, with_bounds: bool) -> tuple[Cell, ...]:
    r = f.reported
    assert r is not None  # noqa: S101  (the caller's condition)
    mu = Cell.of(f.published, r.estimate.value, r.ci_lower.value, r.ci_upper.value)
    first = [Cell("published"), Cell(""), Cell(""), mu]
    rest = [Cell("")] * (width - len(first) - int(f.claimed))
    tau = 1 if with_bounds else 0
    if r.tau2 is not None and not math.isnan(r.tau2.value) and r.tau2.value >= 0:
        root = math.sqrt(r.tau2.value)
        rest[tau] = Cell.of(f"{number(root)} (τ² {r.tau2 if len(str(r.tau2)) < 9 else number(r.tau2.value)})", root)
    return (*first, *rest, *([Cell(str(r.claim))] if f.claimed else []))


def _cells(f: Finding, line: Line, *, with_bounds: bool) -> Iterator[Cell]:
    mu, tau, new = line.mu, line.tau, line.theta_new
    on_tau, on_mu, kind = line.priors
    engine = line.model or ("Bayesian" if on_tau else line.method)
    yield Cell(f"{engine}{', hybrid' if kind == 'hybrid' else ''}")
    yield Cell(on_tau)
    yield Cell(on_mu)
    yield Cell.of(estimate(mu["point"], mu["lower"], mu["upper"], f.null), *(mu[e] for e in _LIMITS))
    if with_bounds:
        ends = "; ".join(spread(mu[f"{e}_min"], mu[f"{e}_max"], f.null) for e in ("lower", "upper"))
        yield Cell.of(ends if line.has_bounds else "", *(mu[e] for e in _MEMBERS))
    yield Cell.of(estimate(tau["point"], tau["lower"], tau["upper"]), *(tau[e] for e in _LIMITS))
    yield Cell.of(interval(new["lower"], new["upper"], f.null), new["lower"], new["upper"])
    if f.favours:
        low, high = mu["prob_favours_min"], mu["prob_favours_max"]
        over = f" [{probabilities(low, high)}]" if line.has_bounds and not math.isnan(low) else ""
        yield Cell.of(probability(mu["prob_favours"]) + over, mu["prob_favours"], low, high)
    else:
        yield from (Cell.of(probability(mu[f"prob_{s}_null"]), mu[f"prob_{s}_null"]) for s in ("above", "below"))
    if f.claimed:
        yield Cell("" if mu["holds"] == NO_CLAIM else str(mu["holds"]))


def studies_table(subject: Subject) -> DataTable:
    """Study data and effects; no row where only the pooled result was published: possible data are no data."""
    case = subject.case
    effects, measure = case.effects, case.measure
    used = case.analysis.rows().set_index("study") if case.family is None else pd.DataFrame()
    data = [name for name in _NAMES if name in used and used[name].notna().any()]
    columns = [Column("study"), *(Column(_NAMES[name], (name,), numeric=True) for name in data)]
    columns += [
        Column(f"effect ({measure.name})", ("effect", "lower", "upper"), numeric=True, hint="95% interval"),
        Column("standard error", ("sei",), numeric=True, hint="Model scale (log for ratios)"),
    ]
    half = Z * effects.sei
    edges = [measure.display(x) for x in (effects.yi, effects.yi - half, effects.yi + half)]
    rows = []
    for i, study in enumerate(effects.study if case.family is None else ()):
        numbers = [float(used[name].get(study, math.nan)) for name in data]
        point, lower, upper = (float(edge[i]) for edge in edges)
        rows.append(
            (
                Cell(study),
                *(Cell.of("" if math.isnan(x) else f"{x:g}", x) for x in numbers),
                Cell.of(estimate(point, lower, upper, measure.null), point, lower, upper),
                Cell.of(number(effects.sei[i]), float(effects.sei[i])),
            )
        )
    caption = f"{case.label}: the studies, as they enter every method"
    call = f"result.cases[{subject.place}].effects"
    return DataTable(f"{subject.id}-studies", caption, call, tuple(columns), tuple(rows))


def tipping_table(subject: Subject) -> DataTable:
    """Where the conclusion of one outcome tips."""
    case, tips = subject.case, subject.result.tipping
    own = tips[(tips["analysis"] == case.analysis.id) & (tips["k"] == case.k)]
    shown = _TIPPING if case.family is not None else {n: h for n, h in _TIPPING.items() if "members" not in h}
    show = dict.fromkeys((n for n in shown if n.startswith("scale")), lambda x: "" if math.isnan(x) else f"{x:.3g}")
    query = f"analysis == {case.analysis.id!r} and k == {case.k}"
    call = f"result.tipping.query({query!r})"
    return from_frame(f"{subject.id}-tipping", f"{case.label}: where the conclusion tips", call, own, shown, show=show)
