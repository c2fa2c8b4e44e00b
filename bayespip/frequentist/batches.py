"""Frequentist meta-analyses of k studies each, as arrays: common and random effects.

Analyses lie on the leading axes and studies on the last, shape (..., k); everything is on the model scale.
Names and conventions are metafor's (Viechtbauer W. J Stat Softw 2010;36(3):1-48), but I2 and weights are
proportions, not percentages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc, stdtr, stdtrit

from bayespip.frequentist.heterogeneity import checked, choice, pooled_mean, q_profile, tau2_estimate, typical_variance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

__all__ = ["CI_METHODS", "PREDICTION_DF", "FrequentistBatch", "frequentist_batch"]


@dataclass(frozen=True, slots=True)
class MeanInterval:
    """How the interval of mu is made: whether by HKSJ, and the floor of its factor Q(tau2) / (k - 1)."""

    label: str
    hksj: bool
    floor: float = 0.0


CI_METHODS: Mapping[str, MeanInterval] = {
    "Wald": MeanInterval("Wald", hksj=False),
    # Hartung J, Knapp G. Stat Med 2001;20:3875-89; Sidik K, Jonkman JN. Stat Med 2002;21:3153-9.
    "HKSJ": MeanInterval("HKSJ", hksj=True),
    # Rover C, Knapp G, Friede T. BMC Med Res Methodol 2015;15:99; test = "adhoc" in metafor.
    "HKSJ-floored": MeanInterval("HKSJ floored", hksj=True, floor=1.0),
}

PREDICTION_DF: Mapping[str, int] = {"k-1": 1, "k-2": 2}
"""What is taken from k to give the degrees of freedom of a prediction interval."""


@dataclass(frozen=True, slots=True, eq=False)
class FrequentistBatch:
    """Analyses of k studies each; nan where undefined.

    Attributes
    ----------
    yi, vi
        Effects and sampling variances, shape (..., k).
    tau2_method, ci, level
        As asked for; one study has its Wald interval whatever `ci` says.
    mu, se
        Average effect and its standard error, shape (...).
    tau2, tau2_lower, tau2_upper
        Between-study variance and its Q-profile limits, shape (...); under "common" it is assumed to be 0 and
        has no limits.
    """

    yi: Array
    vi: Array
    tau2_method: str
    ci: str
    level: float
    mu: Array
    se: Array
    tau2: Array
    tau2_lower: Array
    tau2_upper: Array

    @property
    def k(self) -> int:
        """Number of studies in each analysis."""
        return int(self.yi.shape[-1])

    @property
    def df(self) -> float:
        """Degrees of freedom of the interval of mu: k - 1 for HKSJ, infinite for Wald (normal quantiles)."""
        return self.k - 1.0 if CI_METHODS[self.ci].hksj and self.k > 1 else np.inf

    @property
    def lower(self) -> Array:
        """Lower confidence limit of mu, shape (...)."""
        return self.mu - self._quantile(self.df) * self.se

    @property
    def upper(self) -> Array:
        """Upper confidence limit of mu, shape (...)."""
        return self.mu + self._quantile(self.df) * self.se

    @property
    def statistic(self) -> Array:
        """Statistic of the test of mu = 0, z or t on `df`, shape (...)."""
        with np.errstate(divide="ignore", invalid="ignore"):  # unfloored HKSJ has se = 0 where Q = 0
            return np.asarray(self.mu / self.se)

    @property
    def p_value(self) -> Array:
        """Two-sided p-value of the test of mu = 0, shape (...)."""
        return np.asarray(2 * stdtr(self.df, -np.abs(self.statistic)))

    @property
    def q(self) -> Array:
        """Cochran's Q: chi-square on k - 1 degrees of freedom if tau = 0, shape (...)."""
        return pooled_mean(self.yi, self.vi, np.zeros_like(self.mu)).q

    @property
    def q_p(self) -> Array:
        """p-value of Q, shape (...); nan for one study."""
        return np.asarray(chdtrc(self.k - 1, self.q)) if self.k > 1 else np.full_like(self.mu, np.nan)

    @property
    def i2(self) -> Array:
        """I2 between 0 and 1, shape (...): tau2 / (tau2 + s2), s2 the typical variance.

        Under "common" (Q - (k - 1)) / Q, or 0 if that is negative. Higgins JPT, Thompson SG. Stat Med
        2002;21:1539-58.
        """
        if self.k == 1:
            return np.full_like(self.mu, np.nan)
        if self.tau2_method != "common":
            return self.tau2 / (self.tau2 + typical_variance(self.vi))
        excess = np.maximum(self.q - (self.k - 1), 0.0)
        return np.asarray(np.divide(excess, self.q, out=np.zeros_like(excess), where=excess > 0))

    @property
    def h2(self) -> Array:
        """H2, shape (...): 1 + tau2 / s2, or Q / (k - 1) under "common"."""
        if self.k == 1:
            return np.full_like(self.mu, np.nan)
        if self.tau2_method == "common":
            return self.q / (self.k - 1)
        return 1 + self.tau2 / typical_variance(self.vi)

    @property
    def weights(self) -> Array:
        """Shares of the studies in mu, shape (..., k); their sum is 1."""
        w = 1 / (self.vi + np.nan_to_num(self.tau2)[..., None])
        return np.asarray(w / w.sum(-1, keepdims=True))

    def theta(self) -> tuple[Array, Array, Array]:
        """Study effects: best linear unbiased predictions and their limits, three arrays of shape (..., k).

        Their standard errors include that of mu, as metafor's blup does: Raudenbush SW, Bryk AS. J Educ Stat
        1985;10:75-98. Under "common", and where tau2 = 0, every study has mu and its interval.
        """
        tau2 = np.nan_to_num(self.tau2)[..., None]
        own = tau2 / (tau2 + self.vi)
        point = own * self.yi + (1 - own) * self.mu[..., None]
        se = np.sqrt(own * self.vi + ((1 - own) * self.se[..., None]) ** 2)
        margin = self._quantile(self.df) * se
        return point, point - margin, point + margin

    def prediction_interval(self, df: str = "k-1") -> tuple[Array, Array]:
        """Limits for the effect in a new study: mu +- t sqrt(se^2 + tau2), each of shape (...).

        Parameters
        ----------
        df
            "k-2": Higgins JPT, Thompson SG, Spiegelhalter DJ. J R Stat Soc A 2009;172:137-59; Riley RD,
            Higgins JPT, Deeks JJ. BMJ 2011;342:d549. "k-1": as metafor beside HKSJ. The two are compared in
            docs/decisions/prediction-interval.md.

        Returns
        -------
        lower, upper
            nan on 0 degrees of freedom, for one study, and under "common", which has no distribution of
            effects to predict from.
        """
        left = self.k - choice("prediction", df, PREDICTION_DF)
        if left < 1 or self.tau2_method == "common":
            return np.full_like(self.mu, np.nan), np.full_like(self.mu, np.nan)
        margin = self._quantile(left) * np.sqrt(self.se**2 + self.tau2)
        return self.mu - margin, self.mu + margin

    def _quantile(self, df: float) -> float:
        return float(stdtrit(df, (1 + self.level) / 2))


def frequentist_batch(
    yi: ArrayLike, vi: ArrayLike, tau2: str = "REML", ci: str = "HKSJ-floored", *, level: float = 0.95
) -> FrequentistBatch:
    """Meta-analyses of k studies each, all at once.

    Parameters
    ----------
    yi, vi
        Effects and sampling variances on the model scale, shape (..., k).
    tau2
        Estimator: "common" (tau = 0 assumed), "DL", "PM", "REML", "ML", "EB", "SJ", "HE" or "HS".
    ci
        Interval of mu: "Wald", "HKSJ", or "HKSJ-floored" (variance factor at least 1).
    level
        Coverage of all intervals, between 0 and 1.

    Raises
    ------
    ValueError
        If a name or the level is not one of those above, shapes differ, yi is not finite, or vi is not
        positive and finite.
    """
    interval = choice("ci", ci, CI_METHODS)
    estimate = tau2_estimate(yi, vi, tau2)
    lower, upper = q_profile(yi, vi, level)
    if tau2 == "common":
        lower, upper = np.full_like(lower, np.nan), np.full_like(upper, np.nan)
    y, v = checked(yi, vi)
    k = y.shape[-1]
    at = pooled_mean(y, v, np.nan_to_num(estimate))
    factor = np.maximum(at.q / (k - 1), interval.floor) if interval.hksj and k > 1 else np.ones_like(at.q)
    return FrequentistBatch(y, v, tau2, ci, level, at.mu, np.sqrt(factor / at.total), estimate, lower, upper)
