"""The comparison as a tidy table: published, frequentist and Bayesian results of every analysis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip.reanalysis.conclusions import claim_holds, prior_predictive_p, prior_prob_of_dl_tau
from bayespip.reanalysis.quantities import PARAMETERS, QUANTITIES
from bayespip.text.arm_names import arm_names

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from bayespip.measures import Measure
    from bayespip.priors.sets import PriorSet
    from bayespip.published_only.bounds import Bounds
    from bayespip.reanalysis.cases import Case
    from bayespip.review import Analysis

NOT_POOLED = "not pooled"
EDGES = ("point", "lower", "upper")
SPREAD = [f"{edge}{end}" for edge in EDGES for end in ("", "_min", "_max")]
PROBABILITIES = [
    f"prob_{what}{end}" for what in ("above_null", "below_null", "favours") for end in ("", "_min", "_max")
]
IDENTITY = [
    "analysis", "outcome", "timepoint", "comparison", "arm_e", "arm_c", "measure", "k", "k_source", "basis", "value_of",
]  # fmt: skip
METHOD = ["method", "prior", "prior_mu", "prior_tau", "prior_kind", "parameter"]
EXTREMES = ("analysis", "k", "basis", "method", "prior", "quantity", "end", "bound", "study", "yi", "sei")
COLUMNS = [
    *IDENTITY, *METHOD, *SPREAD, "level", *PROBABILITIES, "favours", "claim", "holds", "prior_predictive_p",
    "prior_prob_dl_tau",
    *(f"{name}_model" for name in SPREAD), "note",
]  # fmt: skip


@dataclass(frozen=True)
class Values:
    """Quantities of one case under one method, and their bounds where there is a family.

    Attributes
    ----------
    method
        Name of the method.
    quantities
        Shape (len(QUANTITIES),), model scale.
    value_of
        What the values are computed from: "study data", "conditional posterior", "equal-variance member".
    prior
        The prior set; None for frequentist methods.
    bounds
        Over the family; None for one data set.
    note
        What a reader must know of this row.
    """

    method: str
    quantities: NDArray[np.float64]
    value_of: str
    prior: PriorSet | None = None
    bounds: Bounds | None = None
    note: str = ""


def rows_of(case: Case, values: Values, level: float) -> list[dict[str, Any]]:
    """One row a parameter."""
    prior = values.prior
    common = _identity(case.analysis, case.measure, case.k) | {
        "basis": case.basis,
        "value_of": values.value_of,
        **({"k_source": "study data"} if case.family is None else {}),
        "method": values.method,
        "prior": prior.priors.label if prior else "",
        "prior_mu": prior.mu if prior else "",
        "prior_tau": prior.tau if prior else "",
        "prior_kind": prior.kind if prior else "",
        "level": level,
        "note": values.note,
    }
    rows = []
    for i, parameter in enumerate(PARAMETERS):
        model = _spread(values, slice(3 * i, 3 * i + 3))
        row = common | {"parameter": parameter} | _scales(model, case.measure, parameter)
        if parameter == "mu":
            row |= _probabilities(values, case.analysis)
            row["holds"] = claim_holds(
                case.analysis.reported,
                _ends(model, "lower"),
                _ends(model, "upper"),
                members=values.bounds is not None,
            )
        if parameter == "tau" and prior is not None:
            row["prior_predictive_p"] = prior_predictive_p(case.effects, prior.priors.tau)
            row["prior_prob_dl_tau"] = prior_prob_of_dl_tau(case.effects, prior.priors.tau)
        rows.append(row)
    return rows


def published_row(analysis: Analysis, *, k: int | None = None, not_pooled: str = "") -> dict[str, Any]:
    """The published result as printed; for an outcome that has none, or is not pooled, a row that says so.

    ``k`` is the number of rows pooled of study data: a file also counts studies that say nothing of the effect, and
    one with several rows once.
    """
    reported = analysis.reported
    row = _identity(analysis, analysis.measure, k or (reported.k if reported else None))
    row |= {"parameter": "mu", "method": "published", "basis": analysis.basis, "value_of": "as printed"}
    note = " ".join(part for part in (not_pooled and f"{NOT_POOLED}: {not_pooled}", analysis.note) if part)
    if reported is None:
        return row | {"value_of": NOT_POOLED if not_pooled else "not published", "note": note}
    values = {
        "point": reported.estimate.value,
        "lower": reported.ci_lower.value,
        "upper": reported.ci_upper.value,
    }
    model = {f"{name}_model": float(reported.measure.model(value)) for name, value in values.items()}
    return row | values | model | {"level": reported.level, "note": note}


def extremes_of(case: Case, values: Values) -> list[dict[str, Any]]:
    """The members of the family that attain the bounds: one row a quantity, end and study, on the model scale."""
    bounds = values.bounds
    if bounds is None:
        return []
    common = {"analysis": case.analysis.id, "k": case.k, "basis": case.basis, "method": values.method}
    common["prior"] = values.prior.priors.label if values.prior else ""
    return [
        common | {"quantity": name, "end": end, "bound": float(bound), "study": i + 1, "yi": float(y), "sei": float(s)}
        for e, (end, attained) in enumerate((("lowest", bounds.lowest), ("highest", bounds.highest)))
        for q, (name, bound) in enumerate(zip(QUANTITIES, attained, strict=True))
        if not math.isnan(bound)
        for i, (y, s) in enumerate(zip(bounds.yi[e, q], np.sqrt(bounds.vi[e, q]), strict=True))
    ]


def as_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a DataFrame with all columns, in order; k is a nullable integer."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=COLUMNS).astype({"k": "Int64"})
    text = [*IDENTITY, *METHOD, "favours", "claim", "holds", "note"]
    text.remove("k")
    frame[text] = frame[text].fillna("")
    return frame


def _identity(analysis: Analysis, measure: Measure | None, k: int | None) -> dict[str, Any]:
    reported = analysis.reported
    experimental, control = arm_names(analysis)
    return {
        "analysis": analysis.id,
        "outcome": analysis.outcome,
        "timepoint": analysis.timepoint,
        "comparison": analysis.comparison,
        "arm_e": experimental,
        "arm_c": control,
        "measure": measure.name if measure else "",
        "k": k,
        "k_source": (reported.k_source if reported else "study data") if k is not None else "",
        "favours": analysis.favours or ("not stated" if measure else ""),
        "claim": ((reported.claim or "") if reported else ""),
    }


def _spread(values: Values, columns: slice) -> dict[str, float]:
    """Value, smallest and largest of point, lower and upper on the model scale."""
    value = values.quantities[columns]
    low, high = (values.bounds.lowest[columns], values.bounds.highest[columns]) if values.bounds else (_NAN, _NAN)
    found: dict[str, float] = {}
    for edge, v, smallest, largest in zip(EDGES, value, low, high, strict=True):
        found |= {edge: float(v), f"{edge}_min": float(smallest), f"{edge}_max": float(largest)}
    return found


_NAN = np.full(3, np.nan)


def _ends(model: dict[str, float], edge: str) -> tuple[float, float]:
    """Smallest and largest of a limit; the value itself where there are no bounds."""
    low, high = model[f"{edge}_min"], model[f"{edge}_max"]
    return (model[edge], model[edge]) if math.isnan(low) else (low, high)


def _scales(model: dict[str, float], measure: Measure, parameter: str) -> dict[str, float]:
    """Both scales; tau has only the model scale."""
    shown = model if parameter == "tau" else {name: float(measure.display(x)) for name, x in model.items()}
    return shown | {f"{name}_model": x for name, x in model.items()}


def _probabilities(values: Values, analysis: Analysis) -> dict[str, float]:
    index = QUANTITIES.index("prob_positive")
    above = [float(values.quantities[index])]
    above += (
        [float(b[index]) for b in (values.bounds.lowest, values.bounds.highest)] if values.bounds else [math.nan] * 2
    )
    below = [1 - above[0], 1 - above[2], 1 - above[1]]
    nothing = [math.nan] * 3
    favoured = {"higher": above, "lower": below}.get(analysis.favours or "", nothing)
    ends = ("", "_min", "_max")
    return {
        f"prob_{what}{end}": p
        for what, numbers in (("above_null", above), ("below_null", below), ("favours", favoured))
        for end, p in zip(ends, numbers, strict=True)
    }
