"""A frequentist meta-analysis of one outcome: common and random effects, on the model scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayespip.effects import require_effects
from bayespip.fits import Estimate, RandomEffects
from bayespip.frequentist.batches import (
    CI_METHODS,
    PREDICTION_DF,
    FrequentistBatch,
    frequentist_batch,
)
from bayespip.frequentist.heterogeneity import choice, tau2_estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes

    Array = NDArray[np.float64]

__all__ = ["FrequentistBatch", "FrequentistFit", "frequentist_batch", "frequentist_fit", "tau2_estimate"]


@dataclass(frozen=True, slots=True, eq=False)
class FrequentistFit(RandomEffects):
    """A frequentist meta-analysis of one outcome, on the model scale.

    Attributes
    ----------
    effects
        What was pooled.
    pooled
        The arithmetic, as a batch of shape ().
    prediction
        Degrees of freedom of `theta_new`: "k-1" or "k-2".

    Examples
    --------
    >>> effects = bp.effect_sizes(bp.load_review("bcg")["1.1"].studies, "RR")
    >>> fit = bp.frequentist_fit(effects, "DL", "Wald")
    >>> fit.method, round(fit.q, 2), round(100 * fit.i2, 1)
    ('DL, Wald', 152.23, 92.1)
    """

    effects: EffectSizes
    pooled: FrequentistBatch
    prediction: str

    @property
    def method(self) -> str:
        """Such as "REML, HKSJ floored"."""
        name = self.pooled.tau2_method
        return f"{'common effect' if name == 'common' else name}, {CI_METHODS[self.pooled.ci].label}"

    @property
    def prior(self) -> str:
        """Empty: there is none."""
        return ""

    @property
    def prob_positive(self) -> float:
        """Not a number: mu has no distribution here."""
        return float("nan")

    @property
    def level(self) -> float:
        """Coverage of all intervals."""
        return self.pooled.level

    @property
    def mu(self) -> Estimate:
        """Average effect and its confidence interval."""
        return _estimate(self.pooled.mu, self.pooled.lower, self.pooled.upper)

    @property
    def tau(self) -> Estimate:
        """Between-study standard deviation: roots of `tau2` and of its Q-profile limits."""
        return _estimate(*np.sqrt((self.pooled.tau2, self.pooled.tau2_lower, self.pooled.tau2_upper)))

    @property
    def theta(self) -> Mapping[str, Estimate]:
        """Study effects by study: best linear unbiased predictions."""
        rows = np.transpose(self.pooled.theta())
        return {study: _estimate(*row) for study, row in zip(self.effects.study, rows, strict=True)}

    @property
    def theta_new(self) -> Estimate:
        """Effect in a new study: mu and the prediction interval."""
        return self.prediction_interval(self.prediction)

    def prediction_interval(self, df: str = "k-1") -> Estimate:
        """The prediction interval with t on "k-1" or "k-2" degrees of freedom; nan where undefined."""
        return _estimate(self.pooled.mu, *self.pooled.prediction_interval(df))

    @property
    def se(self) -> float:
        """Standard error of mu, with the HKSJ factor where that was asked for."""
        return float(self.pooled.se)

    @property
    def statistic(self) -> float:
        """Statistic of the test of mu = 0: z, or t on `df`."""
        return float(self.pooled.statistic)

    @property
    def df(self) -> float:
        """Degrees of freedom of the interval of mu; infinite for Wald."""
        return self.pooled.df

    @property
    def p_value(self) -> float:
        """Two-sided p-value of the test of mu = 0."""
        return float(self.pooled.p_value)

    @property
    def tau2(self) -> float:
        """Between-study variance."""
        return float(self.pooled.tau2)

    @property
    def tau2_interval(self) -> tuple[float, float]:
        """Q-profile interval of tau2."""
        return float(self.pooled.tau2_lower), float(self.pooled.tau2_upper)

    @property
    def q(self) -> float:
        """Cochran's Q."""
        return float(self.pooled.q)

    @property
    def q_p(self) -> float:
        """The p-value of Q on k - 1 degrees of freedom."""
        return float(self.pooled.q_p)

    @property
    def i2(self) -> float:
        """I2, between 0 and 1."""
        return float(self.pooled.i2)

    @property
    def h2(self) -> float:
        """H2."""
        return float(self.pooled.h2)

    @property
    def weights(self) -> Array:
        """Shares of the studies in mu, shape (k,); their sum is 1."""
        return self.pooled.weights

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know beside the numbers, one sentence each; often empty."""
        if self.effects.k == 1:
            return ("One study (k = 1): mu is its effect with the Wald interval; tau is not estimable.",)
        notes = []
        if self.pooled.tau2_method == "common":
            notes.append("The common-effect model assumes tau = 0: no interval for tau or for a new study.")
        elif self.effects.k == PREDICTION_DF[self.prediction]:
            notes.append(f"A prediction interval on {self.prediction} = 0 degrees of freedom is undefined.")
        if self.se == 0:
            notes.append("The effects agree exactly (Q = 0): the unfloored HKSJ interval has width 0.")
        lower, upper = self.tau2_interval
        if upper == 0:
            notes.append("Q is so small that the Q-profile interval of tau2 is empty; it is shown as 0 to 0.")
        elif self.tau2 < lower or self.tau2 > upper:
            notes.append("The estimate of tau2 lies outside its Q-profile interval, made by another method.")
        return tuple(notes)


def frequentist_fit(
    effects: EffectSizes,
    tau2: str = "REML",
    ci: str = "HKSJ-floored",
    *,
    level: float = 0.95,
    prediction: str = "k-1",
) -> FrequentistFit:
    """Meta-analysis of one outcome.

    Parameters
    ----------
    effects
        Study effects and standard errors.
    tau2, ci, level
        As in `frequentist_batch`.
    prediction
        Degrees of freedom of the prediction interval shown as theta_new: "k-1" or "k-2". The choice of the
        default is explained in docs/decisions/prediction-interval.md.

    Raises
    ------
    ValueError
        If a name or the level is none of those named.

    Examples
    --------
    >>> effects = bp.effect_sizes(bp.load_review("bcg")["1.1"].studies, "RR")
    >>> fit = bp.frequentist_fit(effects, tau2="REML", ci="HKSJ")
    >>> round(fit.mu.point, 4), round(fit.se, 4), round(fit.tau2, 4)
    (-0.7145, 0.1808, 0.3132)
    """
    require_effects(effects)
    choice("prediction", prediction, PREDICTION_DF)
    pooled = frequentist_batch(effects.yi, effects.vi, tau2, ci, level=level)
    return FrequentistFit(effects, pooled, prediction)


def _estimate(point: Array, lower: Array, upper: Array) -> Estimate:
    return Estimate(float(point), float(lower), float(upper))
