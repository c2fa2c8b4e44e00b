"""Trials that compare several treatments with each other: a network of relative effects, and where it can disagree.

Source: van Valkenhoef G, Dias S, Ades AE, Welton NJ. Automated generation of node-splitting models for assessment of
inconsistency in network meta-analysis. Res Synth Methods 2016;7:80-93 (which comparisons to split).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from bayespip.measures import Measure, as_measure
from bayespip.model_data.network_trials import Trial, trials_of_arms, trials_of_contrasts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

__all__ = ["Network"]

REFERENCE = "control"  # the reference treatment, where there is one of that name


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Network:
    """Relative effects of k trials on T treatments.

    Arrays have a row a trial and a place for each of the M = (most arms of a trial) - 1 effects; where a trial has
    fewer, ``reported`` is False and the arrays are zero.

    Attributes
    ----------
    trials
        The trials.
    measure
        Of all effects; its name is accepted.
    reference
        The treatment that the others' effects are against. By default "control" if there is one, else the treatment in
        most trials, the first of those in alphabetical order; ``assumptions`` says which.
    treatments
        The reference, then the others in alphabetical order, length T.
    split
        Two treatments whose direct comparison has a parameter of its own; None under consistency.
    assumptions
        Sentences about what was chosen.

    Raises
    ------
    ValueError
        If there is no trial, a label repeats, the network falls into parts (the message names them), the reference is
        no treatment of it, or split names no comparison of ``comparisons_to_split``.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame(  # invented
    ...     {
    ...         "study": ["A", "A", "B", "B", "C", "C"],
    ...         "treatment": ["control", "X", "control", "Y", "X", "Y"],
    ...         "mean": [11.2, 9.1, 12.0, 10.4, 9.9, 9.5],
    ...         "sd": [4.8, 4.2, 5.1, 4.6, 4.4, 4.9],
    ...         "n": [50, 45, 38, 40, 33, 35],
    ...     }
    ... )
    >>> network = bp.Network.from_arms(rows, "MD")
    >>> network.reference, network.treatments, network.comparisons_to_split()
    ('control', ('control', 'X', 'Y'), (('X', 'Y'), ('X', 'control'), ('Y', 'control')))
    """

    trials: tuple[Trial, ...]
    measure: Measure
    reference: str
    treatments: tuple[str, ...]
    split: tuple[str, str] | None
    assumptions: tuple[str, ...]

    def __init__(
        self,
        trials: Sequence[Trial],
        measure: str | Measure,
        *,
        reference: str | None = None,
        split: tuple[str, str] | None = None,
    ) -> None:
        if not trials:
            raise ValueError("a network must have at least one trial; got none (k = 0).")
        repeated = [name for name, times in Counter(t.study for t in trials).items() if times > 1]
        if repeated:
            raise ValueError(f"study labels must be unique; repeated: {', '.join(repeated)}.")
        parts = _parts(trials)
        if len(parts) > 1:
            shown = "; ".join("{" + ", ".join(part) + "}" for part in parts)
            raise ValueError(f"a network must be connected; no trial links these parts: {shown}.")
        chosen, said = _reference(trials, reference)
        if split is not None:
            comparisons = _comparisons_to_split(trials)
            if tuple(sorted(split)) not in comparisons:
                choices = ", ".join(" vs ".join(pair) for pair in comparisons) or "none"
                raise ValueError(
                    f"split must be a comparison with direct and indirect evidence: {choices}; got {split!r}."
                )
            split = (split[0], split[1])
            both = set(split)
            trials = [t.against(split[0]) if both <= set(t.arms) else t for t in trials]
        treatments = (chosen, *sorted(_treatments(trials) - {chosen}))
        given = (tuple(trials), as_measure(measure), chosen, treatments, split, (said,))
        for field, value in zip(fields(self), given, strict=True):
            object.__setattr__(self, field.name, value)

    @classmethod
    def from_arms(cls, table: pd.DataFrame, measure: str | Measure, *, reference: str | None = None) -> Network:
        """The network of a table with one row an arm.

        Parameters
        ----------
        table
            Columns study, treatment and mean, sd, n (MD) or event, n (OR, RR, RD). To all arms of a trial with an
            empty cell 0.5 is added.
        measure
            One of these.
        reference
            As in ``Network``.

        Raises
        ------
        ValueError
            If the measure is another, a column is missing, a value cannot be, or a trial says nothing of a ratio; the
            message names the rows.
        """
        return cls(trials_of_arms(table, measure), measure, reference=reference)

    @classmethod
    def from_contrasts(cls, table: pd.DataFrame, measure: str | Measure, *, reference: str | None = None) -> Network:
        """The network of a table with one row a contrast.

        Parameters
        ----------
        table
            Columns study, treat_a, treat_b, yi (effect of a against b, model scale), sei; of trials with A > 2 arms
            A - 1 rows, all against the same treat_b, and in the column var_shared the sampling variance of that arm.
        measure
            Of all rows.
        reference
            As in ``Network``.

        Raises
        ------
        ValueError
            If a column is missing, a value cannot be, or the rows of a trial are not against one treatment; the message
            names the rows.
        """
        return cls(trials_of_contrasts(table), measure, reference=reference)

    @property
    def study(self) -> tuple[str, ...]:
        """Labels of the trials."""
        return tuple(trial.study for trial in self.trials)

    @property
    def k(self) -> int:
        """Number of trials."""
        return len(self.trials)

    @property
    def columns(self) -> tuple[str, ...]:
        """What has a parameter: the treatments but the reference and, if it is split, the direct comparison."""
        direct = () if self.split is None else ("direct: {1} vs {0}".format(*self.split),)
        return (*self.treatments[1:], *direct)

    @property
    def places(self) -> int:
        """M, the most effects that a trial reports."""
        return max(len(trial.yi) for trial in self.trials)

    @property
    def reported(self) -> NDArray[np.bool_]:
        """Which places of each trial are taken, shape (k, M)."""
        return np.arange(self.places) < np.array([[len(trial.yi)] for trial in self.trials])

    @property
    def yi(self) -> Array:
        """Effects by trial, shape (k, M)."""
        return self._filled(trial.yi for trial in self.trials)

    @property
    def cov(self) -> Array:
        """Covariances of the sampling errors by trial, shape (k, M, M)."""
        return self._filled((trial.cov for trial in self.trials), self.places)

    @property
    def design(self) -> Array:
        """Each effect in terms of the parameters, shape (k, M, columns): 1 its treatment, -1 the trial's first arm."""
        rows = (np.array([self._row(trial.arms[0], arm) for arm in trial.arms[1:]]) for trial in self.trials)
        return self._filled(rows, len(self.columns))

    def with_yi(self, yi: ArrayLike) -> Network:
        """The same trials with other effects, shape (k, M)."""
        new = np.asarray(yi, dtype=float)
        return self._of(
            Trial(t.study, t.arms, row[: len(t.yi)], t.cov) for t, row in zip(self.trials, new, strict=True)
        )

    def take(self, index: Sequence[int]) -> Network:
        """Some of the trials, in the parameters of all: a treatment that none of them has is left to its prior.

        For leaving trials out; what is taken need not be connected.
        """
        return self._of(self.trials[i] for i in index)

    def comparisons_to_split(self) -> tuple[tuple[str, str], ...]:
        """Comparisons with direct and indirect evidence: without the trials of both, the two are still connected.

        Rule of van Valkenhoef et al. 2016: a trial of three arms agrees with itself and is no indirect evidence.
        """
        return _comparisons_to_split(self.trials)

    def split_at(self, first: str, second: str) -> Network:
        """The network with a parameter of its own for the direct evidence on second against first."""
        return Network(self.trials, self.measure, reference=self.reference, split=(first, second))

    def _of(self, trials: Iterable[Trial]) -> Network:
        """Other trials in the same parameters."""
        other = object.__new__(Network)
        for field in fields(self):
            object.__setattr__(other, field.name, getattr(self, field.name))
        object.__setattr__(other, "trials", tuple(trials))
        return other

    def _row(self, first: str, arm: str) -> Array:
        plus, minus = (arm, first) if (first, arm) != self.split else (self.columns[-1], "")
        return np.array([float(column == plus) - float(column == minus) for column in self.columns])

    def _filled(self, blocks: Iterable[Array], *last: int) -> Array:
        """Arrays of the trials' own sizes in one of shape (k, M, *last), zero where a trial has no more effects."""
        whole = np.zeros((self.k, self.places, *last))
        for i, block in enumerate(blocks):
            whole[i][tuple(slice(n) for n in block.shape)] = block
        return whole


def _treatments(trials: Iterable[Trial]) -> set[str]:
    return {arm for trial in trials for arm in trial.arms}


def _parts(trials: Sequence[Trial]) -> list[list[str]]:
    """The treatments that trials connect, part by part."""
    parts: list[set[str]] = []
    for trial in trials:
        whole = set(trial.arms).union(*(part for part in parts if part & set(trial.arms)))
        parts = [*(part for part in parts if not part & whole), whole]
    return sorted(sorted(part) for part in parts)


def _reference(trials: Sequence[Trial], asked: str | None) -> tuple[str, str]:
    """The reference treatment, and a sentence about it."""
    times = Counter(arm for trial in trials for arm in trial.arms)
    if asked is not None:
        if asked not in times:
            raise ValueError(f"reference must be one of {', '.join(sorted(times))}; got {asked!r}.")
        return asked, f"Effects are against {asked}, as asked."
    if REFERENCE in times:
        return REFERENCE, f"Effects are against {REFERENCE}, the treatment of that name."
    chosen = min(times, key=lambda treatment: (-times[treatment], treatment))
    return chosen, f"Effects are against {chosen}, the treatment in most trials ({times[chosen]} of {len(trials)})."


def _comparisons_to_split(trials: Sequence[Trial]) -> tuple[tuple[str, str], ...]:
    direct = sorted({pair for trial in trials for pair in combinations(sorted(trial.arms), 2)})
    others = {pair: [t for t in trials if not set(pair) <= set(t.arms)] for pair in direct}
    return tuple(pair for pair in direct if any(set(pair) <= set(part) for part in _parts(others[pair])))
