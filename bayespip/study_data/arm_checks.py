"""What the numbers of a study must be for its effect to exist, and which studies say nothing of a ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayespip.measures import BINARY, CONTINUOUS, CORRELATION, O_E, PROPORTION
from bayespip.study_data.arm_formulas import is_uninformative
from bayespip.study_data.tables import demand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from bayespip.measures import Measure
    from bayespip.study_data.arm_formulas import Arms

    Check = Callable[[Arms, tuple[str, ...], str], None]

__all__ = ["check", "silent_studies"]

# Fewest participants of a study. SMD: below four, revman5 has N - 3.94 < 0; at three, metafor has J = 0.
# PETO: V has N - 1 below its fraction. COR, ZCOR: escalc gives no variance up to three.
_SMALLEST_TOTAL = {"SMD": 4, "PETO": 2, "COR": 4, "ZCOR": 4}


def check(arms: Arms, study: tuple[str, ...], measure: Measure) -> None:
    """Nothing, if the numbers can be.

    Raises
    ------
    ValueError
        If they cannot; the message names rule, study, row and value.
    """
    _CHECKS[tuple(arms)](arms, study, measure.name)
    for more in _MORE.get(measure.name, ()):
        more(arms, study, measure.name)


def silent_studies(arms: Arms, measure: Measure) -> tuple[NDArray[np.bool_], str, list[str]]:
    """Which studies say nothing of a ratio, shape (k,); why, as half a sentence; and the numbers of each study."""
    if tuple(arms) == BINARY and measure.log:
        a, n_e, c, n_c = (arms[name] for name in BINARY)
        shown = [f"{a[i]:.12g} of {n_e[i]:.12g}, {c[i]:.12g} of {n_c[i]:.12g}" for i in range(len(a))]
        return is_uninformative(arms), "where both arms are empty or both are full", shown
    if tuple(arms) == O_E:
        return arms["variance"] == 0, "where the variance of O - E is zero", ["O - E = 0"] * len(arms["o_e"])
    return np.zeros(len(next(iter(arms.values()))), dtype=bool), "", []


def _check_sizes(arms: Arms, study: tuple[str, ...], measure: str) -> None:
    sizes = [column for column in arms if column in ("n", "n_e", "n_c")]
    for column in sizes:
        demand(f"{column} must be positive", arms[column] > 0, study, arms[column])
    total, smallest = np.sum([arms[column] for column in sizes], axis=0), _SMALLEST_TOTAL.get(measure, 0)
    demand(f"{' + '.join(sizes)} must be at least {smallest} for {measure}", total >= smallest, study, total)


def _check_counts(arms: Arms, study: tuple[str, ...], measure: str) -> None:
    _check_sizes(arms, study, measure)
    for event in (column for column in arms if column.startswith("event")):
        n = event.replace("event", "n")
        demand(f"{event} must not be negative", arms[event] >= 0, study, arms[event])
        shown = [f"{e:.12g} of {m:.12g}" for e, m in zip(arms[event], arms[n], strict=True)]
        demand(f"{event} must not exceed {n}", arms[event] <= arms[n], study, shown)


def _check_spreads(arms: Arms, study: tuple[str, ...], measure: str) -> None:
    _check_sizes(arms, study, measure)
    for column in ("sd_e", "sd_c"):
        demand(f"{column} must be positive", arms[column] > 0, study, arms[column])


def _check_signs(arms: Arms, study: tuple[str, ...], measure: str) -> None:
    """A ratio of means has a logarithm where both have one sign."""
    one, other = arms["mean_e"], arms["mean_c"]
    shown = [f"{a:.12g} and {b:.12g}" for a, b in zip(one, other, strict=True)]
    alike = np.sign(one) * np.sign(other) > 0
    demand(f"mean_e and mean_c must both be positive or both negative for {measure}", alike, study, shown)


def _check_o_e(arms: Arms, study: tuple[str, ...], _measure: str) -> None:
    o_e, variance = arms["o_e"], arms["variance"]
    demand("variance must not be negative", variance >= 0, study, variance)
    demand("o_e must be 0 where variance is 0", (variance > 0) | (o_e == 0), study, o_e)


def _check_correlations(arms: Arms, study: tuple[str, ...], measure: str) -> None:
    _check_sizes(arms, study, measure)
    demand("r must lie in (-1, 1)", np.abs(arms["r"]) < 1, study, arms["r"])


_CHECKS: Mapping[tuple[str, ...], Check] = {
    BINARY: _check_counts,
    CONTINUOUS: _check_spreads,
    O_E: _check_o_e,
    PROPORTION: _check_counts,
    CORRELATION: _check_correlations,
}
_MORE: Mapping[str, tuple[Check, ...]] = {"ROM": (_check_signs,)}
