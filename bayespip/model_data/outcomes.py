"""Several outcomes of one review, for models that learn from all of them at once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip.effects import EffectSizes
from bayespip.published_only.consistent import BASIS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from bayespip.measures import Measure

__all__ = ["Outcomes"]


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Outcomes:
    """Effects of the studies of several outcomes, on one scale.

    The rows are those of the outcomes one after the other; a row is the effect of one study on one outcome.

    Attributes
    ----------
    effects
        Label of each outcome to the effects of its studies; in order, read-only.
    blocks
        Every outcome once, in groups: those of a group share trials. A group joins outcomes that have a study of the
        same label, and those that the argument ``blocks`` puts together. Labels of possible study data
        (``Family.effects``) stand for no trial.
    rho_within
        Correlation between the sampling errors of two outcomes of the same trial, the same for every pair; None if
        it was not given. ``multivariate`` needs it.
    assumptions
        Sentences about what is taken for granted.

    Raises
    ------
    ValueError
        If there is no outcome, two labels are the same as text, outcomes are on different scales, a block names an
        outcome that is not there, or rho_within gives no valid covariance; the message names the outcomes.

    Examples
    --------
    >>> invented = bp.Outcomes(
    ...     {
    ...         "anxiety": bp.EffectSizes(["A", "B"], [0.1, 0.9], [0.2, 0.3], "SMD"),
    ...         "sleep": bp.EffectSizes(["A", "C"], [-0.4, 0.1], [0.25, 0.2], "SMD"),
    ...     }
    ... )
    >>> invented.outcome, invented.blocks
    (('anxiety', 'sleep'), (('anxiety', 'sleep'),))
    """

    effects: Mapping[str, EffectSizes]
    blocks: tuple[tuple[str, ...], ...]
    rho_within: float | None
    assumptions: tuple[str, ...]

    def __init__(
        self,
        effects: Mapping[str, EffectSizes],
        *,
        blocks: Sequence[Sequence[str]] = (),
        rho_within: float | None = None,
        assumptions: Sequence[str] = (),
    ) -> None:
        named: dict[str, Any] = {str(label): of for label, of in effects.items()}
        if not named:
            raise ValueError("effects must hold at least one outcome; got none.")
        if len(named) < len(effects):
            raise ValueError(f"labels of outcomes must differ as text; got {', '.join(map(repr, effects))}.")
        wrong = [f"{label} ({type(of).__name__})" for label, of in named.items() if not isinstance(of, EffectSizes)]
        if wrong:
            raise ValueError(f"effects must be EffectSizes for every outcome; not so for {', '.join(wrong)}.")
        _require_one_scale(named)
        object.__setattr__(self, "effects", MappingProxyType(named))
        object.__setattr__(self, "blocks", tuple(_joined(named, [*blocks, *_sharing(named).values()])))
        object.__setattr__(self, "assumptions", tuple(assumptions))
        most = max(self.reported.sum(axis=1))
        if rho_within is not None and not -1 / max(most - 1, 1) < rho_within < 1:
            raise ValueError(
                f"rho_within must lie in ({-1 / max(most - 1, 1):.4g}, 1), for a trial with {most} outcomes to have a "
                f"valid covariance; got {rho_within!r}."
            )
        object.__setattr__(self, "rho_within", None if rho_within is None else float(rho_within))

    @property
    def outcome(self) -> tuple[str, ...]:
        """Labels of the J outcomes."""
        return tuple(self.effects)

    @property
    def study(self) -> tuple[str, ...]:
        """Labels of the rows, such as "P1 / Cooper 2003"; length k."""
        return tuple(row for label in self.effects for row in self.rows(label))

    @property
    def k(self) -> int:
        """Number of rows."""
        return sum(of.k for of in self.effects.values())

    @property
    def measure(self) -> Measure:
        """The effect measure of all outcomes."""
        return next(iter(self.effects.values())).measure

    @property
    def yi(self) -> NDArray[np.float64]:
        """Effect estimates of the rows, shape (k,)."""
        return np.concatenate([of.yi for of in self.effects.values()])

    @property
    def sei(self) -> NDArray[np.float64]:
        """Standard errors of the rows, shape (k,)."""
        return np.concatenate([of.sei for of in self.effects.values()])

    @property
    def index(self) -> NDArray[np.int64]:
        """Number of each row's outcome, from 0, shape (k,)."""
        return np.repeat(np.arange(len(self.effects)), [of.k for of in self.effects.values()])

    @property
    def trials(self) -> tuple[str, ...]:
        """Labels of the T studies, each once, in order of appearance."""
        return tuple(dict.fromkeys(study for of in self.effects.values() for study in of.study))

    @property
    def reported(self) -> NDArray[np.bool_]:
        """Which trial reports which outcome, shape (T, J)."""
        return np.array([[trial in of.study for of in self.effects.values()] for trial in self.trials])

    @property
    def trial(self) -> NDArray[np.int64]:
        """Number of each row's trial, from 0, shape (k,)."""
        number = {trial: i for i, trial in enumerate(self.trials)}
        return np.array([number[study] for of in self.effects.values() for study in of.study])

    def by_trial(self, values: ArrayLike, missing: float) -> NDArray[np.float64]:
        """One value a row, shape (k,), arranged by trial and outcome, shape (T, J)."""
        arranged = np.full((len(self.trials), len(self.effects)), missing, dtype=float)
        arranged[self.trial, self.index] = values
        return arranged

    def rows(self, label: str) -> tuple[str, ...]:
        """Labels of the rows of one outcome."""
        return tuple(f"{label} / {study}" for study in self.select(label).study)

    def select(self, label: str) -> EffectSizes:
        """The effects of one outcome.

        Raises
        ------
        ValueError
            If there is none of that label; the message lists the choices.
        """
        if label not in self.effects:
            raise ValueError(f"outcome must be one of {', '.join(self.effects)}; got {label!r}.")
        return self.effects[label]

    def with_yi(self, yi: ArrayLike) -> Outcomes:
        """The same design with other estimates, shape (k,)."""
        parts = np.split(np.asarray(yi, dtype=float), np.cumsum([of.k for of in self.effects.values()])[:-1])
        effects = {
            label: EffectSizes(of.study, part, of.sei, of.measure)
            for (label, of), part in zip(self.effects.items(), parts, strict=True)
        }
        return Outcomes(effects, blocks=self.blocks, rho_within=self.rho_within, assumptions=self.assumptions)

    def with_rho(self, rho_within: float) -> Outcomes:
        """The same data under another correlation within trials."""
        return Outcomes(self.effects, blocks=self.blocks, rho_within=rho_within, assumptions=self.assumptions)

    def apart(self) -> tuple[Outcomes, ...]:
        """Sets of outcomes that share no trial with each other, every outcome in at least one of them.

        The i-th set takes the i-th outcome of every block, counting round where a block has fewer.
        """
        chosen = [
            {block[i % len(block)] for block in self.blocks} for i in range(max(len(block) for block in self.blocks))
        ]
        return tuple(
            Outcomes(
                {label: of for label, of in self.effects.items() if label in some},
                rho_within=self.rho_within,
                assumptions=self.assumptions,
            )
            for some in chosen
        )

    def require_apart(self, model: str) -> None:
        """Refuse outcomes that share trials.

        Raises
        ------
        ValueError
            If any do; the message names them, and the trials where they are known.
        """
        together = [_described(block, self.effects) for block in self.blocks if len(block) > 1]
        if together:
            raise ValueError(
                f"{model} takes outcomes that share no trial, for it holds their estimates to be independent; "
                f"these do: {'; '.join(together)}. Keep one of each group (Outcomes.apart), or use multivariate."
            )


def _require_one_scale(effects: Mapping[str, EffectSizes]) -> None:
    by_scale = defaultdict(list)
    for label, of in effects.items():
        by_scale[of.measure.model_scale].append(label)
    if len(by_scale) > 1:
        found = "; ".join(f"{scale}: {', '.join(labels)}" for scale, labels in by_scale.items())
        raise ValueError(f"outcomes must be on one scale, for their tau to be comparable; got {found}.")


def _sharing(effects: Mapping[str, EffectSizes]) -> dict[str, list[str]]:
    """Each trial that stands in several outcomes, and which."""
    of_trial: dict[str, list[str]] = defaultdict(list)
    for label, of in effects.items():
        for study in of.study:
            if not study.startswith(BASIS):
                of_trial[study].append(label)
    return {trial: labels for trial, labels in of_trial.items() if len(labels) > 1}


def _joined(effects: Mapping[str, EffectSizes], groups: Sequence[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """The connected parts of the outcomes, groups being connected; in order."""
    block = {label: {label} for label in effects}
    for group in groups:
        unknown = [label for label in group if label not in effects]
        if unknown:
            known = ", ".join(effects)
            raise ValueError(f"blocks must be of outcomes among {known}; got {', '.join(map(str, unknown))}.")
        whole = set().union(*(block[label] for label in group))
        block |= dict.fromkeys(whole, whole)
    yield from dict.fromkeys(tuple(label for label in effects if label in block[first]) for first in effects)


def _described(block: Sequence[str], effects: Mapping[str, EffectSizes]) -> str:
    trials = _sharing({label: effects[label] for label in block})
    return f"{', '.join(block)} ({', '.join(trials) if trials else 'stated in blocks'})"
