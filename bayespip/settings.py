"""How a review pools an analysis, as its own file says."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Settings", "Subgroup"]

DATA_TYPES = ("dichotomous", "continuous", "generic", "O-E", "other")
METHODS = ("MH", "IV", "Peto")
MODELS = ("fixed", "random")
TOTALS = ("total", "subgroups", "none")


@dataclass(frozen=True, slots=True)
class Subgroup:
    """A subgroup of an analysis.

    Attributes
    ----------
    number
        As the file numbers it, from 1.
    name
        Unique in its analysis.
    """

    number: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Choices of the review's authors for one analysis; None where the file does not store one.

    Attributes
    ----------
    data_type
        "dichotomous", "continuous", "generic" (estimates with standard errors), "O-E" (observed minus expected
        events with variances) or "other" (text).
    method
        Of pooling: "MH" (Mantel-Haenszel), "IV" (inverse variance) or "Peto" (also any Exp[(O-E)/Var]).
    model
        "fixed" (common effect) or "random".
    tau2, ci
        Estimator of the between-study variance and interval method, as ``frequentist_fit`` names them.
    totals
        What is pooled: "total" (and each subgroup), "subgroups" (no total over them) or "none".
    subgroup_test
        Whether the test for subgroup differences is shown.
    level_study, level_total
        Probability of the studies' and of the pooled intervals.
    swap_events
        Whether events and non-events change places before anything is computed.
    log_data
        Whether given estimates are logarithms, shown exponentiated.
    effect_label
        The effect measure in the file's own words, such as "Hazard Ratio".
    label_e, label_c
        Of the arms.
    label_left, label_right
        Of the two sides of the forest plot, such as "Favours control".

    Examples
    --------
    >>> bp.Settings(data_type="dichotomous", method="MH", model="random").tau2
    'DL'
    """

    data_type: str
    method: str | None = None
    model: str | None = None
    tau2: str = "DL"
    ci: str = "Wald"
    totals: str = "total"
    subgroup_test: bool | None = None
    level_study: float = 0.95
    level_total: float = 0.95
    swap_events: bool | None = None
    log_data: bool | None = None
    effect_label: str = ""
    label_e: str = ""
    label_c: str = ""
    label_left: str = ""
    label_right: str = ""

    def __post_init__(self) -> None:
        _require("data_type", self.data_type, DATA_TYPES)
        _require("totals", self.totals, TOTALS)
        _require("method", self.method, (*METHODS, None))
        _require("model", self.model, (*MODELS, None))
        for name in ("level_study", "level_total"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in (0, 1); got {getattr(self, name)!r}.")


def _require(name: str, value: str | None, choices: tuple[str | None, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}; got {value!r}.")
