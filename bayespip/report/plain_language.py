"""The plain-language summary: what was studied, what was found, how sure; from the numbers, by rules.

The form is that of Cochrane's and Campbell's summaries. Every sentence is a count, a range of probabilities or an
assumption:

1. Probabilities are in whole percent, smallest (rounded down) to largest (rounded up) over all priors used, never 0%
   or 100%. They are of the average effect lying on one side of no effect: the favourable one, or where none is stated
   that of the published estimate.
2. Where only pooled results were published and bounds were computed, the range is also over all study data that give
   these results, and says so.
3. Words of certainty (GRADE's) are a judgement that no number sets. They are written only beside a rating that the
   user gives, and named as the user's (``grade``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayespip.reanalysis.job import DEPENDENCE
from bayespip.report.grade import as_ratings
from bayespip.report.markdown import escaped
from bayespip.report.verdicts import favourable_side, probability_limits, studies
from bayespip.text.arm_names import arm_names
from bayespip.text.findings import VERDICTS, findings, not_pooled, unpublished
from bayespip.text.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bayespip.reanalysis.job import Reanalysis
    from bayespip.report.grade import Rating
    from bayespip.text.findings import Finding, Line

__all__ = ["HEADINGS", "Found", "PlainLanguage", "plain_language"]

HEADINGS = ("What was studied", "What was found", "How sure are these results")
_FEW = 4  # studies; up to four are "very few" (Bender R et al. Res Synth Methods 2018;9:382-392)
_MOST_NAMED = 4  # comparisons


@dataclass(frozen=True, slots=True)
class Found:
    """What was found on one outcome.

    Attributes
    ----------
    label, outcome, about
        As ``Finding.label``; the outcome's name; when, compared with what, how many studies.
    sentences
        What was found, and the user's rating if there is one.
    """

    label: str
    outcome: str
    about: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlainLanguage:
    """The summary's three parts, under HEADINGS.

    Attributes
    ----------
    studied, sure
        Sentences.
    found
        One an outcome, in the order of ``findings``.
    """

    studied: tuple[str, ...]
    found: tuple[Found, ...]
    sure: tuple[str, ...]

    def __str__(self) -> str:
        """As Markdown, headings of the second level."""
        items = [
            f"- **{escaped(f'{f.label} {f.outcome}')}** ({escaped(f.about)}). {escaped(' '.join(f.sentences))}"
            for f in self.found
        ]
        bodies = (escaped(" ".join(self.studied)), "\n".join(items), escaped(" ".join(self.sure)))
        return "\n\n".join(f"## {head}\n\n{body}" for head, body in zip(HEADINGS, bodies, strict=True)) + "\n"


def plain_language(result: Reanalysis, ratings: Mapping[str, str | tuple[str, str]] | None = None) -> PlainLanguage:
    """The plain-language summary of a re-analysis.

    Parameters
    ----------
    result
        From ``reanalyse``.
    ratings
        The user's GRADE ratings by outcome: "high", "moderate", "low" or "very low"; or a pair of it and the size of
        the effect as the user judges it, "large", "moderate", "small" or "trivial". Without one, an outcome has
        probabilities and no word of certainty.

    Raises
    ------
    ValueError
        If a rating is of an unknown outcome, or not one of the choices.
    """
    found = findings(result)
    rated = as_ratings(ratings, [f.label for f in found])
    return PlainLanguage(
        tuple(_studied(result, found)),
        tuple(Found(f.label, f.analysis.outcome, _about(f), tuple(_found(f, rated.get(f.label)))) for f in found),
        tuple(_sure(found, rated)),
    )


def percent(low: float, high: float) -> str:
    """A range of probabilities in whole percent, rounded outwards; "less than 1%" and "more than 99%" at the ends."""
    if low > 0.99:
        return "more than 99%"
    if high < 0.01:
        return "less than 1%"
    first = "less than 1%" if low < 0.01 else f"{math.floor(100 * low)}%"
    last = "more than 99%" if high > 0.99 else f"{math.ceil(100 * high)}%"
    return first if first == last else f"between {first} and {last}"


def _studied(result: Reanalysis, found: Sequence[Finding]) -> Iterator[str]:
    yield f"This is a re-analysis of a systematic review: {result.review.title.rstrip('.')}."
    compared = list(dict.fromkeys(_comparison(f) for f in found))
    if len(compared) <= _MOST_NAMED:
        yield f"{'Comparison' if len(compared) == 1 else 'Comparisons'}: {'; '.join(compared)}."
    else:
        yield f"The results are on {len(compared)} comparisons."
    pooled, ks = len({f.analysis.id for f in found}), sorted({f.k for f in found})
    times = f"{count(pooled, 'result')} {'was' if pooled == 1 else 'were'} pooled again"
    each = count(ks[0], "study", "studies") if len(ks) == 1 else f"{ks[0]} to {ks[-1]} studies"
    yield f"{times}, from {each}{' each' if pooled > 1 else ''}."
    if any(f.label != f.analysis.id for f in found):
        yield "Where it is not stated how many studies a result rests on, it is given for each number that is possible."
    published = len({f.analysis.id for f in found if f.from_published})
    if published:
        which = "it" if pooled == 1 else "all of them" if published == pooled else f"{published} of them"
        yield f"For {which} only the pooled numbers are public, not those of the single studies."
    yield from _left_out(result)


def _left_out(result: Reanalysis) -> Iterator[str]:
    silent, left = len(unpublished(result)), len(not_pooled(result))
    if silent:
        outcomes = f"{count(silent, 'further outcome')} {'is' if silent == 1 else 'are'}"
        yield f"{outcomes} named without numbers and could not be pooled."
    if left:
        analyses = count(left, "further analysis", "further analyses")
        yield f"{analyses} of the review {'is' if left == 1 else 'are'} not pooled here."


def _about(f: Finding) -> str:
    return "; ".join(part for part in (f.analysis.timepoint, _comparison(f), studies(f)) if part)


def _found(f: Finding, rating: Rating | None) -> Iterator[str]:
    measure = f.analysis.measure.label.lower() if f.analysis.measure else "effect"
    article = "an" if measure[0] in "aeiou" else "a"
    if f.reported is not None:
        yield f"The review reports {article} {measure} of {f.published}; {f.null:g} means no difference."
    else:
        yield "The review gives no pooled result."
        yield f"Pooled here as {article} {measure}, of which {f.null:g} means no difference."
    yield _chance(f)
    yield _how_often(f)
    if rating is not None:
        yield rating.statement(f)


def _chance(f: Finding) -> str:
    side, stated = favourable_side(f)
    bounds = f.bayesian[0].has_bounds
    chance = percent(*probability_limits(f, bounds=bounds))
    experimental, control = arm_names(f.analysis)
    if stated:
        event = f"the average effect favours {experimental} over {control}"
    else:
        event = f"the average effect lies {side} {f.null:g} (it is not stated which side is better)"
    n, varies = len(f.bayesian), chance.startswith("between")
    whichever = f"{'depending on which' if varies else 'whichever'} of {n} assumptions is made"
    data = f" and {'on which' if varies else 'whichever'} study data lie behind the published numbers" if bounds else ""
    return f"The probability that {event} is {chance}, {whichever if n > 1 else 'under the assumption made'}{data}."


def _how_often(f: Finding) -> str:
    """Under how many priors the interval lies on one side, and for which data; if claimed, on the published side."""
    n = len(f.bayesian)
    which = "on the side that the review reports" if f.claimed else "on one side of no difference"
    text = f"The {100 * f.bayesian[0].mu['level']:g}% interval of the average effect lies wholly {which}"
    if not f.bayesian[0].has_bounds:
        times = f.verdicts["yes"] if f.claimed else len(f.excluding)
        return f"{text} under {times} of {count(n, 'assumption')}."
    every, some, none = (f.verdicts[v] for v in VERDICTS) if f.claimed else _members(f.bayesian)
    if n in {every, none}:
        return f"{text} under {every} of {count(n, 'assumption')}, whichever these data are."
    held = ((every, "whichever these data are"), (some, "for some of these data"), (none, "for none of them"))
    return f"{text} {', '.join(f'{data} under {times}' for times, data in held if times)} of {n} assumptions."


def _members(lines: Sequence[Line]) -> tuple[int, int, int]:
    """Under how many priors the interval excludes no effect for all consistent study data, for some, for none."""
    every = sum(bool(line.mu["lower_min_model"] > 0 or line.mu["upper_max_model"] < 0) for line in lines)
    none = sum(bool(line.mu["lower_max_model"] <= 0 <= line.mu["upper_min_model"]) for line in lines)
    return every, len(lines) - every - none, none


def _sure(found: Sequence[Finding], rated: Mapping[str, Rating]) -> Iterator[str]:
    yield (
        "The probabilities hold if the assumptions do: that the effects of studies scatter about an average like a "
        "normal distribution, and what was assumed in advance (the prior) about the average and about the scatter."
    )
    few = sum(f.k <= _FEW for f in found)
    if few:
        which = f"{few} of {len(found)} results rest{'' if few > 1 else 's'}"
        if few == len(found):
            which = "Every result rests" if few > 1 else "The result rests"
        yield (
            f"{which} on {_FEW} studies or fewer. So few show little of how much studies differ, so that the answer "
            "leans on what was assumed of it; that is why a probability is given as a range."
        )
    if any(f.from_published for f in found):
        yield (
            "Where only pooled numbers are public, all study data that give exactly these numbers were considered, "
            "within limits that the report lists. None of them is known to be the real one."
        )
    if len(found) > 1:
        yield DEPENDENCE
    yield (
        "Not part of any probability here: how well the studies were done, how closely they fit the question, and "
        "studies that were never published."
    )
    if not rated:
        yield "How far the findings can be trusted as a whole (GRADE) is for people to judge; no rating was given."
        return
    unrated = [f.label for f in found if f.label not in rated]
    levels = ", ".join(f"{label} {rating.level}" for label, rating in rated.items())
    rest = f"; none was given for {', '.join(unrated)}" if unrated else ""
    yield f"The ratings (GRADE) are the judgement of the user of this report and were not computed: {levels}{rest}."


def _comparison(f: Finding) -> str:
    return f.analysis.comparison or " versus ".join(arm_names(f.analysis))
