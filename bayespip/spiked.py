"""A posterior with a spike: a probability of exactly no effect beside a continuous part."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, override

import numpy as np

from bayespip.exact.marginals import Marginal

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["SpikedMarginal"]


@dataclass(frozen=True, eq=False)
class SpikedMarginal(Marginal):
    """Zero with probability ``spike``, otherwise distributed as ``continuous``.

    Attributes
    ----------
    spike
        Probability of exactly zero on the model scale, in [0, 1].
    continuous
        The distribution otherwise.
    """

    spike: float
    continuous: Marginal = field(repr=False)

    @classmethod
    def around(cls, continuous: Marginal, spike: float) -> SpikedMarginal:
        """The mixture of a spike at zero and a continuous marginal, whose name, measure and level it takes."""
        c, rest = continuous, 1 - spike
        mean = rest * c.mean
        variance = rest * (c.sd**2 + (c.mean - mean) ** 2) + spike * mean**2
        return cls(c.name, c.measure, c.level, mean, math.sqrt(variance), c.notes, spike, c)

    @override
    def pdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Density of the continuous part at x, any shape: it integrates to ``1 - spike``."""
        return (1 - self.spike) * self.continuous.pdf(x)

    @override
    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        values = np.asarray(x, dtype=float)
        return (1 - self.spike) * self.continuous.cdf(values) + self.spike * (values >= 0)

    @override
    def quantile(self, p: ArrayLike) -> NDArray[np.float64]:
        rest = 1 - self.spike
        if not 0 < rest < 1:
            found = self.continuous.quantile(p)
            return found if rest else np.zeros_like(found)
        values = np.asarray(p, dtype=float)
        before = rest * float(self.continuous.cdf(0.0))
        at_zero = (values > before) & (values <= before + self.spike)
        # from the nearer end, so that rounding leaves 0 and 1 what they are
        share = np.where(values <= before, values / rest, 1 - (1 - values) / rest)
        found = self.continuous.quantile(np.where(at_zero, 0.5, share))
        found = np.where(values <= before, np.minimum(found, 0.0), np.maximum(found, 0.0))
        return np.where(at_zero, 0.0, found)

    @override
    def prob_greater(self, x: float) -> float:
        """P(X > x): at x = 0 without the spike."""
        return (1 - self.spike) * self.continuous.prob_greater(x) + self.spike * (x < 0)

    def prob_less(self, x: float) -> float:
        """P(X < x): at x = 0 without the spike."""
        return float((1 - self.spike) * self.continuous.cdf(x)) + self.spike * (x > 0)

    @override
    def interval(
        self,
        level: float | None = None,
        kind: Literal["central", "shortest"] = "central",
        scale: Literal["model", "display"] = "model",
    ) -> tuple[float, float]:
        """Central interval as of any marginal; a shortest one does not exist beside a spike.

        Raises
        ------
        ValueError
            If level is not in (0, 1), kind is "shortest" although there is a spike, or scale is unknown.
        """
        if kind == "shortest" and self.spike:
            raise ValueError(f"kind must be central for {self.name}, which has a spike at zero; got {kind!r}.")
        return super().interval(level, kind, scale)

    @property
    @override
    def mode(self) -> float:
        """Zero where there is a spike, which is denser than any density."""
        return 0.0 if self.spike else self.continuous.mode
