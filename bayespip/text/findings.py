"""What a re-analysis found, outcome by outcome: the rows of its table as people compare them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bayespip.reanalysis.comparison import NOT_POOLED
from bayespip.reanalysis.conclusions import CONFLICT
from bayespip.reanalysis.model_runs import METHOD
from bayespip.reanalysis.quantities import EXACT, PARAMETERS, SAMPLED
from bayespip.text.wording import count, printed

if TYPE_CHECKING:
    import pandas as pd

    from bayespip.reanalysis.job import Reanalysis
    from bayespip.review import Analysis, Reported

Row = Mapping[Hashable, Any]  # of the table, by column
# Cochrane's current default, floored so that it has a width when the studies agree (Rover 2015).
HEADLINE = "REML, HKSJ floored"
VERDICTS = ("in all members", "in some members", "in no member")
ONE_DATA_SET = ("yes", "no")
_USUAL_LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Line:
    """One method, with its prior, on one outcome.

    Attributes
    ----------
    mu, tau, theta_new
        Rows of the table; columns as in ``comparison.COLUMNS``.
    """

    mu: Row
    tau: Row
    theta_new: Row

    @property
    def method(self) -> str:
        """Name of the method."""
        return str(self.mu["method"])

    @property
    def model(self) -> str:
        """Name of the model, of a line of another than the normal-normal one; else empty."""
        return self.method.removeprefix(METHOD) if self.method.startswith(METHOD) else ""

    @property
    def priors(self) -> tuple[str, str, str]:
        """Names of the priors on tau and on mu, and their kind; empty for frequentist methods."""
        return str(self.mu["prior_tau"]), str(self.mu["prior_mu"]), str(self.mu["prior_kind"])

    @property
    def excludes_null(self) -> bool:
        """Whether the interval of mu excludes no effect, on either side."""
        return not self.mu["lower_model"] <= 0 <= self.mu["upper_model"]

    @property
    def has_bounds(self) -> bool:
        """Whether the values stand for a family of study data."""
        return not math.isnan(self.mu["lower_min"])


@dataclass(frozen=True, eq=False)
class Finding:
    """All results on one outcome with one number of studies.

    Attributes
    ----------
    analysis
        Of the review.
    k
        Number of studies.
    label
        The analysis's id; with k where it is fitted for more than one.
    frequentist, bayesian
        Lines in the order of the table; PyMC, the cross-check, is not among them.
    others
        Lines of other models than the normal-normal one, where any were asked for.
    """

    analysis: Analysis
    k: int
    label: str
    frequentist: tuple[Line, ...]
    bayesian: tuple[Line, ...]
    others: tuple[Line, ...] = ()

    @property
    def null(self) -> float:
        """No effect on the display scale."""
        assert self.analysis.measure is not None  # noqa: S101  (it was fitted)
        return self.analysis.measure.null

    @property
    def reported(self) -> Reported | None:
        """The published result."""
        return self.analysis.reported

    @property
    def published(self) -> str:
        """The published estimate and interval as printed, long numbers rounded; "none" if there is none."""
        r = self.reported
        if r is None:
            return "none"
        point, lower, upper = (printed(x, self.null) for x in (r.estimate, r.ci_lower, r.ci_upper))
        level = "" if r.level == _USUAL_LEVEL else f", {100 * r.level:g}% interval"
        return f"{point} ({lower} to {upper}{level})"

    @property
    def k_source(self) -> str:
        """Where k comes from; empty for study data."""
        if self.reported is None or not self.from_published:
            return ""
        return self.reported.k_source if self.reported.k is not None else "assumed; not stated in the paper"

    @property
    def from_published(self) -> bool:
        """Whether only the pooled result was at hand."""
        return self.analysis.studies is None

    @property
    def claimed(self) -> bool:
        """Whether the result was published as significant."""
        return self.reported is not None and self.reported.claim == "significant"

    @property
    def favours(self) -> str:
        """Which direction does: "higher", "lower" or, where no direction is stated, empty."""
        return self.analysis.favours or ""

    @property
    def headline(self) -> Line:
        """The line of REML with floored HKSJ."""
        return next(line for line in self.frequentist if line.method == HEADLINE)

    @cached_property
    def verdicts(self) -> dict[str, int]:
        """Number of priors by what becomes of the claim; all verdicts that could have come up are there."""
        found = Counter(str(line.mu["holds"]) for line in self.bayesian)
        possible = VERDICTS if self.bayesian[0].has_bounds else ONE_DATA_SET
        return {v: found[v] for v in (*possible, *(v for v in found if v not in possible))}

    @cached_property
    def medians(self) -> tuple[float, float]:
        """Smallest and largest posterior median of mu over the priors."""
        points = [float(line.mu["point"]) for line in self.bayesian]
        return min(points), max(points)

    @cached_property
    def excluding(self) -> tuple[Line, ...]:
        """Bayesian lines whose interval excludes no effect, on either side."""
        return tuple(line for line in self.bayesian if line.excludes_null)

    @cached_property
    def tau_priors(self) -> dict[str, Line]:
        """One line a prior on tau."""
        return {line.priors[0]: line for line in reversed(self.bayesian)}

    @cached_property
    def conflicts(self) -> dict[str, list[str]]:
        """Priors on tau in conflict with the data, by what shows it.

        "Q": the prior predictive p of Q; "tau": the prior probability of a tau as large as the DL estimate.
        """
        columns = {"Q": "prior_predictive_p", "tau": "prior_prob_dl_tau"}
        return {
            sign: [name for name, line in reversed(self.tau_priors.items()) if line.tau[column] < CONFLICT]
            for sign, column in columns.items()
        }

    def probabilities(self, side: str) -> tuple[float, float]:
        """Smallest and largest probability over the priors that mu lies "above" or "below" no effect."""
        found = [float(line.mu[f"prob_{side}_null"]) for line in self.bayesian]
        return min(found), max(found)

    @cached_property
    def front(self) -> tuple[Line, ...]:
        """Lines that show both axes: the first prior on tau with every mu, and the empirical pairs."""
        weak = [line for line in self.bayesian if line.priors[2] == "weakly informative"]
        first = [line for line in weak if line.priors[0] == weak[0].priors[0]]
        pairs = [line for line in self.bayesian if line.priors[2] == "empirical pair"]
        return tuple(first + pairs) or self.bayesian[:4]


def findings(result: Reanalysis) -> tuple[Finding, ...]:
    """One finding an analysis and number of studies, in the review's order."""
    fitted = result.table[~result.table["method"].isin(["published", SAMPLED])]
    grouped: dict[tuple[str, int], dict[tuple[str, str], dict[str, Row]]] = {}
    for row in fitted.to_dict("records"):
        case = grouped.setdefault((row["analysis"], int(row["k"])), {})
        case.setdefault((row["method"], row["prior"]), {})[row["parameter"]] = row
    several = Counter(analysis for analysis, _ in grouped)
    analyses = {a.id: a for a in result.analyses}
    found = []
    for (analysis, k), methods in grouped.items():
        lines = [Line(*(rows[p] for p in PARAMETERS)) for rows in methods.values()]
        found.append(
            Finding(
                analyses[analysis],
                k,
                f"{analysis} (k = {k})" if several[analysis] > 1 else analysis,
                tuple(line for line in lines if line.method != EXACT and not line.model),
                tuple(line for line in lines if line.method == EXACT),
                tuple(line for line in lines if line.model),
            )
        )
    return tuple(found)


def unpublished(result: Reanalysis) -> pd.DataFrame:
    """Rows of the outcomes of which nothing was published."""
    return result.table[result.table["value_of"] == "not published"]


def not_pooled(result: Reanalysis) -> pd.DataFrame:
    """Rows of the analyses of which there are study data, and nothing is fitted; `note` says why."""
    return result.table[result.table["note"].str.startswith(NOT_POOLED)]


def unfitted(result: Reanalysis) -> pd.DataFrame:
    """What models could not fit: analysis, k, model, reason, and the priors it is the reason for, joined by ;."""
    by = ["analysis", "k", "model", "reason"]
    return result.unfitted.groupby(by, sort=False)["prior"].agg("; ".join).rename("priors").reset_index()


@dataclass(frozen=True)
class Agreement:
    """Numbers of sampled fits: all, repeated, converged, and in disagreement with the exact engine."""

    fits: int
    repeated: int
    converged: int
    disagree: int

    @property
    def unconverged(self) -> int:
        """Fits that failed their diagnostics, even when repeated."""
        return self.fits - self.converged

    def __str__(self) -> str:
        return (
            f"{count(self.fits, 'PyMC fit')} beside the exact engine: {self.converged} converged, "
            f"{self.repeated} repeated, {self.disagree} disagree."
        )


def agreement(checks: pd.DataFrame) -> Agreement:
    """Counts of a re-analysis's ``checks``."""
    converged = checks["rhat_max"].notna()
    wrong = converged & ~checks["agrees"].astype(bool)
    repeated = checks["repeated"].astype(bool)
    return Agreement(len(checks), int(repeated.sum()), int(converged.sum()), int(wrong.sum()))
