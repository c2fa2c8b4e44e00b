"""What a review published against itself: which printed numbers and statements cannot all be true.

Every printed number stands for all numbers that print so, and nothing is flagged that rounding explains. The rules
and what they cannot see: docs/decisions/audit.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayespip.auditing.counts import arms, counts
from bayespip.auditing.heterogeneity import heterogeneity
from bayespip.auditing.intervals import impossible_numbers, interval, p_and_claim
from bayespip.auditing.statements import check_stated, statements
from bayespip.auditing.wording import Finding
from bayespip.catalogue import REVIEWS, load_review, load_stated
from bayespip.review import Review

if TYPE_CHECKING:
    import pandas as pd

    from bayespip.review import Analysis, Reported

__all__ = ["audit", "audit_reported"]


def audit(review: Review, stated: pd.DataFrame | None = None) -> pd.DataFrame:
    """Contradictions within a review.

    Parameters
    ----------
    review
        Its published results are checked, with its table of trials where it has one.
    stated
        What it says in words: columns as of ``catalogue.load_stated``. None: for a bundled review its own
        statements, for any other none.

    Returns
    -------
    DataFrame
        One row a finding: analysis ("" for the review as a whole), check, printed, implied, how_sure ("impossible",
        "inconsistent", "unusual"; see ``wording.Finding``), sentence. Analyses in the review's order, then the
        review as a whole. No row: nothing found, which is no proof that the numbers are right.

    Raises
    ------
    ValueError
        If review is no Review, or stated lacks a column, has an unknown kind, a number that is none, or names an
        analysis that is not in the review.

    Examples
    --------
    >>> print(bp.audit(bp.load_review("pip"))["how_sure"].value_counts().to_string())
    how_sure
    unusual         6
    inconsistent    6
    impossible      3
    """
    import pandas as pd

    if not isinstance(review, Review):
        raise ValueError(f"review must be a Review, such as load_review gives; got {type(review).__name__}.")
    if stated is None and review.id in REVIEWS and review.doi == load_review(review.id).doi:
        stated = load_stated(review.id)
    found: dict[str, list[Finding]] = {key: [] for key in (*review.ids, "")}
    for analysis in review:
        found[analysis.id] += [*_numbers(analysis), *counts(analysis, review.studies)]
    if review.studies is not None:
        found[""] += arms(review.studies)
    if stated is not None:
        check_stated(review, stated)
        for place, finding in statements(review, stated):
            found[place].append(finding)
    rows = [(place, *finding) for place, findings in found.items() for finding in findings]
    return pd.DataFrame(rows, columns=["analysis", *Finding._fields], dtype="str")


def _numbers(analysis: Analysis) -> tuple[Finding, ...]:
    if analysis.reported is None:
        return ()
    settings = analysis.settings
    if settings is None:
        return audit_reported(analysis.reported)
    return audit_reported(analysis.reported, tau2=settings.tau2, ci=settings.ci)


def audit_reported(reported: Reported, *, tau2: str = "DL", ci: str = "Wald") -> tuple[Finding, ...]:
    """Contradictions within the numbers of one published result.

    Parameters
    ----------
    reported
        As printed.
    tau2, ci
        The stated estimator of the between-study variance and interval, as ``frequentist_fit`` names them; of a
        fixed-effect analysis the first does not matter.

    Returns
    -------
    tuple of Finding
        A number that is impossible by itself, if there is one; otherwise all numbers that disagree.
    """
    impossible = tuple(impossible_numbers(reported))
    if any(finding.how_sure == "impossible" for finding in impossible):
        return impossible
    return (
        *impossible,
        *interval(reported),
        *p_and_claim(reported, ci=ci),
        *heterogeneity(reported, tau2=tau2, ci=ci),
    )
