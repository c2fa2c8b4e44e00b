"""How far a conclusion depends on what a high risk of bias is held to do.

Under the models ``bias_adjusted`` and ``power_prior`` with mean, SD or weight given, theta and bias integrate out and
leave the normal-normal model on shifted estimates with larger standard errors: everything here is by the exact engine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import optimize

from bayespip.exact import mixtures
from bayespip.exact.fit import exact_fit
from bayespip.exact.posterior import posterior
from bayespip.exact.propriety import require_proper_posterior
from bayespip.fits import Estimate
from bayespip.model_data.bias import BiasedEffects, DiscountedEffects, towards
from bayespip.priors.scales import require_pair
from bayespip.reanalysis.quantities import mixture
from bayespip.sensitivity.tipping import allowed_tail, scales_between

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from bayespip.effects import EffectSizes
    from bayespip.measures import Measure
    from bayespip.priors import Priors

__all__ = ["TippingBias", "bias_sensitivity", "tipping_bias"]

# Biases searched: from a small part of the smallest standard error, to many times the largest number there is.
_SMALLEST, _LARGEST = 1e-3, 100
_A_DECADE = 24  # biases scanned; a claim lost and regained between two of them is not seen
_ROOT = 1e-12  # precision of a tipping bias, absolute in the unit of the effects and relative

_EDGES = ("point", "lower", "upper")
_COLUMNS = (
    "model", "bias_mean", "bias_sd", "a0", "towards", "measure", "k", "prior",
    *_EDGES, *(f"{edge}_model" for edge in _EDGES), "level", "prob_positive", "excludes_no_effect",
)  # fmt: skip


def bias_sensitivity(
    effects: EffectSizes,
    high_risk: ArrayLike,
    priors: Priors,
    *,
    bias_means: Sequence[float],
    bias_sds: Sequence[float],
    a0s: Sequence[float],
    favours: str,
    level: float = 0.95,
) -> pd.DataFrame:
    """The average effect over a grid of biases, and of discounts, of the trials at high risk.

    Parameters
    ----------
    effects
        Effects of k studies on the model scale.
    high_risk
        Which of them are at high risk of bias, shape (k,): such as ``judged_high`` gives.
    priors
        Priors on mu and tau.
    bias_means, bias_sds
        Means and SDs of the bias of every trial at high risk, model scale: every pair is a row.
    a0s
        Weights of every trial at high risk, from 0 (left out) to 1 (counted whole).
    favours
        "higher" or "lower": which effects favour the experimental arm.
    level
        Of the intervals.

    Returns
    -------
    DataFrame
        One row a setting, the first as published: model ("normal_normal", "bias_adjusted", "power_prior"); bias_mean
        and bias_sd, or a0 (nan where not of the model); towards, the arm that the mean bias flatters; measure, k (of
        the studies left) and prior; point, lower, upper of mu on the display scale and on the model scale
        (``_model``); level; prob_positive, P(mu > 0 on the model scale); excludes_no_effect, whether the interval does.

    Raises
    ------
    ValueError
        If no study is at high risk, none is left, a posterior is improper, or an argument is out of range.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> grids = {"bias_means": [-0.2], "bias_sds": [0.1, 0.3], "a0s": [0.5]}
    >>> table = bp.bias_sensitivity(invented, [True, False], weak, **grids, favours="lower")
    >>> print(table[["model", "bias_sd", "a0", "point", "upper"]].round(2).to_string(index=False))
            model  bias_sd  a0  point  upper
    normal_normal      NaN NaN   0.57   1.24
    bias_adjusted      0.1 NaN   0.63   1.43
    bias_adjusted      0.3 NaN   0.59   1.43
      power_prior      NaN 0.5   0.53   1.26
    """
    import pandas as pd

    _require_some(effects, high_risk)
    settings = _settings(effects, high_risk, bias_means=bias_means, bias_sds=bias_sds, a0s=a0s, favours=favours)
    rows = []
    for setting, adjusted in settings:
        fit = exact_fit(adjusted, priors, level=level)
        model = np.array([fit.mu.point, fit.mu.lower, fit.mu.upper])
        row = {"bias_mean": np.nan, "bias_sd": np.nan, "a0": np.nan, "towards": ""} | setting
        row |= {"measure": effects.measure.name, "k": adjusted.k, "prior": fit.prior, "level": level}
        row |= dict(zip(_EDGES, effects.measure.display(model), strict=True))
        row |= {f"{edge}_model": x for edge, x in zip(_EDGES, model, strict=True)}
        row |= {"prob_positive": fit.prob_positive, "excludes_no_effect": bool(model[1] > 0 or model[2] < 0)}
        rows.append(row)
    return pd.DataFrame(rows, columns=_COLUMNS)


def _settings(
    effects: EffectSizes,
    high_risk: ArrayLike,
    *,
    bias_means: Sequence[float],
    bias_sds: Sequence[float],
    a0s: Sequence[float],
    favours: str,
) -> Iterator[tuple[dict[str, Any], EffectSizes]]:
    """Each setting as columns, and the effects to which it leads."""
    yield {"model": "normal_normal"}, effects
    for mean in bias_means:
        for sd in bias_sds:
            biased = BiasedEffects(effects, high_risk, mean, sd, favours=favours)
            about = {"bias_mean": float(mean), "bias_sd": float(sd), "towards": towards(float(mean), favours)}
            yield {"model": "bias_adjusted"} | about, biased.adjusted
    for a0 in a0s:
        yield {"model": "power_prior", "a0": float(a0)}, DiscountedEffects(effects, high_risk, a0).adjusted


@dataclass(frozen=True, slots=True)
class TippingBias:
    """How much bias in the trials at high risk removes a claim about mu.

    Attributes
    ----------
    claim
        In words.
    side
        "above" or "below" no effect: the side on which mu lies as published.
    measure
        The effect measure.
    favours
        Which effects favour the experimental arm.
    bias_sd
        SD of the bias, model scale.
    bias_mean
        Smallest mean bias, in the direction of the claim, at which it is lost, model scale: the estimates of the
        trials at high risk are off by so much on average. 0 if the claim is lost without any; infinite (with its
        sign) if none of the biases tried removes it.
    searched
        Largest bias tried, model scale, with its sign.
    interval_at
        Median and central interval of mu at ``bias_mean``; nan where there is none.
    """

    claim: str
    side: str
    measure: Measure
    favours: str
    bias_sd: float
    bias_mean: float
    searched: float
    interval_at: Estimate

    @property
    def answer(self) -> Literal["tips", "never", "always"]:
        """Whether the claim "tips" at ``bias_mean``, or is "never" or "always" lost at the biases tried."""
        if self.bias_mean == 0:
            return "always"
        return "tips" if math.isfinite(self.bias_mean) else "never"

    def __str__(self) -> str:
        """Such as "lost once trials at high risk have a mean bias of +0.31 towards the experimental arm"."""
        sd = f" (SD {self.bias_sd:.3g})" if self.bias_sd else ""
        if self.answer == "always":
            return f"does not hold even if trials at high risk have a mean bias of 0{sd}"
        size = self.searched if self.answer == "never" else self.bias_mean
        shown = f"{size:+.3g}"
        if self.measure.log:
            shown += f", a ratio of {float(self.measure.display(size)):.3g},"
        arm = f"towards the {towards(size, self.favours)}"
        if self.answer == "never":
            return f"holds whatever mean bias up to {shown} {arm}{sd} trials at high risk have"
        return f"lost once trials at high risk have a mean bias of {shown} {arm}{sd}"


def tipping_bias(
    effects: EffectSizes,
    high_risk: ArrayLike,
    priors: Priors,
    *,
    bias_sd: float,
    favours: str,
    claim: str | float = "interval",
    level: float = 0.95,
) -> TippingBias:
    """The mean bias of the trials at high risk that would remove a claim about mu.

    Parameters
    ----------
    effects, high_risk, priors, favours
        As in ``bias_sensitivity``.
    bias_sd
        SD of the bias about its mean, model scale, held fixed. With 0 every such trial is off by the same amount.
    claim
        "interval": the central interval of mu excludes no effect. A number such as 0.975 or 0.9: P(mu on its side of
        no effect) is larger than that.
    level
        Of the interval.

    Returns
    -------
    TippingBias
        ``bias_mean`` to a relative and absolute error of 1e-12: the first crossing, found by scanning biases from
        zero in the claim's direction and bracketing. Nothing is taken to be monotone: trials that disagree make tau
        large, so that a claim may be lost by their disagreement as well as by the shift, and could hold again at a
        larger bias.

    Raises
    ------
    ValueError
        If no study is at high risk, the posterior is improper, or an argument is out of range.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> narrow = bp.Priors(bp.priors.flat(), bp.priors.half_normal(0.1))
    >>> print(bp.tipping_bias(invented, [True, False], narrow, bias_sd=0.1, favours="lower"))
    lost once trials at high risk have a mean bias of -0.0716, a ratio of 0.931, towards the experimental arm (SD 0.1)
    """
    _require_some(effects, high_risk)
    tail, words = allowed_tail(claim, level)
    require_pair(priors, effects.measure)
    require_proper_posterior(effects.k, priors)
    unshifted = BiasedEffects(effects, high_risk, 0.0, bias_sd, favours=favours)
    above = exact_fit(effects, priors).prob_positive > 0.5
    largest = float(max(unshifted.adjusted.sei.max(), np.abs(effects.yi).max()))
    sizes = scales_between(_SMALLEST * float(effects.sei.min()), _LARGEST * largest, _A_DECADE)
    biases = (1 if above else -1) * sizes
    found = _first_lost(unshifted, priors, above, tail, biases)
    at = Estimate(math.nan, math.nan, math.nan)
    if found and math.isfinite(found):
        shifted = BiasedEffects(effects, high_risk, found, bias_sd, favours=favours)
        mu = exact_fit(shifted.adjusted, priors, level=level).mu
        at = Estimate(mu.point, mu.lower, mu.upper)
    side = "above" if above else "below"
    return TippingBias(words, side, effects.measure, favours, float(bias_sd), found, float(biases[-1]), at)


def _first_lost(
    unshifted: BiasedEffects, priors: Priors, above: bool, tail: float, biases: NDArray[np.float64]
) -> float:
    """The first mean bias, from 0 along these, at which the claim is lost; infinite with their sign if at none."""

    def excess(several: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log of the far side's probability over the largest that the claim allows: negative where it holds."""
        yi = unshifted.yi - several[:, None] * unshifted.high_risk
        vi = np.tile(unshifted.adjusted.vi, (len(yi), 1))
        far = mixtures.probabilities(*mixture(posterior(yi, vi, priors)), np.zeros(1), not above)[:, 0]
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(far / tail))

    tried = np.concatenate([[0.0], biases])
    lost = excess(tried) >= 0
    if not lost.any():
        return math.copysign(math.inf, biases[0])
    first = int(lost.argmax())
    if first == 0:
        return 0.0
    return float(optimize.bisect(lambda b: excess(np.array([b]))[0], tried[first - 1], tried[first], xtol=_ROOT))


def _require_some(effects: EffectSizes, high_risk: ArrayLike) -> None:
    if not np.any(high_risk):
        raise ValueError(f"high_risk must mark at least one study; it marks none of {', '.join(effects.study)}.")
