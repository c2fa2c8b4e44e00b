"""The explorer of tau: what the exact engine says under every prior of a grid, as data for ``explorer.js``.

Nothing is computed in the browser but the way from the model scale to the display scale: the slider stops at the
grid's scales, and every number shown is one stored here.
"""

from __future__ import annotations

import base64
import math
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from scipy.special import ndtri

from bayespip.exact.batches import exact_batch
from bayespip.reanalysis.cases import USUAL_LEVEL
from bayespip.reanalysis.quantities import PARAMETERS
from bayespip.report.explorer_curves import Axes, curves
from bayespip.report.explorer_grid import SCALES, grid_of
from bayespip.sensitivity.curves import TauCurve
from bayespip.sensitivity.grid import SCALE_FAMILIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import xarray as xr
    from numpy.typing import ArrayLike, NDArray

    from bayespip.priors import Prior
    from bayespip.reanalysis.cases import Case
    from bayespip.reanalysis.job import Reanalysis
    from bayespip.report.explorer_curves import Curves
    from bayespip.report.explorer_grid import Grid, TauFamily

    Array = NDArray[np.float64]

__all__ = ["explorer", "explorer_data", "explorer_head"]

ROUNDING = 2.0**-24  # relative: of numbers in single precision
_WHOLE = 2**16 - 1  # of a curve's height: it is drawn, not read
_EDGES = ("median", "lower", "upper")
_LIMITS = ("mu_lower", "mu_upper", "prob_positive")  # whose extremes the members that stand for a family attain
# Axes: tau to beyond its upper limit under a wide half-normal prior; mu as far as what is pooled under a middling
# one, and studies' intervals up to half as wide again
_WIDE, _BEYOND = 1.0, 1.25
_MIDDLE, _REACH, _MARGIN = 0.5, 0.5, 0.03


def explorer_data(result: Reanalysis, index: int) -> dict[str, Any]:
    """What the explorer shows of one case.

    Parameters
    ----------
    result
        From ``reanalyse``.
    index
        Of ``result.cases``.

    Returns
    -------
    dict
        For JSON. Arrays of numbers are little-endian single precision (a relative rounding of ROUNDING), model scale,
        in base64: ``values`` of shape (mus, taus, 10 + 3 k), medians and limits of mu, tau and theta_new, P(mu > 0),
        then of each study's effect; ``range``, of shape (mus, taus, 2), the extremes of P(mu > 0) over the members
        of a family that attain the bounds of the re-analysis, or "". Curves are integers of two bytes, shares of
        their largest value.
    """
    case, level = result.cases[index], float(result.settings["level"])
    grid = grid_of(case, result.sets[index])
    fits = exact_batch([case.effects], grid.pairs(case), level=level, studies=True)
    shape = len(grid.mus), len(grid.taus)
    values = _values(fits, shape)
    mus, log_evidence = [mu for _, mu in grid.mus], fits["log_evidence"].to_numpy().reshape(shape)
    about = _about(case, level)
    axes = _axes(case, about["published"] or (), values)
    drawn = curves(case.effects, mus, grid.taus, log_evidence, axes=axes)
    members = _members(case, result.extremes)
    spread = _range(grid, members) if members else np.empty(0)
    return (
        about
        | _priors(grid)
        | {
            "call": f"result.cases[{index}].effects",
            "yi": _singles(case.effects.yi),
            "sei": _singles(case.effects.sei),
            "values": _singles(values),
            "reasons": _reasons(fits),
            "members": len(members[0]) if members else 0,
            "range": _singles(_inside(spread)),
        }
        | _pictures(drawn)
    )


def _about(case: Case, level: float) -> dict[str, Any]:
    analysis, measure, reported = case.analysis, case.measure, case.analysis.reported
    published = None
    if reported is not None:
        printed = (reported.estimate, reported.ci_lower, reported.ci_upper)
        numbers = [float(x) for x in measure.model([p.value for p in printed])]
        published = numbers if all(map(math.isfinite, numbers)) else None
    claim = reported is not None and reported.claim == "significant" and published is not None
    return {
        "label": case.label,
        "k": case.k,
        "measure": measure.name,
        "measure_label": measure.label,
        "model_scale": measure.model_scale,
        "scale": "log" if measure.log else "fisher z" if measure.fisher_z else "identity",
        "level": level,
        "z": float(ndtri((1 + level) / 2)),
        "data": case.family is None,
        "favours": analysis.favours or "",
        "claim": ("above" if published and published[0] > 0 else "below") if claim else "",
        "published": published,
        "studies": list(case.effects.study),
    }


def _priors(grid: Grid) -> dict[str, Any]:
    first, families = 0, []
    for family in grid.families:
        about = {"name": family.name, "scales": family.scales, "first": first, "density": str(family.priors[0])}
        families.append(about | {"calls": [_call(p) for p in family.priors]})
        first += len(family.priors)
    return {
        "mus": [{"name": name, "density": str(mu), "call": _call(mu)} for name, mu in grid.mus],
        "families": families,
        "start": grid.start,
    }


def _call(prior: Prior) -> str:
    """The prior in Python; of a density that the user gave, its name."""
    if prior.family == "density":
        return str(prior)
    if prior.family == "improper uniform":
        return "bp.priors.uniform(0, math.inf)"
    values = ", ".join(repr(np.asarray(p, dtype=float).tolist()) for p in prior.parameters)
    values = f"[{values}]" if prior.family == "uniform-shrinkage" else values  # it is given standard errors
    return f"bp.priors.{re.sub('[ -]', '_', prior.family)}({values})"


def _values(fits: xr.Dataset, shape: tuple[int, int]) -> Array:
    pooled = [fits[f"{p}_{edge}"].to_numpy()[0] for p in PARAMETERS for edge in _EDGES]
    probability = _inside(fits["prob_positive"].to_numpy()[0])
    studies = np.stack([fits[f"theta_{edge}"].to_numpy() for edge in _EDGES], axis=2)
    of_studies = np.moveaxis(studies, 0, 1).reshape(probability.size, -1)
    return np.column_stack([*pooled, probability, of_studies]).reshape(*shape, -1)


def _inside(p: Array) -> Array:
    """Probabilities that single precision would round to 0 or 1 as the nearest that it does not."""
    nearest = np.nextafter(np.array([0, 1], dtype=np.float32), np.float32(0.5)).astype(float)
    return np.where((p > 0) & (p < 1), np.clip(p, *nearest), p)


def _reasons(fits: xr.Dataset) -> dict[str, str]:
    """Why a pair has no result, by its place."""
    reasons = fits["reason"].to_numpy()[0]
    return {str(i): str(reason) for i, reason in enumerate(reasons) if reason}


def _axes(case: Case, published: Sequence[float], values: Array) -> Axes:
    """The same under all priors, so that what moves can be seen."""
    tau = _BEYOND * float(np.nanmax(values[:, SCALES.index(_WIDE), 5]))
    middling = values[:, SCALES.index(_MIDDLE), :3]
    yi, sei = case.effects.yi, case.effects.sei
    shown = [0.0, *published, *yi, *middling.ravel()]
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    reach, z = _REACH * (high - low), float(ndtri((1 + USUAL_LEVEL) / 2))
    low, high = max(low - reach, min(low, *(yi - z * sei))), min(high + reach, max(high, *(yi + z * sei)))
    margin = _MARGIN * (high - low)
    near = float(middling[0, 2] - middling[0, 1]) / 4
    return Axes(tau, low - margin, float(middling[0, 0]), near, high + margin)


def _members(case: Case, extremes: pd.DataFrame) -> tuple[Array, Array] | None:
    """The possible study data that attain the bounds of mu, yi and vi of shape (B, k); None of study data."""
    own = extremes[(extremes["analysis"] == case.analysis.id) & (extremes["k"] == case.k)]
    own = own[own["quantity"].isin(_LIMITS)].sort_values("study", kind="stable")
    if case.family is None or own.empty:
        return None
    sets = own.groupby(["method", "prior", "quantity", "end"])[["yi", "sei"]]
    data = np.unique([np.concatenate([d["yi"], d["sei"] ** 2]) for _, d in sets], axis=0)
    return data[:, : case.k].copy(), data[:, case.k :].copy()


def _range(grid: Grid, members: tuple[Array, Array]) -> Array:
    """Smallest and largest P(mu > 0) over members, shape (mus, taus, 2); nan under an improper prior on tau."""
    found = []
    for _, mu in grid.mus:
        for family in grid.families:
            if not all(tau.proper for tau in family.priors):
                found.append(np.full((1, 2), np.nan))
                continue
            below = _curve(family, mu)(*members, above=True)
            found.append(1 - np.column_stack([below.max(axis=0), below.min(axis=0)]))
    return np.concatenate(found).reshape(len(grid.mus), -1, 2)


def _curve(family: TauFamily, mu: Prior) -> TauCurve:
    if family.scales:
        make = SCALE_FAMILIES[family.name]
        return TauCurve(make, mu, np.array(family.scales), is_scale_family=True)
    (tau,) = family.priors
    return TauCurve(lambda _: tau, mu, tau.quantile([0.5]))


def _pictures(drawn: Curves) -> dict[str, Any]:
    """Curves as shares of their largest value; of tau's those values too, to draw both on one axis."""
    peaks = {"prior_peaks": drawn.prior.max(axis=-1), "posterior_peaks": drawn.posterior.max(axis=-1)}
    return {
        "tau_at": _singles(drawn.tau),
        "mu_at": _singles(drawn.mu),
        "prior": _shares(drawn.prior / peaks["prior_peaks"][..., None]),
        "posterior": _shares(drawn.posterior / peaks["posterior_peaks"][..., None]),
        "average": _shares(drawn.average),
    } | {name: _singles(peak) for name, peak in peaks.items()}


def _singles(x: ArrayLike) -> str:
    return base64.b64encode(np.asarray(x, dtype="<f4").tobytes()).decode()


def _shares(share: Array) -> str:
    return base64.b64encode(np.rint(_WHOLE * np.nan_to_num(share)).astype("<u2").tobytes()).decode()


def explorer(result: Reanalysis, index: int, identifier: str) -> Markup:
    """The explorer of one case as HTML, with its data.

    Parameters
    ----------
    result, index
        As of ``explorer_data``.
    identifier
        Unique on the page; the ids within begin with it.
    """
    data = explorer_data(result, index)
    template = _environment().get_template("explorer.html.j2")
    return Markup(template.render(data=data, id=f"{identifier}-explorer"))  # noqa: S704  (autoescaped)


def explorer_head() -> Markup:
    """What a page needs once for all its explorers: style and scripts, the charting library (d3) among them."""
    folder = files("bayespip.report")
    css, ours = (folder.joinpath(f"explorer.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    licence, library = (folder.joinpath("vendor", n).read_text(encoding="utf-8") for n in ("d3.LICENSE", "d3.min.js"))
    library = f"/*\n{licence}*/\n{library}"  # it asks to stand in every copy
    return Markup(f"<style>{css}</style>\n<script>{library}</script>\n<script>{ours}</script>")  # noqa: S704


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("bayespip.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
