"""Effects of trials of which some are at high risk of bias, with what the user holds that to mean.

Two views: the estimates of such trials are off by a bias of elicited mean and SD (``BiasedEffects``), or they count
for less (``DiscountedEffects``). Neither size has a default: it is the user's elicitation.

References
----------
Turner RM, Spiegelhalter DJ, Smith GCS, Thompson SG. Bias modelling in evidence synthesis. J R Stat Soc A
2009;172:21-47. Welton NJ, Ades AE, Carlin JB, Altman DG, Sterne JAC. Models for potentially biased evidence in
meta-analysis using empirically based priors. J R Stat Soc A 2009;172:119-136. Ibrahim JG, Chen MH. Power prior
distributions for regression models. Stat Sci 2000;15:46-60.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np

from bayespip.effects import EffectSizes
from bayespip.model_data.judgements import judged_high
from bayespip.review import DIRECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from bayespip.measures import Measure
    from bayespip.reanalysis.cases import Case

__all__ = ["NO_WEIGHT", "BiasedEffects", "DiscountedEffects", "no_case", "towards"]

# The smallest weight kept: at 1e-20 a standard error is 1e10 times its own, and says nothing to the last digit.
NO_WEIGHT = 1e-20


@dataclass(frozen=True, slots=True, eq=False, init=False)
class _JudgedEffects:
    """Effects of k studies, of which some are at high risk of bias."""

    effects: EffectSizes
    high_risk: NDArray[np.bool_]

    @property
    def study(self) -> tuple[str, ...]:
        """Labels, length k."""
        return self.effects.study

    @property
    def k(self) -> int:
        """Number of studies."""
        return self.effects.k

    @property
    def measure(self) -> Measure:
        """The effect measure."""
        return self.effects.measure

    @property
    def yi(self) -> NDArray[np.float64]:
        """Effect estimates as published, shape (k,)."""
        return self.effects.yi

    @property
    def sei(self) -> NDArray[np.float64]:
        """Their standard errors as published, shape (k,)."""
        return self.effects.sei

    def _judge(self, effects: EffectSizes, high_risk: ArrayLike) -> None:
        if not isinstance(effects, EffectSizes):
            raise ValueError(f"effects must be EffectSizes; got {type(effects).__name__}.")
        marks = np.array(high_risk)
        if marks.dtype != bool or marks.shape != (effects.k,):
            raise ValueError(
                f"high_risk must be True or False for each of the {effects.k} studies; got {marks.dtype} of shape "
                f"{marks.shape}."
            )
        self._set(effects=effects, high_risk=marks)

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    def _elicited(self, name: str, value: ArrayLike, elsewhere: float, rule: str) -> NDArray[np.float64]:
        """A number for all trials at high risk, or one a study; ``elsewhere`` for the others, shape (k,)."""
        try:
            given = np.array(value, dtype=float)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must be numbers: {error}.") from None
        if given.shape not in ((), (self.k,)):
            raise ValueError(f"{name} must be a number or one a study, shape ({self.k},); got shape {given.shape}.")
        values = given if given.ndim else np.where(self.high_risk, given, elsewhere)
        good = _RULES[rule](given)
        if not np.all(good):
            at = ", ".join(self._shown(given, ~good)) if given.ndim else f"{given:g}"
            raise ValueError(f"{name} must be {rule}; got {at}.")
        wrong = ~self.high_risk & (values != elsewhere)
        if wrong.any():
            culprits = ", ".join(self._shown(values, wrong))
            raise ValueError(f"{name} must be {elsewhere:g} for studies not at high risk; not so for {culprits}.")
        return values

    def _shown(self, values: NDArray[np.float64], which: NDArray[np.bool_]) -> list[str]:
        return [f"{self.study[i]} ({values[i]:g})" for i in np.flatnonzero(which)]


_RULES: Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.bool_]]] = {
    "finite": np.isfinite,
    "finite and not negative": lambda x: np.isfinite(x) & (x >= 0),
    "between 0 and 1": lambda x: (x >= 0) & (x <= 1),
}


@dataclass(frozen=True, slots=True, eq=False, init=False)
class BiasedEffects(_JudgedEffects):
    """Effects of k studies, and the bias that those at high risk are held to have.

    The estimate of such a study is its effect plus a bias: yi ~ N(theta_i + b_i, sei^2), b_i ~ N(bias_mean_i,
    bias_sd_i^2), independent between studies. A positive bias lifts the estimate on the model scale (log for ratios);
    which arm that flatters follows from ``favours`` (``direction`` says it).

    Attributes
    ----------
    effects
        As published, on the model scale.
    high_risk
        Which studies are at high risk of bias, shape (k,), read-only.
    bias_mean, bias_sd
        Elicited mean and SD of the bias of each study, model scale, shape (k,), 0 for studies not at high risk,
        read-only. A number is that of every study at high risk.
    favours
        "higher" or "lower": which effects favour the experimental arm.

    Raises
    ------
    ValueError
        If shapes differ, a number is not finite, an SD is negative, a study not at high risk has a bias, or favours
        is none of the choices; the message names the studies.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> biased = bp.BiasedEffects(invented, [True, False], bias_mean=-0.2, bias_sd=0.2, favours="lower")
    >>> biased.adjusted.yi.round(2), biased.adjusted.sei.round(3)
    (array([-0.15, -0.92]), array([0.369, 0.42 ]))
    """

    bias_mean: NDArray[np.float64]
    bias_sd: NDArray[np.float64]
    favours: str

    def __init__(
        self, effects: EffectSizes, high_risk: ArrayLike, bias_mean: ArrayLike, bias_sd: ArrayLike, *, favours: str
    ) -> None:
        self._judge(effects, high_risk)
        if favours not in DIRECTIONS:
            raise ValueError(f"favours must be one of {', '.join(DIRECTIONS)}; got {favours!r}.")
        mean = self._elicited("bias_mean", bias_mean, 0.0, "finite")
        sd = self._elicited("bias_sd", bias_sd, 0.0, "finite and not negative")
        self._set(bias_mean=mean, bias_sd=sd, favours=favours)

    @classmethod
    def from_risk_of_bias(
        cls,
        effects: EffectSizes,
        table: pd.DataFrame,
        *,
        domains: Sequence[str],
        unclear: str,
        bias_mean: ArrayLike,
        bias_sd: ArrayLike,
        favours: str,
    ) -> Self:
        """Studies at high risk as a review judges them: see ``judged_high``; else as above."""
        marks = judged_high(effects.study, table, domains=domains, unclear=unclear)
        return cls(effects, marks, bias_mean, bias_sd, favours=favours)

    @property
    def adjusted(self) -> EffectSizes:
        """The effects with the bias integrated out: yi - bias_mean, and sqrt(sei^2 + bias_sd^2)."""
        return EffectSizes(self.study, self.yi - self.bias_mean, np.hypot(self.sei, self.bias_sd), self.measure)

    @property
    def direction(self) -> tuple[str, ...]:
        """Of each study's mean bias, as ``towards`` says it; length k."""
        return tuple(towards(float(bias), self.favours) for bias in self.bias_mean)

    def with_yi(self, yi: ArrayLike) -> Self:
        """The same studies with other estimates."""
        effects = EffectSizes(self.study, yi, self.sei, self.measure)
        return type(self)(effects, self.high_risk, self.bias_mean, self.bias_sd, favours=self.favours)

    def take(self, rows: NDArray[np.intp]) -> Self:
        """The studies of these numbers."""
        marks, mean, sd = (values[rows] for values in (self.high_risk, self.bias_mean, self.bias_sd))
        return type(self)(_taken(self.effects, rows), marks, mean, sd, favours=self.favours)


@dataclass(frozen=True, slots=True, eq=False, init=False)
class DiscountedEffects(_JudgedEffects):
    """Effects of k studies, those at high risk of bias discounted: their likelihood to the power a0.

    N(yi | theta_i, sei^2) to the power a0 is, up to a factor free of theta_i, N(yi | theta_i, sei^2 / a0): the study
    counts as if it had a share a0 of its participants.

    Attributes
    ----------
    effects
        As published, on the model scale.
    high_risk
        Which studies are at high risk of bias, shape (k,), read-only.
    a0
        Power of each study's likelihood, from 0 (left out) to 1 (counted whole), shape (k,), 1 for studies not at high
        risk, read-only. A number is that of every study at high risk.

    Raises
    ------
    ValueError
        If shapes differ, a0 is not within [0, 1], or is not 1 for a study not at high risk; the message names the
        studies.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> discounted = bp.DiscountedEffects(invented, [True, False], a0=0.5)
    >>> discounted.adjusted.sei.round(3)
    array([0.438, 0.42 ])
    """

    a0: NDArray[np.float64]

    def __init__(self, effects: EffectSizes, high_risk: ArrayLike, a0: ArrayLike) -> None:
        self._judge(effects, high_risk)
        self._set(a0=self._elicited("a0", a0, 1.0, "between 0 and 1"))

    @classmethod
    def from_risk_of_bias(
        cls, effects: EffectSizes, table: pd.DataFrame, *, domains: Sequence[str], unclear: str, a0: ArrayLike
    ) -> Self:
        """Studies at high risk as a review judges them: see ``judged_high``; else as above."""
        return cls(effects, judged_high(effects.study, table, domains=domains, unclear=unclear), a0)

    @property
    def discounted_sei(self) -> NDArray[np.float64]:
        """Standard errors sei / sqrt(a0), shape (k,); where a0 = 0 so large that the study says nothing."""
        return np.asarray(self.sei / np.sqrt(np.maximum(self.a0, NO_WEIGHT)))

    @property
    def adjusted(self) -> EffectSizes:
        """The effects with standard errors sei / sqrt(a0), without studies whose a0 is 0.

        Raises
        ------
        ValueError
            If no study is left.
        """
        left = np.flatnonzero(self.a0)
        if not left.size:
            raise ValueError(f"a0 = 0 for every study leaves none of {', '.join(self.study)}.")
        whole = EffectSizes(self.study, self.yi, self.discounted_sei, self.measure)
        return _taken(whole, left)

    def with_yi(self, yi: ArrayLike) -> Self:
        """The same studies with other estimates."""
        return type(self)(EffectSizes(self.study, yi, self.sei, self.measure), self.high_risk, self.a0)


def towards(bias: float, favours: str) -> str:
    """Which arm a bias of this sign flatters where ``favours`` effects are good: "experimental arm", "control arm"."""
    if bias == 0:
        return "neither arm"
    return "experimental arm" if (bias > 0) == (favours == "higher") else "control arm"


def no_case(case: Case, model: str, call: str) -> NoReturn:
    """Why a model of biased trials takes nothing of a review by itself; ``call`` makes what it needs."""
    if case.family is not None:
        raise ValueError(
            f"{case.analysis.id} has only its published result: {model} needs study data, and which trials stand "
            "behind it, and so which of them are at high risk of bias, is only partly known."
        )
    raise ValueError(
        f"{model} needs what a high risk of bias does, which is the user's elicitation and stands in no file: give "
        f"pymc_fit a {call}."
    )


def _taken(effects: EffectSizes, rows: NDArray[np.intp]) -> EffectSizes:
    return EffectSizes([effects.study[i] for i in rows], effects.yi[rows], effects.sei[rows], effects.measure)
