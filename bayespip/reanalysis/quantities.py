"""The reported quantities of an analysis under one method, for many study data sets of the same k at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bayespip.exact import mixtures
from bayespip.exact.posterior import Posterior, posterior
from bayespip.exact.propriety import require_proper_posterior
from bayespip.exact.quadrature import cumulative
from bayespip.frequentist.batches import CI_METHODS, frequentist_batch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayespip.priors import Priors

    Mixture = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

PARAMETERS = ("mu", "tau", "theta_new")
QUANTITIES = (*(f"{p}_{e}" for p in PARAMETERS for e in ("point", "lower", "upper")), "prob_positive")
EXACT, SAMPLED = "exact normal-normal", "PyMC normal-normal"  # names of the Bayesian engines in tables
# The common effect; what most reviews use; Cochrane's current default (REML, HKSJ, Q-profile); and its safer form.
FREQUENTIST = (("common", "Wald"), ("DL", "Wald"), ("REML", "HKSJ"), ("REML", "HKSJ-floored"))
# Of the quadrature and of quantiles, in posterior SDs: for values that are shown, and for members that are
# only compared with each other.
TOLERANCE, DRAFT = 1e-4, 1e-2
_NO_WEIGHT = 1e-3  # components of less than this share of the tolerance are passed over
_PANELS_FROM = 256  # members of a first batch, from which the panels are chosen


class Method(Protocol):
    """A way to pool study data sets of the same k: yi, vi of shape (B, k)."""

    @property
    def name(self) -> str:
        """Label for tables."""

    def quantities(
        self, yi: NDArray[np.float64], vi: NDArray[np.float64], tolerance: float = TOLERANCE
    ) -> NDArray[np.float64]:
        """All quantities on the model scale, shape (B, len(QUANTITIES)); nan where one does not exist."""

    def chosen(self, yi: NDArray[np.float64], vi: NDArray[np.float64], which: NDArray[np.intp]) -> NDArray[np.float64]:
        """One quantity a row, shape (B,), as precise as comparing rows needs."""


@dataclass(frozen=True)
class Frequentist:
    """A frequentist method: see ``frequentist_fit`` for tau2 and ci."""

    tau2: str
    ci: str
    level: float = 0.95

    @property
    def name(self) -> str:
        """As in ``FrequentistFit.method``."""
        return f"{self.tau2}, {CI_METHODS[self.ci].label}"

    def quantities(
        self, yi: NDArray[np.float64], vi: NDArray[np.float64], tolerance: float = TOLERANCE
    ) -> NDArray[np.float64]:
        """See Method.quantities; closed forms need no tolerance."""
        del tolerance
        b = frequentist_batch(yi, vi, self.tau2, self.ci, level=self.level)
        new_lower, new_upper = b.prediction_interval()
        columns = (b.mu, b.lower, b.upper, *(np.sqrt(t) for t in (b.tau2, b.tau2_lower, b.tau2_upper)))
        return np.column_stack([*columns, b.mu, new_lower, new_upper, np.full_like(b.mu, np.nan)])

    def chosen(self, yi: NDArray[np.float64], vi: NDArray[np.float64], which: NDArray[np.intp]) -> NDArray[np.float64]:
        """See Method.chosen."""
        return np.asarray(self.quantities(yi, vi)[np.arange(len(which)), which])


@dataclass
class Bayesian:
    """The exact engine on batches; the panels of the first batch serve the later ones.

    Attributes
    ----------
    priors, level
        As for ``exact_fit``.
    edges
        Panels by tolerance, once chosen.
    """

    priors: Priors
    level: float = 0.95
    edges: dict[float, NDArray[np.float64]] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Label of the priors."""
        return self.priors.label

    def posterior(self, yi: NDArray[np.float64], vi: NDArray[np.float64], tolerance: float = TOLERANCE) -> Posterior:
        """Posterior nodes of a batch.

        Raises
        ------
        ValueError
            If the posterior is improper; the message says why.
        """
        if tolerance not in self.edges:
            require_proper_posterior(yi.shape[1], self.priors)
            few = _some(vi)
            first = posterior(yi[few], vi[few], self.priors, tolerance=tolerance)
            self.edges[tolerance] = first.panels.edges
        return posterior(yi, vi, self.priors, tolerance=tolerance, edges=self.edges[tolerance])

    def quantities(
        self, yi: NDArray[np.float64], vi: NDArray[np.float64], tolerance: float = TOLERANCE
    ) -> NDArray[np.float64]:
        """See Method.quantities."""
        nodes = self.posterior(yi, vi, tolerance)
        p = self.probabilities
        mu, new = mixture(nodes), mixture(nodes, new_study=True)
        positive = mixtures.probabilities(*mu, np.zeros(1), True)
        limits = (_limits(mu, p, tolerance), tau_quantiles(nodes, p), _limits(new, p, tolerance))
        return np.concatenate([*limits, positive], axis=1)

    def chosen(self, yi: NDArray[np.float64], vi: NDArray[np.float64], which: NDArray[np.intp]) -> NDArray[np.float64]:
        """See Method.chosen; only the quantity asked for is computed."""
        nodes = self.posterior(yi, vi, DRAFT)
        out = np.empty(len(which))
        for column in np.unique(which):
            rows = np.flatnonzero(which == column)
            parameter, p = PARAMETERS[column // 3 % 3], self.probabilities[[column % 3]]
            if QUANTITIES[column] == "prob_positive":
                found = mixtures.probabilities(*mixture(nodes, rows), np.zeros(1), True)
            elif parameter == "tau":
                found = tau_quantiles(nodes, p, rows)
            else:
                found = _limits(mixture(nodes, rows, new_study=parameter == "theta_new"), p, DRAFT)
            out[rows] = found[:, 0]
        return out

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Of point, lower and upper."""
        return np.array([0.5, (1 - self.level) / 2, (1 + self.level) / 2])


def _some(vi: NDArray[np.float64]) -> NDArray[np.intp]:
    """Members from which panels are chosen: every so many, and those of the smallest and largest variance."""
    every = np.arange(0, len(vi), max(len(vi) // _PANELS_FROM, 1))
    return np.unique([*every, vi.min(axis=1).argmin(), vi.max(axis=1).argmax()])


def _limits(components: Mixture, p: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    return mixtures.quantiles(*components, p, precision=tolerance, negligible=_NO_WEIGHT * tolerance)


def mixture(nodes: Posterior, rows: NDArray[np.intp] | slice = slice(None), *, new_study: bool = False) -> Mixture:
    """Weights, means and SDs of the mixture that mu (or a new study's effect) has, shape (rows, C)."""
    weight, variance = nodes.weight[rows], nodes.variance[rows]
    sd = np.sqrt(variance + nodes.tau**2 if new_study else variance)
    flat = (len(weight), -1)
    return weight.reshape(flat), nodes.mean[rows].reshape(flat), sd.reshape(flat)


def tau_quantiles(
    nodes: Posterior, p: NDArray[np.float64], rows: NDArray[np.intp] | slice = slice(None)
) -> NDArray[np.float64]:
    """Quantiles of tau, shape (rows, M)."""
    density = np.exp(nodes.panels.log_values[rows] - nodes.log_evidence[rows][:, None])
    integral = cumulative(nodes.panels.edges, density)
    below = nodes.weight[rows, :, 0].sum(axis=1)[:, None]
    above = np.exp(integral.inverse(np.maximum(p - below, 0.0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p > below, above, np.exp(nodes.panels.edges[0]) * p / below)
