"""What the arms of two-armed trials report, for models that take it as it is and not as an effect with an error."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from bayespip.measures import BINARY, CONTINUOUS, Measure, as_measure
from bayespip.study_data.arm_checks import check
from bayespip.study_data.tables import column_names, demand, numbers, study_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from bayespip.priors import Priors
    from bayespip.reanalysis.cases import Case
    from bayespip.review import Analysis

__all__ = ["Counts", "Means", "counts_in", "counts_of", "means_of", "require_counts", "require_means"]


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Counts:
    """Events and sizes of the two arms of k trials.

    Attributes
    ----------
    study
        Labels, unique, length k >= 1.
    event_e, n_e
        Participants with the event and participants, experimental arm, shape (k,), whole numbers, read-only.
    event_c, n_c
        The same of the control arm. A trial may have no participants if it has none in either arm; it says nothing.
    measure
        The effect measure wanted of them; its name is accepted.

    Raises
    ------
    ValueError
        If shapes differ, k = 0, a label repeats, a count is negative or not whole, events exceed participants, or
        one arm of a trial is missing; the message names the trials.

    Examples
    --------
    >>> counts = bp.Counts(["A", "B"], [4, 0], [23, 20], [11, 3], [25, 22], "OR")  # invented
    >>> counts.k, counts.event_e
    (2, array([4, 0]))
    """

    study: tuple[str, ...]
    event_e: NDArray[np.int64]
    n_e: NDArray[np.int64]
    event_c: NDArray[np.int64]
    n_c: NDArray[np.int64]
    measure: Measure

    def __init__(  # noqa: PLR0917  (a trial's numbers in the order of every table)
        self,
        study: Sequence[str],
        event_e: ArrayLike,
        n_e: ArrayLike,
        event_c: ArrayLike,
        n_c: ArrayLike,
        measure: str | Measure,
    ) -> None:
        names = _labels(study)
        arms = _columns(names, dict(zip(BINARY, (event_e, n_e, event_c, n_c), strict=True)))
        for name, values in arms.items():
            demand(f"{name} must be a whole number (events are counted)", values == np.rint(values), names, values)
            demand(f"{name} must not be negative", values >= 0, names, values)
        for arm in "ec":
            events, n = arms[f"event_{arm}"], arms[f"n_{arm}"]
            shown = [f"{a:.12g} of {b:.12g}" for a, b in zip(events, n, strict=True)]
            demand(f"event_{arm} must not exceed n_{arm}", events <= n, names, shown)
        shown = [f"n_e {a:.12g}, n_c {b:.12g}" for a, b in zip(arms["n_e"], arms["n_c"], strict=True)]
        demand("a trial must have two arms", (arms["n_e"] > 0) == (arms["n_c"] > 0), names, shown)
        _freeze(self, names, {name: values.astype(np.int64) for name, values in arms.items()}, measure)

    @classmethod
    def from_table(cls, table: pd.DataFrame, measure: str | Measure) -> Self:
        """The counts of a table with one row a trial: study, event_e, n_e, event_c, n_c.

        Raises
        ------
        ValueError
            If a column is missing, or a value cannot be; the message names the rows.
        """
        study, arms = _rows(table, BINARY, as_measure(measure))
        return cls(study, **arms, measure=measure)

    @property
    def k(self) -> int:
        """Number of trials."""
        return len(self.study)

    def filled(self, size: int) -> Self:
        """The same trials and some without participants, size in all."""
        more = size - self.k
        labels = [*self.study, *(f"none {i + 1}" for i in range(more))]
        arms = {name: np.append(getattr(self, name), np.zeros(more)) for name in BINARY}
        return type(self)(labels, **arms, measure=self.measure)


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Means:
    """Means, standard deviations and sizes of the two arms of k trials.

    Attributes
    ----------
    study
        Labels, unique, length k >= 1.
    mean_e, sd_e, n_e
        Of the experimental arm, in the outcome's unit, shape (k,), read-only; sizes need not be whole numbers.
    mean_c, sd_c, n_c
        The same of the control arm.
    measure
        The effect measure wanted of them; its name is accepted.

    Raises
    ------
    ValueError
        If shapes differ, k = 0, a label repeats, a value is not finite, an SD or a size is not positive, or a trial is
        too small for the measure; the message names the trials.

    Examples
    --------
    >>> means = bp.Means(["A"], [9.1], [4.2], [45], [11.2], [4.8], [50], "SMD")  # invented
    >>> means.k, means.difference.round(1)
    (1, array([-2.1]))
    """

    study: tuple[str, ...]
    mean_e: NDArray[np.float64]
    sd_e: NDArray[np.float64]
    n_e: NDArray[np.float64]
    mean_c: NDArray[np.float64]
    sd_c: NDArray[np.float64]
    n_c: NDArray[np.float64]
    measure: Measure

    def __init__(  # noqa: PLR0917  (a trial's numbers in the order of every table)
        self,
        study: Sequence[str],
        mean_e: ArrayLike,
        sd_e: ArrayLike,
        n_e: ArrayLike,
        mean_c: ArrayLike,
        sd_c: ArrayLike,
        n_c: ArrayLike,
        measure: str | Measure,
    ) -> None:
        names = _labels(study)
        arms = _columns(names, dict(zip(CONTINUOUS, (mean_e, sd_e, n_e, mean_c, sd_c, n_c), strict=True)))
        check(arms, names, as_measure(measure))
        _freeze(self, names, arms, measure)

    @classmethod
    def from_table(cls, table: pd.DataFrame, measure: str | Measure) -> Self:
        """The means of a table with one row a trial: study, mean_e, sd_e, n_e, mean_c, sd_c, n_c.

        Raises
        ------
        ValueError
            If a column is missing, or a value cannot be; the message names the rows.
        """
        study, arms = _rows(table, CONTINUOUS, as_measure(measure))
        return cls(study, **arms, measure=measure)

    @property
    def k(self) -> int:
        """Number of trials."""
        return len(self.study)

    @property
    def difference(self) -> NDArray[np.float64]:
        """Differences of the means, mean_e - mean_c, shape (k,)."""
        return self.mean_e - self.mean_c

    @property
    def df(self) -> NDArray[np.float64]:
        """Degrees of freedom of the pooled SD, n_e + n_c - 2, shape (k,)."""
        return self.n_e + self.n_c - 2

    @property
    def sd(self) -> NDArray[np.float64]:
        """Standard deviation pooled over the arms, with weights n - 1, shape (k,)."""
        return np.sqrt(((self.n_e - 1) * self.sd_e**2 + (self.n_c - 1) * self.sd_c**2) / self.df)

    def filled(self, size: int) -> Self:
        """The same trials and some that say nothing, size in all: huge SDs and, for an SMD, an arm next to empty."""
        more = size - self.k
        labels = [*self.study, *(f"none {i + 1}" for i in range(more))]
        huge, n_e = 1e10, 1e-20 if self.measure.name == "SMD" else 12.0
        added = dict(zip(CONTINUOUS, (0.0, huge, n_e, 0.0, huge, 12.0), strict=True))
        arms = {name: np.append(getattr(self, name), np.full(more, value)) for name, value in added.items()}
        return type(self)(labels, **arms, measure=self.measure)


def means_of(model: str, case: Case) -> Means:
    """The means of a case of a review, for the model of that name; of the rows that its own pooling takes.

    Raises
    ------
    ValueError
        If the case has none; the message says so.
    """
    name = case.label
    if case.family is not None:
        raise ValueError(f"{name} has only its published result; {model} needs means and SDs of both arms.")
    rows = case.analysis.rows()
    if not set(CONTINUOUS) <= set(rows):
        raise ValueError(f"{name} has no means but {', '.join(map(str, rows))}; {model} needs {', '.join(CONTINUOUS)}.")
    return Means.from_table(rows[rows["study"].isin(case.effects.study)], case.measure)


def require_means(model: str, means: Means, measures: Sequence[str]) -> None:
    """Nothing, if a model on these measures can take the means.

    Raises
    ------
    ValueError
        If the data are no means or of another measure, or an arm has one participant, and so no SD.
    """
    if not isinstance(means, Means):
        raise ValueError(f"{model} needs Means (mean, SD and size of both arms); got {type(means).__name__}.")
    if means.measure.name not in measures:
        raise ValueError(f"{model} is on {' or '.join(measures)}; got means for {means.measure.name}.")
    for name, sizes in (("n_e", means.n_e), ("n_c", means.n_c)):
        demand(f"{name} must be at least 2", sizes >= 2, means.study, sizes)


def counts_of(model: str, case: Case, measure: str) -> Counts:
    """The counts of a case of a review, for the model of that name.

    Parameters
    ----------
    model
        For messages.
    case
        From ``cases``. Rows that its own pooling excludes, for they have no events in either arm, are in.
    measure
        Name of the measure that the model is on.

    Raises
    ------
    ValueError
        If the case has no counts, or is of another measure; the message says so.
    """
    name = case.label
    if case.family is not None:
        raise ValueError(f"{name} has only its published result; {model} needs counts of events in both arms.")
    rows = case.analysis.rows()
    if not set(BINARY) <= set(rows):
        raise ValueError(f"{name} has no counts but {', '.join(map(str, rows))}; {model} needs {', '.join(BINARY)}.")
    if case.measure.name != measure:
        raise ValueError(f"{name} is a {case.measure.name}; {model} is on {measure}.")
    return counts_in(case.analysis, measure)


def counts_in(analysis: Analysis, measure: str) -> Counts:
    """The counts of the rows that enter an analysis's total, for the measure of that name.

    Raises
    ------
    ValueError
        If it has none; the message says so.
    """
    settings, rows = analysis.settings, analysis.rows()
    if not set(BINARY) <= set(rows):
        raise ValueError(f"{analysis.id} has no counts; they are needed in the columns {', '.join(BINARY)}.")
    if settings is not None and settings.swap_events:
        rows = rows.assign(event_e=rows["n_e"] - rows["event_e"], event_c=rows["n_c"] - rows["event_c"])
    return Counts.from_table(rows, measure)


def require_counts(model: str, counts: Counts, priors: Priors, measure: str) -> None:
    """Nothing, if a binomial model on the measure can take counts and priors.

    Raises
    ------
    ValueError
        If the data are no counts or of another measure, a trial has no participants, no one or everyone has the
        event, or a prior is improper.
    """
    if not isinstance(counts, Counts):
        raise ValueError(f"{model} needs Counts (events and sizes of both arms); got {type(counts).__name__}.")
    if counts.measure.name != measure:
        raise ValueError(f"{model} is on {measure}; got counts for {counts.measure.name}.")
    demand("a trial must have participants", counts.n_e > 0, counts.study, counts.n_e.astype(float))
    events, n = (counts.event_e + counts.event_c).sum(), (counts.n_e + counts.n_c).sum()
    if events in (0, n):
        which = "no participant has" if events == 0 else "every participant has"
        raise ValueError(f"{model} needs participants with and without the event; {which} it, of {n}.")
    for prior in (priors.mu, priors.tau):
        if not prior.proper:
            raise ValueError(f"{model} needs proper priors; got {prior} on {prior.role}.")


def _labels(study: Sequence[str]) -> tuple[str, ...]:
    names = tuple(str(s) for s in study)
    if not names:
        raise ValueError("study must name at least one trial; got none (k = 0).")
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    if repeated:
        raise ValueError(f"study labels must be unique; repeated: {', '.join(repeated)}.")
    return names


def _columns(study: tuple[str, ...], columns: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.float64]]:
    """As finite numbers, one a trial."""
    found = {}
    for name, values in columns.items():
        try:
            array = np.array(values, dtype=float)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must be numbers: {error}.") from None
        if array.shape != (len(study),):
            raise ValueError(f"{name} must have one value a trial, shape ({len(study)},); got {array.shape}.")
        demand(f"{name} must be a finite number", np.isfinite(array), study, array)
        found[name] = array
    return found


def _rows(
    table: pd.DataFrame, columns: tuple[str, ...], measure: Measure
) -> tuple[tuple[str, ...], dict[str, NDArray[np.float64]]]:
    """Labels and columns of a table, checked as for the formulas of the effects."""
    present = column_names(table)
    missing = [name for name in ("study", *columns) if name not in present]
    if missing:
        raise ValueError(
            f"table must have the columns study, {', '.join(columns)}; missing {', '.join(missing)}; present: "
            f"{', '.join(present) or 'none'}."
        )
    if table.empty:
        raise ValueError("table must have at least one trial; it has no rows (k = 0).")
    study = study_labels(table)
    arms = {name: numbers(table, name, study) for name in columns}
    check(arms, study, measure)
    return study, arms


def _freeze(data: Any, study: tuple[str, ...], columns: Mapping[str, NDArray[Any]], measure: str | Measure) -> None:
    """Set the fields of a frozen value to read-only arrays."""
    for name, values in columns.items():
        values.flags.writeable = False
        object.__setattr__(data, name, values)
    object.__setattr__(data, "study", study)
    object.__setattr__(data, "measure", as_measure(measure))
