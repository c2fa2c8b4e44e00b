"""The figures of one outcome, each with the call that draws it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayespip.exact.fit import exact_fit
from bayespip.frequentist.fit import frequentist_fit
from bayespip.plots import plot_forest, plot_sensitivity, plot_shrinkage, plot_tau, plot_tipping
from bayespip.report.figures import Picture, picture
from bayespip.sensitivity import tau_evidence, tipping_curve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from bayespip.fits import Fit
    from bayespip.priors.sets import PriorSet
    from bayespip.report.subjects import Subject

__all__ = ["outcome_pictures"]

# The review's method, and Cochrane's current default.
_FREQUENTIST = (("DL", "Wald"), ("REML", "HKSJ-floored"))
_MEMBER = " (of the equal-variance member, one possible data set)"


def outcome_pictures(subject: Subject) -> Iterator[Picture]:
    """Forest, heterogeneity, tipping point, shrinkage where there are studies, and every prior and method."""
    yield _forest(subject) if subject.case.family is None else _forest_of_published(subject)
    yield _tau(subject)
    yield _tipping(subject)
    if subject.case.family is None and subject.case.k > 1:
        yield _shrinkage(subject)
    yield _sensitivity(subject)


def _forest(subject: Subject) -> Picture:
    case, level = subject.case, subject.result.settings["level"]
    some = _front(subject)
    bias = subject.result.review.risk_of_bias
    fits: list[Fit] = [
        *(frequentist_fit(case.effects, tau2=tau2, ci=ci, level=level) for tau2, ci in _FREQUENTIST),
        *(exact_fit(case.effects, s.priors, level=level) for s in some),
    ]
    methods = ", ".join(f"bp.frequentist_fit(e, tau2={t!r}, ci={ci!r}, level={level!r})" for t, ci in _FREQUENTIST)
    posteriors = f"*(bp.exact_fit(e, p, level={level!r}) for p in {_priors_call(subject, some)})"
    more = ", risk_of_bias=result.review.risk_of_bias" if bias is not None else ""
    return picture(
        lambda: plot_forest(fits, analysis=case.analysis, risk_of_bias=bias),
        f"{subject.id}-forest",
        title=f"{subject.finding.label}: forest plot",
        caption=(
            "Squares are the studies' effects, sized by weight; beneath each its shrunken estimate under the first "
            "prior. Thick lines are intervals of the average effect, thin ones of the effect in a new study."
        ),
        call=(
            f"e = {_effects_call(subject)}; "
            f"bp.plot_forest([{methods}, {posteriors}], analysis=result.cases[{subject.place}].analysis{more})"
        ),
        wide=True,
    )


def _forest_of_published(subject: Subject) -> Picture:
    some = {s.priors.label for s in _front(subject)}
    own = _rows(subject)
    shown = own[(own["prior"] == "") | own["prior"].isin(some)]
    return picture(
        lambda: plot_forest(shown, analysis=subject.case.analysis),
        f"{subject.id}-forest",
        title=f"{subject.finding.label}: the pooled results",
        caption=(
            "Only the pooled result was published, so there are no studies to draw. Thick lines are intervals of the "
            "average effect, thin ones of the effect in a new study; pale bars bound the interval of the average "
            "effect over all study data that give exactly the published numbers."
        ),
        call=(
            f"bp.plot_forest({_rows_call(subject)}.query({f'prior in {["", *sorted(some)]!r}'!r}), "
            f"analysis=result.cases[{subject.place}].analysis)"
        ),
        wide=True,
    )


def _tau(subject: Subject) -> Picture:
    case, some = subject.case, _contrasting(subject.sets)
    level = subject.result.settings["level"]
    evidence = tau_evidence(case.effects, [s.priors for s in some], level=level)
    return picture(
        lambda: plot_tau(evidence),
        f"{subject.id}-tau",
        title=f"{subject.finding.label}: what the studies and the priors say of the heterogeneity",
        caption=(
            f"Between-study standard deviation τ{_MEMBER if case.family is not None else ''}: thin lines are priors, "
            "thick ones the posteriors; grey is what the studies alone say. Beneath, the frequentist estimates and "
            "the Q-profile interval."
        ),
        call=f"bp.plot_tau(bp.tau_evidence({_effects_call(subject)}, {_priors_call(subject, some)}, level={level!r}))",
    )


def _tipping(subject: Subject) -> Picture:
    level, case = subject.result.settings["level"], subject.case
    tips = subject.result.tipping
    own = tips[(tips["analysis"] == case.analysis.id) & (tips["k"] == case.k) & (tips["on"] == "tau")].iloc[0]
    curve = tipping_curve(case.effects, side=own["side"], level=level)
    return picture(
        lambda: plot_tipping(curve),
        f"{subject.id}-tipping-curve",
        title=f"{subject.finding.label}: where the conclusion tips as the prior on τ widens",
        caption=(
            f"The average effect against the scale of a half-normal prior on τ, beside a flat prior on μ"
            f"{_MEMBER if case.family is not None else ''}. {own['sentence'][0].upper()}{own['sentence'][1:]}."
        ),
        call=(f"bp.plot_tipping(bp.tipping_curve({_effects_call(subject)}, side={own['side']!r}, level={level!r}))"),
    )


def _shrinkage(subject: Subject) -> Picture:
    level, first = subject.result.settings["level"], _front(subject)[0]
    fit = exact_fit(subject.case.effects, first.priors, level=level)
    place = subject.sets.index(first)
    return picture(
        lambda: plot_shrinkage(fit),
        f"{subject.id}-shrinkage",
        title=f"{subject.finding.label}: how the studies' effects draw together",
        caption=(
            "Each study's effect, and the average effect with its band, if τ were known; beneath, how plausible each "
            f"τ is ({first.priors.label})."
        ),
        call=(
            f"bp.plot_shrinkage(bp.exact_fit({_effects_call(subject)}, "
            f"result.sets[{subject.place}][{place}].priors, level={level!r}))"
        ),
    )


def _sensitivity(subject: Subject) -> Picture:
    own = _rows(subject)
    return picture(
        lambda: plot_sensitivity(own),
        f"{subject.id}-sensitivity",
        title=f"{subject.finding.label}: the average effect under every prior and method",
        caption=(
            "Each column is one analysis, sorted by its median or estimate; the dots beneath say which prior or "
            "method it is. A filled marker: the interval excludes no effect."
        ),
        call=f"bp.plot_sensitivity({_rows_call(subject)})",
        wide=True,
    )


def _rows(subject: Subject) -> pd.DataFrame:
    """The table's rows of this outcome, with its published row."""
    table, f = subject.result.table, subject.finding
    return table[(table["analysis"] == f.analysis.id) & ((table["k"] == f.k) | (table["method"] == "published"))]


def _rows_call(subject: Subject) -> str:
    f = subject.finding
    query = f"analysis == {f.analysis.id!r} and (k == {f.k} or method == 'published')"
    return f"result.table.query({query!r})"


def _front(subject: Subject) -> list[PriorSet]:
    """The priors that show both axes (``Finding.front``)."""
    shown = {line.priors for line in subject.finding.front}
    return [s for s in subject.sets if (s.tau, s.mu, s.kind) in shown]


def _contrasting(sets: Sequence[PriorSet]) -> list[PriorSet]:
    """The first and the last prior on tau of each kind, hybrids left out: four at most."""
    once: dict[tuple[str, str], PriorSet] = {}
    for s in sets:
        if s.kind != "hybrid":
            once.setdefault((s.kind, s.tau), s)
    of = {kind: [s for (its, _), s in once.items() if its == kind] for kind, _ in once}
    return [s for own in of.values() for s in dict.fromkeys((own[0], own[-1]))][:4]


def _effects_call(subject: Subject) -> str:
    return f"result.cases[{subject.place}].effects"


def _priors_call(subject: Subject, some: Sequence[PriorSet]) -> str:
    places = [subject.sets.index(s) for s in some]
    return f"[result.sets[{subject.place}][i].priors for i in {places}]"
