"""The methods of a re-analysis as paragraphs to paste, and the works they cite: what was run, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayespip.mcmc.diagnostics import ESS_MIN, RHAT_MAX
from bayespip.reanalysis.agreement import LIMIT
from bayespip.reanalysis.conclusions import CONFLICT
from bayespip.report.markdown import escaped
from bayespip.report.method_priors import priors_used
from bayespip.report.references import Citations, Reference
from bayespip.reproduction import tally
from bayespip.text.findings import agreement, findings
from bayespip.text.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bayespip.reanalysis.job import Reanalysis
    from bayespip.text.findings import Finding

__all__ = ["Methods", "methods"]

# How each frequentist method is described, with the works that proposed it.
_FREQUENTIST: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "common, Wald": ("the common-effect model (inverse variance)", ()),
    "DL, Wald": ("random effects by DerSimonian and Laird with Wald limits", ("dersimonian1986",)),
    "REML, HKSJ": (
        "random effects by restricted maximum likelihood (REML) with Hartung-Knapp-Sidik-Jonkman (HKSJ) limits",
        ("viechtbauer2005", "hartung2001", "sidik2002"),
    ),
    "REML, HKSJ floored": ("the same with the HKSJ factor not allowed below 1", ("rover2015",)),
}


@dataclass(frozen=True, slots=True)
class Methods:
    """The methods section.

    Attributes
    ----------
    paragraphs
        With citations as numbers in brackets.
    references
        Those cited, in the order of their numbers.
    """

    paragraphs: tuple[str, ...]
    references: tuple[Reference, ...]

    def __str__(self) -> str:
        """As Markdown, headings of the second level."""
        works = "\n".join(f"{i}. {escaped(str(r))}" for i, r in enumerate(self.references, start=1))
        return f"## Methods\n\n{'\n\n'.join(escaped(p) for p in self.paragraphs)}\n\n## References\n\n{works}\n"


def methods(result: Reanalysis, *, rated: bool = False) -> Methods:
    """What was run, in words.

    Parameters
    ----------
    result
        From ``reanalyse``.
    rated
        Whether the summary has the user's GRADE ratings.
    """
    cite, found = Citations(), findings(result)
    paragraphs = [_data(result, found, cite)]
    if any(f.from_published for f in found):
        paragraphs.append(_published(result, found, cite))
    paragraphs += [_frequentist(found, cite), *_bayesian(result, found, cite)]
    paragraphs.append(" ".join(_conclusions(result, found, cite, rated=rated)))
    return Methods(tuple(paragraphs), tuple(cite.cited))


def _data(result: Reanalysis, found: Sequence[Finding], cite: Citations) -> str:
    review, versions = result.review, result.settings["versions"]
    work = Reference("review", review.title, doi=review.doi)
    software = Reference(
        "bayespip", f"bayespip: Bayesian re-analysis of published meta-analyses, version {versions['bayespip']}"
    )
    analyses = {f.analysis.id: f for f in found}
    chosen = "chosen " if result.settings["analyses"] is not None else ""
    text = (
        f"We pooled {count(len(analyses), f'{chosen}analysis', f'{chosen}analyses')} of a systematic review "
        f"{cite(work)} again with bayespip {versions['bayespip']} {cite(software)}."
    )
    with_data = [f for f in analyses.values() if not f.from_published]
    if with_data:
        which = "" if len(with_data) == len(analyses) else f" of {len(with_data)} of them"
        text += (
            f" The studies{which} entered with the effects and standard errors that their data give, effects of ratios "
            "as logarithms."
        )
        if result.assumptions["analysis"].isin([f.analysis.id for f in with_data]).any():
            text += " What that involves for single results (such as empty cells) is listed with them."
        stored = tally(result.reproduction) if len(result.reproduction) else None
        if stored and stored.results:
            text += (
                f" All results that the review's file stores were computed again as RevMan does {cite('deeks2010')}: "
                f"{stored}."
            )
    return text


def _published(result: Reanalysis, found: Sequence[Finding], cite: Citations) -> str:
    published = {f.analysis.id for f in found if f.from_published}
    pooled = {f.analysis.id for f in found}
    which = "" if published == pooled else f"of {count(len(published), 'analysis', 'analyses')} "
    text = (
        f"{f'{which}only'.capitalize()} pooled results were published. For each we took all sets of study data that "
        "give exactly the printed numbers (consistent study data). Bayesian values are posteriors given the printed "
        "numbers alone: these sets of data are weighted by their prior predictive density under a prior that is flat "
        "over their admissible log variances. Frequentist values are those of the set in which all studies have the "
        "same variance (the equal-variance member)."
    )
    if result.settings["bounds"]:
        text += (
            " Bounds are the smallest and largest value over all consistent study data, found by a quasi-random sample "
            f"followed by an evolution strategy {cite('beyer2002')}."
        )
    made = result.assumptions[result.assumptions["analysis"].isin(published)]
    cases = len(made[["analysis", "k"]].drop_duplicates())
    times = made["assumption"].value_counts(sort=False)
    common = [str(sentence).rstrip(".") for sentence, n in times.items() if n == cases]
    if common:
        rest = " Assumptions about single results are listed with the results." if len(common) < len(times) else ""
        text += f" Assumed throughout: {'; '.join(common)}.{rest}"
    unstated = list(dict.fromkeys(f.analysis.id for f in found if f.label != f.analysis.id))
    if unstated:
        ks = sorted({f.k for f in found if f.analysis.id in unstated})
        text += (
            f" The number of studies k is not stated for {', '.join(unstated)}, pooled for "
            f"{' and for '.join(f'k = {k}' for k in ks)}."
        )
    return text


def _frequentist(found: Sequence[Finding], cite: Citations) -> str:
    names = list(dict.fromkeys(line.method for f in found for line in f.frequentist))
    described = []
    for name in names:
        words, keys = _FREQUENTIST.get(name, (name, ()))
        described.append(f"{words} {cite(*keys)}" if keys else words)
    text = f"Frequentist results are those of {_series(described)}."
    if any(f.k > 1 for f in found):
        text += (
            " Intervals of tau, the between-study standard deviation, are by the Q-profile method "
            f"{cite('viechtbauer2007')}; prediction intervals for the effect in a new study are mu ± t sqrt(se² + "
            f"tau²) {cite('higgins2009')}, with t on k - 1 degrees of freedom."
        )
    return text


def _bayesian(result: Reanalysis, found: Sequence[Finding], cite: Citations) -> Iterator[str]:
    level = f"{100 * result.settings['level']:g}%"
    yield (
        "The Bayesian model is the normal-normal random-effects model "
        f"{cite('rover2020')}: the estimate of study i is normal about its effect theta_i with its standard error "
        "taken as known, and theta_i is normal about mu with standard deviation tau. Values are posterior medians and "
        f"central {level} intervals, of mu, of tau and of the effect theta_new in a new study. "
        f"{priors_used(result, found, cite)}"
    )
    text = (
        "Posteriors were computed without sampling, by adaptive Gauss-Legendre quadrature over log tau; given tau all "
        "distributions are normal."
    )
    if len(result.checks):
        text += _sampled(result, found, cite)
    yield text


def _sampled(result: Reanalysis, found: Sequence[Finding], cite: Citations) -> str:
    versions = result.settings["versions"]
    of = " (where only pooled results were published, of the equal-variance member)"
    return (
        f" As a check every posterior{of if any(f.from_published for f in found) else ''} was also sampled, with PyMC "
        f"{versions['pymc']} {cite('pymc')} and the No-U-Turn sampler {cite('hoffman2014')} of nutpie "
        f"{versions['nutpie']}, four chains of 1,000 draws after 1,000 of warm-up. A fit had to have a rank-normalised "
        f"R-hat of at most {RHAT_MAX:g}, effective sample sizes of at least {ESS_MIN:g} and no divergence "
        f"{cite('vehtari2021')}, and its medians and limits of mu and tau had to lie within {LIMIT:g} Monte Carlo "
        "standard errors of the exact ones; one that failed was repeated once with chains four times as long. "
        f"{agreement(result.checks)}"
    )


def _conclusions(result: Reanalysis, found: Sequence[Finding], cite: Citations, *, rated: bool) -> Iterator[str]:
    yield (
        "For every prior we give the probability that mu lies on the favourable side of no effect, where the review "
        "states which side that is."
    )
    if any(f.claimed for f in found):
        bounds = any(f.bayesian[0].has_bounds for f in found)
        among = " in all, some or none of the consistent study data" if bounds else ""
        yield (
            "A result published as significant is a claim, that the interval of mu excludes no effect on the published "
            f"side; we count the priors and methods under which it holds{among}."
        )
    if len(result.tipping):
        yield (
            "We searched for the scale of a half-normal prior on tau (beside a flat prior on mu), and for the standard "
            "deviation of a sceptical normal prior on mu with mean zero (beside a half-normal prior on tau), at which "
            "the interval of mu first includes no effect."
        )
    yield (
        "A prior on tau is in conflict with the data if the prior predictive probability of a Q as large as the "
        f"observed {cite('box1980')}, or the prior probability of a tau as large as DerSimonian and Laird's "
        f"estimate, is below {CONFLICT:g}."
    )
    if rated:
        yield (
            "Ratings of the certainty of the evidence (GRADE) are judgements of the authors; their wording is that of "
            f"GRADE guidelines 26 {cite('santesso2020')}."
        )
    versions = ", ".join(f"{n} {v}" for n, v in result.settings["versions"].items() if n in _COMPUTING)
    yield (
        f"Nothing is adjusted for the number of outcomes, priors or methods. Computed with {versions}; the seed of "
        f"random numbers is {result.settings['seed']}."
    )


_COMPUTING = ("python", "numpy", "scipy")


def _series(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{'; '.join(items[:-1])}; and {items[-1]}"
