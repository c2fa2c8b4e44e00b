"""The verdict on an outcome: one paragraph, from the numbers, by rules.

1. What was published, as printed, and from how many studies.
2. What becomes of the claim, a result published as significant: it holds under every prior, under none, or it
   depends on the prior. Of results of which only pooled numbers were published, it holds under a prior if it does so
   for all study data consistent with these numbers, and not if for none of them. Then how often, and where it tips.
3. The probability of the favourable side, smallest to largest over the priors; where it is not stated which side is
   favourable, of the side of the published estimate. With bounds also over the consistent study data: the first range
   is of values, the second of bounds, and the text tells them apart.
4. How much of it is prior: what changes with the prior on tau alone, and with the prior on mu alone; what the studies
   alone say of tau.
5. Cochrane's current default, the prediction interval, and priors that did not expect such data.

No rule weighs the numbers against each other, and none knows risk of bias: a verdict is a count and a range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bayespip.reanalysis.conclusions import CONFLICT
from bayespip.text.findings import ONE_DATA_SET, VERDICTS, findings
from bayespip.text.wording import count, interval, number, probabilities, spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayespip.reanalysis.job import Reanalysis
    from bayespip.text.findings import Finding, Line

__all__ = [
    "RULES",
    "Verdict",
    "favourable_side",
    "name",
    "probability_limits",
    "probability_range",
    "studies",
    "verdicts",
]

Kind = Literal["holds", "depends", "does not hold", "no claim"]
RULES = (
    "A claim is a result published as significant: that the interval excludes no effect on the published side. It "
    "holds if that is so under every prior used, does not hold if it is so under none, and else depends on the prior. "
    "Where only pooled results were published, it must be so for all study data consistent with the printed numbers "
    "(members), or for none of them. Values are what the model says given a prior; bounds, where named, are the "
    "smallest and largest value over all members. Risk of bias, directness and publication bias do not enter."
)
_CLAIM_HOLDS = "the published claim holds "  # how sensitivity.matrix.sentence begins


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the numbers say of one outcome.

    Attributes
    ----------
    label
        As ``Finding.label``.
    kind
        What becomes of a published claim: "holds" under every prior, "does not hold" under any, "depends" on the
        prior; or "no claim".
    sentences
        In the order of the rules.
    """

    label: str
    kind: Kind
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.sentences)


def verdicts(result: Reanalysis) -> dict[str, Verdict]:
    """One verdict an outcome and number of studies, by label, in the order of ``findings``."""
    said = result.sentences["sentence"]
    found = ((f, _verdict(f, text)) for f, text in zip(findings(result), said, strict=True))
    return {f.label: verdict for f, verdict in found}


def favourable_side(f: Finding) -> tuple[Literal["above", "below"], bool]:
    """On which side of no effect a probability is given, and whether that side is stated to be favourable."""
    if f.favours:
        return ("above" if f.favours == "higher" else "below"), True
    if f.reported is not None:
        return ("above" if f.reported.measure.model(f.reported.estimate.value) > 0 else "below"), False
    return ("above" if sum(f.medians) > 2 * f.null else "below"), False


def _verdict(f: Finding, sentence: str) -> Verdict:
    kind = _kind(f)
    parts = [
        _published(f),
        _claim(f, kind, sentence),
        _probability(f),
        *_prior_share(f),
        _default(f),
        _new_study(f),
        *_conflicts(f),
    ]
    return Verdict(f.label, kind, tuple(parts))


def _kind(f: Finding) -> Kind:
    if not f.claimed:
        return "no claim"
    verdicts, n = f.verdicts, len(f.bayesian)
    every, none = ONE_DATA_SET if tuple(verdicts)[:2] == ONE_DATA_SET else (VERDICTS[0], VERDICTS[2])
    if verdicts[every] == n:
        return "holds"
    return "does not hold" if verdicts[none] == n else "depends"


def _published(f: Finding) -> str:
    if f.reported is None:
        return f"No pooled result is published; {studies(f)} {'is' if f.k == 1 else 'are'} pooled here."
    source = f" (k: {f.k_source})" if f.k_source else ""
    claim = {"significant": ", as significant", "not significant": ", as not significant", None: ""}[f.reported.claim]
    if not f.from_published:
        claim = f"; its interval {'excludes' if f.claimed else 'includes'} no effect"
    members = " Members are the study data consistent with these numbers." if f.bayesian[0].has_bounds else ""
    return f"Published: {name(f)} {f.published} from {studies(f)}{source}{claim}.{members}"


def _claim(f: Finding, kind: Kind, sentence: str) -> str:
    if kind == "no claim":
        silent = "; an interval that includes no effect does not show that there is none"
        some = any(not line.excludes_null for line in f.bayesian)
        return f"{sentence[0].upper()}{sentence[1:]}{silent if some else ''}."
    data = " and on which member is the true one"
    lead = {
        "holds": "The claim holds under every prior used",
        "depends": f"Whether the claim holds depends on the prior{data if f.verdicts.get(VERDICTS[1]) else ''}",
        "does not hold": "The claim holds under no prior used",
    }[kind]
    return f"{lead}: {sentence.removeprefix(_CLAIM_HOLDS)}."


def _probability(f: Finding) -> str:
    side, stated = favourable_side(f)
    what = f"P({name(f)} {side} {f.null:g}{', the favourable side' if stated else ''})"
    n = len(f.bayesian)
    over = f"over the {n} priors" if n > 1 else "under the prior used"
    given = "Given the printed numbers alone, " if f.from_published else ""
    median = _in_words(spread(*f.medians, f.null))
    text = f"{given}{what} is {probability_range(f)} {over}, the posterior median is {median}"
    if f.bayesian[0].has_bounds:
        ends = [[float(line.mu[f"point_{end}"]) for line in f.bayesian] for end in ("min", "max")]
        text += (
            "; these are values, averaged over the members. Bounds over all members and "
            f"{'all priors' if n > 1 else 'the prior'} are {probability_range(f, bounds=True)} for the probability and "
            f"{_in_words(spread(min(ends[0]), max(ends[1]), f.null))} for the median"
        )
    return f"{text}{'' if stated else '; which direction is favourable is not stated'}."


def probability_range(f: Finding, *, bounds: bool = False) -> str:
    """Smallest and largest probability of ``favourable_side`` over the priors; with bounds, over their bounds."""
    return _in_words(probabilities(*probability_limits(f, bounds=bounds)))


def probability_limits(f: Finding, *, bounds: bool = False) -> tuple[float, float]:
    """The numbers of ``probability_range``: inside (0, 1), because no continuous posterior excludes a side."""
    column = f"prob_{favourable_side(f)[0]}_null"
    low, high = (
        [float(line.mu[f"{column}{end if bounds else ''}"]) for line in f.bayesian] for end in ("_min", "_max")
    )
    least, most = math.ulp(0.0), math.nextafter(1.0, 0.0)
    return min(max(min(low), least), most), min(max(*high, least), most)


def _in_words(spread: str) -> str:
    return spread.replace("..", " to ")


def _prior_share(f: Finding) -> Iterator[str]:
    """What one axis of the prior changes while the other stays, and what the studies alone say of tau."""
    side, _ = favourable_side(f)
    edge = "lower" if side == "above" else "upper"
    moves = []
    for axis, held, other in (("tau", 1, "mu"), ("mu", 0, "tau")):
        lines = _most_varied(f.bayesian, held)
        if len(lines) < 2:
            continue
        medians, limits = ([float(line.mu[c]) for line in lines] for c in ("point", edge))
        moves.append(
            f"the prior on {axis} alone ({other} {lines[0].priors[held]}) {_moves('median', medians, f.null)} and "
            f"{_moves(f'{edge} limit', limits, f.null)}"
        )
    if moves:
        yield f"How much of this is prior: {'; '.join(moves)}."
    taus = [float(line.tau["point"]) for line in f.tau_priors.values()]
    over = f"over its {len(taus)} priors" if len(taus) > 1 else "under its prior"
    posterior = f"{over} the posterior median of tau is {_in_words(spread(min(taus), max(taus)))}"
    if f.k == 1:
        yield f"One study says nothing of tau: {posterior}."
        return
    alone = f.headline.tau
    at = " at the equal-variance member" if f.from_published else ""
    level = f"{100 * alone['level']:g}%"
    alone_says = interval(alone["lower"], alone["upper"])
    if alone["upper"] == 0:
        yield (
            f"The studies alone agree more closely than chance lets expect at any tau (the Q-profile interval, "
            f"{level}{at}, is empty and shown as 0 to 0, which does not say that tau is 0); {posterior}."
        )
        return
    yield f"The studies alone leave tau anywhere from {alone_says} (Q-profile, {level}{at}); {posterior}."


def _most_varied(lines: Sequence[Line], held: int) -> list[Line]:
    """The lines that share a prior on one axis, of the prior beside which the other axis varies most; first if tied.

    An empirical pair stands for its own two priors, beside no other.
    """
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(line.priors[held], []).append(line)
    return max(groups.values(), key=len)


def _moves(what: str, values: Sequence[float], null: float) -> str:
    low, high = number(min(values), null), number(max(values), null)
    return f"leaves the {what} at {low}" if low == high else f"moves the {what} between {low} and {high}"


def _default(f: Finding) -> str:
    mu = f.headline.mu
    at = " at the equal-variance member" if f.from_published else ""
    if f.k == 1:
        what = (
            f"With one study Cochrane's current default (REML, HKSJ) cannot estimate tau; the study's interval{at} is"
        )
    else:
        what = f"With REML and HKSJ (Cochrane's current default), floored at 1, the interval{at} is"
    does = "excludes" if f.headline.excludes_null else "includes"
    return f"{what} {interval(mu['lower'], mu['upper'], f.null)}, which {does} no effect."


def _new_study(f: Finding) -> str:
    n = len(f.bayesian)
    wide = sum(bool(line.theta_new["lower_model"] <= 0 <= line.theta_new["upper_model"]) for line in f.bayesian)
    return (
        f"The prediction interval for the effect in a new study includes no effect under {wide} of {count(n, 'prior')}."
    )


def _conflicts(f: Finding) -> Iterator[str]:
    names = list(dict.fromkeys(prior for priors in f.conflicts.values() for prior in priors))
    if names:
        yield (
            f"In conflict with the data (prior predictive p of Q, or prior probability of so large a tau, below "
            f"{CONFLICT:g}): {len(names)} of {count(len(f.tau_priors), 'prior')} on tau ({', '.join(names)})."
        )


def name(f: Finding) -> str:
    """The effect measure's short name."""
    return f.analysis.measure.name if f.analysis.measure else "mu"


def studies(f: Finding) -> str:
    """How many studies; of a file, also how many rows, where a study has several."""
    stated = f.reported.k if f.reported is not None and not f.from_published else None
    if stated is None or stated == f.k:
        return count(f.k, "study", "studies")
    return f"{count(stated, 'study', 'studies')} with {f.k} comparisons"
