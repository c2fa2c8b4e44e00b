"""Robust priors on mu: earlier evidence believed with a weight, a vague component for the rest.

With w the weight, f the density of the earlier evidence and g a vague one::

    mu ~ w f(mu) + (1 - w) g(mu)

so that data which contradict the evidence discard it instead of being averaged with it. The posterior is a mixture
too, of the posteriors under f and under g, whose weights are updated by the evidence of the data for each::

    w* = w Z_f / (w Z_f + (1 - w) Z_g),   Z the marginal likelihood

Both are exact here. f is a normal, or the meta-analytic-predictive distribution of an earlier meta-analysis (that of
theta_new), as a mixture of normals.

Schmidli H, Gsteiger S, Roychoudhury S, O'Hagan A, Spiegelhalter D, Neuenschwander B. Robust meta-analytic-predictive
priors in clinical trials with historical control information. Biometrics 2014;70:1023-1032, sections 2 and 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayespip.measures import as_measure
from bayespip.new_evidence.outside import LARGEST_WEIGHT, Evidence, require_same_question
from bayespip.priors import Prior, Priors, normal
from bayespip.priors.scales import require_measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from bayespip.effects import EffectSizes
    from bayespip.exact.fit import ExactFit
    from bayespip.measures import Measure

__all__ = [
    "RobustPrior",
    "RobustPriors",
    "map_components",
    "robust_prior",
    "unit_information",
]

_SHARES_TOLERANCE = 1e-9  # rounding of many shares


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustPrior:
    """A mixture prior on mu.

    Attributes
    ----------
    weight
        Of the earlier evidence, 0 to 1.
    evidence
        Normal components of the earlier evidence, each with its share of the weight; the shares sum to one.
    vague
        The other component, proper.
    measure
        That of the evidence; "" if not stated.
    counted_twice
        Why it counts trials twice; "" if it does not.
    source
        Where the evidence comes from.

    Raises
    ------
    ValueError
        If the weight is not in [0, 1], or above one half where trials are counted twice; if the shares are not
        positive or do not sum to one; if a component is not a proper prior on mu, or the vague one derived for
        another measure.
    """

    weight: float
    evidence: tuple[tuple[float, Prior], ...]
    vague: Prior
    measure: str = ""
    counted_twice: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"weight must lie in [0, 1]; got {self.weight!r}.")
        if self.counted_twice and self.weight > LARGEST_WEIGHT:
            raise ValueError(
                f"weight must be at most {LARGEST_WEIGHT:g} for evidence that counts trials twice "
                f"({self.source or 'earlier evidence'}: {self.counted_twice}); got {self.weight:g}."
            )
        shares = [share for share, _ in self.evidence]
        if not all(share > 0 for share in shares) or abs(math.fsum(shares) - 1) > _SHARES_TOLERANCE:
            raise ValueError(f"evidence must have components whose shares are positive and sum to one; got {shares}.")
        if any(prior.role != "mu" or not prior.proper for _, prior in self.evidence):
            raise ValueError(
                f"evidence must be of proper priors on mu; got {', '.join(str(p) for _, p in self.evidence)}."
            )
        if self.vague.role != "mu" or not self.vague.proper:
            raise ValueError(f"vague must be a proper prior on mu such as normal(0, 2); got {self.vague}.")
        if self.measure:
            require_measure(self.vague, self.measure)

    @property
    def components(self) -> tuple[tuple[float, Prior], ...]:
        """Weights and priors of all components with any weight, the vague one last."""
        of_evidence = ((self.weight * share, prior) for share, prior in self.evidence)
        return tuple((w, p) for w, p in (*of_evidence, (1 - self.weight, self.vague)) if w > 0)

    def logpdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Log density at x, any shape."""
        return np.asarray(np.logaddexp.reduce([math.log(w) + p.logpdf(x) for w, p in self.components]))

    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """P(mu <= x), any shape."""
        return np.asarray(sum(w * p.cdf(x) for w, p in self.components))

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be read beside every number."""
        if not self.counted_twice:
            return ()
        who = f" ({self.source})" if self.source else ""
        return (f"COUNTS TRIALS TWICE: earlier evidence{who}; {self.counted_twice}. A sensitivity analysis only.",)

    def __str__(self) -> str:
        many = len(self.evidence) > 1
        evidence = f"MAP of {len(self.evidence)} normals" if many else str(self.evidence[0][1])
        twice = " [counts trials twice]" if self.counted_twice else ""
        return f"{self.weight:g} {evidence} + {1 - self.weight:g} {self.vague}{twice}"


@dataclass(frozen=True, slots=True)
class RobustPriors:
    """A robust prior on mu and a prior on tau.

    Examples
    --------
    >>> vague = bp.priors.normal(0, 1)
    >>> mu = bp.robust_prior(0.67, se=0.2, weight=0.5, vague=vague, measure="RR", source="invented")
    >>> priors = bp.RobustPriors(mu, bp.priors.half_normal(0.5))
    >>> print(priors.label)
    mu 0.5 normal(-0.400478, 0.2) + 0.5 normal(0, 1), tau half-normal(0.5)
    """

    mu: RobustPrior
    tau: Prior

    @property
    def parts(self) -> tuple[tuple[float, Priors], ...]:
        """Weights and priors of the components."""
        return tuple((w, Priors(mu, self.tau)) for w, mu in self.mu.components)

    @property
    def label(self) -> str:
        """The densities, with the mark of what counts trials twice."""
        return f"mu {self.mu}, tau {self.tau}"

    def __str__(self) -> str:
        return self.label


def robust_prior(
    earlier: Evidence | float | Sequence[tuple[float, Prior]],
    se: float | None = None,
    *,
    weight: float,
    vague: Prior,
    measure: str | Measure | None = None,
    sd: float | None = None,
    sign: int | None = None,
    counted_twice: str = "",
    source: str = "",
) -> RobustPrior:
    """A robust prior from earlier evidence.

    Parameters
    ----------
    earlier
        The earlier estimate on the display scale; or outside evidence of a review; or the components of a
        meta-analytic-predictive distribution, from ``map_components``.
    se
        Standard error of an estimate, on the model scale (log for ratios); of Evidence with an interval it is known.
    weight
        Prior probability that the earlier evidence holds here, 0 to 1; at most one half where it counts trials twice.
    vague
        Proper prior on mu otherwise: ``unit_information(...)``, or any other.
    measure
        Of an estimate given as a number; it must be given.
    sd
        Where the evidence has no standard error: how far mu may lie from it, an SD on the model scale. A judgement,
        the user's.
    sign
        Of Evidence, which must have it: 1 if a higher value means the same as in the review's result, -1 if a lower
        one does. Papers do not always say which direction of a difference is better: the user's to find out.
    counted_twice
        Why the evidence counts trials of the review twice; "" if it does not. Evidence knows its own.
    source
        Where it comes from.

    Raises
    ------
    ValueError
        If the evidence is of another intervention than the review's or its sign is not given, there is neither a
        standard error nor an sd or there are both, the vague component's measure is another, or a value is out of
        range.

    Examples
    --------
    >>> mu = bp.robust_prior(0.67, se=0.2, weight=0.5, vague=bp.priors.normal(0, 1), measure="RR", source="invented")
    >>> mu.weight
    0.5
    """
    if isinstance(earlier, Evidence):
        spec = as_measure(measure) if measure else earlier.measure
        require_same_question(earlier, spec, "made a prior")
        if earlier.se is not None:
            if se is not None:
                raise ValueError(f"se of {earlier.id} follows from its interval; leave it out.")
            se = earlier.se
        mean = _sign(sign, earlier) * float(spec.model(earlier.estimate))
        counted_twice = earlier.counted_twice or counted_twice
        source = source or earlier.source
    elif isinstance(earlier, int | float):
        if measure is None:
            raise ValueError("measure must be given with an estimate, for a prior on mu is of one measure; got None.")
        spec = as_measure(measure)
        mean = float(spec.model(earlier))
    else:
        parts = tuple(earlier)
        if se is not None or sd is not None:
            raise ValueError("se and sd have no meaning beside components, which have their own.")
        name = as_measure(measure).name if measure else ""
        return RobustPrior(
            weight=weight, evidence=parts, vague=vague, measure=name, counted_twice=counted_twice, source=source
        )
    return RobustPrior(
        weight=weight,
        evidence=((1.0, normal(mean, _spread(se, sd), source)),),
        vague=vague,
        measure=spec.name,
        counted_twice=counted_twice,
        source=source,
    )


def _sign(sign: int | None, earlier: Evidence) -> int:
    # the risk ratio of not having the event is not the reciprocal
    choices = (1,) if earlier.measure.name == "RR" else (1, -1)
    if sign is None or sign not in choices:
        raise ValueError(
            f"sign must be {' or '.join(map(str, choices))} for {earlier.id} ({earlier.measure.name}): whether a "
            f"higher value means the same as in the review's result; got {sign!r}."
        )
    return sign


def _spread(se: float | None, sd: float | None) -> float:
    if (se is None) == (sd is None):
        found = "neither" if se is None else f"se {se:g} and sd {sd:g}"
        raise ValueError(
            "earlier evidence needs its standard error se or, where it has none, sd: how far mu may lie from it, your "
            f"judgement; got {found}."
        )
    return float(sd if se is None else se)  # type: ignore[arg-type]  # one of them is a number


def unit_information(effects: EffectSizes, n: ArrayLike, mean: float = 0.0) -> Prior:
    """A normal prior on mu worth one participant.

    Its standard deviation is sqrt(sum n_i / sum sei^-2) (Rover C et al. Res Synth Methods 2021;12:448-474, equation
    (6); Kass RE, Wasserman L. J Am Stat Assoc 1995;90:928-934).

    Parameters
    ----------
    effects
        Studies on the model scale.
    n
        Participants of each, both arms together, shape (k,).
    mean
        On the model scale.

    Raises
    ------
    ValueError
        If n is not positive and finite, one a study.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> print(bp.unit_information(invented, n=[48, 42]))
    normal(0, 2.36619)
    """
    sizes = np.atleast_1d(np.asarray(n, dtype=float))
    if sizes.shape != (effects.k,) or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise ValueError(f"n must be positive and finite, one for each of {effects.k} studies; got {sizes.tolist()}.")
    sd = math.sqrt(float(sizes.sum() / (1 / effects.vi).sum()))
    return replace(normal(mean, sd, "unit information"), measure=effects.measure.name)


def map_components(fit: ExactFit, components: int = 12) -> tuple[tuple[float, Prior], ...]:
    """The meta-analytic-predictive distribution of an earlier meta-analysis as few normals.

    The nodes of theta_new are joined in their order of tau to groups of about equal probability, halved towards the
    upper tail, each with the mean and variance of what it joins.

    Parameters
    ----------
    fit
        Of the earlier studies.
    components
        Number of normals, 2 at least.

    Raises
    ------
    ValueError
        If components is below 2, or theta_new has no standard deviation.

    Examples
    --------
    >>> invented = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> components = bp.map_components(bp.exact_fit(invented, weak), components=3)
    >>> [round(share, 3) for share, _ in components], components[-1][1].label
    ([0.247, 0.237, 0.515], 'normal(-0.586824, 0.7656)')
    """
    if components < 2:
        raise ValueError(f"components must be at least 2; got {components!r}.")
    new = fit.theta_new
    if not math.isfinite(new.sd):
        raise ValueError(
            f"fit must have a theta_new with a standard deviation, that normals can stand for it; under {fit.priors} "
            f"with k = {fit.effects.k} it has none. Choose a prior on tau with a shorter tail."
        )
    order = np.argsort(new.sd_given)
    weight, mean, sd = (x[order] for x in (new.weight, new.mean_given, new.sd_given))
    half = components // 2
    edges = np.concatenate([np.linspace(0, 0.5, components - half + 1)[1:], 1 - 0.5 ** np.arange(2, half + 1)])
    group = np.searchsorted(edges, np.cumsum(weight) / weight.sum(), side="left")
    found = []
    for g in np.unique(group):
        w, m, s = (x[group == g] for x in (weight, mean, sd))
        share = float(w.sum())
        centre = float((w * m).sum()) / share
        variance = float((w * (s**2 + (m - centre) ** 2)).sum()) / share
        found.append((share, normal(centre, math.sqrt(variance), "meta-analytic-predictive")))
    total = math.fsum(share for share, _ in found)
    return tuple((share / total, prior) for share, prior in found)
