"""What a forest plot of one outcome shows, computed before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from bayespip.effects import EffectSizes
from bayespip.fits import compare
from bayespip.plots import comparison_rows as kinds
from bayespip.plots.axes import sides_of
from bayespip.plots.bias import domains, judgement
from bayespip.plots.rows import measure_of, reach
from bayespip.reanalysis.comparison import published_row
from bayespip.reanalysis.quantities import EXACT
from bayespip.text.arm_names import arm_names

if TYPE_CHECKING:
    from bayespip.fits import Fit
    from bayespip.measures import Measure
    from bayespip.plots.bias import Judgement
    from bayespip.review import Analysis

__all__ = ["Forest", "Interval", "Pooled", "Study", "forest"]

_NEEDED = ("method", "prior", "parameter", "measure", "k", "level", "point", "lower", "upper")
_TEXT = ("outcome", "timepoint", "comparison", "favours", "analysis", "prior", "prior_kind", "value_of", "method")
_SPREAD = ("lower_min", "upper_max")


@dataclass(frozen=True, slots=True)
class Interval:
    """A point and limits on the display scale; nan where there is none."""

    point: float = np.nan
    lower: float = np.nan
    upper: float = np.nan


@dataclass(frozen=True, slots=True)
class Study:
    """A study: its label, own estimate, estimate drawn to the others, weight in percent, arms in print, judgements."""

    label: str
    own: Interval
    shrunken: Interval
    weight: float
    arms: tuple[str, str]
    judged: tuple[Judgement, ...]


@dataclass(frozen=True, slots=True)
class Pooled:
    """A pooled result: group ("if k = 2"), label, kind, mu, the bounds of its interval, and a new study's effect."""

    group: str
    label: str
    kind: str
    mu: Interval
    bounds: Interval
    new: Interval


@dataclass(frozen=True, slots=True)
class Forest:
    """Everything that a forest plot shows.

    Attributes
    ----------
    measure, level
        Of all intervals but those that say otherwise.
    title
        Outcome and time point; or empty.
    studies, pooled
        In their order.
    arms
        Names of the arms; empty where there are no numbers of them.
    domains
        Of the risk of bias.
    weights_of, shrunken_by
        Methods; empty where there are none.
    limits
        Of the axis, display scale.
    sides
        Left and right of no effect.
    """

    measure: Measure
    level: float
    title: str
    studies: tuple[Study, ...]
    pooled: tuple[Pooled, ...]
    arms: tuple[str, str]
    domains: tuple[str, ...]
    weights_of: str
    shrunken_by: str
    limits: tuple[float, float]
    sides: tuple[str, str]


def forest(
    data: Fit | Sequence[Fit] | pd.DataFrame,
    analysis: Analysis | None,
    effects: EffectSizes | None,
    risk_of_bias: pd.DataFrame | None,
) -> Forest:
    """See ``plot_forest``.

    Raises
    ------
    ValueError
        If a table lacks columns or holds several analyses, fits are of different studies, or nothing is to be drawn.
    """
    if isinstance(data, pd.DataFrame):
        table = _checked(data)
    else:
        fits = list(data) if isinstance(data, Sequence) else [data]
        table = _table(fits, analysis)
        effects = effects or _common_effects(fits)
    shown = table[(table["parameter"] == "mu") & table["point"].notna() & ~_repeats_exact(table)]
    if shown.empty and effects is None:
        raise ValueError("data must hold a result to draw; got none that has an average effect.")
    measure = measure_of(table) if len(table) or effects is None else effects.measure
    level = float(shown["level"].iloc[-1]) if len(shown) else 0.95
    pooled = tuple(_pooled(row, table, level, len(shown["k"].dropna().unique()) > 1) for _, row in shown.iterrows())
    theta, shrunken_by = _shrunken(table)
    weights, weights_of = _weights(table, effects)
    studies: tuple[Study, ...] = ()
    if effects is not None:
        studies = _studies(effects, level, theta, weights, analysis=analysis, risk_of_bias=risk_of_bias)
    has_arms = any(any(study.arms) for study in studies)
    return Forest(
        measure,
        level,
        _title(analysis, table),
        studies,
        pooled,
        _arms(analysis, table) if has_arms else ("", ""),
        tuple(domains(risk_of_bias)) if risk_of_bias is not None and studies else (),
        weights_of,
        shrunken_by,
        _limits(studies, pooled, measure),
        _sides(analysis, table),
    )


def _checked(data: pd.DataFrame) -> pd.DataFrame:
    missing = [column for column in _NEEDED if column not in data.columns]
    if missing:
        raise ValueError(f"data must have the columns of Reanalysis.table or compare; missing: {', '.join(missing)}.")
    table = data.reset_index(drop=True)
    table[[c for c in _TEXT if c in table]] = table[[c for c in _TEXT if c in table]].fillna("")
    analyses = list(dict.fromkeys(table["analysis"])) if "analysis" in table else []
    if len(analyses) > 1:
        raise ValueError(f"data must be of one analysis; got {', '.join(map(str, analyses))}.")
    return table


def _table(fits: Sequence[Fit], analysis: Analysis | None) -> pd.DataFrame:
    """The fits, below the published result."""
    if not fits:
        raise ValueError("data must be a fit, several fits of the same studies, or a table; got none.")
    table = compare(*fits, analysis=analysis.id if analysis else "")
    if analysis is None or analysis.reported is None:
        return _checked(table)
    published = pd.DataFrame([published_row(analysis, k=fits[0].effects.k) | {"prior": ""}])
    return _checked(pd.concat([published[[c for c in published if c in table]], table], ignore_index=True))


def _common_effects(fits: Sequence[Fit]) -> EffectSizes | None:
    studies = dict.fromkeys(fit.effects.study for fit in fits)
    if len(studies) > 1:
        listed = "; ".join(", ".join(names) for names in studies)
        raise ValueError(f"fits must be of the same studies; got {listed}.")
    return next((fit.effects for fit in fits if isinstance(fit.effects, EffectSizes)), None)


def _repeats_exact(table: pd.DataFrame) -> pd.Series[bool]:
    """Sampled results that are there by the exact engine as well: the cross-check, not another result."""
    its_exact = table.loc[table["method"] == EXACT, ["prior", "k"]].apply(tuple, axis=1)
    own = table[["prior", "k"]].apply(tuple, axis=1)
    return (table["method"] == "PyMC normal-normal") & own.isin(set(its_exact))


def _interval(row: Any) -> Interval:
    return Interval(float(row["point"]), float(row["lower"]), float(row["upper"]))


def _pooled(row: pd.Series[Any], table: pd.DataFrame, level: float, by_k: bool) -> Pooled:
    new = table[(table["parameter"] == "theta_new") & (table["method"] == row["method"])]
    new = new[(new["prior"] == row["prior"]) & (new["k"] == row["k"])] if len(new) else new
    kind = _kind(row)
    label = row["method"] if not row["prior"] else row["prior"] if row["method"] == EXACT else None
    label = label if label is not None else f"{row['method']}, {row['prior']}"
    suffix = "" if row["level"] == level else f", {100 * row['level']:g}%"
    group = f"if k = {int(row['k'])}" if by_k and pd.notna(row["k"]) else ""
    bounds = Interval(np.nan, *(float(row.get(name, np.nan)) for name in _SPREAD))
    return Pooled(
        group, label + suffix, kind, _interval(row), bounds, _interval(new.iloc[0]) if len(new) else Interval()
    )


def _kind(row: pd.Series[Any]) -> str:
    if row["method"] == kinds.PUBLISHED:
        return kinds.PUBLISHED
    if not row["prior"]:
        return kinds.FREQUENTIST
    kind = str(row.get("prior_kind", ""))
    return kind if kind in (kinds.WEAK, kinds.EMPIRICAL) else kinds.GIVEN


def _shrunken(table: pd.DataFrame) -> tuple[dict[str, Interval], str]:
    """Of the first Bayesian result that has study effects, otherwise of the first; and its name."""
    its = table[table["parameter"].str.startswith("theta[") & table["point"].notna()]
    if its.empty:
        return {}, ""
    bayesian = its[its["prior"] != ""]
    first = (bayesian if len(bayesian) else its).iloc[0]
    its = its[(its["method"] == first["method"]) & (its["prior"] == first["prior"])]
    found = {str(row["parameter"])[len("theta[") : -1]: _interval(row) for _, row in its.iterrows()}
    return found, ", ".join(part for part in (str(first["method"]), str(first["prior"])) if part)


def _weights(table: pd.DataFrame, effects: EffectSizes | None) -> tuple[np.ndarray, str]:
    """Inverse-variance weights in percent, at the tau of the first random-effects method, or of the common effect."""
    tau = table[(table["parameter"] == "tau") & (table["prior"] == "") & table["point"].notna()]
    if effects is None or tau.empty:
        return np.full(effects.k if effects else 0, np.nan), ""
    random = tau[~tau["method"].str.startswith("common")]
    first = (random if len(random) else tau).iloc[0]
    w = 1 / (effects.vi + float(first["point"]) ** 2)
    return 100 * w / w.sum(), str(first["method"])


def _studies(
    effects: EffectSizes,
    level: float,
    theta: dict[str, Interval],
    weights: np.ndarray,
    *,
    analysis: Analysis | None,
    risk_of_bias: pd.DataFrame | None,
) -> tuple[Study, ...]:
    z = float(ndtri((1 + level) / 2))
    shown = effects.measure.display(effects.yi + np.array([[0.0], [-z], [z]]) * effects.sei)
    arms = _arm_texts(analysis)
    judged = {}
    if risk_of_bias is not None:
        names = domains(risk_of_bias)
        judged = {str(row["study"]): tuple(judgement(row[n]) for n in names) for _, row in risk_of_bias.iterrows()}
        blank = tuple(judgement("") for _ in names)
    return tuple(
        Study(
            label,
            Interval(*own),
            theta.get(label, Interval()),
            float(weight),
            arms.get(label, ("", "")),
            # a trial with several arms has several rows: "Smith 2001", "Smith 2001 [2]"
            judged.get(label, judged.get(label.rpartition(" [")[0], blank)) if judged else (),
        )
        for label, own, weight in zip(effects.study, shown.T.tolist(), weights, strict=True)
    )


def _arm_texts(analysis: Analysis | None) -> dict[str, tuple[str, str]]:
    """Events and sizes of both arms in print: "14/31", or "31" where nothing is counted."""
    if analysis is None or analysis.studies is None or not {"n_e", "n_c"} <= set(analysis.studies):
        return {}
    found = {}
    for _, row in analysis.rows().iterrows():
        counts = [f"{row[f'event_{arm}']:g}/" if f"event_{arm}" in row else "" for arm in "ec"]
        sizes = [f"{row[f'n_{arm}']:g}" if pd.notna(row[f"n_{arm}"]) else "" for arm in "ec"]
        found[str(row["study"])] = (counts[0] + sizes[0], counts[1] + sizes[1])
    return found


def _first(table: pd.DataFrame, column: str) -> str:
    return str(table[column].iloc[0]) if column in table and len(table) else ""


def _title(analysis: Analysis | None, table: pd.DataFrame) -> str:
    if analysis is not None:
        parts = (f"{analysis.id} {analysis.outcome}", analysis.timepoint)
    else:
        parts = (f"{_first(table, 'analysis')} {_first(table, 'outcome')}".strip(), _first(table, "timepoint"))
    sizes = table["k"].dropna().unique()
    return ", ".join(part for part in (*parts, f"k = {int(sizes[0])}" if len(sizes) == 1 else "") if part)


def _arms(analysis: Analysis | None, table: pd.DataFrame) -> tuple[str, str]:
    if analysis is not None:
        return arm_names(analysis)
    return _first(table, "arm_e") or "experimental", _first(table, "arm_c") or "control"


def _sides(analysis: Analysis | None, table: pd.DataFrame) -> tuple[str, str]:
    return sides_of(analysis.favours if analysis else _first(table, "favours"), _arms(analysis, table))


def _limits(studies: Sequence[Study], pooled: Sequence[Pooled], measure: Measure) -> tuple[float, float]:
    its = [*(s.own for s in studies), *(p.mu for p in pooled), *(p.new for p in pooled)]
    its += [Interval(p.mu.point, p.bounds.lower, p.bounds.upper) for p in pooled]
    point, lower, upper = measure.model(np.array([(i.point, i.lower, i.upper) for i in its]).T)
    low, high = measure.display(reach(point, lower, upper, always=[float(measure.model(measure.null))]))
    return float(low), float(high)
