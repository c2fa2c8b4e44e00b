"""Multinomial-logit random-effects model of two-armed trials whose outcome has several unordered categories.

Attachment is secure, avoidant, resistant or disorganised; everyone is in exactly one category, so what one gains the
others lose, and analyses of one category each contradict each other or repeat each other. Here all are one outcome.
With the reference category r first, a_ic the baseline of trial i, the mean of its arms' log odds of category c against
r, and theta_ic the log odds ratio::

    counts_e_i ~ Multinomial(n_e_i, softmax(0, a_i + theta_i / 2))
    counts_c_i ~ Multinomial(n_c_i, softmax(0, a_i - theta_i / 2))
    theta_i    ~ N(mu, tau^2 P),   P = 1 on the diagonal, 1/2 elsewhere       i = 1 ... k
    a_ic       ~ N(0, 10^2)        each trial and category its own, a vague prior
    mu_c       ~ priors.mu, each;  tau ~ priors.tau

Two trials cannot say a covariance matrix of three effects. P is the only one of a single tau under which no category
is special: if every category, r too, has a deviation of its own in every trial, d_ic ~ N(0, tau^2 / 2), then
theta_ic = mu_c + d_ic - d_ir, which has this covariance, and so has it whichever category is the reference (as with
contrasts of several treatments: Higgins & Whitehead 1996). It implies that the log odds ratio of any two
categories varies between trials with SD tau, and cannot learn that one category varies more than the others. The
independent priors on mu_c do depend on r: two categories other than r have twice the prior variance between them.

With c's proportion q_c among controls, a population has the risk ratios, at the average effect mu (mu_r = 0)::

    rr_c = exp(mu_c) / sum_j q_j exp(mu_j),       sum_c q_c rr_c = 1

They are coherent: the risks under treatment, q_c rr_c, add up to 1. ``rr_new`` has theta_new for mu (a new trial in
that population), ``rr_study`` each trial's own effects and control risks. q is ``Categories.control``.

With two categories it is ``binomial_normal`` with fixed baselines. theta_i and a_i are sampled as deviations z_i and
w_i along axes on which the categories are nearly independent, also where few are in the reference (see
``multinormal_between``).

Schmid CH, Trikalinos TA, Olkin I. Bayesian network meta-analysis for unordered categorical outcomes with incomplete
data. Res Synth Methods 2014;5:162-185; Higgins JPT, Whitehead A. Borrowing strength from external trials in a
meta-analysis. Stat Med 1996;15:2733-2749; White IR. Multivariate random-effects meta-regression. Stata J
2011;11:255-270 (covariances known up to a factor); Gunhan BK, Rover C, Friede T. Random-effects meta-analysis of few
studies involving rare events. Res Synth Methods 2020;11:74-90 (the baselines).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy.special import log_softmax

from bayespip.fits import EFFECTS
from bayespip.model_data.categories import Categories, categories_in
from bayespip.model_parts.parameterising import along_axes, multinormal_between
from bayespip.models import About
from bayespip.study_data.tables import demand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bayespip.model_data.review_outcomes import ReviewOutcomes
    from bayespip.priors import Priors
    from bayespip.reanalysis.cases import Case

    Array = NDArray[np.float64]

__all__ = ["ABOUT", "build", "check", "complete", "coords", "data_of_cases", "draw_data", "draw_prior", "pad", "values"]

ABOUT = About(
    question="What does treatment do to all categories of one outcome at once, such as attachment?",
    likelihood="counts_e ~ Multinomial(n_e, softmax(0, a_i + theta_i/2)), counts_c ~ Multinomial(n_c, softmax(0, a_i - "
    "theta_i/2)); theta_i ~ N(mu, tau^2 P), P with 1/2 off its diagonal",
    priors="mu_c, each, and tau: any proper; baseline a_ic ~ N(0, 10^2)",
    needs="participants in each category of both arms (Categories)",
    reference="Schmid, Trikalinos & Olkin 2014, Res Synth Methods 5:162; Higgins & Whitehead 1996, Stat Med 15:2733",
    predictive="new counts of trials of the same sizes and baselines, of new effects theta ~ N(mu, tau^2 P)",
    latent=("z", "theta", "w", "baseline"),
    effects=EFFECTS,
    dims={
        "theta": ("study", "contrast"),
        "theta_new": ("contrast",),
        "baseline": ("study", "contrast"),
        "rr": ("category",),
        "rr_new": ("category",),
        "rr_study": ("study", "category"),
    },
    target_accept=0.95,
)
# Gunhan et al. 2020, section 2.2: vague on the log odds scale.
BASELINE_SD = np.float64(10)
OF_TRIALS = ("study", "contrast", "axis")
STEERING = {"axes": OF_TRIALS, "estimate": ("study", "axis"), "error": ("study", "axis")}
DIMS = {
    "counts_e": ("study", "category"),
    "counts_c": ("study", "category"),
    "control": ("category",),
    **{f"{of}_{name}": dims for of in ("theta", "baseline") for name, dims in STEERING.items()},
}


def build(categories: Categories, priors: Priors) -> pm.Model:
    """The model as a PyMC model.

    Parameters
    ----------
    categories
        Participants in each of C categories in the arms of k trials.
    priors
        Priors on each mu_c, and on tau, on the log odds ratio scale.

    Returns
    -------
    Model
        Coordinates ``study``, ``category`` (the reference first), ``contrast`` (the others against it) and ``axis``;
        data ``counts_e`` and ``counts_c``, shape (k, C), ``control``, shape (C,), the axes, estimates and errors that
        steer the sampler, and the parameters of the priors; variables ``mu``, shape (C - 1,), ``tau``, ``theta`` and
        ``baseline``, shape (k, C - 1), ``rr``, shape (C,), and the observed ``y_e`` and ``y_c``.
    """
    with pm.Model(coords={"study": categories.study, **coords(categories)}) as model:
        data = {name: pm.Data(name, x, dims=DIMS[name]) for name, x in values(categories).items()}
        mu = priors.mu.to_pymc("mu", dims="contrast")
        tau = priors.tau.to_pymc("tau")
        own, apart = _correlations(categories)
        of_theta, of_a = ([data[f"{of}_{name}"] for name in STEERING] for of in ("theta", "baseline"))
        theta = multinormal_between("theta", mu, tau, own, *of_theta, deviation="z", dims=OF_TRIALS)
        a = multinormal_between("baseline", 0 * mu, BASELINE_SD, apart, *of_a, deviation="w", dims=OF_TRIALS)
        for arm, log_odds in (("e", a + theta / 2), ("c", a - theta / 2)):
            counts = data[f"counts_{arm}"]
            risks = pt.special.softmax(_against_reference(log_odds), axis=-1)  # type: ignore[no-untyped-call]  # PyTensor's
            pm.Multinomial(f"y_{arm}", n=counts.sum(-1), p=risks, observed=counts, dims=("study", "category"))
        odds = pt.exp(_against_reference(mu[None, :])[0])
        pm.Deterministic("rr", odds / (data["control"] * odds).sum(), dims="category")
    return model


def values(categories: Categories) -> dict[str, NDArray[Any]]:
    """Counts and control proportions; and rough log odds ratios and log odds, that only steer the sampler."""
    # Haldane's half in every cell, so that they exist
    of_e, of_c = categories.counts_e + 0.5, categories.counts_c + 0.5
    ratio, mean, variance = np.log(of_e / of_c), np.log(of_e * of_c) / 2, 1 / of_e + 1 / of_c
    own, apart = _correlations(categories)
    counts = {"counts_e": categories.counts_e, "counts_c": categories.counts_c, "control": categories.control}
    return counts | _steering("theta", ratio, variance, own) | _steering("baseline", mean, variance / 4, apart)


def _steering(name: str, logs: Array, variance: Array, correlation: Array) -> dict[str, Array]:
    """Of independent logs, shape (k, C), their differences from the reference along axes."""
    covariance = variance[:, 1:, None] * np.eye(variance.shape[1] - 1) + variance[:, :1, None]
    found = along_axes(logs[:, 1:] - logs[:, :1], covariance, correlation)
    return {f"{name}_{of}": x for of, x in zip(STEERING, found, strict=True)}


def data_of_cases(cases: Sequence[Case]) -> ReviewOutcomes:
    """Nothing that one effect a row could stand beside; for each case the reason, or with which others it belongs."""
    from bayespip.model_data.review_outcomes import ReviewOutcomes

    together = {label: labels for labels in categories_in(cases) for label in labels}
    return ReviewOutcomes((), {case.label: _left(case, together.get(case.label, ())) for case in cases})


def _left(case: Case, together: Sequence[str]) -> str:
    if case.family is not None:
        return f"{case.label} has only its published result; attachment needs the participants in every category."
    if together:
        return (
            f"{', '.join(together)} are the categories of one outcome, of which attachment has log odds ratios between "
            "categories and not one effect each: fit what categories.categories_in makes of them."
        )
    return (
        f"{case.label} is not one of several analyses whose events, in the same trials and arms, add up to everyone; "
        "attachment needs such."
    )


def coords(categories: Categories) -> dict[str, tuple[Any, ...]]:
    """Categories, those against the reference, and the axes of the deviations."""
    contrasts = categories.contrasts
    return {"category": categories.categories, "contrast": contrasts, "axis": tuple(range(1, len(contrasts) + 1))}


def check(categories: Categories, priors: Priors) -> None:
    """Refuse other data, a trial without participants, a category that no one is in, and improper priors."""
    if not isinstance(categories, Categories):
        raise ValueError(
            f"attachment needs Categories, the participants in each category; got {type(categories).__name__}."
        )
    demand("a trial must have participants", categories.n_e > 0, categories.study, categories.n_e.astype(float))
    total = (categories.counts_e + categories.counts_c).sum(0)
    empty = [name for name, n in zip(categories.categories, total, strict=True) if n == 0]
    if empty:
        raise ValueError(f"attachment needs participants in every category; none is in {', '.join(empty)}.")
    for prior in (priors.mu, priors.tau):
        if not prior.proper:
            raise ValueError(f"attachment needs proper priors; got {prior} on {prior.role}.")


def pad(categories: Categories, size: int) -> Categories:
    """The same trials and some without participants."""
    return categories.filled(size)


def complete(categories: Categories, draws: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    """What follows from draws of mu, tau, theta and baseline.

    Returns
    -------
    dict
        ``theta_new``, shape (*S, C - 1); ``rr_new``, shape (*S, C), of a new trial in the control population;
        ``rr_study``, shape (*S, k, C); new counts ``y_e`` and ``y_c``, shape (*S, k, C), of new effects.
    """
    a, theta = draws["baseline"], draws["theta"]
    new = _effects(draws, rng, a.shape)
    theta_new = _effects(draws, rng, (*a.shape[:-2], 1, a.shape[-1]))[..., 0, :]
    y_e, y_c = _replicates(categories, a, new, rng)
    return {
        "theta_new": theta_new,
        "rr_new": risk_ratios(categories.control, theta_new),
        "rr_study": np.exp(_log_risks(a + theta / 2) - _log_risks(a - theta / 2)),
        "y_e": y_e,
        "y_c": y_c,
    }


def draw_prior(
    categories: Categories, priors: Priors, rng: np.random.Generator, size: tuple[int, ...] = ()
) -> dict[str, Array]:
    """The parameters from their priors: shape size, (*size, C - 1) or (*size, C); those of trials (*size, k, C - 1)."""
    count = len(categories.contrasts)
    drawn = {"mu": priors.mu.rvs((*size, count), rng), "tau": priors.tau.rvs(size, rng)}
    trials = _effects(drawn, rng, (*size, categories.k + 1, count))
    return drawn | {
        "theta": trials[..., 1:, :],
        "theta_new": trials[..., 0, :],
        "baseline": rng.normal(0, BASELINE_SD, (*size, categories.k, count)),
        "rr": risk_ratios(categories.control, drawn["mu"]),
    }


def draw_data(categories: Categories, truth: Mapping[str, Array], rng: np.random.Generator) -> Categories:
    """Counts of trials of the same sizes given one draw of the parameters."""
    return categories.with_counts(*_replicates(categories, truth["baseline"], truth["theta"], rng))


def risk_ratios(control: Array, effects: Array) -> Array:
    """Risk ratios of all categories in a population.

    Parameters
    ----------
    control
        Proportions of the categories among controls, shape (C,), the reference first.
    effects
        Log odds ratios against the reference, shape (*S, C - 1).

    Returns
    -------
    ndarray
        Shape (*S, C); their sum weighted with control is 1.
    """
    odds = np.exp(np.insert(effects, 0, 0.0, axis=-1))
    return np.asarray(odds / (control * odds).sum(-1, keepdims=True))


def _correlations(categories: Categories) -> tuple[Array, Array]:
    """P of the effects, of differences of equal deviations from that of the reference; and of the baselines, none."""
    m = len(categories.contrasts)
    return (np.eye(m) + np.ones((m, m))) / 2, np.eye(m)


def _against_reference(log_odds: Any) -> Any:
    """With 0, the log odds of the reference against itself, before the others."""
    return pt.concatenate([0 * log_odds[:, :1], log_odds], axis=1)  # type: ignore[no-untyped-call]  # PyTensor's


def _effects(draws: Mapping[str, Array], rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Effects of new trials, shape (*S, k, C - 1)."""
    own = rng.normal(size=(*shape[:-1], shape[-1] + 1)) * draws["tau"][..., None, None] / np.sqrt(2)
    return np.asarray(draws["mu"][..., None, :] + own[..., 1:] - own[..., :1])


def _log_risks(log_odds: Array) -> Array:
    """Of every category, shape (*S, C), from the log odds against the reference."""
    return np.asarray(log_softmax(np.insert(log_odds, 0, 0.0, axis=-1), axis=-1))


def _replicates(
    categories: Categories, a: Array, theta: Array, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return (
        rng.multinomial(categories.n_e, np.exp(_log_risks(a + theta / 2))),
        rng.multinomial(categories.n_c, np.exp(_log_risks(a - theta / 2))),
    )
