"""A trial still to come: what the models need of it, and its standard error from its size.

The standard error is that of the formula of the measure (``arm_formulas``) at the numbers expected under a given
effect: planning takes it as known. That of an SMD or a log ratio changes with the effect observed; how little, or how
much where events are few, is seen by giving other effects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayespip.absolute import RISK_MEASURES
from bayespip.effects import EffectSizes
from bayespip.measures import BINARY, MEASURES, Measure, as_measure
from bayespip.study_data.arm_formulas import ARM_FORMULAS, SMD_CONVENTIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayespip.new_evidence.robust_priors import RobustPrior

__all__ = ["PLANNED", "TrialSize", "TrialToCome", "require_standard_error", "standard_error"]

# Measures whose standard error follows from the arms' sizes and what is asked for here.
PLANNED = ("RR", "OR", "PETO", "RD", "MD", "SMD")


@dataclass(frozen=True, slots=True, eq=False)
class TrialToCome:
    """The studies so far, and one whose estimate is still to come.

    Attributes
    ----------
    effects
        Effects of the k studies so far, on the model scale.
    se_new
        Standard error that the new trial's estimate will have.
    earlier
        Robust prior on mu from earlier evidence; None without. Its vague component is the prior on mu.

    Raises
    ------
    ValueError
        If se_new is not positive and finite.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> data = bp.TrialToCome(invented, se_new=0.2)
    >>> data.k, data.se_new
    (2, 0.2)
    """

    effects: EffectSizes
    se_new: float
    earlier: RobustPrior | None = None

    def __post_init__(self) -> None:
        require_standard_error(self.se_new)

    @property
    def study(self) -> tuple[str, ...]:
        """Labels of the studies so far."""
        return self.effects.study

    @property
    def k(self) -> int:
        """Number of studies so far."""
        return self.effects.k

    @property
    def measure(self) -> Measure:
        """That of the studies, and so of the trial to come."""
        return self.effects.measure

    @property
    def yi(self) -> NDArray[np.float64]:
        """Effects of the studies so far, shape (k,)."""
        return self.effects.yi

    @property
    def sei(self) -> NDArray[np.float64]:
        """Their standard errors, shape (k,)."""
        return self.effects.sei

    def take(self, rows: NDArray[np.intp]) -> TrialToCome:
        """With these of the studies only."""
        e = self.effects
        kept = EffectSizes([e.study[i] for i in rows], e.yi[rows], e.sei[rows], e.measure)
        return replace(self, effects=kept)


@dataclass(frozen=True, slots=True)
class TrialSize:
    """Size of a trial that is planned, and what else its standard error needs: see ``standard_error``.

    Attributes
    ----------
    n_e, n_c
        Participants analysed in the experimental and the control arm.
    control_risk
        For RR, OR, PETO and RD.
    sd
        For MD: within arms.
    effect
        On the display scale, at which the standard error is computed; None: the posterior median of mu.

    Examples
    --------
    >>> size = bp.TrialSize(n_e=100, n_c=100, control_risk=0.3, effect=0.7)
    >>> round(size.standard_error(bp.MEASURES["RR"], otherwise=1.0), 3)
    0.247
    """

    n_e: float
    n_c: float
    control_risk: float | None = None
    sd: float | None = None
    effect: float | None = None

    def standard_error(self, measure: Measure, otherwise: float) -> float:
        """In this measure; ``otherwise`` is the effect, on the display scale, where none was given."""
        effect = otherwise if self.effect is None else self.effect
        return standard_error(measure, self.n_e, self.n_c, effect=effect, control_risk=self.control_risk, sd=self.sd)


def standard_error(
    measure: str | Measure,
    n_e: float,
    n_c: float,
    *,
    effect: float,
    control_risk: float | None = None,
    sd: float | None = None,
    smd: str = "revman5",
) -> float:
    """Standard error, on the model scale, of the estimate of a trial of given size.

    Parameters
    ----------
    measure
        One of PLANNED.
    n_e, n_c
        Participants analysed in the experimental and the control arm, 2 at least.
    effect
        Effect at which it is computed, on the display scale.
    control_risk
        For RR, OR, PETO and RD: risk of the event in the control arm, in (0, 1).
    sd
        For MD: standard deviation within arms.
    smd
        Convention of the variance of an SMD, as in ``effect_sizes``.

    Raises
    ------
    ValueError
        If the measure is none of PLANNED, an argument is missing or not needed or out of range, or effect and
        control_risk give a risk outside (0, 1) in the experimental arm.
    """
    spec = as_measure(measure)
    if spec.name not in PLANNED:
        raise ValueError(
            f"the standard error of a trial of given size is known for {', '.join(PLANNED)}; {spec.name} needs se_new."
        )
    for name, n in (("n_e", n_e), ("n_c", n_c)):
        if not 2 <= n < math.inf:
            raise ValueError(f"{name} must be at least 2 and finite; got {n!r}.")
    low, high = spec.limits
    if not (math.isfinite(effect) and low < effect < high):
        raise ValueError(f"effect must be finite and between {low:g} and {high:g}, as {spec.name} is; got {effect!r}.")
    if spec.columns == BINARY:
        _refuse_given("sd", sd, spec)
        arms = _expected_counts(spec, n_e, n_c, effect, control_risk)
    else:
        _refuse_given("control_risk", control_risk, spec)
        sizes = {"n_e": n_e, "n_c": n_c, "mean_c": 0.0}
        arms = sizes | (_expected_means(effect, sd) if spec.name == "MD" else _standardised(sizes, effect, sd, smd))
    formula = SMD_CONVENTIONS[smd] if spec.name == "SMD" else ARM_FORMULAS[spec.name]
    _, variance = formula({name: np.array([value], dtype=float) for name, value in arms.items()})
    return require_standard_error(float(np.sqrt(variance[0])))


def require_standard_error(se_new: float) -> float:
    """Refuse a standard error that is none; the value."""
    if not 0 < se_new < math.inf:
        raise ValueError(f"se_new must be positive and finite; got {se_new!r}.")
    return se_new


def _refuse_given(name: str, value: float | None, spec: Measure) -> None:
    if value is not None:
        raise ValueError(f"{name} has no meaning for {spec.name}: leave it out; got {value!r}.")


def _expected_counts(
    spec: Measure, n_e: float, n_c: float, effect: float, control_risk: float | None
) -> dict[str, float]:
    if control_risk is None:
        raise ValueError(f"control_risk must be given for the standard error of a trial of {spec.name}; got None.")
    if not 0 < control_risk < 1:
        raise ValueError(f"control_risk must lie in (0, 1); got {control_risk!r}.")
    risk = control_risk + RISK_MEASURES[spec.name].difference(float(spec.model(effect)), control_risk)
    if not 0 < risk < 1:
        raise ValueError(
            f"effect and control_risk must give a risk between 0 and 1; {spec.name} {effect:g} at "
            f"{control_risk:g} gives {risk:.4g}. Give another effect to plan with, or control_risk."
        )
    return {"event_e": n_e * risk, "n_e": n_e, "event_c": n_c * control_risk, "n_c": n_c}


def _expected_means(effect: float, sd: float | None) -> dict[str, float]:
    if sd is None or not 0 < sd < math.inf:
        raise ValueError(f"sd, that within arms, must be given for MD, positive and finite; got {sd!r}.")
    return {"mean_e": effect, "sd_e": sd, "sd_c": sd}


def _standardised(sizes: dict[str, float], effect: float, sd: float | None, smd: str) -> dict[str, float]:
    """Means so far apart that the estimate, corrected for small samples, is the effect."""
    _refuse_given("sd", sd, MEASURES["SMD"])
    if smd not in SMD_CONVENTIONS:
        raise ValueError(f"smd must be one of {', '.join(SMD_CONVENTIONS)}; got {smd!r}.")
    one = sizes | {"mean_e": 1.0, "sd_e": 1.0, "sd_c": 1.0}
    correction, _ = SMD_CONVENTIONS[smd]({name: np.array([value]) for name, value in one.items()})
    return {"mean_e": effect / float(correction[0]), "sd_e": 1.0, "sd_c": 1.0}
