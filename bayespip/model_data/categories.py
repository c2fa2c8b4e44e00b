"""Outcomes with several unordered categories, such as attachment, of two-armed trials: how many are in each."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from bayespip.measures import BINARY, MEASURES, Measure
from bayespip.model_data.two_arms import Counts, counts_in
from bayespip.study_data.tables import column_names, demand, numbers, study_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from bayespip.reanalysis.cases import Case
    from bayespip.review import Analysis

__all__ = ["Categories", "categories_in"]

COLUMNS = ("study", "arm", "category", "count")
ARMS = ("e", "c")
# Proportions are given with a few digits or computed; further from 1 than this, one is missing or mistyped.
SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Categories:
    """Participants in each of C categories, in the two arms of k trials; everyone is in exactly one.

    Parameters
    ----------
    study, counts_e, counts_c, categories
        As below; the columns of the counts are those of ``categories``, in any order.
    reference
        The category with which the others are compared.
    control
        Proportion of every category by name.

    Attributes
    ----------
    study
        Labels, unique, length k >= 1.
    counts_e, counts_c
        Participants of the experimental and the control arm by trial and category, shape (k, C), whole numbers,
        read-only. A trial may be empty if it is in both arms; it says nothing.
    categories
        Names, unique, C >= 2: the reference first, then the others in the order given, as in the counts.
    control
        Proportions of the categories in the population, not treated, for which risk ratios are wanted, shape (C,);
        by default those of all control arms together.
    control_source
        "pooled control arms" or "given".

    Raises
    ------
    ValueError
        If shapes differ, a label or name repeats, a count is negative or not whole, one arm of a trial is empty,
        reference is no category, or control is not a proportion of each category; the message names them.

    Examples
    --------
    >>> counts = {"counts_e": [[14, 9], [11, 10]], "counts_c": [[8, 16], [7, 15]]}  # invented
    >>> data = bp.Categories(["A", "B"], **counts, categories=["secure", "insecure"], reference="insecure")
    >>> data.k, data.contrasts
    (2, ('secure vs insecure',))
    """

    study: tuple[str, ...]
    counts_e: NDArray[np.int64]
    counts_c: NDArray[np.int64]
    categories: tuple[str, ...]
    control: NDArray[np.float64]
    control_source: str

    def __init__(
        self,
        study: Sequence[str],
        counts_e: ArrayLike,
        counts_c: ArrayLike,
        categories: Sequence[str],
        reference: str,
        *,
        control: Mapping[str, float] | None = None,
    ) -> None:
        names = _names(categories, reference)
        ordered = (reference, *(name for name in names if name != reference))
        columns = [names.index(name) for name in ordered]
        labels = tuple(str(s) for s in study)
        both = (("counts_e", counts_e), ("counts_c", counts_c))
        arms = [_counts(arm, x, labels, names)[:, columns] for arm, x in both]
        n_e, n_c = (counts.sum(axis=1) for counts in arms)
        if not n_c.any():
            raise ValueError("counts_c must have participants in at least one trial; it has none.")
        checked = Counts(labels, arms[0][:, 0], n_e, arms[1][:, 0], n_c, self.measure)
        values = {
            "study": checked.study,
            "counts_e": arms[0].astype(np.int64),
            "counts_c": arms[1].astype(np.int64),
            "categories": ordered,
            "control": _proportions(control, ordered) if control is not None else arms[1].sum(axis=0) / n_c.sum(),
            "control_source": "pooled control arms" if control is None else "given",
        }
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    @classmethod
    def from_table(cls, table: pd.DataFrame, reference: str, *, control: Mapping[str, float] | None = None) -> Self:
        """The counts of a table in long form: study, arm ("e" or "c"), category, count.

        Raises
        ------
        ValueError
            If a column is missing, a count of an arm is there twice or not at all (none in a category is a count
            of 0), or a value cannot be; the message names study, arm and category.
        """
        present = column_names(table)
        missing = [name for name in COLUMNS if name not in present]
        if missing:
            raise ValueError(f"table must have the columns {', '.join(COLUMNS)}; missing {', '.join(missing)}.")
        labels = study_labels(table, unique=False)
        counts = numbers(table, "count", labels)
        arms, names = ([str(x).strip() for x in table[column]] for column in ("arm", "category"))
        demand("arm must be e or c", np.isin(arms, ARMS), labels, arms)
        keys = list(zip(labels, arms, names, strict=True))
        studies, categories = tuple(dict.fromkeys(labels)), tuple(dict.fromkeys(names))
        wanted = [(s, arm, c) for s in studies for arm in ARMS for c in categories]
        twice = [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
        absent = [key for key in wanted if key not in set(keys)]
        for wrong, how in ((twice, "more than once"), (absent, "not at all")):
            if wrong:
                shown = "; ".join(", ".join(key) for key in wrong)
                raise ValueError(f"table must have one count of each study, arm and category; {how}: {shown}.")
        found = dict(zip(keys, counts, strict=True))
        e, c = ([[found[s, arm, name] for name in categories] for s in studies] for arm in ARMS)
        return cls(studies, e, c, categories, reference, control=control)

    @classmethod
    def from_analyses(
        cls,
        analyses: Mapping[str, Analysis],
        reference: str,
        *,
        other: str | None = None,
        control: Mapping[str, float] | None = None,
    ) -> Self:
        """The counts of several analyses of one review, an analysis a category.

        Parameters
        ----------
        analyses
            Name of a category to the analysis of the participants in it; the rows of all are the same trials, with
            the same sizes.
        reference, control
            As of the class.
        other
            Name for the category of those in none of the analyses; without it there must be none such.

        Raises
        ------
        ValueError
            If an analysis has no counts, trials or sizes differ, or the events of a trial's arm do not add up to its
            size: more means that categories overlap; fewer needs ``other``. The message names trials and numbers.
        """
        if len(analyses) < 2:
            raise ValueError(f"analyses must be of two categories or more; got {', '.join(analyses) or 'none'}.")
        counts = {str(name): counts_in(analysis, "OR") for name, analysis in analyses.items()}
        (first, one), *others = counts.items()
        for name, these in others:
            if _sizes(these) != _sizes(one):
                raise ValueError(
                    f"analyses must be of the same trials with the same sizes; {first} has {_described(one)}, "
                    f"{name} has {_described(these)}."
                )
        order = [{s: i for i, s in enumerate(these.study)} for these in counts.values()]
        arms = []
        for arm in ARMS:
            events = np.array(
                [[getattr(these, f"event_{arm}")[at[s]] for these, at in zip(counts.values(), order, strict=True)]
                 for s in one.study]
            )  # fmt: skip
            n = getattr(one, f"n_{arm}")
            total = events.sum(axis=1)
            shown = [f"{a} of {b}" for a, b in zip(total, n, strict=True)]
            demand(f"categories must not overlap: their events in arm {arm} add up to no more than its size",
                   total <= n, one.study, shown)  # fmt: skip
            if other is None:
                demand(f"the events of all categories in arm {arm} must add up to its size, unless other names a "
                       "category for the rest", total == n, one.study, shown)  # fmt: skip
            arms.append(events if other is None else np.column_stack([events, n - total]))
        names = [*counts, *([] if other is None else [other])]
        return cls(one.study, arms[0], arms[1], names, reference, control=control)

    @property
    def k(self) -> int:
        """Number of trials."""
        return len(self.study)

    @property
    def measure(self) -> Measure:
        """OR: the odds are of a category against the reference."""
        return MEASURES["OR"]

    @property
    def reference(self) -> str:
        """The category with which the others are compared."""
        return self.categories[0]

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Labels of the comparisons with the reference, such as "avoidant vs secure", length C - 1."""
        return tuple(f"{name} vs {self.reference}" for name in self.categories[1:])

    @property
    def n_e(self) -> NDArray[np.int64]:
        """Sizes of the experimental arms, shape (k,)."""
        return self.counts_e.sum(axis=1)

    @property
    def n_c(self) -> NDArray[np.int64]:
        """Sizes of the control arms, shape (k,)."""
        return self.counts_c.sum(axis=1)

    def with_counts(self, counts_e: ArrayLike, counts_c: ArrayLike) -> Self:
        """The same trials, categories and control population with other counts, in the order of ``categories``."""
        return self._like(self.study, counts_e, counts_c)

    def filled(self, size: int) -> Self:
        """The same trials and some without participants, size in all."""
        more = size - self.k
        none = np.zeros((more, len(self.categories)))
        labels = [*self.study, *(f"none {i + 1}" for i in range(more))]
        return self._like(labels, np.vstack([self.counts_e, none]), np.vstack([self.counts_c, none]))

    def _like(self, study: Sequence[str], counts_e: ArrayLike, counts_c: ArrayLike) -> Self:
        control = dict(zip(self.categories, self.control, strict=True))
        made = type(self)(study, counts_e, counts_c, self.categories, self.reference, control=control)
        object.__setattr__(made, "control_source", self.control_source)
        return made


def categories_in(cases: Sequence[Case]) -> dict[tuple[str, ...], Categories]:
    """The cases of a review that are the categories of one outcome.

    They are analyses of the same trials with the same arms, all those of the review, whose events add up to everyone.

    Parameters
    ----------
    cases
        Of one review.

    Returns
    -------
    dict
        Labels of the cases to their counts; the categories have the names of the outcomes, or, where these are not
        different, the labels; the reference is the one with most participants.
    """
    groups: dict[tuple[tuple[str, tuple[int, int]], ...], list[tuple[Case, Counts]]] = defaultdict(list)
    for case in cases:
        if case.family is None and set(BINARY) <= set(case.analysis.rows()):
            counts = counts_in(case.analysis, "OR")
            groups[tuple(sorted(_sizes(counts).items()))].append((case, counts))
    found = {}
    for group in groups.values():
        names = [case.analysis.outcome for case, _ in group]
        if len(set(names)) < len(names):
            names = [case.label for case, _ in group]
        analyses = {name: case.analysis for name, (case, _) in zip(names, group, strict=True)}
        events = [int((counts.event_e + counts.event_c).sum()) for _, counts in group]
        try:
            whole = Categories.from_analyses(analyses, names[int(np.argmax(events))])
        except ValueError:  # they do not add up, or there is one
            continue
        found[tuple(case.label for case, _ in group)] = whole
    return found


def _names(categories: Sequence[str], reference: str) -> tuple[str, ...]:
    names = tuple(str(name) for name in categories)
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(f"categories must be two or more different names; got {', '.join(names) or 'none'}.")
    if reference not in names:
        raise ValueError(f"reference must be one of {', '.join(names)}; got {reference!r}.")
    return names


def _counts(name: str, values: ArrayLike, study: tuple[str, ...], names: tuple[str, ...]) -> NDArray[np.float64]:
    shape = (len(study), len(names))
    try:
        array = np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers: {error}.") from None
    if array.shape != shape:
        raise ValueError(f"{name} must have a row a trial and a column a category, shape {shape}; got {array.shape}.")
    for category, column in zip(names, array.T, strict=True):
        counted = np.isfinite(column) & (column >= 0) & (column == np.rint(column))
        demand(f"{name} of {category} must be a whole number from 0", counted, study, column)
    return array


def _proportions(control: Mapping[str, float], categories: tuple[str, ...]) -> NDArray[np.float64]:
    if set(control) != set(categories):
        wanted, got = ", ".join(categories), ", ".join(control)
        raise ValueError(f"control must have a proportion of each of {wanted}; got {got}.")
    found = np.array([control[name] for name in categories], dtype=float)
    demand("control must be proportions, from 0 to 1", (found >= 0) & (found <= 1), categories, found)
    if not abs(found.sum() - 1) <= SUM_TOLERANCE:
        raise ValueError(f"the proportions of control must add up to 1; got {found.sum():.12g}.")
    return np.asarray(found / found.sum())


def _sizes(counts: Counts) -> dict[str, tuple[int, int]]:
    """Of each trial the sizes of its arms."""
    sizes = zip(counts.n_e.tolist(), counts.n_c.tolist(), strict=True)
    return dict(zip(counts.study, sizes, strict=True))


def _described(counts: Counts) -> str:
    return ", ".join(f"{study} ({e} and {c})" for study, (e, c) in _sizes(counts).items())
