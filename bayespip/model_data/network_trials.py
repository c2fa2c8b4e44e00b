"""Trials of two or more arms: the relative effects they report and their covariance, from tables of arms or contrasts.

Sources: Dias S, Sutton AJ, Ades AE, Welton NJ. A generalized linear modeling framework for pairwise and network
meta-analysis. Med Decis Making 2013;33:607-617 (NICE TSD 2): effects of a trial covary by the variance of the arm that
they share.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayespip.measures import Measure, as_measure
from bayespip.study_data.tables import column_names, demand, numbers, study_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    ArmFormula = Callable[[Array, Array, Array], tuple[Array, Array]]

__all__ = ["Trial", "trials_of_arms", "trials_of_contrasts"]

# Of an arm its estimate and sampling variance, from mean, sd, n or events, others, n. Differences of two arms are the
# effects of ``effect_sizes``; SMD, whose arms share a standard deviation, has no such form.
CONTINUOUS_ARM = ("mean", "sd", "n")
BINARY_ARM = ("event", "n")
ARM_ESTIMATES: Mapping[str, tuple[tuple[str, ...], ArmFormula]] = {
    "MD": (CONTINUOUS_ARM, lambda mean, sd, n: (mean, sd**2 / n)),
    "OR": (BINARY_ARM, lambda a, b, n: (np.log(a / b), 1 / a + 1 / b)),
    "RR": (BINARY_ARM, lambda a, b, n: (np.log(a / n), b / (a * n))),
    "RD": (BINARY_ARM, lambda a, b, n: (a / n, a * b / n**3)),
}
ZERO_CELL_CORRECTION = 0.5  # as in ``effect_sizes``, here to all arms of a trial that has an empty cell


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """The relative effects that one trial of A >= 2 arms reports, against its first arm.

    Attributes
    ----------
    study
        Label.
    arms
        Its treatments, each once, length A.
    yi
        Effects of all arms but the first against the first, model scale, shape (A - 1,), read-only.
    cov
        Covariance of their sampling errors, shape (A - 1, A - 1), read-only; beside the diagonal the variance of the
        first arm.

    Raises
    ------
    ValueError
        If there are fewer than two arms, a treatment repeats, shapes do not fit, yi is not finite, or cov is no
        covariance.
    """

    study: str
    arms: tuple[str, ...]
    yi: Array
    cov: Array

    def __post_init__(self) -> None:
        """Copy the arrays, read-only, and refuse what is no trial."""
        for name in ("yi", "cov"):
            values = np.array(getattr(self, name), dtype=float)
            values.flags.writeable = False
            object.__setattr__(self, name, values)
        n = len(self.arms) - 1
        if n < 1:
            raise ValueError(f"a trial must have two arms at least; {self.study} has {n + 1}.")
        if len(set(self.arms)) <= n:
            twice = ", ".join(arm for arm, times in Counter(self.arms).items() if times > 1)
            raise ValueError(f"a treatment must stand once in a trial; not so in {self.study}: {twice}.")
        if self.yi.shape != (n,) or self.cov.shape != (n, n):
            raise ValueError(
                f"{self.study} needs {n} effects and their covariance; got {self.yi.shape}, {self.cov.shape}."
            )
        if not np.isfinite(self.yi).all():
            raise ValueError(f"yi must be finite; not so for {self.study}: {self.yi}.")
        sd = np.sqrt(np.diag(self.cov).clip(0))
        valid = np.isfinite(self.cov).all() and (sd > 0).all() and np.allclose(self.cov, self.cov.T, rtol=1e-12, atol=0)
        # of the correlations, so that it does not depend on the unit
        if not valid or np.linalg.eigvalsh(self.cov / np.outer(sd, sd)).min() < 1e-10:
            raise ValueError(
                f"the sampling errors of {self.study} must have a valid covariance; got {self.cov.tolist()}."
            )

    def against(self, arm: str) -> Trial:
        """The same trial, its effects against another arm: the covariance moves with them, nothing is lost."""
        order = [arm, *(other for other in self.arms if other != arm)]
        place = [self.arms.index(other) for other in order]
        effects = np.vstack([np.zeros(len(self.yi)), np.eye(len(self.yi))])[place]
        moved = effects[1:] - effects[0]
        return Trial(self.study, tuple(order), moved @ self.yi, moved @ self.cov @ moved.T)


def trials_of_arms(table: pd.DataFrame, measure: str | Measure) -> list[Trial]:
    """The trials of a table with one row an arm; see ``Network.from_arms``."""
    spec = as_measure(measure)
    if spec.name not in ARM_ESTIMATES:
        raise ValueError(
            f"measure must be one of {', '.join(ARM_ESTIMATES)} for a table of arms; got {spec.name}. Of other "
            "measures give the contrasts (Network.from_contrasts)."
        )
    columns, formula = ARM_ESTIMATES[spec.name]
    study = _studies(table, ("treatment", *columns))
    treatment = _treatments(table, "treatment", study)
    given = {name: numbers(table, name, study) for name in columns}
    rows = _rows_of(study)
    check = _checked_counts if columns == BINARY_ARM else _checked_means
    estimate, variance = formula(*check(given, study, rows, spec))
    trials = []
    for label, (first, *rest) in rows.items():
        arms = tuple(treatment[i] for i in (first, *rest))
        cov = np.diag(variance[rest]) + variance[first]
        trials.append(Trial(label, arms, estimate[rest] - estimate[first], cov))
    return trials


def trials_of_contrasts(table: pd.DataFrame) -> list[Trial]:
    """The trials of a table with one row a contrast; see ``Network.from_contrasts``."""
    study = _studies(table, ("treat_a", "treat_b", "yi", "sei"))
    a, b = (_treatments(table, name, study) for name in ("treat_a", "treat_b"))
    yi, sei = numbers(table, "yi", study), numbers(table, "sei", study)
    demand("sei must be positive", sei > 0, study, sei)
    rows = _rows_of(study)
    shared = _shared_variances(table, study, rows)
    demand("var_shared must be below sei^2", shared < sei**2, study, shared)
    trials = []
    for label, at in rows.items():
        if len({b[i] for i in at}) > 1 or len(set(shared[at])) > 1:
            raise ValueError(
                f"all rows of a trial must be against one treat_b, with one var_shared; not so for {label}: "
                f"treat_b {', '.join(b[i] for i in at)}, var_shared {', '.join(f'{x:.12g}' for x in shared[at])}."
            )
        cov = np.full((len(at), len(at)), shared[at[0]])
        np.fill_diagonal(cov, sei[at] ** 2)
        trials.append(Trial(label, (b[at[0]], *(a[i] for i in at)), yi[at], cov))
    return trials


def _shared_variances(table: pd.DataFrame, study: tuple[str, ...], rows: Mapping[str, list[int]]) -> Array:
    """Of each row of a trial of several rows the variance of the shared arm; 0 where nothing is shared."""
    shared = np.zeros(len(study))
    several = [label for label, at in rows.items() if len(at) > 1]
    if not several:
        return shared
    if "var_shared" not in column_names(table):
        raise ValueError(
            f"table must have var_shared, the sampling variance of the arm that rows share, for {', '.join(several)}."
        )
    many = np.array([label in several for label in study])
    given = table.assign(var_shared=table["var_shared"].where(many, 0.0))
    shared = numbers(given, "var_shared", study)
    demand("var_shared must be positive in a trial of several rows", ~many | (shared > 0), study, shared)
    return shared


def _studies(table: pd.DataFrame, columns: tuple[str, ...]) -> tuple[str, ...]:
    present = column_names(table)
    missing = [name for name in ("study", *columns) if name not in present]
    if missing:
        raise ValueError(f"table must have {', '.join(missing)}; present: {', '.join(present) or 'none'}.")
    if table.empty:
        raise ValueError("table must have at least one trial; it has no rows (k = 0).")
    return study_labels(table, unique=False)


def _treatments(table: pd.DataFrame, column: str, study: tuple[str, ...]) -> tuple[str, ...]:
    absent = table[column].isna()
    labels = tuple("" if none else str(x).strip() for x, none in zip(table[column], absent, strict=True))
    demand(f"{column} must have a label", np.array([bool(label) for label in labels]), study, ["none"] * len(labels))
    return labels


def _rows_of(study: tuple[str, ...]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = defaultdict(list)
    for i, label in enumerate(study):
        rows[label].append(i)
    return rows


def _checked_means(
    given: Mapping[str, Array], study: tuple[str, ...], _rows: Mapping[str, list[int]], _measure: Measure
) -> tuple[Array, Array, Array]:
    for name in ("sd", "n"):
        demand(f"{name} must be positive", given[name] > 0, study, given[name])
    return given["mean"], given["sd"], given["n"]


def _checked_counts(
    given: Mapping[str, Array], study: tuple[str, ...], rows: Mapping[str, list[int]], measure: Measure
) -> tuple[Array, Array, Array]:
    """Events, others and sizes of each arm, the zero-cell correction applied trial by trial."""
    event, n = given["event"], given["n"]
    demand("n must be positive", n > 0, study, n)
    shown = [f"{a:.12g} of {b:.12g}" for a, b in zip(event, n, strict=True)]
    demand("event must lie between 0 and n", (event >= 0) & (event <= n), study, shown)
    add, silent = np.zeros(len(study)), []
    for label, at in rows.items():
        none, all_of_them = event[at] == 0, event[at] == n[at]
        add[at] = ZERO_CELL_CORRECTION if (none | all_of_them).any() else 0.0
        if none.all() or all_of_them.all():
            silent.append(label)
    if measure.log and silent:
        raise ValueError(
            f"{measure.name} cannot be estimated where all arms are empty or all are full: "
            f"leave out {', '.join(silent)}."
        )
    return event + add, n - event + add, n + 2 * add
