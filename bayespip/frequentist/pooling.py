"""What RevMan computes: Mantel-Haenszel, Peto, inverse variance and O - E; heterogeneity; subgroup differences.

Everything is on the model scale (log for ratios). Source: Deeks JJ, Higgins JPT (2010), Statistical algorithms in
Review Manager 5, and where that text is silent, files that RevMan wrote: docs/decisions/revman-pooling.md.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc, ndtr, ndtri

from bayespip.effects import EffectSizes
from bayespip.frequentist.batches import frequentist_batch
from bayespip.frequentist.heterogeneity import typical_variance
from bayespip.frequentist.mantel_haenszel import MH_MEASURES, Convention, convention_of, mantel_haenszel
from bayespip.measures import BINARY, CONTINUOUS, O_E
from bayespip.study_data.arm_formulas import ARM_FORMULAS, SMD_CONVENTIONS, is_uninformative, one_step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from bayespip.measures import Measure
    from bayespip.settings import Settings
    from bayespip.study_data.arm_formulas import Arms, Vector

    Mask = NDArray[np.bool_]

__all__ = ["Pooled", "SubgroupTest", "pool", "study_effects", "subgroup_test"]

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "dichotomous": BINARY,
    "continuous": CONTINUOUS,
    "generic": ("yi", "sei"),
    "O-E": O_E,
}
# RevMan's variance of Hedges' g has N - 3.94 below a fraction: Deeks & Higgins (2010).
_SMALLEST_SMD_TOTAL = 3.94


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pooled:
    """A result as RevMan pools it, on the model scale.

    Attributes
    ----------
    effects
        The estimable studies.
    excluded
        Labels of the others: they say nothing of the effect, or their data are missing or impossible.
    method, model
        Of pooling, as in Settings.
    estimate, se
        Pooled effect and its standard error.
    lower, upper
        Its interval at `level`.
    z, p
        Statistic (of the sign of the estimate) and two-sided p-value of the test of no effect.
    level
        Probability of the interval.
    tau2
        Between-study variance; 0 under a fixed-effect model, nan for one study under a random-effects model.
    q
        Cochran's Q: about the fixed-effect estimate of the method, with weights 1/v.
    weights
        Shares of the studies, shape (k,); their sum is 1.
    """

    effects: EffectSizes
    excluded: tuple[str, ...]
    method: str
    model: str
    estimate: float
    se: float
    lower: float
    upper: float
    z: float
    p: float
    level: float
    tau2: float
    q: float
    weights: Vector

    @property
    def k(self) -> int:
        """Number of estimable studies."""
        return self.effects.k

    @property
    def df(self) -> int:
        """Degrees of freedom of Q."""
        return self.k - 1

    @property
    def p_q(self) -> float:
        """P-value of Q; nan for one study."""
        return float(chdtrc(self.df, self.q)) if self.df else np.nan

    @property
    def i2(self) -> float:
        """I2, between 0 and 1; nan for one study."""
        return _i2(self.q, self.df)


@dataclass(frozen=True, slots=True)
class SubgroupTest:
    """A test for subgroup differences.

    Attributes
    ----------
    q, df
        Chi-squared and its degrees of freedom.
    """

    q: float
    df: int

    @property
    def p(self) -> float:
        """P-value."""
        return float(chdtrc(self.df, self.q))

    @property
    def i2(self) -> float:
        """I2, between 0 and 1."""
        return _i2(self.q, self.df)


def study_effects(rows: pd.DataFrame, settings: Settings, measure: Measure) -> EffectSizes:
    """Each study's effect and standard error as RevMan computes them, on the model scale.

    Parameters
    ----------
    rows
        One row a study under unique labels, such as ``Analysis.rows()`` gives.
    settings
        Of the analysis.
    measure
        Its effect measure.

    Returns
    -------
    EffectSizes
        In the order of the rows, without those that are not estimable.

    Warns
    -----
    UserWarning
        If a study is not estimable; the warning names it.

    Raises
    ------
    ValueError
        If no study is estimable, or the data type has no effects.

    Notes
    -----
    Like `effect_sizes` with smd = "revman5", but a risk difference with an empty cell is the plain difference
    (its variance has the 0.5), events change places with non-events where the settings say so, and data that are
    missing (zero participants, an SD or standard error of zero) are not estimable instead of an error.
    """
    effects, excluded, _ = _estimable(rows, settings, measure, convention_of("revman5"))
    if effects is None:
        raise ValueError(f"no study is estimable: {', '.join(excluded) or 'there is none'}.")
    if excluded:
        warnings.warn(f"not estimable, and excluded: {', '.join(excluded)}.", UserWarning, stacklevel=2)
    return effects


def pool(rows: pd.DataFrame, settings: Settings, measure: Measure, *, convention: str = "revman5") -> Pooled | None:
    """Pool the studies as RevMan does.

    Parameters
    ----------
    rows, settings, measure
        As in `study_effects`.
    convention
        About empty cells: a name in CONVENTIONS.

    Returns
    -------
    Pooled or None
        None where no study is estimable.

    Raises
    ------
    ValueError
        If the settings lack method or model, the method does not go with the data, or the convention is unknown.

    Notes
    -----
    Fixed effect: Mantel-Haenszel, or inverse variance (of Peto's odds ratios the Peto method). Random effects:
    DerSimonian and Laird's tau2 with that fixed-effect estimate in Q, then weights 1/(v + tau2). Other tau2
    estimators and intervals (RevMan Web) are those of `frequentist_batch`, on the same study effects.
    """
    if settings.method is None or settings.model is None:
        raise ValueError(f"settings must have method and model; got {settings.method!r} and {settings.model!r}.")
    by_mh = settings.method == "MH"
    if by_mh and (settings.data_type != "dichotomous" or measure.name not in MH_MEASURES):
        raise ValueError(
            f"MH pools dichotomous data as {', '.join(MH_MEASURES)}; got {settings.data_type} data, {measure.name}."
        )
    chosen = convention_of(convention)
    effects, excluded, arms = _estimable(rows, settings, measure, chosen)
    if effects is None:
        return None
    fixed = mantel_haenszel(arms, measure.name, chosen) if by_mh else _inverse_variance(effects.yi, effects.vi)
    if settings.model == "random" and (settings.tau2, settings.ci) != ("DL", "Wald"):
        return _by_batch(effects, excluded, settings)
    q = float((((effects.yi - fixed[0]) / effects.sei) ** 2).sum())
    tau2 = 0.0 if settings.model == "fixed" else _dersimonian_laird(effects.vi, q)
    if settings.model == "fixed":
        estimate, variance, weights = fixed
    else:
        estimate, variance, weights = _inverse_variance(effects.yi, effects.vi + np.nan_to_num(tau2))
    se = float(np.sqrt(variance))
    half = float(ndtri((1 + settings.level_total) / 2)) * se
    z = estimate / se if se > 0 else np.nan
    return Pooled(
        effects=effects, excluded=excluded, method=settings.method, model=settings.model, estimate=estimate, se=se,
        lower=estimate - half, upper=estimate + half, z=z, p=float(2 * ndtr(-abs(z))), level=settings.level_total,
        tau2=tau2, q=q, weights=weights / weights.sum(),
    )  # fmt: skip


def subgroup_test(results: Sequence[Pooled]) -> SubgroupTest | None:
    """Whether the effects of subgroups differ: the heterogeneity of the subgroups' results, each with weight 1/se^2.

    For either model (Borenstein M, Higgins JPT (2013), Prev Sci 14:134-143). None for fewer than two subgroups.
    """
    if len(results) < 2:
        return None
    y, v = np.array([r.estimate for r in results]), np.array([r.se for r in results]) ** 2
    mean = _inverse_variance(y, v)[0]
    return SubgroupTest(float(((y - mean) ** 2 / v).sum()), len(results) - 1)


def _inverse_variance(y: Vector, v: Vector) -> tuple[float, float, Vector]:
    weights = 1 / v
    return float((weights * y).sum() / weights.sum()), float(1 / weights.sum()), weights


def _dersimonian_laird(v: Vector, q: float) -> float:
    """DerSimonian & Laird (1986), Control Clin Trials 7:177-188; nan for one study."""
    if v.size == 1:
        return np.nan
    return max(0.0, float((q / (v.size - 1) - 1) * typical_variance(v)))


def _i2(q: float, df: int) -> float:
    """Higgins & Thompson (2002), Stat Med 21:1539-1558."""
    if df == 0:
        return np.nan
    return max(0.0, (q - df) / q) if q > 0 else 0.0


def _by_batch(effects: EffectSizes, excluded: tuple[str, ...], settings: Settings) -> Pooled:
    batch = frequentist_batch(effects.yi, effects.vi, settings.tau2, settings.ci, level=settings.level_total)
    return Pooled(
        effects=effects, excluded=excluded, method=settings.method or "", model=settings.model or "",
        estimate=float(batch.mu), se=float(batch.se), lower=float(batch.lower), upper=float(batch.upper),
        z=float(batch.statistic), p=float(batch.p_value), level=settings.level_total,
        tau2=float(batch.tau2) if effects.k > 1 else np.nan, q=float(batch.q), weights=batch.weights,
    )  # fmt: skip


def _estimable(
    rows: pd.DataFrame, settings: Settings, measure: Measure, convention: Convention
) -> tuple[EffectSizes | None, tuple[str, ...], dict[str, Vector]]:
    """Effects of the estimable studies, labels of the others, and the data of the estimable ones."""
    if settings.data_type not in COLUMNS:
        raise ValueError(f"data_type must be one of {', '.join(COLUMNS)} to be pooled; got {settings.data_type!r}.")
    data = {name: rows[name].to_numpy(dtype=float) for name in COLUMNS[settings.data_type]}
    if settings.data_type == "dichotomous" and settings.swap_events:
        data |= {"event_e": data["n_e"] - data["event_e"], "event_c": data["n_c"] - data["event_c"]}
    finite = np.all([np.isfinite(column) for column in data.values()], axis=0)
    good = finite & _IS_ESTIMABLE[settings.data_type]({n: np.where(finite, x, 0.0) for n, x in data.items()}, measure)
    labels = [str(label) for label in rows["study"]]
    excluded = tuple(label for label, kept in zip(labels, good, strict=True) if not kept)
    data = {name: column[good] for name, column in data.items()}
    if not good.any():
        return None, excluded, data
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # refused below, with the study
        yi, vi = _effects(data, settings, measure, convention)
    study = [label for label, kept in zip(labels, good, strict=True) if kept]
    return EffectSizes(study, yi, np.sqrt(vi), measure), excluded, data


def _effects(data: Arms, settings: Settings, measure: Measure, convention: Convention) -> tuple[Vector, Vector]:
    if settings.data_type == "generic":
        return data["yi"], data["sei"] ** 2
    if settings.data_type == "O-E":
        return one_step(data)
    yi, vi = {**ARM_FORMULAS, "SMD": SMD_CONVENTIONS["revman5"]}[measure.name](data)
    if measure.name == "RD":
        p_e, p_c = data["event_e"] / data["n_e"], data["event_c"] / data["n_c"]
        plain = p_e * (1 - p_e) / data["n_e"] + p_c * (1 - p_c) / data["n_c"]
        yi = yi if convention.difference else p_e - p_c
        vi = vi if convention.variance else np.where(plain > 0, plain, vi)
    return yi, vi


def _counts_are(data: Arms, measure: Measure) -> Mask:
    """Events within both arms; of ratios, not in nobody and not in everybody."""
    possible = (data["n_e"] > 0) & (data["n_c"] > 0) & (data["n_e"] + data["n_c"] > 1)
    for event, n in (("event_e", "n_e"), ("event_c", "n_c")):
        possible &= (data[event] >= 0) & (data[event] <= data[n])
    return possible & ~is_uninformative(data) if measure.log else possible


def _means_are(data: Arms, measure: Measure) -> Mask:
    possible: Mask = np.all([data[c] > 0 for c in ("sd_e", "n_e", "sd_c", "n_c")], axis=0)
    if measure.name == "SMD":
        possible &= data["n_e"] + data["n_c"] > _SMALLEST_SMD_TOTAL
    return possible & (data["mean_e"] * data["mean_c"] > 0) if measure.log else possible


_IS_ESTIMABLE: Mapping[str, Callable[[Arms, Measure], Mask]] = {
    "dichotomous": _counts_are,
    "continuous": _means_are,
    "generic": lambda data, measure: data["sei"] > 0,
    "O-E": lambda data, measure: data["variance"] > 0,
}
