"""Which model the data of a review ask for, and why.

The rules are about data, not about results one would like: empty and small cells, small arms, one study far from the
others, several outcomes of few studies, risk of bias. Each names what it saw.

References
----------
Cochrane Handbook 6.5, 10.4.4 (rare events), 10.10.4 (random effects of few studies), 10.11.5.1 (ten studies a
characteristic). Bradburn MJ, Deeks JJ, Berlin JA, Localio AR. Much ado about nothing. Stat Med 2007;26:53-77.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayespip.frequentist.fit import frequentist_fit
from bayespip.models import available
from bayespip.reanalysis.cases import cases, pooled_results
from bayespip.text.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayespip.effects import EffectSizes
    from bayespip.reanalysis.cases import Case
    from bayespip.review import Review

__all__ = ["Suggestion", "suggestions"]

BINOMIAL = {"OR": "binomial_normal", "PETO": "binomial_normal", "RR": "binomial_rr", "RD": "binomial_rd"}
SMALL_CELL = 5  # the usual rule of when a cell is too small for a normal approximation
SMALL_ARM = 20  # with 19 degrees of freedom a t interval is 7% longer than a normal one
FAR = 2.5  # standard errors between a study and what the others predict of it: once in 80 studies by chance
FEW = 5  # studies, of the meta-analyses this package is for
A_CHARACTERISTIC = 10  # studies


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A model that an analysis asks for.

    Attributes
    ----------
    analysis
        Labels of the analyses.
    model
        Name of the model.
    reason
        What was seen in the data, as a sentence without its stop.
    """

    analysis: str
    model: str
    reason: str


def suggestions(review: Review) -> tuple[Suggestion, ...]:
    """The models that the data of a review ask for beside ``normal_normal``.

    Parameters
    ----------
    review
        From ``load_review`` or ``read_review``.

    Returns
    -------
    tuple of Suggestion
        In the review's order, those of several analyses last; models that are not among ``models.available()`` are
        left out.
    """
    fitted, _ = cases(review.id, pooled_results(review), review.studies)
    found = [s for case in fitted for s in (*_of_arms(case), *_of_effects(case))]
    found += [*_of_several(fitted), *_of_bias(review, fitted)]
    there = available()
    return tuple(s for s in found if s.model in there)


def _of_arms(case: Case) -> Iterator[Suggestion]:
    if case.family is not None:
        return
    rows = case.analysis.rows()
    rows = rows[rows["study"].isin(case.effects.study)]
    if {"event_e", "n_e", "event_c", "n_c"} <= set(rows):
        arms = [(rows[f"event_{arm}"], rows[f"n_{arm}"] - rows[f"event_{arm}"]) for arm in "ec"]
        cells = np.array([cell for arm in arms for cell in arm], dtype=float)
        empty, small = (cells == 0).any(axis=0).sum(), (cells < SMALL_CELL).any(axis=0).sum()
        seen = (empty, "an empty cell, which it needs not correct") if empty else (small, f"a cell below {SMALL_CELL}")
        if seen[0]:
            model = BINOMIAL.get(case.measure.name, "binomial_normal")
            reason = f"{seen[0]} of {count(len(rows), 'study', 'studies')} with {seen[1]}"
            if empty and model != "binomial_normal":
                reason += "; where chains fail, for a cell at its limit, take the odds ratio and binomial_normal"
            yield Suggestion(case.label, model, reason)
    if {"mean_e", "sd_e", "n_e", "mean_c", "sd_c", "n_c"} <= set(rows) and case.measure.name in ("MD", "SMD"):
        smallest = float(np.nanmin(rows[["n_e", "n_c"]].to_numpy(dtype=float)))
        if smallest < SMALL_ARM:
            reason = f"an arm of {smallest:g} participants: its standard deviation is an estimate too"
            yield Suggestion(case.label, "normal_arms", reason)


def _of_effects(case: Case) -> Iterator[Suggestion]:
    if case.family is not None or case.k < 3:
        return
    for study, distance in _distances(case.effects):
        if distance > FAR:
            reason = f"{study} lies {distance:.1f} standard errors from what the others predict of it"
            yield Suggestion(case.label, "student_t", reason)
    if case.k >= A_CHARACTERISTIC:
        reason = f"{case.k} studies, {A_CHARACTERISTIC} a characteristic: one moderator can be asked about"
        yield Suggestion(case.label, "meta_regression", reason)


def _distances(effects: EffectSizes) -> Iterator[tuple[str, float]]:
    """Each study and how far it lies from the prediction of the others, REML, in standard errors."""
    for i, study in enumerate(effects.study):
        others = np.arange(effects.k) != i
        rest = type(effects)(
            [s for s, kept in zip(effects.study, others, strict=True) if kept],
            effects.yi[others],
            effects.sei[others],
            effects.measure,
        )
        fit = frequentist_fit(rest, tau2="REML", ci="Wald")
        error = np.sqrt(effects.vi[i] + fit.tau.point**2 + float(fit.pooled.se) ** 2)
        yield study, float(abs(effects.yi[i] - fit.mu.point) / error)


def _of_several(fitted: Sequence[Case]) -> Iterator[Suggestion]:
    """Outcomes of few studies on one scale: apart, or of the same trials."""
    by_scale: dict[str, list[Case]] = defaultdict(list)
    for case in fitted:
        by_scale[case.measure.model_scale].append(case)
    for scale, its in by_scale.items():
        labels = list(dict.fromkeys(case.analysis.id for case in its))
        few = {case.analysis.id for case in its if case.k <= FEW}
        if len(labels) > 1 and few:
            reason = (
                f"{len(few)} of {count(len(labels), 'outcome')} on the scale of {scale} with at most {FEW} studies: "
                "each can learn its tau from the others"
            )
            yield Suggestion(", ".join(labels), "pooled_tau", reason)
        together = [case for case in its if case.family is None and _shares(case, its)]
        if together:
            shared = ", ".join(case.label for case in together)
            yield Suggestion(shared, "multivariate", "they have trials in common, so that their errors are correlated")


def _shares(case: Case, others: Sequence[Case]) -> bool:
    own = set(case.effects.study)
    return any(o is not case and o.family is None and own & set(o.effects.study) for o in others)


def _of_bias(review: Review, fitted: Sequence[Case]) -> Iterator[Suggestion]:
    table = review.risk_of_bias
    if table is None:
        return
    domains = table.drop(columns="study").astype(str)
    high = domains.apply(lambda judged: judged.str.lower().str.startswith("high")).any(axis=1)
    trials = set(table["study"][high])
    labels = [case.label for case in fitted if case.family is None and trials & set(case.effects.study)]
    if labels:
        at_risk = f"{count(len(trials), 'trial')} at high risk of bias in some domain"
        reason = f"{at_risk}; it wants your own judgement of how large a bias is"
        yield Suggestion(", ".join(labels), "bias_adjusted", reason)
