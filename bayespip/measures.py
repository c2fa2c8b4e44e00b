"""Effect measures as frozen specifications: what they need, how they are computed and shown.

Sources of the formulas: Higgins JPT, Li T, Deeks JJ. Choosing effect measures and computing estimates of
effect. Cochrane Handbook, chapter 6; Deeks JJ, Higgins JPT. Statistical algorithms in Review Manager 5 (2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

BINARY = ("event_e", "n_e", "event_c", "n_c")
CONTINUOUS = ("mean_e", "sd_e", "n_e", "mean_c", "sd_c", "n_c")


@dataclass(frozen=True, slots=True)
class Measure:
    """An effect measure.

    Attributes
    ----------
    name
        The field's abbreviation, as in metafor: "RR", "OR", "RD", "MD", "SMD".
    label
        What a reader sees.
    columns
        The arm-level columns its formula reads.
    log
        True for ratios: the model scale is the natural log, the display scale its exponential.
    """

    name: str
    label: str
    columns: tuple[str, ...]
    log: bool

    @property
    def null(self) -> float:
        """No effect, on the display scale: 1 for ratios, 0 for differences."""
        return 1.0 if self.log else 0.0

    @property
    def model_scale(self) -> str:
        """Name of the scale on which everything is computed."""
        return f"log {self.name}" if self.log else self.name

    def display(self, x: ArrayLike) -> NDArray[np.float64]:
        """Model scale to display scale: exp for ratios, unchanged for differences."""
        values = np.asarray(x, dtype=float)
        return np.exp(values) if self.log else values

    def model(self, x: ArrayLike) -> NDArray[np.float64]:
        """Display scale to model scale: log for ratios, unchanged for differences."""
        values = np.asarray(x, dtype=float)
        return np.log(values) if self.log else values


MEASURES: Mapping[str, Measure] = {
    m.name: m
    for m in (
        Measure("RR", "Risk ratio", BINARY, log=True),
        Measure("OR", "Odds ratio", BINARY, log=True),
        Measure("RD", "Risk difference", BINARY, log=False),
        Measure("MD", "Mean difference", CONTINUOUS, log=False),
        Measure("SMD", "Standardised mean difference", CONTINUOUS, log=False),
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
