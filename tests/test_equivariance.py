"""What a change of the data must do to results: the batch engine's equivariance, merged studies, hulls, order.

That of ``exact_fit`` and ``frequentist_batch`` under shift, scale, sign and permutation is in their own tests.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from bayespip import priors as pr
from bayespip.effects import EffectSizes
from bayespip.exact.batches import exact_batch
from bayespip.exact.fit import exact_fit
from bayespip.frequentist.fit import frequentist_fit
from bayespip.frequentist.pooling import pool
from bayespip.measures import MEASURES
from bayespip.settings import Settings

PROMISED = 1e-8  # of the batch engine, in posterior SDs
PRECISE = 1e-9  # of exact_fit
PARAMETERS = ("mu", "tau", "theta_new")
LIMITS = ("median", "lower", "upper")
TAU = 0.4
LEVELS = [0.025, 0.5, 0.975]
# tau at zero for all that data on this scale can tell
NO_TAU = pr.half_normal(1e-9)

trials = st.tuples(st.floats(-3, 3), st.floats(math.log(0.05), math.log(2)).map(math.exp))
several = st.lists(trials, min_size=1, max_size=6)
examples = settings(max_examples=15)


def effects_of(yi, sei, measure="MD"):
    return EffectSizes([f"study {i}" for i in range(len(yi))], yi, sei, measure)


def limits(batch, analysis):
    """Medians and limits, shape (parameters, priors, 3)."""
    return np.array([[batch[f"{p}_{s}"].to_numpy()[analysis] for s in LIMITS] for p in PARAMETERS]).transpose(0, 2, 1)


def assert_same(ours, wanted):
    width = (wanted[..., 2] - wanted[..., 1])[..., None]
    assert (np.abs(ours - wanted) <= PROMISED * width).all()


@examples
@given(studies=several, shift=st.floats(-50, 50), seed=st.integers(0, 99))
def test_a_batch_follows_its_data(studies, shift, seed):
    """Shifted (the prior with it), mirrored (the prior is symmetric about 0) and in another order."""
    yi, sei = map(np.array, zip(*studies, strict=True))
    order = np.random.default_rng(seed).permutation(yi.size)
    tau = pr.half_cauchy(TAU)
    pairs = [pr.Priors(mu, tau) for mu in (pr.flat(), pr.normal(0, 2), pr.student_t(0, 1, 3), pr.normal(shift, 2))]
    batch = exact_batch(
        [effects_of(y, s) for y, s in ((yi, sei), (yi + shift, sei), (-yi, sei), (yi[order], sei[order]))], pairs
    )
    base, shifted, mirrored, permuted = (limits(batch, a) for a in range(4))
    moved = base + np.array([shift, 0, shift])[:, None, None]
    assert_same(shifted[:, [0, 3]], moved[:, [0, 1]])
    flipped = mirrored[:, :3].copy()
    flipped[[0, 2]] = -flipped[[0, 2]][..., [0, 2, 1]]
    assert_same(flipped, base[:, :3])
    assert_same(permuted, base)
    evidence = batch["log_evidence"].to_numpy()
    assert evidence[1, [0, 3]] == pytest.approx(evidence[0, [0, 1]], abs=PROMISED)
    assert evidence[2, :3] == pytest.approx(evidence[0, :3], abs=PROMISED)
    assert evidence[3] == pytest.approx(evidence[0], abs=PROMISED)
    above = batch["prob_positive"].to_numpy()
    assert above[2, :3] == pytest.approx(1 - above[0, :3], abs=PROMISED)


@examples
@given(studies=several, log_scale=st.floats(-12, 12))
def test_a_batch_follows_its_unit(studies, log_scale):
    yi, sei = map(np.array, zip(*studies, strict=True))

    def fitted(unit):
        mus = (pr.flat(), pr.normal(0.1 * unit, unit), pr.student_t(0, unit, 3))
        pairs = [pr.Priors(mu, tau) for mu in mus for tau in (pr.half_normal(TAU * unit), pr.half_t(TAU * unit, 4))]
        return exact_batch([effects_of(yi * unit, sei * unit)], pairs)

    unit = math.exp(log_scale)
    base, scaled = fitted(1.0), fitted(unit)
    assert_same(limits(scaled, 0), unit * limits(base, 0))
    # the evidence is a density of k effects; under a flat mu, of the k - 1 differences between them
    powers = np.where(np.arange(6) < 2, yi.size - 1, yi.size)
    wanted = base["log_evidence"].to_numpy()[0] - powers * log_scale
    assert scaled["log_evidence"].to_numpy()[0] == pytest.approx(wanted, abs=1e-8 * yi.size)


def merged(yi, sei):
    """The first two studies as one: their inverse-variance mean."""
    w = sei[:2] ** -2
    return np.r_[w @ yi[:2] / w.sum(), yi[2:]], np.r_[w.sum() ** -0.5, sei[2:]]


@examples
@given(studies=st.lists(trials, min_size=2, max_size=6))
def test_merging_two_studies_changes_nothing_where_tau_is_zero(studies):
    """mu is the same, and the evidence lacks the density of the difference between the two, N(0, s1^2 + s2^2)."""
    yi, sei = map(np.array, zip(*studies, strict=True))
    whole, fewer = effects_of(yi, sei), effects_of(*merged(yi, sei))
    split = stats.norm.logpdf(yi[0] - yi[1], 0, math.hypot(*sei[:2]))
    for mu in (pr.flat(), pr.normal(0.2, 1.5), pr.student_t(0, 1, 3)):
        pair = pr.Priors(mu, NO_TAU)
        both = [exact_fit(e, pair) for e in (whole, fewer)]
        quantiles = [fit.mu.quantile(LEVELS) for fit in both]
        width = quantiles[1][2] - quantiles[1][0]
        assert quantiles[0] == pytest.approx(quantiles[1], abs=PRECISE * width)
        assert both[0].log_evidence == pytest.approx(both[1].log_evidence + split, abs=1e-8)
        batch = exact_batch([whole, fewer], [pair])
        assert float(batch["log_evidence"][0, 0]) == pytest.approx(float(batch["log_evidence"][1, 0]) + split, abs=2e-8)
        assert_same(limits(batch, 0)[0], limits(batch, 1)[0])
    common = [frequentist_fit(e, "common", "Wald").mu for e in (whole, fewer)]
    pooled = [revman(e) for e in (whole, fewer)]
    for one, other in (common, pooled):
        width = other.upper - other.lower
        assert (one.lower, one.upper) == pytest.approx((other.lower, other.upper), abs=PRECISE * width)


def revman(effects):
    """The fixed-effect inverse-variance result."""
    import pandas as pd

    rows = pd.DataFrame({"study": effects.study, "yi": effects.yi, "sei": effects.sei})
    return pool(rows, Settings(data_type="generic", method="IV", model="fixed"), MEASURES["MD"])


def test_two_equal_studies_are_one_of_half_the_variance():
    for fit in (
        lambda e: exact_fit(e, pr.Priors(pr.normal(0, 1), NO_TAU)).mu,
        lambda e: frequentist_fit(e, "common", "Wald").mu,
        lambda e: frequentist_fit(e, "REML", "Wald").mu,
    ):
        two, one = fit(effects_of([0.3, 0.3], [0.2, 0.2])), fit(effects_of([0.3], [0.2 / math.sqrt(2)]))
        found, wanted = ([m.point, m.lower, m.upper] for m in (two, one))
        assert found == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(("yi", "sei"), [(0.7, 0.2), (-4.0, 1e-4), (3.0, 1e3)])
def test_one_study_and_a_normal_prior_are_the_conjugate_posterior(yi, sei):
    """Given tau, y ~ N(mu, sei^2 + tau^2): at tau = 0 that of a mean with known variance, mixed over tau otherwise."""
    effects, precision = effects_of([yi], [sei]), 1.5**-2 + sei**-2
    closed = stats.norm((0.5 * 1.5**-2 + yi * sei**-2) / precision, precision**-0.5)
    fit = exact_fit(effects, pr.Priors(pr.normal(0.5, 1.5), pr.half_normal(1e-9 * sei)))
    assert fit.mu.quantile(LEVELS) == pytest.approx(closed.ppf(LEVELS), abs=PRECISE * closed.std())
    assert fit.log_evidence == pytest.approx(stats.norm.logpdf(yi, 0.5, math.hypot(sei, 1.5)), abs=1e-9)
    pair = pr.Priors(pr.normal(0.5, 1.5), pr.half_normal(0.3))
    marginal = integrate.quad(
        lambda t: stats.norm.pdf(yi, 0.5, math.hypot(1.5, sei, t)) * stats.halfnorm.pdf(t, scale=0.3),
        0,
        4,
        epsrel=1e-11,
    )[0]
    assert exact_fit(effects, pair).log_evidence == pytest.approx(math.log(marginal), abs=1e-10)
    assert float(exact_batch([effects], [pair])["log_evidence"].item()) == pytest.approx(
        math.log(marginal), abs=PROMISED
    )


@examples
@given(studies=several, tau=st.sampled_from([pr.half_normal(0.3), pr.half_cauchy(2.0), pr.log_t(-1, 0.9, 5)]))
def test_with_a_flat_prior_mu_stays_in_the_hull_of_the_effects(studies, tau):
    """Given tau, mu is normal about a weighted mean of the effects, m(tau), which lies in their hull.

    Hence so does the posterior mean, the average of m(tau), where it exists. So does the median: each component puts
    at least half of its probability at or below the largest effect, and at or above the smallest; hence so does
    their mixture. The same holds of a new study's effect, and of each study's, whose means given tau lie between m
    and its own effect.
    """
    yi, sei = map(np.array, zip(*studies, strict=True))
    effects = effects_of(yi, sei)
    fit = exact_fit(effects, pr.Priors(pr.flat(), tau))
    batch = exact_batch([effects], [pr.Priors(pr.flat(), tau)], studies=True)
    found = [m.point for m in (fit.mu, fit.theta_new, *fit.theta.values())]
    found += [m.mean for m in (fit.mu, *fit.theta.values()) if math.isfinite(m.mean)]
    found += [float(batch[f"{p}_median"].item()) for p in ("mu", "theta_new")] + batch[
        "theta_median"
    ].to_numpy().ravel().tolist()
    # one study, or equal ones: a hull of no width
    rounding = PROMISED * (fit.mu.upper - fit.mu.lower)
    assert min(found) >= yi.min() - rounding
    assert max(found) <= yi.max() + rounding


FAMILIES = {
    "half-normal": pr.half_normal,
    "half-cauchy": pr.half_cauchy,
    "half-t": lambda scale: pr.half_t(scale, 4),
    "exponential": pr.exponential,
    "uniform": lambda scale: pr.uniform(0, scale),
    "log-normal": lambda scale: pr.log_normal(math.log(scale), 0.8),
}


def never_falls(values, slack):
    return (np.diff(values, axis=0) >= -slack).all()


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=8)
@given(studies=several)
def test_a_wider_prior_on_tau_moves_all_quantiles_of_tau_up(family, studies):
    """In each of these families p(tau; s') / p(tau; s) increases in tau for s' > s.

    The likelihood cancels in the ratio of posteriors, which is therefore increasing as well: the likelihood-ratio
    order, which implies that of all quantiles (Shaked & Shanthikumar 2007, Stochastic Orders, theorem 1.C.1).
    """
    yi, sei = map(np.array, zip(*studies, strict=True))
    scales = np.geomspace(0.02, 20, 7)
    pairs = [pr.Priors(mu, FAMILIES[family](float(s))) for mu in (pr.flat(), pr.normal(0, 1)) for s in scales]
    tau = limits(exact_batch([effects_of(yi, sei)], pairs), 0)[1]
    for rows in (tau[:7], tau[7:]):
        assert never_falls(rows, PROMISED * rows[1:, [2]])


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=8)
@given(yi=st.lists(st.floats(-3, 3), min_size=1, max_size=6), sei=st.floats(0.05, 2))
def test_with_equal_standard_errors_a_wider_prior_on_tau_widens_mu(family, yi, sei):
    """Under a flat mu and equal variances v, mu given tau is N(mean, (v + tau^2) / k), whatever tau is about.

    P(mu > mean + d) is then the mean of an increasing function of tau for every d > 0, and increases with the scale
    (the order above). Without equal variances the centre moves with tau, and nothing of the kind need hold.
    """
    mean = float(np.mean(yi))
    pairs = [pr.Priors(pr.flat(), FAMILIES[family](float(s))) for s in np.geomspace(0.02, 20, 7)]
    batch = exact_batch([effects_of(yi, np.full(len(yi), sei))], pairs)
    for rows in limits(batch, 0)[[0, 2]]:
        width = rows[:, [2]] - rows[:, [1]]
        assert rows[:, 0] == pytest.approx(mean, abs=PROMISED * float(width.min()))
        assert never_falls(np.abs(rows[:, 1:] - mean), PROMISED * width[1:])
    confidence = np.abs(batch["prob_positive"].to_numpy()[0] - 0.5)
    assert never_falls(-confidence, PROMISED)
