"""Data and priors at the ends of what a number can be: a value, or an error that says why, never nan in silence.

Warnings are errors here as everywhere, so that no overflow passes unnoticed either.
"""

import math

import numpy as np
import pandas as pd
import pytest
from study_rows import counts, moments

from bayespip import priors as pr
from bayespip.averaging import average
from bayespip.effects import LARGEST, EffectSizes, effect_sizes
from bayespip.exact.batches import exact_batch
from bayespip.exact.fit import exact_fit
from bayespip.fits import compare
from bayespip.frequentist.batches import CI_METHODS, frequentist_batch
from bayespip.frequentist.fit import frequentist_fit
from bayespip.frequentist.heterogeneity import TAU2_METHODS, tau2_estimate, typical_variance
from bayespip.frequentist.pooling import pool
from bayespip.measures import MEASURES
from bayespip.sensitivity.grid import prior_grid
from bayespip.sensitivity.tipping import tipping_point
from bayespip.settings import Settings

PROMISED = 1e-8
RNG = np.random.default_rng(7)
# Effects and standard errors, simulated where there are many.
DATA = {
    "the smallest": ([1e-50, 3e-50], [1e-50, 2e-50]),
    "the largest": ([1e50, 0.3e50, -1e50], [1e50, 0.5e50, 1e49]),
    "a narrow one and wide ones": ([0.1, 0.3, 1.0], [1e-12, 1.0, 1.0]),
    "a ratio of 1e100": ([0.1, 0.3], [1e-50, 1e50]),
    "far apart": ([1e8, -1e8], [1.0, 1.0]),
    "farther apart": ([1e30, -1e30], [1e-3, 1e-3]),
    "as far apart as can be": ([1e50, -1e50], [1e-50, 1e-50]),
    "an outlier": ([1e8, 0.0, 0.1, -0.1], [1.0, 1.0, 1.0, 1.0]),
    "equal": ([0.3] * 5, [1e-8] * 5),
    "zeros": ([0.0, 0.0], [1e50, 1e50]),
    "one tiny": ([1e-50], [1e-50]),
    "one huge": ([-1e50], [1e50]),
    "500 studies": (RNG.normal(size=500), np.exp(RNG.normal(size=500))),
    "500 far apart": (1e6 * RNG.normal(size=500), 1e-3 * np.exp(RNG.normal(size=500))),
}
TAUS = (pr.half_normal(0.5), pr.half_cauchy(0.5), pr.uniform(0, 5), pr.log_t(-1, 0.9, 5), pr.half_normal(1e-30))
PAIRS = [pr.Priors(mu, tau) for mu in (pr.flat(), pr.normal(0, 2.82)) for tau in TAUS]


def effects_of(name):
    yi, sei = DATA[name]
    return EffectSizes([f"study {i}" for i in range(len(yi))], yi, sei, "MD")


def finite(*values):
    return bool(np.isfinite(np.concatenate([np.ravel(v) for v in values])).all())


@pytest.mark.parametrize("tau2", TAU2_METHODS)
@pytest.mark.parametrize("name", DATA)
def test_frequentist_fits_are_finite_and_in_order(name, tau2):
    effects = effects_of(name)
    for ci in CI_METHODS:
        fit = frequentist_fit(effects, tau2, ci)
        assert finite(fit.mu.point, fit.mu.lower, fit.mu.upper, fit.se, fit.q, fit.weights)
        assert finite(fit.p_value) or any("width 0" in note for note in fit.notes)
        assert fit.mu.lower <= fit.mu.point <= fit.mu.upper
        assert fit.weights.sum() == pytest.approx(1)
        assert effects.yi.min() <= fit.mu.point <= effects.yi.max()
        assert finite(*([t.point, t.lower, t.upper] for t in fit.theta.values()))
        if effects.k > 1:
            assert finite(fit.tau2, fit.i2, fit.h2, fit.q_p)
            assert 0 <= fit.i2 <= 1 <= fit.h2 or tau2 == "common"
        if effects.k > 1 and tau2 != "common":
            assert finite(fit.tau2_interval)
            assert finite(fit.theta_new.lower, fit.theta_new.upper)


@pytest.mark.parametrize("tau2", TAU2_METHODS)
@pytest.mark.parametrize("power", [-160, -100, 100, 160])
def test_units_at_the_ends_change_no_digit(tau2, power):
    """A power of two as unit: every number is the same but for its exponent."""
    y, v, unit = np.array([0.1, 0.9, -0.4, 1.7]), np.array([0.2, 0.1, 0.3, 0.5]) ** 2, 2.0**power
    base, other = frequentist_batch(y, v, tau2, "HKSJ"), frequentist_batch(unit * y, unit**2 * v, tau2, "HKSJ")
    for name in ("mu", "se", "lower", "upper"):
        assert getattr(other, name) == unit * getattr(base, name)
    for name in ("tau2", "tau2_lower", "tau2_upper"):
        np.testing.assert_array_equal(getattr(other, name), unit**2 * getattr(base, name))
    for name in ("q", "p_value", "i2", "h2"):
        assert getattr(other, name) == getattr(base, name)


def test_typical_variances_do_not_cancel():
    """One study a million million times as precise: sum(w) - sum(w^2) / sum(w) is 2 (w2 + w3) of it, to 1e-24."""
    assert float(typical_variance(np.array([1e-24, 1.0, 1.0]))) == pytest.approx(0.5, rel=1e-15)
    assert float(typical_variance(np.array([3.0, 3.0, 3.0, 3.0]))) == pytest.approx(3.0, rel=1e-15)
    # Q about the precise study: r^2 = 1 and 4, less the 2 expected, over the same denominator
    y, v = np.array([0.0, 1.0, 2.0]), np.array([1e-24, 1.0, 1.0])
    assert float(tau2_estimate(y, v, "DL")) == pytest.approx((5 - 2) / 4, rel=1e-12)


def fit_or_reason(effects, pair):
    try:
        return exact_fit(effects, pair), ""
    except ValueError as error:
        return None, str(error)


@pytest.mark.parametrize("name", DATA)
def test_exact_fits_are_finite_and_in_order_or_refused_in_words(name):
    effects, refused = effects_of(name), 0
    batch = exact_batch([effects], PAIRS, studies=True)
    for p, pair in enumerate(PAIRS):
        fit, reason = fit_or_reason(effects, pair)
        if fit is None:
            assert "doubles do not hold" in reason or "too rough to integrate" in reason
            refused += 1
        else:
            assert_whole(fit)
        if batch["reason"].to_numpy()[0, p]:
            assert "doubles do not hold it" in batch["reason"].to_numpy()[0, p]
            assert all(np.isnan(batch[n].to_numpy()[..., p]).all() for n in batch if n != "reason")
        else:
            assert fit is not None
            assert_as_in(fit, {n: batch[n].to_numpy()[0, p] for n in batch if batch[n].dims == ("analysis", "prior")})
    # a flat or wide prior can follow any effects
    assert refused <= len(PAIRS) - 3


def assert_whole(fit):
    for marginal in (fit.mu, fit.tau, fit.theta_new, *fit.theta.values()):
        assert finite(marginal.point, marginal.lower, marginal.upper)
        assert marginal.lower <= marginal.point <= marginal.upper
        assert not math.isnan(marginal.mean) or marginal.notes
    assert finite(fit.log_evidence, fit.prob_positive)
    if fit.effects.k > 1:
        assert finite(fit.i2.lower, fit.i2.upper, fit.i2_mean)


def assert_as_in(fit, cell):
    """The batch within what it promises, and the digits that effects of this size have."""
    digits = 8 * np.spacing(np.abs(fit.effects.yi).max())
    for parameter in ("mu", "tau", "theta_new"):
        marginal = getattr(fit, parameter)
        wanted = np.array([marginal.lower, marginal.point, marginal.upper])
        found = np.array([cell[f"{parameter}_{s}"] for s in ("lower", "median", "upper")])
        within = PROMISED * np.maximum(np.abs(wanted), marginal.upper - marginal.lower)
        assert (np.abs(found - wanted) <= within + (0 if parameter == "tau" else digits)).all()


@pytest.mark.parametrize("name", DATA)
def test_what_is_made_of_fits_is_finite_or_refused_in_words(name):
    effects = effects_of(name)
    pair = pr.Priors(pr.normal(0, 2.82), pr.half_cauchy(0.5))
    table = compare(frequentist_fit(effects), exact_fit(effects, pair))
    rows = table[(table["method"] == "exact normal-normal") | ~table["parameter"].isin(["tau", "theta_new"])]
    assert finite(rows[["point", "lower", "upper"]].to_numpy(dtype=float))
    averaged = average(effects, pair)
    assert finite(averaged.probabilities, [averaged.effect.posterior_prob, averaged.heterogeneity.posterior_prob])
    assert averaged.probabilities.sum() == pytest.approx(1)
    assert finite(
        averaged.estimates()[["point", "lower", "upper", "mean_model", "prob_positive"]].to_numpy(dtype=float)
    )
    grid = prior_grid(effects, [pair, pr.Priors(pr.flat(), pr.half_cauchy(2.0))])
    bayesian = grid[grid["prior"] != ""]
    assert finite(bayesian[["point", "lower", "upper"]].to_numpy(dtype=float))


@pytest.mark.parametrize(
    "name", ["a narrow one and wide ones", "an outlier", "equal", "one tiny", "zeros", "500 studies"]
)
def test_tipping_points_are_found_or_refused_in_words(name):
    found = tipping_point(effects_of(name), "half-cauchy")
    assert found.answer in ("tips", "never", "always")
    assert not any(math.isnan(x) for pair in found.holds for x in pair)
    if found.answer == "tips":
        assert finite(found.scale, found.interval_at.lower, found.interval_at.upper)


@pytest.mark.parametrize(
    ("yi", "sei", "message"),
    [
        (1e300, 1.0, "yi must lie within 1e+50 of 0: rescale it; not so for Far 2001 (1e+300)."),
        (-1.1e50, 1.0, "yi must lie within 1e+50 of 0: rescale it; not so for Far 2001 (-1.1e+50)."),
        (0.1, 1e-150, "sei must lie between 1e-50 and 1e+50: rescale it; not so for Far 2001 (1e-150)."),
        (0.1, 1e150, "sei must lie between 1e-50 and 1e+50: rescale it; not so for Far 2001 (1e+150)."),
        (0.1, 5e-324, "sei must lie between 1e-50 and 1e+50: rescale it; not so for Far 2001 (4.94066e-324)."),
    ],
)
def test_effects_whose_squares_no_double_holds_are_refused_by_name(yi, sei, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole message is compared)
        EffectSizes(["Near 2000", "Far 2001"], [0.1, yi], [0.2, sei], "MD")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("yi", "vi", "message"),
    [
        ([0.0, 1e60], [1.0, 1.0], "yi must lie within 1e+50 of 0: rescale it; not so at index (1,): 1e+60."),
        ([0.0, 1.0], [1.0, 1e-120], "vi must lie between 1e-100 and 1e+100: rescale it; not so at index (1,): 1e-120."),
    ],
)
def test_arrays_beyond_them_are_refused_at_their_place(yi, vi, message):
    for refuse in (frequentist_batch, tau2_estimate):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            refuse(yi, vi)
        assert str(caught.value) == message
    frequentist_batch([0.0, LARGEST], np.square([1 / LARGEST, LARGEST]))


ARMS = [
    (0, 10**9, 10**9, 10**9),
    (0, 10**9, 1, 10**9),
    (10**9, 10**9, 1, 10**9),
    (5 * 10**8, 10**9, 0, 2),
    (1, 1, 0, 1),
]


@pytest.mark.parametrize("measure", ["RR", "OR", "RD", "PETO"])
@pytest.mark.parametrize("arms", ARMS)
def test_counts_of_nobody_and_of_a_billion(arms, measure):
    effects = effect_sizes(counts(("Vast", *arms)), measure)
    assert finite(effects.yi, effects.sei)
    assert finite([exact_fit(effects, PAIRS[5]).mu.lower], [frequentist_fit(effects).mu.upper])


@pytest.mark.parametrize("method", ["MH", "IV"])
@pytest.mark.parametrize("measure", ["RR", "OR", "RD"])
@pytest.mark.parametrize("model", ["fixed", "random"])
def test_pooled_counts_of_nobody_and_of_a_billion(method, measure, model):
    rows = counts(*((f"Vast {i}", *arms) for i, arms in enumerate(ARMS)))
    found = pool(
        rows, Settings(data_type="dichotomous", method=method, model=model, swap_events=False), MEASURES[measure]
    )
    assert finite(
        found.estimate, found.lower, found.upper, found.z, found.p, found.tau2, found.q, found.i2, found.weights
    )


@pytest.mark.parametrize("measure", ["MD", "SMD", "ROM"])
@pytest.mark.parametrize("sd", [1e-200, 1e-20, 1e20, 1e200])
@pytest.mark.parametrize("mean", [1e-300, 1.0, 1e300])
def test_moments_of_any_size_are_a_value_or_an_error_with_the_study(measure, sd, mean):
    table = moments(("Odd 2003", 2 * mean, sd, 10, mean, sd, 12), ("Usual 2004", 2.0, 1.0, 10, 1.0, 1.0, 12))
    try:
        effects = effect_sizes(table, measure)
    except ValueError as error:
        assert "Odd 2003" in str(error)  # noqa: PT017
        return
    assert finite(effects.yi, effects.sei)


def test_a_whole_table_of_extremes_is_read_as_it_is():
    table = pd.DataFrame({"study": ["a", "b"], "yi": [1e50, -1e50], "sei": [1e-50, 1e50]})
    effects = effect_sizes(table, "MD")
    assert effects.yi.tolist() == [1e50, -1e50]
    assert effects.sei.tolist() == [1e-50, 1e50]
