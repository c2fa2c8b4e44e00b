"""Effect measures as frozen specifications: what they need, how they are computed and shown.

Sources of the formulas: Higgins JPT, Li T, Deeks JJ. Choosing effect measures and computing estimates of
effect. Cochrane Handbook, chapter 6; Deeks JJ, Higgins JPT. Statistical algorithms in Review Manager 5 (2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]

BINARY = ("event_e", "n_e", "event_c", "n_c")
CONTINUOUS = ("mean_e", "sd_e", "n_e", "mean_c", "sd_c", "n_c")
O_E = ("o_e", "variance")
PROPORTION = ("event", "n")
CORRELATION = ("r", "n")


@dataclass(frozen=True, slots=True)
class _Scale:
    """The way from the model scale to the display scale.

    Attributes
    ----------
    display, model
        There and back.
    log_slope
        Logarithm of the derivative of `display`, at a value on the model scale.
    limits
        Between which values on the display scale lie.
    """

    display: Function
    model: Function
    log_slope: Function
    limits: tuple[float, float]


_IDENTITY = _Scale(lambda x: x, lambda x: x, np.zeros_like, (-np.inf, np.inf))
_LOG = _Scale(np.exp, np.log, lambda x: x, (0.0, np.inf))
# d tanh(x) / dx = 1 / cosh(x)^2
_FISHER_Z = _Scale(np.tanh, np.arctanh, lambda x: -2 * (np.logaddexp(x, -x) - np.log(2)), (-1.0, 1.0))


@dataclass(frozen=True, slots=True)
class Measure:
    """An effect measure.

    Attributes
    ----------
    name
        The field's abbreviation, as in metafor's escalc: "RR", "OR", "SMD", "ZCOR"; of a file, its own words.
    label
        What a reader sees.
    columns
        The columns its formula reads; () where only estimates with standard errors exist.
    log
        True for ratios: the model scale is the natural log, the display scale its exponential.
    fisher_z
        True for correlations analysed as Fisher's z = artanh r; the display scale is r.
    instead
        Other columns that serve in place of `columns`, and are preferred where a table has them; or ().

    Raises
    ------
    ValueError
        If log and fisher_z are both true.

    Examples
    --------
    >>> measure = bp.MEASURES["RR"]
    >>> measure.label, measure.null, measure.model(0.5).round(4).item(), measure.display(-0.6931).round(4).item()
    ('Risk ratio', 1.0, -0.6931, 0.5)
    """

    name: str
    label: str
    columns: tuple[str, ...]
    log: bool
    fisher_z: bool = False
    instead: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.log and self.fisher_z:
            raise ValueError(f"log and fisher_z cannot both be true; they are for {self.name}.")

    @property
    def null(self) -> float:
        """No effect, on the display scale: 1 for ratios, otherwise 0 (which for a proportion means nothing)."""
        return float(self.display(0.0))

    @property
    def model_scale(self) -> str:
        """Name of the scale on which everything is computed."""
        return f"log {self.name}" if self.log else self.name

    @property
    def limits(self) -> tuple[float, float]:
        """Between which values on the display scale lie: (0, inf) for ratios, (-1, 1) for Fisher's z."""
        return self._scale.limits

    def display(self, x: ArrayLike) -> NDArray[np.float64]:
        """Model scale to display scale: exp for ratios, tanh for Fisher's z, otherwise unchanged."""
        with np.errstate(over="ignore"):  # a log ratio above 709 is infinite
            return self._scale.display(np.asarray(x, dtype=float))

    def model(self, x: ArrayLike) -> NDArray[np.float64]:
        """Display scale to model scale: log for ratios, artanh for Fisher's z, otherwise unchanged."""
        with np.errstate(divide="ignore", invalid="ignore"):  # a ratio of zero or below, as some files print
            return self._scale.model(np.asarray(x, dtype=float))

    def log_slope(self, x: ArrayLike) -> NDArray[np.float64]:
        """Log of the derivative of `display` at `x` on the model scale: what densities change by."""
        return self._scale.log_slope(np.asarray(x, dtype=float))

    @property
    def _scale(self) -> _Scale:
        if self.log:
            return _LOG
        return _FISHER_Z if self.fisher_z else _IDENTITY


MEASURES: Mapping[str, Measure] = {
    m.name: m
    for m in (
        Measure("RR", "Risk ratio", BINARY, log=True),
        Measure("OR", "Odds ratio", BINARY, log=True),
        Measure("PETO", "Peto odds ratio", BINARY, log=True, instead=O_E),
        Measure("HR", "Hazard ratio", O_E, log=True),
        Measure("RD", "Risk difference", BINARY, log=False),
        Measure("MD", "Mean difference", CONTINUOUS, log=False),
        Measure("SMD", "Standardised mean difference", CONTINUOUS, log=False),
        Measure("ROM", "Ratio of means", CONTINUOUS, log=True),
        Measure("PR", "Proportion", PROPORTION, log=False),
        Measure("COR", "Correlation", CORRELATION, log=False),
        Measure("ZCOR", "Correlation (by Fisher's z)", CORRELATION, log=False, fisher_z=True),
    )
}


def as_measure(measure: str | Measure) -> Measure:
    """The measure of that name.

    Raises
    ------
    ValueError
        If there is none; the message lists the choices.
    """
    if isinstance(measure, Measure):
        return measure
    try:
        return MEASURES[measure]
    except (KeyError, TypeError):
        raise ValueError(f"measure must be one of {', '.join(MEASURES)}; got {measure!r}.") from None
