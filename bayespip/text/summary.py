"""The summary of a re-analysis in Markdown: what a methodologist reads first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bayespip.models import load
from bayespip.reanalysis.agreement import LIMIT
from bayespip.reanalysis.cases import pooled_results
from bayespip.reanalysis.conclusions import CONFLICT
from bayespip.reanalysis.job import DEPENDENCE
from bayespip.reproduction import DIFFERS, NOT_STORED, tally
from bayespip.sensitivity.matrix import RULE, RULE_OF_FAMILIES, conclusion_matrix
from bayespip.text.findings import HEADLINE, ONE_DATA_SET, agreement, findings, not_pooled, unfitted, unpublished
from bayespip.text.sentences import paragraph
from bayespip.text.wording import UNDEFINED, count, estimate, interval, probabilities, probability, spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

    from bayespip.reanalysis.job import Reanalysis
    from bayespip.text.findings import Finding, Line

HOW_TO_READ = f"""\
**Value and interval.** Bayesian rows give the posterior median and the central interval; both axes of the
prior, on tau and on mu, are named in every row. tau is on the model scale (log for ratios). *Hybrid* rows
put a published prior on tau beside another prior on mu; nobody estimated that pair.

**P.** Posterior probability that mu lies on the favourable side of no effect; where the publication does
not state which side is favourable, the probabilities of both, above / below, and no side is called
favoured.

**Frequentist rows.** *{HEADLINE}* is Cochrane's current default (REML, HKSJ, Q-profile interval of tau)
with HKSJ's factor floored at 1; without the floor the interval has no width where the studies agree
exactly. *common* assumes one effect for all studies.

**Claim holds.** A result published as significant is a claim: that the interval excludes no effect on the
published side. A result published as not significant claims nothing. Of a result read from a file, the claim is
what its stored interval says."""
FROM_PUBLISHED = """\
**consistent-with-reported.** Only pooled results were published. For each there is a family of study data
that would have given exactly the printed numbers; everything computed from it is labelled so. No study
value is invented, and none of this is study data.

**Value.** Bayesian rows: the *conditional posterior* given the printed numbers alone, the members of the
family weighted by how well they explain them. Frequentist rows, which have no distribution over members:
the value at the *equal-variance member*, on which PyMC runs as well, as a cross-check of the two engines.
That member need not keep the limits that the trials' sizes set, so such a value can lie outside its bounds.

**Bounds**, in brackets as [lower limit; upper limit], each smallest..largest: the extremes over all
members. A claim holds in all, some or no members by whether all, some or no intervals exclude no effect."""

NO_SOURCE = {"flat": "none needed: a constant density, improper"}


def summary(result: Reanalysis) -> str:
    """The summary as Markdown."""
    found = findings(result)
    from_published = any(f.from_published for f in found)
    sections = (
        _title(result, found),
        _reproduced(result.reproduction),
        ("## What is found", paragraph(found)),
        _first_tables(found),
        _robustness(result, from_published=from_published),
        (f"> {DEPENDENCE}",) if len(found) > 1 else (),
        ("## How to read this", HOW_TO_READ, *([FROM_PUBLISHED] if from_published else [])),
        ("## Outcome by outcome", *(block for f in found for block in _outcome(f))),
        _not_published(result),
        _not_pooled(result),
        _reading(result.review.notes),
        _assumptions(result.assumptions, len(found)),
        _conflicts(found),
        _engines(result),
        _models(result),
        _priors(result.priors),
        _settings(result),
    )
    text = "\n\n".join(block for section in sections for block in section) + "\n"
    # Names come from files: no tag but our line break reaches a page made of this.
    return re.sub(r"<(?!br>)(?=[A-Za-z/!?])", "&lt;", text)


def _title(result: Reanalysis, found: Sequence[Finding]) -> Iterator[str]:
    review = result.review
    yield f"# Re-analysis: {review.title}"
    if review.doi:
        yield f"doi: [{review.doi}](https://doi.org/{review.doi})"
    yield f"**Where the numbers come from.** {review.provenance}"
    yield f"**What was re-analysed.** {extent(result, found)}."


def extent(result: Reanalysis, found: Sequence[Finding]) -> str:
    """How many results of each kind were re-analysed, of how many, from how many studies."""
    parts, everything = [], pooled_results(result.review)
    for basis, what in (("published", "published results"), ("study data", "analyses with study data")):
        of = {a.id for a in everything if a.basis == basis}
        if of:
            parts.append(f"{len(of & {f.analysis.id for f in found})} of {len(of)} {what}")
    ks = sorted({f.k for f in found})
    parts.append(f"k = {' to '.join(str(k) for k in dict.fromkeys((ks[0], ks[-1])))} studies")
    twice = [f.label for f in found if f.label != f.analysis.id]
    if twice:
        parts.append(f"{', '.join(twice)} because the number of studies is not stated")
    named = sum(a.basis == "not published" for a in everything)
    if named:
        parts.append(f"{count(named, 'further outcome')} named without numbers")
    return "; ".join(parts)


def _first_tables(found: Sequence[Finding]) -> Iterator[str]:
    for title, heads, rows in first_tables(found):
        yield f"## {title}"
        yield _markdown(heads, rows)


def first_tables(found: Sequence[Finding]) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """One table a measure and set of priors: both axes, and what becomes of the claim.

    Yields
    ------
    title, headings, rows
        Cells with ``<br>`` for line breaks.
    """
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for f in found:
        measure = f.analysis.measure
        groups.setdefault((measure, *(line.priors for line in f.front)), []).append(f)
    for group in groups.values():
        measure, front = group[0].analysis.measure, group[0].front
        heads = ["outcome", "published", HEADLINE]
        heads += [f"tau {line.priors[0]}<br>mu {line.priors[1]}" for line in front]
        claims = any(f.claimed for f in group)
        rows = []
        for f in group:
            row = [f"{f.label} {f.analysis.outcome}", f.published]
            row += [_mu(f, line) for line in (f.headline, *f.front)]
            rows.append(row + ([_verdicts(f)] if claims else []))
        yield (measure.label if measure else ""), heads + (["claim holds"] if claims else []), rows


def _robustness(result: Reanalysis, *, from_published: bool) -> Iterator[str]:
    """The conclusion matrix, a table a measure, and a sentence an outcome."""
    matrix = conclusion_matrix(result.table)
    yield "## What each analysis concludes"
    yield f"{RULE} *Arm* stands for *favours arm*.{f' {RULE_OF_FAMILIES}' if from_published else ''}"
    for measure, part in matrix.groupby(level="measure", sort=False):
        used = part.loc[:, (part != "").any()]
        ids = [f"{a} (k = {k})" if list(used.index.get_level_values(0)).count(a) > 1 else a for a, *_, k in used.index]
        rows = [[str(name), *(str(cell).removeprefix("favours ") for cell in used[name])] for name in used]
        yield f"**{measure}**"
        yield _markdown(["", *ids], rows)
    yield (
        "In a sentence, outcome by outcome; scales are on the model scale. *Tau's half-normal scale* is beside a flat "
        "mu; *a sceptical normal prior on mu* has mean zero, beside a half-normal prior on tau that tipping.csv names."
    )
    labels = (f.label for f in findings(result))
    yield _bullets(f"**{label}**: {text}." for label, text in zip(labels, result.sentences["sentence"], strict=True))


def _outcome(f: Finding) -> Iterator[str]:
    a, r = f.analysis, f.reported
    yield f"### {f.label} {', '.join(part for part in (a.outcome, a.timepoint) if part)}"
    about = [a.comparison, f"k = {f.k}{f' ({f.k_source})' if f.k_source else ''}", f"published {f.published}"]
    about += [r.claim] if r and r.claim else []
    about.append(f"{f.favours} is favourable" if f.favours else "favourable direction not stated")
    yield "; ".join(part for part in about if part) + "."
    if a.note:
        yield a.note
    yield _markdown(*outcome_table(f))
    yield from _footnotes(f)


def outcome_table(f: Finding) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row a method and prior; cells with ``<br>`` for line breaks."""
    heads = ["method", "tau prior", "mu prior", "mu", "tau", "new study", "P", "claim holds"]
    return heads, [_row(f, line) for line in (*f.frequentist, *f.bayesian, *f.others)]


def _row(f: Finding, line: Line) -> list[str]:
    tau, new = line.tau, line.theta_new
    on_tau, on_mu, kind = line.priors
    engine = line.model or ("exact" if on_tau else line.method)
    method = f"{engine}{', hybrid' if kind == 'hybrid' else ''}"
    tau_text = estimate(tau["point"], tau["lower"], tau["upper"])
    holds = "" if line.mu["holds"] == "no claim" else str(line.mu["holds"])
    prediction = interval(new["lower"], new["upper"], f.null)
    return [method, on_tau, on_mu, _mu(f, line), tau_text, prediction, _probability(f, line), holds]


def _mu(f: Finding, line: Line) -> str:
    mu = line.mu
    value = estimate(mu["point"], mu["lower"], mu["upper"], f.null)
    if not line.has_bounds:
        return value
    ends = "; ".join(spread(mu[f"{edge}_min"], mu[f"{edge}_max"], f.null) for edge in ("lower", "upper"))
    return f"{value}<br>[{ends}]"


def _probability(f: Finding, line: Line) -> str:
    mu = line.mu
    if not f.favours:
        return " / ".join(filter(None, (probability(mu[f"prob_{side}_null"]) for side in ("above", "below"))))
    value = probability(mu["prob_favours"])
    if not (value and line.has_bounds):
        return value
    return f"{value}<br>[{probabilities(mu['prob_favours_min'], mu['prob_favours_max'])}]"


def _footnotes(f: Finding) -> Iterator[str]:
    reasons = [f"The common-effect model assumes tau = 0: intervals of tau and of a new study are {UNDEFINED}."]
    if f.k == 1:
        reasons.append(
            f"One study: frequentist methods cannot estimate tau, nor predict a new study ({UNDEFINED}); the "
            "posterior of tau rests on its prior."
        )
    yield " ".join(reasons)


def _verdicts(f: Finding) -> str:
    if not f.claimed:
        return "no claim"
    names = list(f.verdicts)
    if tuple(names) == ONE_DATA_SET:
        return f"under {f.verdicts['yes']} of {len(f.bayesian)} priors"
    return "<br>".join(f"{verdict}: {n} of {len(f.bayesian)} priors" for verdict, n in f.verdicts.items())


def _not_published(result: Reanalysis) -> Iterator[str]:
    missing = unpublished(result)
    if len(missing):
        yield "## Not published"
        yield "Named without numbers; nothing is filled in. To pool these, read the review's own data file."
        yield _markdown(
            ["", "outcome", "time", "comparison", "note"],
            [
                [str(row[c]) for c in ("analysis", "outcome", "timepoint", "comparison", "note")]
                for _, row in missing.iterrows()
            ],
        )


def _reproduced(reproduction: pd.DataFrame) -> Iterator[str]:
    """Does the file agree with itself? Said before anything else is."""
    if reproduction.empty:
        return
    yield "## The original, reproduced"
    found = tally(reproduction)
    if not found.results:
        yield "The file stores no results to compare with; reproduction.csv has what RevMan computes of its study data."
        return
    yield (
        f"**{found}.** Every total, subgroup and test for subgroup differences that the file stores was "
        "computed again from its study data, as RevMan does; reproduction.csv has every quantity."
    )
    effects = reproduction[reproduction["quantity"] == "effect"]
    without = [f"{r.analysis} {r.subgroup}".strip() for r in effects[effects["verdict"] == NOT_STORED].itertuples()]
    if without:
        yield f"The file stores no result to compare for {', '.join(without)}."
    odd = reproduction[reproduction["verdict"] == DIFFERS]
    if len(odd):
        heads = ["analysis", "subgroup", "quantity", "stored", "recomputed", "reason"]
        yield _markdown(heads, ([_plain(row[h]) for h in heads] for _, row in odd.iterrows()))


def _plain(cell: object) -> str:
    return f"{cell:.8g}" if isinstance(cell, float) else str(cell)


def _not_pooled(result: Reanalysis) -> Iterator[str]:
    rows = not_pooled(result)
    if len(rows):
        yield "## Not pooled"
        yield "In the review's file, and not re-analysed here:"
        cells = [[str(r["analysis"]), str(r["outcome"]), str(r["note"])] for _, r in rows.iterrows()]
        yield _markdown(["", "outcome", "why"], cells)


def _reading(notes: Sequence[str]) -> Iterator[str]:
    if notes:
        yield "## Met while reading the file"
        yield _bullets(notes)


def _assumptions(table: pd.DataFrame, outcomes: int) -> Iterator[str]:
    """Those of all cases first, then the others with the cases that make them."""
    if table.empty:
        return
    cases = list(dict.fromkeys(zip(table["analysis"], table["k"], strict=True)))
    several = {a for a, _ in cases if sum(a == b for b, _ in cases) > 1}
    made: dict[str, list[str]] = {}
    for a, k, sentence in table[["analysis", "k", "assumption"]].itertuples(index=False):
        made.setdefault(sentence, []).append(f"{a} (k = {k})" if a in several else a)
    yield "## Assumptions"
    common = [sentence for sentence, by in made.items() if len(by) == outcomes]
    if common:
        yield "For every outcome:"
        yield _bullets(common)
    particular = {sentence: by for sentence, by in made.items() if len(by) < outcomes}
    if particular:
        yield "For some:"
        yield _bullets(f"{', '.join(by)}: {sentence}" for sentence, by in particular.items())


def conflict_rule(found: Sequence[Finding]) -> str:
    """When a prior on tau is said to conflict with the data."""
    basis = " at the equal-variance member" if any(f.from_published for f in found) else ""
    return (
        "Flagged where the prior predictive probability of a Q as large as the observed, or the prior "
        f"probability of a tau as large as DerSimonian and Laird's estimate, is below {CONFLICT:g}{basis}."
    )


def _conflicts(found: Sequence[Finding]) -> Iterator[str]:
    yield "## Prior-data conflict"
    yield conflict_rule(found)
    rows = []
    for f in found:
        for prior, line in reversed(f.tau_priors.items()):
            if any(prior in names for names in f.conflicts.values()):
                both = (line.tau[c] for c in ("prior_predictive_p", "prior_prob_dl_tau"))
                rows.append([f.label, prior, *map(probability, both)])
    heads = ["outcome", "prior on tau", "prior predictive p of Q", "prior probability of the DL tau"]
    yield _markdown(heads, rows) if rows else "None is flagged."


def _engines(result: Reanalysis) -> Iterator[str]:
    yield "## Two engines"
    if result.checks.empty:
        yield "PyMC was not run; all Bayesian values are the exact engine's."
        return
    yield (
        f"{agreement(result.checks)} They agree if the median and the interval's limits of mu and of tau lie "
        f"within {LIMIT:g} Monte Carlo standard errors of the exact ones."
    )
    bad = result.checks[~result.checks["agrees"].astype(bool)]
    if len(bad):
        yield _bullets(f"{r.analysis} (k = {r.k}), {r.prior}: {r.note}" for r in bad.itertuples())


def _models(result: Reanalysis) -> Iterator[str]:
    """The other models: what each asks and assumes, and what it could not fit."""
    names = result.settings.get("models", ())
    if not names:
        return
    yield "## Other models"
    yield (
        "Beside the normal-normal model, under the same priors, sampled by PyMC; where only a pooled result was "
        "published, on its equal-variance member, which is possible data and not study data."
    )
    about = {name: load(name).ABOUT for name in names}
    yield _bullets(
        f"**{name}**: {a.question} {a.likelihood}. Priors: {a.priors}. {a.reference}." for name, a in about.items()
    )
    without = unfitted(result)
    if len(without):
        yield "Not fitted:"
        yield _markdown(
            ["outcome", "k", "model", "why", "priors"],
            [[str(cell) for cell in row] for row in without.itertuples(index=False)],
        )


def _priors(table: pd.DataFrame) -> Iterator[str]:
    yield "## Priors"
    yield "On the model scale (log for ratios)."
    rows = [
        [*map(str, row[:-1]), str(row[-1]) or NO_SOURCE.get(str(row[-2]), "none given")]
        for row in table.sort_values("measure", kind="stable").itertuples(index=False, name=None)
    ]
    yield _markdown(["measure", "on", "name", "density", "source"], rows)


def _settings(result: Reanalysis) -> Iterator[str]:
    s = result.settings
    yield "## Settings"
    versions = ", ".join(f"{name} {version}" for name, version in s["versions"].items())
    yield f"Level {s['level']:g}; seed {s['seed']}; pooling {s['pooling']}. {versions}."


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", r"\|") for cell in line) + " |" for line in lines)
