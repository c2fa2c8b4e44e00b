"""Which sampling variances a study with a given effect can have."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class VarianceLimits:
    """Limits on v_i given y_i; without any, all positive variances.

    Attributes
    ----------
    designs
        Number of sets of trials between which the limits differ.
    assumptions
        Sentences, for every table and report.
    """

    designs: int
    assumptions: tuple[str, ...]

    def between(
        self, yi: NDArray[np.float64], design: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Smallest and largest variance given effects of shape (B, k) and designs of shape (B,)."""
        del design
        return np.zeros_like(yi), np.full_like(yi, np.inf)

    def allow(self, yi: NDArray[np.float64], vi: NDArray[np.float64], design: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether all variances of a member are possible, shape (B,)."""
        low, high = self.between(yi, design)
        return np.asarray(((vi >= low) & (vi <= high)).all(axis=1))

    def log_volume(self, design: NDArray[np.intp], effect: float, k: int) -> NDArray[np.float64]:
        """Log volume of the box of log variances of studies with that effect, shape (B,); 0 if it is open."""
        del effect, k
        return np.zeros(len(design))


@dataclass(frozen=True)
class TwoByTwo(VarianceLimits):
    """Log risk ratios of 2x2 tables with an event in at least one arm.

    v = 1/a - 1/n_e + 1/c - 1/n_c. Given y, v is smallest when everybody in the arm of higher risk has the
    event: v >= (exp|y| - 1) / n with n the size of the other arm, one more if 0.5 was added to empty cells.
    It is below 1/0.5 + 1/1.5 = 8/3, an empty arm beside one with a single event.
    """

    largest_arm: float

    def between(
        self, yi: NDArray[np.float64], design: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See VarianceLimits.between."""
        del design
        return np.expm1(np.abs(yi)) / (self.largest_arm + 1), np.full_like(yi, 8 / 3)


def two_by_two(largest_arm: float) -> TwoByTwo:
    """Limits for risk ratios; largest_arm in participants."""
    if not largest_arm >= 1:
        raise ValueError(f"largest_arm must be at least 1 participant; got {largest_arm!r}.")
    text = (
        "each study is a 2x2 table with an event in at least one arm and no arm larger than "
        f"{largest_arm:g} (the largest arm known)"
    )
    return TwoByTwo(1, (text,), largest_arm)


@dataclass(frozen=True)
class TrialSizes(VarianceLimits):
    """SMDs of trials of known size: v = (1/n_e + 1/n_c) / share + y^2 / (2 (share N - 3.94)), as RevMan 5.

    Attributes
    ----------
    inverse, total
        1/n_e + 1/n_c and N = n_e + n_c of every design's trials as randomised, shape (designs, k).
    factor
        Largest design effect, shape (designs, k): 1 unless cluster-randomised.
    share
        Smallest and largest analysed share.
    n, n_tolerance
        Printed number analysed in all trials together (None: not printed) and its relative tolerance.
    names
        Studies of every design.
    """

    inverse: NDArray[np.float64] = field(repr=False)
    total: NDArray[np.float64] = field(repr=False)
    factor: NDArray[np.float64] = field(repr=False)
    share: tuple[float, float]
    n: int | None
    n_tolerance: float
    names: tuple[tuple[str, ...], ...] = field(repr=False)

    def between(
        self, yi: NDArray[np.float64], design: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See VarianceLimits.between."""
        inverse, total = self.inverse[design], self.total[design]
        largest, smallest = (inverse / s + yi**2 / (2 * (s * total - 3.94)) for s in self.share)
        return smallest, largest * self.factor[design]

    def log_volume(self, design: NDArray[np.intp], effect: float, k: int) -> NDArray[np.float64]:
        """See VarianceLimits.log_volume."""
        low, high = self.between(np.full((len(design), k), effect), design)
        return np.asarray(np.log(np.log(high / low)).sum(axis=1))

    def allow(self, yi: NDArray[np.float64], vi: NDArray[np.float64], design: NDArray[np.intp]) -> NDArray[np.bool_]:
        """See VarianceLimits.allow; where n was printed, the analysed shares must also add up to it."""
        inside = super().allow(yi, vi, design)
        if self.n is None:
            return inside
        total, factor = self.total[design], self.factor[design]
        fewest = (np.maximum(self._share(yi, vi, design), self.share[0]) * total).sum(axis=1)
        most = (np.minimum(self._share(yi, vi / factor, design), self.share[1]) * total).sum(axis=1)
        slack = self.n_tolerance * self.n
        return inside & (fewest <= self.n + slack) & (most >= self.n - slack)

    def _share(self, yi: NDArray[np.float64], vi: NDArray[np.float64], design: NDArray[np.intp]) -> NDArray[np.float64]:
        """The analysed share at which a trial has variance v: the larger root of a quadratic."""
        inverse, total = self.inverse[design], self.total[design]
        half = yi**2 / (2 * total)
        least = 3.94 / total
        b = vi * least + inverse + half
        return np.asarray((b + np.sqrt(np.maximum(b**2 - 4 * vi * inverse * least, 0.0))) / (2 * vi))


def trial_sizes(
    trials: pd.DataFrame,
    k: int,
    *,
    share: tuple[float, float],
    cluster_factor: float,
    n: int | None,
    n_tolerance: float,
) -> TrialSizes:
    """Limits for SMDs: every subset of k trials is a design. See ``consistent_studies`` for the arguments."""
    low, high = share
    if not 0 < low <= high <= 1:
        raise ValueError(f"analysed_share must satisfy 0 < smallest <= largest <= 1; got {share!r}.")
    if cluster_factor < 1:
        raise ValueError(f"cluster_factor is a design effect of at least 1; got {cluster_factor!r}.")
    missing = [c for c in ("study", "n_e", "n_c", "cluster_randomised") if c not in trials]
    if missing:
        present = ", ".join(map(str, trials)) or "none"
        raise ValueError(f"trials needs the columns {', '.join(missing)}; it has {present}.")
    if len(trials) < k:
        raise ValueError(f"trials has {len(trials)} rows, fewer than k = {k}.")
    subsets = np.array(list(combinations(range(len(trials)), k)))
    n_e, n_c = (trials[c].to_numpy(dtype=float) for c in ("n_e", "n_c"))
    factor = np.where(trials["cluster_randomised"].to_numpy(dtype=bool), cluster_factor, 1.0)
    study = trials["study"].astype(str).to_numpy()
    sizes = f"any {k} of {len(trials)} trials ({', '.join(study)})"
    shares = f"{low:g} to {high:g} of the randomised analysed"
    assumptions = [f"{sizes}, {shares}", "SMD variances as RevMan 5 computes them from the arm sizes"]
    if (factor > 1).any():
        clustered = ", ".join(study[factor > 1])
        assumptions.append(f"variance of the cluster-randomised {clustered} times 1 to {cluster_factor:g}")
    if n is not None:
        assumptions.append(f"analysed numbers add up to the printed n = {n}, within {n_tolerance:.0%}")
    return TrialSizes(
        len(subsets), tuple(assumptions), (1 / n_e + 1 / n_c)[subsets], (n_e + n_c)[subsets], factor[subsets],
        share, n, n_tolerance, tuple(tuple(study[list(s)]) for s in subsets),
    )  # fmt: skip
