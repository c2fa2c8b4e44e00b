"""What the studies say about tau: likelihoods, estimators, divergence of posterior from prior."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import bayespip as bp
from bayespip import priors as pr
from bayespip.sensitivity.evidence import ESTIMATORS, divergence, relative_likelihood, tau_evidence

TWO = bp.EffectSizes(["a", "b"], [0.3, 1.4], [0.35, 0.5], "OR")
FOUR = bp.EffectSizes(list("abcd"), [0.1, -0.4, 0.9, 0.2], [0.2, 0.3, 0.25, 0.5], "OR")
BITS = 1e-10  # what the quadrature's 1e-12 leaves of a mean of log densities
HALF_NORMAL = bp.Priors(pr.flat(), pr.half_normal(0.5), name="HN")


def test_the_estimators_are_those_of_the_frequentist_fits_and_ml_and_reml_are_the_maxima():
    table = tau_evidence(FOUR, [HALF_NORMAL]).table.set_index("name")
    for name in ESTIMATORS:
        assert table.loc[name, "point"] == bp.frequentist_fit(FOUR, name).tau.point
    assert table.loc["ML", "profile_likelihood"] == 1
    assert table.loc["REML", "marginal_likelihood"] == 1
    likelihoods = table[["profile_likelihood", "marginal_likelihood"]].dropna()
    assert ((likelihoods > 0) & (likelihoods <= 1)).all(axis=None)
    assert len(ESTIMATORS) == 8


def test_likelihoods_against_their_densities():
    """The profile likelihood by maximising, the marginal one by integrating, the density of the studies over mu."""
    taus = [0.0, 0.2, 0.7]
    grid = np.linspace(-6, 6, 400_001)
    sd = [np.sqrt(FOUR.vi + t**2) for t in taus]
    values = np.array([stats.norm.logpdf(FOUR.yi[:, None], grid, s[:, None]).sum(axis=0) for s in sd])
    profile = np.exp(values.max(axis=1) - values.max())
    marginal = np.exp(values).sum(axis=1)
    found = relative_likelihood(FOUR, taus, restricted=False)
    np.testing.assert_allclose(found / found[0], profile / profile[0], rtol=1e-8)
    found = relative_likelihood(FOUR, taus, restricted=True)
    np.testing.assert_allclose(found / found[0], marginal / marginal[0], rtol=1e-8)


@pytest.mark.parametrize(
    ("prior", "density"),
    [
        (pr.half_normal(0.5), lambda t: mp.sqrt(2 / mp.pi) / mp.mpf("0.5") * mp.exp(-(t**2) / mp.mpf("0.5"))),
        (pr.half_cauchy(0.3), lambda t: 2 / (mp.pi * mp.mpf("0.3") * (1 + (t / mp.mpf("0.3")) ** 2))),
        (pr.exponential(0.7), lambda t: mp.exp(-t / mp.mpf("0.7")) / mp.mpf("0.7")),
    ],
    ids=["half-normal", "half-Cauchy", "exponential"],
)
@pytest.mark.parametrize("mu_sd", [None, 1.5])
def test_divergence_against_mpmath(prior, density, mu_sd):
    mu = pr.flat() if mu_sd is None else pr.normal(0.2, mu_sd)
    y, v = [mp.mpf(float(x)) for x in TWO.yi], [mp.mpf(float(x)) for x in TWO.vi]

    def likelihood(t):
        w = [1 / (a + t**2) for a in v]
        total = sum(w)
        mean = sum(a * b for a, b in zip(w, y, strict=True)) / total
        q = sum(a * (b - mean) ** 2 for a, b in zip(w, y, strict=True))
        value = mp.exp(-q / 2) * mp.sqrt(mp.fprod(w)) * (2 * mp.pi) ** (-mp.mpf(len(y)) / 2)
        if mu_sd is None:
            return value * mp.sqrt(2 * mp.pi / total)
        spread = 1 / total + mp.mpf(mu_sd) ** 2
        pull = mp.exp(-((mean - mp.mpf("0.2")) ** 2) / spread / 2) / mp.sqrt(2 * mp.pi * spread)
        return value * mp.sqrt(2 * mp.pi / total) * pull

    pieces = [0, 0.1, 0.5, 1, 3, 10, 100, mp.inf]
    with mp.workdps(25):
        z = mp.quad(lambda t: density(t) * likelihood(t), pieces)
        nats = mp.quad(lambda t: density(t) * likelihood(t) / z * mp.log(likelihood(t) / z), pieces)
        bits = float(nats / mp.log(2))
    assert divergence(bp.exact_fit(TWO, bp.Priors(mu, prior))) == pytest.approx(bits, rel=BITS, abs=BITS)


@pytest.mark.parametrize("k", [2, 3, 5, 9])
def test_divergence_in_closed_form(k):
    """Equal effects of equal variance v under the uniform shrinkage prior, u = v / (v + tau^2) ~ U(0, 1).

    The likelihood is then u^((k - 1) / 2), the posterior of u a Beta((k + 1) / 2, 1), and its divergence from the
    uniform log((k + 1) / 2) - (k - 1) / (k + 1).
    """
    v = 0.16

    def logpdf(tau):
        return np.log(2 * v * tau) - 2 * np.log(v + tau**2)

    same = bp.EffectSizes([str(i) for i in range(k)], [0.4] * k, [math.sqrt(v)] * k, "SMD")
    fit = bp.exact_fit(same, bp.Priors(pr.flat(), pr.density(logpdf, "uniform shrinkage", tail=3)))
    nats = math.log((k + 1) / 2) - (k - 1) / (k + 1)
    assert divergence(fit) == pytest.approx(nats / math.log(2), rel=1e-9)


def test_one_study_teaches_nothing_about_tau():
    one = bp.EffectSizes(["a"], [0.5], [0.2], "OR")
    evidence = tau_evidence(one, [HALF_NORMAL, bp.Priors(pr.flat(), pr.uniform(0, math.inf), name="improper")])
    table = evidence.table.set_index("name")
    assert table.loc["HN", "divergence_bits"] == pytest.approx(0, abs=1e-12)
    assert table.loc["HN", "point"] == pytest.approx(pr.half_normal(0.5).quantile(0.5), rel=1e-9)
    assert table.loc[list(ESTIMATORS), "point"].isna().all()
    assert table.loc["Q-profile 95%", ["lower", "upper"]].isna().all()
    assert "not estimable" in table.loc["Q-profile 95%", "note"]
    assert np.isnan(table.loc["improper", "point"])
    assert "improper for k = 1" in table.loc["improper", "note"]
    np.testing.assert_allclose(evidence.curves["marginal"], 1)
    assert list(evidence.curves["prior"].values) == ["HN"]


def test_an_improper_prior_has_a_posterior_but_no_divergence():
    row = tau_evidence(FOUR, [bp.Priors(pr.flat(), pr.uniform(0, math.inf), name="U")]).table.iloc[-1]
    assert np.isnan(row["divergence_bits"])
    assert np.isnan(row["prior_median"])
    assert row["point"] > 0
    assert "improper" in row["note"]


def test_an_empty_and_a_huge_q_profile_interval_are_shown_as_they_are():
    equal = bp.EffectSizes(["a", "b"], [0.4, 0.4], [0.2, 0.3], "OR")
    row = tau_evidence(equal, [HALF_NORMAL]).table.set_index("name").loc["Q-profile 95%"]
    assert (row["lower"], row["upper"]) == (0, 0)
    assert row["note"].startswith("empty")
    row = tau_evidence(TWO, [HALF_NORMAL]).table.set_index("name").loc["Q-profile 95%"]
    assert row["lower"] == 0
    assert row["upper"] > 20  # two studies 1.1 apart: no estimate exceeds 1
    assert row["upper"] == bp.frequentist_fit(TWO).tau.upper


def test_the_curves_are_densities_and_the_default_priors_are_all_there():
    evidence = tau_evidence(FOUR)
    names = evidence.table.loc[evidence.table["kind"] == "posterior", "name"]
    assert list(names) == list(evidence.curves["prior"].values)
    assert len(names) >= 5
    fine = tau_evidence(FOUR, [HALF_NORMAL], taus=np.linspace(0, 4, 4001))
    area = np.trapezoid(fine.curves["posterior_density"], fine.curves["tau"], axis=-1)
    np.testing.assert_allclose(area, 1, rtol=1e-4)
    fit = bp.exact_fit(FOUR, HALF_NORMAL)
    np.testing.assert_allclose(fine.curves["posterior_density"][0], fit.tau.pdf(fine.curves["tau"]))
    np.testing.assert_allclose(fine.curves["prior_density"][0], stats.halfnorm(scale=0.5).pdf(fine.curves["tau"]))
    tidy = fine.tidy()
    assert list(tidy.columns) == ["curve", "prior", "tau", "value"]
    assert len(tidy) == 4 * 4001
    assert set(tidy["curve"]) == set(fine.curves.data_vars)


@given(
    st.lists(st.floats(-3, 3), min_size=2, max_size=6),
    st.floats(0.05, 2),
    st.floats(-5, 5),
    st.floats(0.2, 5),
)
def test_shift_and_scale(yi, se, shift, scale):
    """Divergence does not depend on where the effects lie, nor on the unit, if the prior is in the same unit."""
    labels = [str(i) for i in range(len(yi))]
    sei = [se * (1 + i / 5) for i in range(len(yi))]
    base = divergence(bp.exact_fit(bp.EffectSizes(labels, yi, sei, "MD"), HALF_NORMAL))
    moved = bp.EffectSizes(labels, (np.array(yi) + shift) * scale, np.array(sei) * scale, "MD")
    again = divergence(bp.exact_fit(moved, bp.Priors(pr.flat(), pr.half_normal(0.5 * scale))))
    assert again == pytest.approx(base, rel=1e-8, abs=1e-9)
    assert base >= 0


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="different names; got HN, HN"):
        tau_evidence(TWO, [HALF_NORMAL, HALF_NORMAL])
    with pytest.raises(ValueError, match="taus must be finite and at least 0; got -1"):
        tau_evidence(TWO, [HALF_NORMAL], taus=[0.1, -1])
    with pytest.raises(ValueError, match="derived for SMD, not for OR"):
        tau_evidence(TWO, [bp.Priors(pr.flat(), pr.published("bartos2021/SMD/cochrane/tau"))])
